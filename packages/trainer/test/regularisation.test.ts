import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Layer as NnLayer, Nn, Regularisation, Scope } from "@uninet/nn"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Initialise, Recipe, TrainingProgram } from "@uninet/trainer"
import { network } from "./support/tiny.ts"

const examples = 2000
const features = 6

/** The layer's results for ones, with noise drawn as the trainer draws it. */
const onOnes = Effect.fnUntraced(function* (layer: NnLayer.Layer) {
  const y = layer(Op.fill(1, [examples, features]))
  const random = Result.getOrThrow(Program.make({ outputs: { y } }))
  const { run } = yield* (yield* Runtime).compile({ random })
  const prng = Prng.fromSeed("noise")
  const noise = random.inputs.map((input) => [
    input.attributes.name,
    Float32Array.from({ length: input.shape.reduce((a, b) => a * b, 1) }, () => prng.nextUint32() / 4294967296)
  ])
  const outputs = yield* run("random", Object.fromEntries(noise))
  const values = Array.from(outputs["y"])
  return Array.from({ length: examples }, (_, i) => values.slice(i * features, (i + 1) * features))
})

const scope = Scope.make("training", "layer")
const mean = (xs: ReadonlyArray<number>) => xs.reduce((a, b) => a + b, 0) / xs.length
/** Five standard deviations of a mean of n results that are 0 with probability p, and 1 / (1 − p) otherwise. */
const bound = (p: number, n: number) => 5 * Math.sqrt(p / (1 - p) / n)

describe("what is random in training", () => {
  for (const p of [0.1, 0.5])
    it.effect(`stochastic depth ${p} drops whole examples and keeps the expectation`, () =>
      Effect.gen(function* () {
        const rows = yield* onOnes(Nn.stochasticDepth(scope, p))
        for (const row of rows) assert.strictEqual(new Set(row).size, 1)
        const kept = rows.map(([x]) => x)
        for (const x of kept) if (x !== 0) assert.closeTo(x, 1 / (1 - p), 1e-6)
        assert.closeTo(mean(kept), 1, bound(p, examples))
      }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
    )

  it.effect("dropout drops elements one by one and keeps the expectation", () =>
    Effect.gen(function* () {
      const rows = yield* onOnes(Nn.dropout(scope, 0.3))
      assert.isTrue(rows.some((row) => new Set(row).size === 2))
      assert.closeTo(mean(rows.flat()), 1, bound(0.3, examples * features))
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it("is asked for in the recipe: branches by stochastic depth, the classifier by dropout", () => {
    const { model, task } = network
    const noise = (recipe: Partial<Recipe.Recipe>) =>
      Result.getOrThrow(TrainingProgram.make(model, task, { ...Recipe.proxy, ...recipe }))
        .inputs.filter(Regularisation.isNoise)
        .map((input) => input.attributes.name)
        .sort()
    assert.deepStrictEqual(noise({}), [])
    assert.deepStrictEqual(noise({ dropout: 0.1 }), ["noise/classifier"])
    // The first operator block is never dropped; the module between stages is not an operator block.
    assert.deepStrictEqual(noise({ stochasticDepth: 0.1 }), ["noise/blocks.2", "noise/blocks.3"])
  })
})

describe("targets that the data mixes", () => {
  it.effect("of unmixed images give the loss that labels give", () =>
    Effect.gen(function* () {
      const { model, task } = network
      const recipe = { ...Recipe.proxy, batch: 16 }
      const mixing = { ...recipe, mix: Recipe.Mixing.make({ mixup: 0.2 }) }
      const labelled = Result.getOrThrow(TrainingProgram.make(model, task, recipe))
      const mixed = Result.getOrThrow(TrainingProgram.make(model, task, mixing))
      const executable = yield* (yield* Runtime).compile({ labelled, mixed })
      const prng = Prng.fromSeed("targets")
      yield* Initialise.write(executable, labelled.variables, prng.split("weights"))
      const { run } = executable
      const labels = Int32Array.from({ length: 16 }, () => prng.nextInt(4))
      const targets = Float32Array.from({ length: 64 }, (_, i) => 0.025 + (labels[i >> 2] === i % 4 ? 0.9 : 0))
      const common = {
        image: Float32Array.from({ length: 16 * 64 }, () => prng.nextNormal()),
        learningRate: Float32Array.of(0),
        step: Float32Array.of(1)
      }
      const one = yield* run("labelled", { ...common, targets: labels })
      const other = yield* run("mixed", { ...common, targets })
      assert.closeTo(one["loss"][0], other["loss"][0], 1e-6)
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

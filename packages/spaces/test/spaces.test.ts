import { assert, describe, it } from "@effect/vitest"
import { Random, RegularizedEvolution } from "@uninet/controller"
import { Memory } from "@uninet/data"
import { Facts, Laws, ModelSpace, Recipe } from "@uninet/model-space"
import { OnnxRuntime, Runtime, type RuntimeError } from "@uninet/runtime"
import { Coefficients, Compound, Inherit } from "@uninet/scaler"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Prng, Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Grammar, MobileNet, NasBench201, VisionTransformer } from "@uninet/spaces"
import { Initialise, Trainer } from "@uninet/trainer"
import { Model } from "@uninet/nn"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as fc from "fast-check"

const digits = { channels: 1, height: 28, width: 28, classes: 10 }

const spaces: Readonly<Record<string, ModelSpace.Any>> = {
  "nas-bench-201": ModelSpace.erased(Result.getOrThrow(NasBench201.models({ ...digits, width1: 4, cells: 1 }))),
  mobilenet: ModelSpace.erased(Result.getOrThrow(MobileNet.models(digits))),
  vit: ModelSpace.erased(Result.getOrThrow(VisionTransformer.models(digits))),
  grammar: ModelSpace.erased(Result.getOrThrow(Grammar.models(digits)))
}

const engine: Laws.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const executable = yield* (yield* Runtime).compile({ program })
      yield* executable.write(variables)
      return yield* executable.run("program", inputs)
    })
  )

/** Noisy stripes, by which way they lie. */
const stripes = (count: number, seed: string) => {
  const prng = Prng.fromSeed(seed)
  const labels = Array.from({ length: count }, (_, i) => i % 2)
  const images = Uint8Array.from({ length: count * 256 }, (_, i) => {
    const across = labels[Math.floor(i / 256)] === 1 ? i % 16 : Math.floor(i / 16)
    return (across % 4 < 2 ? 150 : 60) + prng.nextInt(60)
  })
  return { images, labels }
}

const data = Memory.layer({
  name: "stripes",
  classes: ["lying", "standing"],
  image: { channels: 1, height: 16, width: 16 },
  train: stripes(128, "train"),
  validation: stripes(32, "validation"),
  test: stripes(32, "test")
})

const facts: Facts.Facts = {
  inputs: { image: { shape: [1, 16, 16], dtype: "float32" } },
  targets: { shape: [], dtype: "int32" },
  classes: 2
}

describe.each(Object.entries(spaces))("%s", (_, of) => {
  it("keeps the laws that need no engine", () =>
    fc.assert(
      fc.property(fromSpace(of.space), (point) => assert.isTrue(Result.isSuccess(Laws.check(point)(of)))),
      { numRuns: 30 }
    ))

  it.live("keeps the laws that run a network", () => {
    const prng = Prng.fromSeed("laws")
    return Effect.forEach(
      Array.from({ length: 4 }, () => Space.sample(prng)(of.space)),
      (point) => Laws.checkOn(engine)(point)(of),
      { discard: true }
    ).pipe(Effect.provide(OnnxRuntime.cpu()))
  })

  it("writes a point as JSON that it reads again, and as a line and a picture", () =>
    fc.assert(
      fc.property(fromSpace(of.space), (point) => {
        const json = JSON.parse(JSON.stringify(ModelSpace.write(point)(of)))
        assert.deepStrictEqual(Result.getOrThrow(ModelSpace.read(json)(of)), point)
        assert.isAbove(of.line(point).length, 5)
        assert.notInclude(of.line(point) + of.picture(point), "[object")
      }),
      { numRuns: 20 }
    ))
})

describe("a search by training", () => {
  const searched: Readonly<Record<string, ModelSpace.Any>> = {
    "nas-bench-201": ModelSpace.erased(Result.getOrThrow(NasBench201.forData({ width1: 4, cells: 1 })(facts))),
    mobilenet: ModelSpace.erased(Result.getOrThrow(MobileNet.forData()(facts))),
    vit: ModelSpace.erased(Result.getOrThrow(VisionTransformer.forData({ widths: [16, 32], heads: [1, 2] })(facts))),
    grammar: ModelSpace.erased(Result.getOrThrow(Grammar.forData({ widths: [8, 8], depth: 1 })(facts)))
  }

  it.live.each(Object.entries(searched))("of %s finds a network that has learned", ([name, of]) =>
    Effect.gen(function* () {
      const recipe = { ...Recipe.proxy, epochs: 6, batch: 16, learningRate: 0.005 }
      const found = yield* Search.run(of, { trials: 3, seed: name }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.mergeAll(
            name === "grammar" ? Random.layer() : RegularizedEvolution.layer({ population: 3, sample: 2 }),
            TrainingEvaluator.layer(of, { recipe }),
            Journal.memory
          ).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()]))
        )
      )
      assert.deepStrictEqual(
        found.records.map(({ outcome }) => outcome._tag),
        ["Scored", "Scored", "Scored"]
      )
      assert.isAbove(found.best.outcome.evaluation.measures["accuracy"] ?? 0, 0.8)
    })
  )
})

describe("a MobileNet", () => {
  const of = Result.getOrThrow(MobileNet.models(digits))
  const baseline = Space.seedPoint(of.space)

  it("grows to twice and four times as many multiply-accumulates, within 3%", () => {
    const members = Result.getOrThrow(
      Compound.family(of, baseline, [1, 2], { coefficients: Coefficients.efficientNet, fixedImage: true })
    )
    for (const { macs, target } of members) assert.approximately(macs / target, 1, 0.03)
  })

  it.live("that is deeper computes what the smaller one did, from its weights", () =>
    Effect.gen(function* () {
      const deeper = {
        ...baseline,
        stages: baseline.stages.map((stage, i) => (i === 3 ? { ...stage, repeats: stage.repeats + 2 } : stage))
      }
      const program = yield* Effect.fromResult(
        Model.evaluation({ batch: 2 })(yield* Effect.fromResult(of.model(baseline)))
      )
      const prng = Prng.fromSeed("deeper")
      const trained = Initialise.values(prng)(program.variables)
      const { approximate, weights } = yield* Effect.fromResult(
        Inherit.weights(of, { smaller: baseline, trained, larger: deeper })
      )
      assert.deepStrictEqual(approximate, [])
      const larger = yield* Effect.fromResult(
        Model.evaluation({ batch: 2 })(yield* Effect.fromResult(of.model(deeper)))
      )
      const inputs = { image: Float32Array.from({ length: 2 * 784 }, () => prng.nextNormal()) }
      const before = yield* engine(program, { inputs, variables: trained })
      const after = yield* engine(larger, { inputs, variables: weights })
      for (let i = 0; i < 20; i++) assert.approximately(after["logits"][i], before["logits"][i], 1e-5)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )
})

describe("settings that make no sense", () => {
  it.each([
    [() => NasBench201.models({ ...digits, cells: 0 }), /cells is 0\. Use a whole number of 1 or more/],
    [() => MobileNet.models({ ...digits, kernels: [4] }), /a kernel is even\. Use odd kernels/],
    [() => VisionTransformer.models({ ...digits, patches: [5] }), /a patch of 5 does not divide images of 28×28/],
    [() => VisionTransformer.models({ ...digits, height: 13 }), /none of the usual patches divides images of 13×28/],
    [() => Grammar.models({ ...digits, widths: [6] }), /a width is 6/],
    [
      () => Grammar.forData()({ inputs: {}, targets: { shape: [], dtype: "float32" }, classes: null }),
      /the grammar's networks classify images .* but the examples have nothing without classes/
    ]
  ])("are refused in a sentence: %#", (make, says) => {
    const made: Result.Result<unknown, { readonly message: string }> = make()
    assert.match(Result.getOrThrow(Result.flip(made)).message, says)
  })
})

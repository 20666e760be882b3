import { assert, describe, it } from "@effect/vitest"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Initialise, Recipe, TrainingProgram } from "@uninet/trainer"
import { networkOf } from "./support/tiny.ts"

const spaces = [
  UniNetSpace.small({ image: 28, channels: 1, classes: 10 }),
  UniNetSpace.small({ image: { height: 19, width: 25 }, channels: 3, classes: 7 })
].map(Result.getOrThrow)

/** One training step from given values: the loss, and every variable afterwards. */
const step = Effect.fnUntraced(function* (architecture: Architecture.Architecture, batch: number, seed: string) {
  const { model, task } = networkOf(architecture)
  const training = Result.getOrThrow(TrainingProgram.make(model, task, { ...Recipe.proxy, batch }))
  const prng = Prng.fromSeed(seed)
  const { read, run, write } = yield* (yield* Runtime).compile({ training })
  const values = Initialise.values(prng)(training.variables)
  for (const [name, data] of values) {
    // LayerScale starts so small that nothing behind it would be visible.
    if (name.includes("gamma")) data.fill(0.5)
    if (name.endsWith("weight") && data.every((x) => x === 0)) data.fill(0.3)
  }
  yield* write(values)
  const { channels, height, width } = architecture.image
  const outputs = yield* run("training", {
    image: Float32Array.from({ length: batch * channels * height * width }, () => prng.nextNormal()),
    targets: Int32Array.from({ length: batch }, () => prng.nextInt(architecture.classes)),
    learningRate: Float32Array.of(1e-3),
    step: Float32Array.of(1)
  })
  return { loss: outputs.loss[0], variables: yield* read }
})

const largest = (data: ArrayLike<number>) => Array.from(data).reduce((m, x) => Math.max(m, Math.abs(x)), 0)

describe("a whole training step of a random architecture", () => {
  // After one step the first moment is a tenth of the gradient.
  it.effect.each([16, 24, 32])("has the same loss, gradients and statistics by both formulations, batch %i", (batch) =>
    Effect.gen(function* () {
      const prng = Prng.fromSeed(`formulations ${batch}`)
      for (let round = 0; round < 2; round++) {
        const architecture = Space.sample(prng)(spaces[round % spaces.length])
        const [standard, blocked] = yield* Effect.forEach(["standard", "blocked"] as const, (formulation) =>
          step(architecture, batch, `step ${round}`).pipe(
            Effect.scoped,
            Effect.provide(OnnxRuntime.cpu({ formulation }))
          )
        )
        assert.isBelow(Math.abs(standard.loss - blocked.loss) / standard.loss, 1e-5)
        const gradients = [...standard.variables].filter(([name]) => name.startsWith("moment1/"))
        const overall = Math.max(...gradients.map(([, data]) => largest(data)))
        let near = 0
        for (const [name, reference] of gradients) {
          const found = blocked.variables.get(name) ?? new Float32Array()
          // Some gradients are zero apart from rounding, or nearly so: a bias that a batch norm later removes again.
          const scale = Math.max(largest(reference), 1e-2 * overall)
          const worst = largest(Float32Array.from(reference, (x, i) => x - found[i])) / scale
          // A near-tie in a maximum may go to a different element and change the gradients before it.
          assert.isBelow(worst, 0.05, `${name} of ${JSON.stringify(architecture)}`)
          if (worst < 1e-3) near++
        }
        assert.isAbove(near / gradients.length, 0.95, JSON.stringify(architecture))
        for (const [name, variance] of standard.variables) {
          if (!name.endsWith("running_var")) continue
          const mean = name.replace("running_var", "running_mean")
          for (const statistic of [name, mean]) {
            const reference = standard.variables.get(statistic) ?? []
            const found = blocked.variables.get(statistic) ?? []
            const worst = largest(Array.from(reference, (x, i) => x - found[i])) / Math.sqrt(largest(variance))
            assert.isBelow(worst, 1e-4, statistic)
          }
        }
      }
    })
  )
})

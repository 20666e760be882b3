/** Whole training steps of random small architectures. */
import { Runtime } from "@uninet/engine"
import { Prng, type Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Initialise, Recipe, TrainingProgram } from "@uninet/trainer"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

/** Small images, few channels and one block a stage: every operator and every module in a moment. */
const models = Result.getOrThrow(
  UniNetSpace.models({
    image: { height: 8, width: 6 },
    channels: 2,
    classes: 5,
    expansions: [2],
    widths: [1],
    depths: [0],
    seed: { repeats: [1, 1, 1, 1], channels: [4, 4, 8, 8], strides: [1, 2, 2, 1], expansion: 2 },
    stem: { channels: 4, stride: 1 },
    headChannels: 16,
    headDim: 4,
    divisor: 4,
    window: 2
  })
)
export const space: Space.Space<Architecture.Architecture> = models.space
export const architectures = fromSpace(space)

const batch = 4

export interface Stepped {
  /** After each step. */
  readonly losses: ReadonlyArray<number>
  readonly variables: ReadonlyMap<string, ArrayLike<number>>
}

/** Training steps from given values: the losses, and every variable afterwards. */
export const train = Effect.fnUntraced(function* (
  architecture: Architecture.Architecture,
  seed: string,
  steps: number
) {
  const model = Result.getOrThrow(models.model(architecture))
  const training = Result.getOrThrow(TrainingProgram.make(model, models.task, { ...Recipe.proxy, batch }))
  const prng = Prng.fromSeed(seed)
  const { read, run, write } = yield* (yield* Runtime).compile({ training })
  const values = Initialise.values(prng)(training.variables)
  // LayerScale starts so small that what is behind it would not show.
  for (const [name, data] of values) if (name.includes("gamma")) data.fill(0.5)
  yield* write(values)
  const { channels, height, width } = architecture.image
  const inputs = {
    image: Float32Array.from({ length: batch * channels * height * width }, () => prng.nextNormal()),
    targets: Int32Array.from({ length: batch }, () => prng.nextInt(architecture.classes))
  }
  const losses: Array<number> = []
  for (let step = 1; step <= steps; step++) {
    const rates = { learningRate: Float32Array.of(1e-3), step: Float32Array.of(step) }
    losses.push((yield* run("training", { ...inputs, ...rates })).loss[0])
  }
  return { losses, variables: yield* read } satisfies Stepped
}, Effect.scoped)

const largest = (data: ArrayLike<number>) => Array.from(data).reduce((m, x) => Math.max(m, Math.abs(x)), 0)

/**
 * What two engines disagree about after one step, if anything: losses by more than `tolerance`, running statistics by more than a thousandth of the deviation,
 * gradients (a tenth of which is the first moment) by more than a thousandth of the largest for more than one tensor in twenty. A maximum that is nearly a tie
 * may fall to another element and move what is before it.
 */
export const disagreement = (expected: Stepped, actual: Stepped, tolerance: number): string | undefined => {
  for (const [i, loss] of expected.losses.entries())
    if (!(Math.abs(loss - actual.losses[i]) <= tolerance * Math.max(1, Math.abs(loss))))
      return `the loss of step ${i + 1} is ${actual.losses[i]}, not ${loss}`
  const gradients = [...expected.variables].filter(([name]) => name.startsWith("moment1/"))
  const overall = Math.max(...gradients.map(([, data]) => largest(data)))
  const far: Array<string> = []
  for (const [name, reference] of gradients) {
    const found = actual.variables.get(name) ?? []
    const scale = Math.max(largest(reference), 1e-2 * overall)
    const worst = largest(Array.from(reference, (x, i) => x - found[i])) / scale
    if (!(worst < 0.05)) return `${name} is off by ${worst} of its largest element`
    if (worst > 1e-3) far.push(name)
  }
  if (far.length > gradients.length / 20) return `${far.join(", ")} are off by more than a thousandth`
  for (const [name, variance] of expected.variables) {
    if (!name.endsWith("running_var")) continue
    for (const statistic of [name, name.replace("running_var", "running_mean")]) {
      const found = actual.variables.get(statistic) ?? []
      const worst = largest(Array.from(expected.variables.get(statistic) ?? [], (x, i) => x - found[i]))
      if (!(worst / Math.sqrt(largest(variance)) < 1e-3)) return `${statistic} is off by ${worst}`
    }
  }
  return undefined
}

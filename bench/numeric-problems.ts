/**
 * Numeric problems for the strategies: textbook functions on continuous spaces, the same on large ranges of integers, and one where numbers
 * are mixed with named options and exist only under conditions.
 */
import type { Benchmark } from "@uninet/controller"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"

const problem = <A>(
  name: string,
  choice: Choice.Choice<A>,
  value: (a: A) => number,
  optimum: number
): Benchmark.Problem<A> => {
  const space = Result.getOrThrow(Space.make(choice))
  const of = (tokens: Space.Tokens) => value(Result.getOrThrow(Space.decode(tokens)(space)))
  return { name, space, search: of, report: of, optimum }
}

/** Branin's function, which is minimised (0.397887), turned into one to maximise. */
const branin = (x: number, y: number) =>
  -(
    (y - (5.1 / (4 * Math.PI ** 2)) * x * x + (5 / Math.PI) * x - 6) ** 2 +
    10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) +
    10
  )

const alpha = [1, 1.2, 3, 3.2]
const a = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14]
]
const p = [
  [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
  [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
  [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
  [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]
]
/** Hartmann's function of six numbers, turned into one to maximise (3.32237). */
const hartmann = (x: ReadonlyArray<number>) =>
  alpha.reduce(
    (sum, weight, i) =>
      sum + weight * Math.exp(-x.reduce((exponent, xj, j) => exponent + a[i]![j]! * (xj - p[i]![j]!) ** 2, 0)),
    0
  )

const unit = Choice.uniform({ min: 0, max: 1 })
const thousandths = Choice.integer({ min: 0, max: 9999 })

/**
 * A training in miniature: two optimisers with their own numbers, a schedule, a width. The rates are best at 0.003 and 0.1, and a factor of
 * ten away costs a point or two. One optimiser is a little better than the other, but only with the right second number.
 */
const training = Choice.struct({
  optimiser: Choice.variants("name", {
    sgd: { rate: Choice.logUniform({ min: 1e-4, max: 1 }), momentum: Choice.uniform({ min: 0, max: 0.99 }) },
    adam: { rate: Choice.logUniform({ min: 1e-5, max: 0.1 }) }
  }),
  decay: Choice.logUniform({ min: 1e-6, max: 0.1 }),
  schedule: Choice.categorical(["constant", "cosine", "step"]),
  drops: Choice.when({ schedule: ["step"] }, Choice.integer({ min: 1, max: 4 })),
  width: Choice.ordered([16, 32, 64, 128, 256]),
  dropout: Choice.uniform({ min: 0, max: 0.8 })
})
const decades = (x: number, best: number) => Math.log10(x / best) ** 2

export const problems = {
  branin: problem(
    "branin",
    Choice.tuple([Choice.uniform({ min: -5, max: 10 }), Choice.uniform({ min: 0, max: 15 })]),
    ([x, y]) => branin(x, y),
    -0.397887
  ),
  "hartmann-6": problem("hartmann-6", Choice.repeat(unit, 6), hartmann, 3.32237),
  "whole-hartmann-6": problem(
    "whole-hartmann-6",
    Choice.repeat(thousandths, 6),
    (x) => hartmann(x.map((n) => n / 9999)),
    3.32237
  ),
  training: problem(
    "training",
    training,
    ({ decay, drops, dropout, optimiser, schedule, width }) =>
      95 -
      (optimiser.name === "sgd"
        ? 1.5 * decades(optimiser.rate, 0.1) + 8 * (optimiser.momentum - 0.9) ** 2
        : 0.5 + 1.5 * decades(optimiser.rate, 0.003)) -
      0.3 * decades(decay, 5e-4) -
      (schedule === "cosine" ? 0 : schedule === "step" ? 0.3 + 0.2 * Math.abs((drops ?? 0) - 3) : 1.5) -
      0.6 * (Math.log2(256 / width) / 4) ** 2 * 4 -
      6 * (dropout - 0.05 - 0.1 * (Math.log2(width / 16) / 4)) ** 2,
    95
  )
} satisfies Readonly<Record<string, Benchmark.Problem<unknown>>>

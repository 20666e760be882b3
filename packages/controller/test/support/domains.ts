import { Choice, Constrained, Constraint, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const made = <A>(choice: Choice.Choice<A>) => Result.getOrThrow(Space.make(choice))

/** 3 · (2 · 3 + 1) = 21 networks, with choices that exist only for some of them. */
export const conditional = made(
  Choice.struct({
    width: Choice.ordered([16, 32, 64]),
    operator: Choice.categorical(["conv", "pool"]),
    kernel: Choice.when({ operator: ["conv"] }, Choice.ordered([3, 5])),
    groups: Choice.when({ operator: ["conv"] }, Choice.ordered([1, 2, 4]))
  })
)

/** 16 pairs of choices, several of which have the same meaning: the 7 sums 0 to 6; twice. 49 networks. */
const sum = Choice.tuple([Choice.integer({ min: 0, max: 3 }), Choice.integer({ min: 0, max: 3 })]).pipe(
  Choice.quotient({ schema: Schema.Int, to: ([a, b]) => a + b })
)
export const repetitive = made(Choice.tuple([sum, sum]))

/** Six digits with four values each. */
export const digits = made(Choice.repeat(Choice.integer({ min: 0, max: 3 }), 6))

/** Those whose digits add up to at most 6, found by enumeration: 581 of 4096. */
export const light = Result.getOrThrow(
  Constrained.make(digits, [Constraint.bound("sum", (ds) => ds.reduce((a, b) => a + b, 0), { max: 6 })])
)

/** The same by rejection: the constraint cannot be checked before a network is complete. */
export const rejecting = Result.getOrThrow(
  Constrained.make(digits, [Constraint.bound("sum", (ds) => ds.reduce((a, b) => a + b, 0), { max: 6 })], {
    enumerate: 0
  })
)

/** Real numbers, one of them conditional, an integer with very many values, a categorical choice and an ordered one. */
export const numeric = made(
  Choice.struct({
    optimiser: Choice.categorical(["sgd", "adam"]),
    rate: Choice.logUniform({ min: 1e-4, max: 1, seed: 0.01 }),
    momentum: Choice.when({ optimiser: ["sgd"] }, Choice.uniform({ min: 0, max: 0.99, seed: 0.9 })),
    width: Choice.integer({ min: 1, max: 5000 }),
    depth: Choice.ordered([1, 2, 4])
  })
)

/** Those within a bound on the product of width and depth. */
export const narrow = Result.getOrThrow(
  Constrained.make(numeric, [Constraint.bound("size", ({ depth, width }) => depth * width, { min: 500, max: 3000 })])
)

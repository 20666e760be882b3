/** Every strategy's proposals, with fake rewards, on four spaces whose choices are listed: one hash each. */
import { Nsga2, Strategies, type Strategy, Told } from "@uninet/controller"
import type { Runtime } from "@uninet/engine"
import { Choice, Constrained, Constraint, type Cost, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { light } from "./domains.ts"

const made = <A>(choice: Choice.Choice<A>) => Result.getOrThrow(Space.make(choice))

/** Choices in order and without, under conditions, in a repetition of variants: 2,035,800 networks. */
const mixed = made(
  Choice.struct({
    width: Choice.ordered([16, 24, 32, 48, 64, 96]),
    depth: Choice.integer({ min: 1, max: 20 }),
    op: Choice.categorical(["conv", "pool", "mlp"]),
    kernel: Choice.when({ op: ["conv"] }, Choice.ordered([3, 5, 7])),
    groups: Choice.when({ op: ["conv", "mlp"], depth: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }, Choice.ordered([1, 2, 4])),
    tail: Choice.repeat(
      Choice.variants("kind", { steps: { x: Choice.integer({ min: 0, max: 40, step: 4 }) }, none: {} }),
      {
        min: 0,
        max: 3
      }
    )
  })
)

const row = made(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 7))
const chain: Cost.Chain<ReadonlyArray<number>, "cost"> = {
  start: () => ({ costs: { cost: 0 }, exit: 1 }),
  part: (digits, index, before) => ({
    costs: { cost: Number(before) * (digits[index] ?? 0) },
    exit: 1 + (digits[index] ?? 0)
  }),
  end: () => ({ cost: 0 })
}
/** Neighbours' products within a window, by dynamic programming. */
const chained = Result.getOrThrow(
  Constrained.make(
    row,
    Constraint.bounds({ cost: { min: 60, max: 90 } })<ReadonlyArray<number>>({
      of: (digits) => ({
        cost: digits.reduce((sum, digit, i) => sum + (i === 0 ? 1 : 1 + (digits[i - 1] ?? 0)) * digit, 0)
      }),
      chain
    })
  )
)

/** A function that runs on a space of any type. */
type Play = <A>(domain: Strategy.Domain<A>) => Effect.Effect<string, never, Runtime>

export const domains: Readonly<Record<string, (play: Play) => ReturnType<Play>>> = {
  mixed: (play) => play(mixed),
  light: (play) => play(light),
  row: (play) => play(row),
  chained: (play) => play(chained)
}

const reward = (tokens: Space.Tokens) =>
  tokens.reduce(
    (sum, token, i) =>
      sum + ((7 * token + 3 * i) % 11) * 0.3 + 0.1 * token - 0.05 * Math.abs(token - (tokens[i - 1] ?? 0)),
    0
  )

/** Without policies: a program's results may differ in the last bit between processors. */
export const strategies: Readonly<Record<string, Strategies.Make>> = {
  ...Object.fromEntries(
    Strategies.names
      .filter((name) => name !== "ppo" && name !== "reinforce")
      .map((name): readonly [string, Strategies.Make] => [name, Strategies.all[name]])
  ),
  "nsga2 by crowding": (domain, prng) => Nsga2.make(domain, { ranking: "crowding", population: 12 }, prng)
}

/** The hash of the first proposals, asked for three at a time, or the error's tag. */
export const played = <A>(name: string, make: Strategies.Make, domain: Strategy.Domain<A>, count: number) =>
  Effect.gen(function* () {
    const strategy = yield* make(domain, Prng.fromSeed(name))
    const found: Array<string> = []
    while (found.length < count) {
      const proposals = yield* strategy.ask(3)
      found.push(...proposals.map(({ tokens }) => tokens.join()))
      yield* strategy.tell(
        proposals.map(({ tokens, trial }) => {
          if (trial % 17 === 16) return Told.failed(trial)
          const objectives = [reward(tokens), -tokens.reduce((a, b) => a + b, 0)]
          return name.startsWith("nsga2")
            ? Told.scored(trial, reward(tokens), objectives)
            : Told.scored(trial, reward(tokens))
        })
      )
    }
    const text = found.join(";")
    return Space.hash(text)(made(Choice.categorical([text])))
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(error._tag))
  )

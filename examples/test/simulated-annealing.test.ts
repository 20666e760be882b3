import { assert, describe, it } from "@effect/vitest"
import { Benchmark, Random, SearchStrategy, type Strategy, StrategyError, Table, Told } from "@uninet/controller"
import { Choice, Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import * as SimulatedAnnealing from "../simulated-annealing.ts"

const annealing = <A>(domain: Strategy.Domain<A>, prng: Prng.Prng) => SimulatedAnnealing.make(domain, {}, prng)

/** A table of 4,096 networks of six choices, each of which asks something of the one before. */
const table = Result.getOrThrow(
  Table.fromJson({
    name: "pairs",
    choices: Array.from({ length: 6 }, (_, i) => ({ name: `c${i}`, options: ["a", "b", "c", "d"] })),
    columns: ["choice", "search", "report"],
    rows: Array.from({ length: 4 ** 6 }, (_, row) => {
      const tokens = Array.from({ length: 6 }, (_, i) => Math.floor(row / 4 ** i) % 4)
      const worth = tokens.reduce((sum, token, i) => sum + ((5 * token + 3 * (tokens[i - 1] ?? 1) + i) % 7), 0)
      return [tokens, worth, worth]
    })
  })
)

const digits = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 5)))
const sum = (row: ReadonlyArray<number>) => row.reduce((a, b) => a + b, 0)

const rounds = Effect.fnUntraced(function* (strategy: Strategy.Strategy<ReadonlyArray<number>>, count: number) {
  const out: Array<string> = []
  for (let i = 0; i < count; i++) {
    const proposals = yield* strategy.ask(3)
    out.push(...proposals.map(({ tokens }) => tokens.join()))
    yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, -Math.abs(sum(value) - 40))))
  }
  return out
})

describe("simulated annealing, a strategy of sixty lines", () => {
  it("has them", () => {
    const text = readFileSync(new URL("../simulated-annealing.ts", import.meta.url), "utf8")
    assert.isAtMost(text.trimEnd().split("\n").length, 60)
  })

  it.effect("finds better networks in a table than random search, by a clear margin over 20 seeds", () =>
    Effect.gen(function* () {
      const strategies = {
        annealing,
        random: <A>(domain: Strategy.Domain<A>, prng: Prng.Prng) => Random.make(domain, {}, prng)
      }
      const { rows } = yield* Benchmark.play({ table, strategies, budgets: [200], seeds: 20 })
      const [mine, random] = rows
      const error = Math.hypot(mine?.deviation ?? 0, random?.deviation ?? 0) / Math.sqrt(20)
      assert.isAbove((mine?.mean ?? 0) - (random?.mean ?? 0), 4 * error)
    })
  )

  it.effect("goes on from a snapshot as if nothing had happened", () =>
    Effect.gen(function* () {
      const one = yield* annealing(digits, Prng.fromSeed(1))
      yield* rounds(one, 12)
      const [open] = yield* one.ask(2)
      const snapshot: Strategy.Snapshot = JSON.parse(JSON.stringify(yield* one.snapshot))
      const other = yield* annealing(digits, Prng.fromSeed("another seed"))
      yield* rounds(other, 3)
      yield* other.restore(snapshot)
      for (const strategy of [one, other]) yield* strategy.tell([Told.failed(open?.trial ?? -1)])
      assert.deepStrictEqual(yield* rounds(other, 20), yield* rounds(one, 20))
    })
  )

  it.effect("refuses a damaged snapshot, and stays as it was", () =>
    Effect.gen(function* () {
      const [one, control] = [yield* annealing(digits, Prng.fromSeed(1)), yield* annealing(digits, Prng.fromSeed(1))]
      for (const strategy of [one, control]) yield* rounds(strategy, 5)
      const snapshot = yield* one.snapshot
      const damaged = { ...snapshot, state: { ...Object(snapshot.state), algorithm: { seen: "all" } } }
      assert.instanceOf(yield* Effect.flip(one.restore(damaged)), StrategyError.InvalidSnapshot)
      assert.deepStrictEqual(yield* rounds(one, 8), yield* rounds(control, 8))
    })
  )

  it.effect("is begun by a search through its layer, on a space within constraints, until there is no more", () =>
    Effect.gen(function* () {
      const { name, start } = yield* SearchStrategy
      assert.strictEqual(name, "annealing")
      const within = yield* Effect.fromResult(Constrained.make(digits, [Constraint.bound("sum", sum, { max: 2 })]))
      const strategy = yield* start(within, Prng.fromSeed(1))
      const seen = new Set<string>()
      let end: StrategyError.StrategyError | undefined
      while (end === undefined) {
        const asked = yield* Effect.result(strategy.ask(4))
        if (asked._tag === "Failure") end = asked.failure
        else {
          for (const { tokens, value } of asked.success) {
            assert.isAtMost(sum(value), 2)
            seen.add(tokens.join())
          }
          yield* strategy.tell(asked.success.map(({ trial, value }) => Told.scored(trial, sum(value))))
        }
      }
      assert.strictEqual(end._tag, "Exhausted")
      // none, one of five digits by one or two, two of five by one
      assert.strictEqual(seen.size, 1 + 10 + 10)
    }).pipe(Effect.provide(SimulatedAnnealing.layer()))
  )

  it.effect("refuses options that make no sense", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(SimulatedAnnealing.make(digits, { cooling: 2 }, Prng.fromSeed(1)))
      assert.strictEqual(error.message, "annealing: cooling is 2. Use a number from 0 to 1.")
    })
  )
})

/** The queue's steps, each of which may happen twice, at the wrong time, and by a process that has long been considered lost. */
import { assert, describe, it } from "@effect/vitest"
import type { Trial } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { SqlClient, SqlError } from "effect/sql"
import { randomUUID } from "node:crypto"
import * as Pulse from "../src/internal/pulse.js"
import * as tables from "../src/internal/tables.js"
import * as trials from "../src/internal/trials.js"
import { database, shared, trial } from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf } from "./support/search.ts"

const { asked, fresh } = shared()

const version = "1.0.0"
const taker = (claim: string, host = "lab"): trials.Taker => ({ claim, worker: "worker", host, version })
const outcomeOf = (index: number): trials.Outcome =>
  trials.Outcome.cases.Evaluated.make({
    evaluation: { measures: measuresOf(index / 100), epochs: null },
    weights: false
  })

const offered = (...items: ReadonlyArray<Trial.Trial>) =>
  trials.offer("demo", version, new Map(items.map((item) => [trials.keyOf("demo", item), item])))

/** Random steps by three workers and a driver, with every invariant checked after each. */
const lives = (seed: string) =>
  Effect.gen(function* () {
    const prng = Prng.fromSeed(seed)
    const items = [0, 1, 2, 3].map((index) => trial(index))
    const keys = items.map((item) => trials.keyOf("demo", item))
    const hands: Array<trials.Item> = []
    const settled = new Map<string, trials.Outcome>()
    const pick = <A>(of: ReadonlyArray<A>): A | undefined => of[prng.nextInt(Math.max(1, of.length))]
    let claim = "first"
    const steps: ReadonlyArray<() => Effect.Effect<unknown, SqlError.SqlError, SqlClient.SqlClient>> = [
      () => offered(...items),
      () => trials.withdraw(Option.toArray(Option.fromUndefinedOr(pick(keys)))),
      () =>
        Effect.map(trials.take(taker(claim, pick(["a", "b"]) ?? "a")), (item) => {
          if (item === undefined) return
          assert.isFalse(settled.has(item.key), "what has an outcome is not given out")
          hands.push(item)
          // Sometimes the answer is lost, and the same name is used again.
          if (prng.nextFloat() < 0.7) claim = randomUUID()
        }),
      () =>
        Effect.flatMap(trials.held(version), (held) => {
          const from = pick(held)
          return from === undefined
            ? Effect.void
            : Effect.map(trials.takeOver(taker(randomUUID()), from), (item) => {
                if (item !== undefined) hands.push(item)
              })
        }),
      () => {
        const item = pick(hands)
        return item === undefined
          ? Effect.void
          : trials.beat([{ key: item.key, claim: item.claim, progress: { done: prng.nextFloat() } }])
      },
      () => {
        const item = pick(hands)
        if (item === undefined) return Effect.void
        return trials.settle(trials.settlementOf(item.key, outcomeOf(keys.indexOf(item.key)), undefined))
      },
      () => {
        const item = pick(hands)
        return item === undefined ? Effect.void : trials.strike(item, { host: "a", problem: "broken" })
      },
      () => {
        const item = pick(hands)
        return item === undefined ? Effect.void : trials.giveBack([item.claim])
      },
      () => trials.reopen(keys)
    ]
    for (let i = 0; i < 60; i++) {
      yield* (pick(steps) ?? steps[0])?.() ?? Effect.void
      for (const row of yield* trials.look(keys)) {
        const before = settled.get(row.key)
        const outcome = row.outcome === undefined ? undefined : Option.getOrUndefined(row.outcome)
        if (before !== undefined) assert.deepStrictEqual(outcome, before, "an outcome stays")
        if (outcome !== undefined) settled.set(row.key, outcome)
      }
    }
    // Whatever happened before, it ends: anyone who keeps offering and evaluating gets all outcomes.
    for (let i = 0; i < 20; i++) {
      yield* offered(...items)
      yield* trials.reopen(keys)
      for (const from of yield* trials.held(version)) yield* trials.takeOver(taker(randomUUID(), "c"), from)
      const held = yield* trials.held(version)
      const item = held[0] ?? (yield* trials.take(taker(randomUUID(), "c")))
      if (item === undefined) break
      yield* trials.settle(trials.settlementOf(item.key, outcomeOf(keys.indexOf(item.key)), undefined))
    }
    for (const { key, outcome } of yield* trials.look(keys))
      assert.deepStrictEqual(outcome, Option.some(outcomeOf(keys.indexOf(key))))
    assert.strictEqual((yield* trials.look(keys)).length, keys.length)
  }).pipe(
    Effect.provide(database(fresh()), { local: true }),
    Effect.catchDefect((defect) => {
      console.error(`with the seed ${seed}`)
      return Effect.die(defect)
    })
  )

const claim = (driver: string): tables.Claim => ({
  search: "demo",
  driver,
  database: "the database",
  version,
  description: { module: "formula", options: null }
})

const row = (beat: number, fresh = false) => ({ beat, fresh })

const hear = (now: number, beats: Readonly<Record<string, number>>) =>
  Pulse.hear(
    now,
    Object.entries(beats).map(([id, beat]) => [id, row(beat)] as const)
  )

describe.skipIf(Postgres.missing !== undefined).concurrent("a trial on the queue", () => {
  it.live("is taken once, and by the same name again: an answer that was lost is asked for a second time", () =>
    Effect.gen(function* () {
      yield* offered(trial(0), trial(1))
      const first = yield* trials.take(taker("a"))
      assert.deepStrictEqual(yield* trials.take(taker("a")), first)
      const second = yield* trials.take(taker("b"))
      assert.notStrictEqual(second?.key, first?.key)
      assert.isUndefined(yield* trials.take(taker("c")))
      assert.deepStrictEqual([first?.lost, second?.lost], [0, 0])
    }).pipe(Effect.provide(database(fresh())))
  )

  it.live("is not taken from one who has been heard of since", () =>
    Effect.gen(function* () {
      yield* offered(trial(0))
      const item = yield* trials.take(taker("a"))
      const [seen] = yield* trials.held(version)
      if (item === undefined || seen === undefined) return assert.fail("it is on the queue")
      yield* trials.beat([{ key: item.key, claim: "a", progress: undefined }])
      assert.isUndefined(yield* trials.takeOver(taker("b"), seen))
      const [now] = yield* trials.held(version)
      assert.strictEqual((yield* trials.takeOver(taker("b"), now ?? seen))?.lost, 1)
      // The previous holder has lost it, but may continue: the first outcome stays.
      assert.isTrue((yield* trials.beat([{ key: item.key, claim: "a", progress: undefined }])).has(item.key))
      yield* trials.settle(trials.settlementOf(item.key, outcomeOf(0), undefined))
      yield* trials.settle(trials.settlementOf(item.key, outcomeOf(1), undefined))
      const [row] = yield* trials.look([item.key])
      assert.deepStrictEqual(row?.outcome, Option.some(outcomeOf(0)))
      assert.deepStrictEqual(yield* trials.beat([{ key: item.key, claim: "b", progress: undefined }]), new Set())
    }).pipe(Effect.provide(database(fresh())))
  )

  it.live("of another version is left alone", () =>
    Effect.gen(function* () {
      yield* offered(trial(0))
      assert.isUndefined(yield* trials.take({ ...taker("a"), version: "2.0.0" }))
    }).pipe(Effect.provide(database(fresh())))
  )

  it.live("may have any characters in what is said of it", () =>
    Effect.gen(function* () {
      const odd = trial(0, { seed: "zero \0, quote ' \" \\ and 🂡" })
      yield* offered(odd)
      const item = yield* trials.take(taker("a"))
      assert.deepStrictEqual(item?.trial, Option.some(odd))
      if (item === undefined) return
      yield* trials.strike(item, { host: "lab1", problem: "no \0 room on '/'" })
      const [row] = yield* trials.look([item.key])
      assert.deepStrictEqual(row?.strikes, [{ host: "lab1", problem: "no  room on '/'" }])
    }).pipe(Effect.provide(database(fresh())))
  )

  it.live.each(["one", "two", "three"])("has one outcome, whatever is done twice or too late (seed %s)", lives)

  it.live("has one outcome, whatever is done twice or too late (a new seed at every run)", () => lives(randomUUID()))
})

describe.skipIf(Postgres.missing !== undefined).concurrent("who drives a search", () => {
  it.live("is told by the count that he raises, whatever the database's clock does", () => {
    const url = fresh()
    return Effect.gen(function* () {
      assert.isUndefined(yield* tables.claimSearch(claim("first")))
      // On another machine, with the clock set back by an hour since it was last seen.
      yield* asked(url, "update uninet_search set host = 'lab9', pid = 1, seen_at = now() + interval '1 hour'")
      const rival = yield* tables.claimSearch(claim("second"))
      if (rival === undefined) return assert.fail("he may be there")
      // It is active: its count keeps rising.
      assert.isTrue(yield* tables.driverBeat({ search: "demo", driver: "first" }))
      const again = yield* tables.claimSearch(claim("second"), rival)
      assert.notStrictEqual(again?.beat, rival.beat)
      // It is not.
      assert.isUndefined(yield* tables.claimSearch(claim("second"), again))
      assert.isFalse(yield* tables.driverBeat({ search: "demo", driver: "first" }))
    }).pipe(Effect.provide(database(url)))
  })
})

describe("silence", () => {
  it("is told after the time that it takes, from the moment at which it was first heard of", () => {
    let pulse: Pulse.Pulse<ReturnType<typeof row>> = Pulse.none
    for (let second = 0; second <= 7; second++) pulse = hear(1000 * second, { gone: 3, there: second })(pulse)
    assert.deepStrictEqual(Pulse.silent(8)(pulse), [])
    pulse = hear(8000, { gone: 3, there: 8 })(pulse)
    assert.deepStrictEqual(Pulse.silent(8)(pulse), [row(3)])
  })

  it("of everyone at once is that of the one who listens: it counts from the end of the break", () => {
    let pulse: Pulse.Pulse<ReturnType<typeof row>> = Pulse.none
    for (const second of [0, 1, 2, 20, 21, 22, 23, 24, 25, 26, 27]) pulse = hear(1000 * second, { one: 3 })(pulse)
    assert.deepStrictEqual(Pulse.silent(8)(pulse), [])
    pulse = hear(28_000, { one: 3 })(pulse)
    assert.deepStrictEqual(Pulse.silent(8)(pulse), [row(3)])
  })

  it("tells who is there: those whose count was seen to go on, or who say that they were there a moment ago", () => {
    const at = (second: number, moving: number) =>
      Pulse.hear(1000 * second, [
        ["moving", row(moving)],
        ["fresh", row(1, true)],
        ["old", row(2)]
      ] as const)
    let pulse: Pulse.Pulse<ReturnType<typeof row>> = Pulse.none
    for (let second = 0; second < 4; second++) pulse = at(second, 10 + second)(pulse)
    assert.deepStrictEqual(Pulse.living(15)(pulse), [row(13), row(1, true)])
    for (let second = 4; second < 20; second++) pulse = at(second, 10 + second)(pulse)
    assert.deepStrictEqual(Pulse.living(15)(pulse), [row(29)])
  })
})

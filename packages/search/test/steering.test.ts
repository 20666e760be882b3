/** What a search is given besides its strategy: networks to start with, lessons, another strategy, retries of failed trials. */
import { assert, describe, it } from "@effect/vitest"
import {
  GaussianProcess,
  Lesson,
  Random,
  RegularizedEvolution,
  SearchStrategy,
  type Strategy
} from "@uninet/controller"
import { Classification, ModelSpace } from "@uninet/model-space"
import { Evaluator, Journal, Search } from "@uninet/search"
import { Choice, Site, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { measuresOf } from "./support/search.ts"

/** Six digits: the larger, the better. */
const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 4 }), 6)))
type Point = ReadonlyArray<number>
const of = ModelSpace.table({
  name: "digits",
  space,
  task: Classification.make({ classes: 10 }),
  line: (point: Point) => point.join("")
})
const worth = (point: Point) => point.reduce((sum, digit) => sum + digit, 0) / 24

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-steering-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)
const file = Effect.map(folder, (path) => join(path, "journal.db"))

type Options = Search.Options<Point, never, Classification.Measure>
interface How extends Partial<Options> {
  readonly strategy?: Layer.Layer<SearchStrategy>
  readonly fails?: (trial: number) => boolean
  readonly journal?: Journal.SqliteOptions
}

/** A search of the digits with a journal file: its records' points as text, with a mark on failed ones. */
const searched = (path: string, { fails = () => false, journal = {}, strategy = Random.layer(), ...options }: How) =>
  Search.run(of, { trials: 6, seed: "s", ahead: 2, ...options }).pipe(
    Effect.map(({ records }) =>
      records.map(({ outcome, point }) => `${point.join("")}${outcome._tag === "Scored" ? "" : " failed"}`)
    ),
    Effect.provide(
      [
        strategy,
        Evaluator.fromFunction(of, (point, { index }) =>
          fails(index) ? Effect.fail(new Error("told to fail")) : Effect.succeed(measuresOf(worth(point)))
        ),
        Journal.sqlite(path, { existing: "resume", durability: "process", ...journal })
      ],
      { local: true }
    )
  )

const entriesIn = (path: string) => Effect.map(Journal.read(path), ({ entries }) => entries.map(({ entry }) => entry))

const worths = (records: ReadonlyArray<string>) => records.map((text) => worth([...text].map(Number)))
const best = (records: ReadonlyArray<string>) => Math.max(...worths(records))
const mean = (records: ReadonlyArray<string>) => worths(records).reduce((a, b) => a + b) / records.length

const known: ReadonlyArray<Point> = [
  [4, 4, 4, 4, 4, 0],
  [0, 0, 0, 0, 0, 0]
]

describe("a search that starts with networks", () => {
  it.live("tries them first, tells its strategy, and is gone on with to the same", () =>
    Effect.gen(function* () {
      const [whole, broken] = [yield* file, yield* file]
      const strategy = RegularizedEvolution.layer({ population: 3, sample: 3 })
      const options = { startWith: known, strategy, trials: 12 }
      const records = yield* searched(whole, options)
      assert.deepStrictEqual(records.slice(0, 2), ["444440", "000000"])
      // Its children are near the best point, which it was given.
      const apart = records.slice(6).map((text) => [...text].filter((digit) => digit !== "4").length)
      assert.isBelow(Math.min(...apart), 3)
      yield* searched(broken, { ...options, trials: 5 })
      assert.deepStrictEqual(yield* searched(broken, options), records)
      assert.deepStrictEqual(yield* entriesIn(broken), yield* entriesIn(whole))
    })
  )

  it.live("is another search than one that starts with others, or with none", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* searched(path, { startWith: known })
      const other = yield* Effect.flip(searched(path, { startWith: known.slice(1) }))
      assert.strictEqual(other._tag, "JournalForeign")
      assert.include(other.message, "startWith")
      assert.strictEqual((yield* Effect.flip(searched(path, {})))._tag, "JournalForeign")
    })
  )

  it.live("tries one that is given twice once, and refuses one that is outside its bounds", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* searched(path, {
        startWith: [...known, ...known],
        constraints: [{ name: "sum", min: 1, max: 24, of: (point) => point.reduce((a, b) => a + b, 0) }],
        trials: 2
      })
      const kinds = (yield* entriesIn(path)).flatMap(({ _tag }) => (_tag === "Finished" ? [] : [_tag]))
      assert.deepStrictEqual(kinds.slice(0, 4), ["Proposed", "Refused", "Repeated", "Refused"])
    })
  )

  it.effect("says so where its strategy can be given none", () =>
    Effect.gen(function* () {
      const bare = Layer.succeed(SearchStrategy, {
        name: "bare",
        start: <A>() =>
          Effect.succeed<Strategy.Strategy<A>>({
            name: "bare",
            ask: () => Effect.die("not asked"),
            tell: () => Effect.void,
            snapshot: Effect.die("not used"),
            restore: () => Effect.void
          })
      })
      const error = yield* Effect.flip(
        Search.run(of, { trials: 2, seed: "s", startWith: known }).pipe(
          Effect.provide([
            bare,
            Evaluator.fromFunction(of, (point) => Effect.succeed(measuresOf(worth(point)))),
            Journal.memory
          ])
        )
      )
      assert.strictEqual(error._tag, "InvalidSearch")
      assert.include(error.message, "bare")
    })
  )
})

describe("a search that learns from others", () => {
  const lesson = Search.lessonOf(
    space,
    space
  )(
    Array.from({ length: 60 }, (_, i) => {
      const point = Array.from({ length: 6 }, (__, d) => (i * (d + 3) + (d * i) ** 2) % 5)
      // The last digit is worth nothing there.
      return { point, reward: worth([...point.slice(0, 5), 0]) }
    })
  )

  it.live("finds in few trials what others know already, keeps it in its journal, and goes on to the same", () =>
    Effect.gen(function* () {
      const [cold, taught, broken] = [yield* file, yield* file, yield* file]
      const strategy = GaussianProcess.layer()
      const options = { strategy, learnFrom: [lesson], trials: 8 }
      const records = yield* searched(taught, options)
      assert.isAbove(best(records), best(yield* searched(cold, { strategy, trials: 8 })))
      assert.deepStrictEqual((yield* Journal.read(taught)).identity.lessons, [lesson])
      yield* searched(broken, { ...options, trials: 4 })
      assert.deepStrictEqual(yield* searched(broken, options), records)
      assert.strictEqual((yield* Effect.flip(searched(broken, { strategy, trials: 8 })))._tag, "JournalForeign")
    })
  )

  it.live("begins with what they think well of, whatever it searches by", () =>
    Effect.gen(function* () {
      const [cold, taught] = [yield* file, yield* file]
      const strategy = RegularizedEvolution.layer()
      assert.isAbove(
        mean(yield* searched(taught, { strategy, learnFrom: [lesson] })),
        mean(yield* searched(cold, { strategy })) + 0.1
      )
    })
  )

  it.live("says so where its strategy learns nothing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(searched(yield* file, { learnFrom: [lesson] }))
      assert.strictEqual(error._tag, "InvalidSearch")
      assert.include(error.message, "random")
    })
  )

  it("takes from another space the choices that both have", () => {
    const other = Result.getOrThrow(
      Space.make(Choice.struct({ kernel: Choice.ordered<number>([3, 5, 7]), colour: Choice.categorical(["red"]) }))
    )
    const mine = Result.getOrThrow(
      Space.make(
        Choice.struct({
          kernel: Choice.ordered<number>([5, 7, 9]),
          rate: Choice.uniform({ min: 0, max: 1 })
        })
      )
    )
    const { results } = Search.lessonOf(
      mine,
      other
    )([
      { point: { kernel: 7, colour: "red" }, reward: 1 },
      { point: { kernel: 3, colour: "red" }, reward: null }
    ])
    assert.deepStrictEqual(results, [
      { vector: [1, Site.absent], reward: 1 },
      { vector: [Site.absent, Site.absent], reward: null }
    ])
    const near = Lesson.translated(new Map([["rate", "0.25"]]))(mine)
    assert.closeTo(Number(mine.sites[1]?.value(near[1] ?? 0)), 0.25, 1e-6)
  })

  it("takes no option for another that is near it, but numbers too many to list for the nearest", () => {
    const numbers = Result.getOrThrow(
      Space.make(
        Choice.struct({
          width: Choice.ordered<number>([32, 64]),
          depth: Choice.integer({ min: 1, max: 4 }),
          size: Choice.integer({ min: 1, max: 5000 }),
          rate: Choice.uniform({ min: 0, max: 1 })
        })
      )
    )
    const translated = Lesson.translated(
      new Map([
        ["width", "16"],
        ["depth", "5"],
        ["size", "9000"],
        ["rate", "1.5"]
      ])
    )(numbers)
    assert.deepStrictEqual(
      numbers.sites.map((site, i) => (translated[i] === Site.absent ? undefined : site.value(translated[i] ?? 0))),
      [undefined, undefined, 5000, 1]
    )
  })
})

describe("a search that is gone on with by another strategy", () => {
  it.live("tells it of all trials before, says in its journal from which one on, and goes on to the same", () =>
    Effect.gen(function* () {
      const [path, broken] = [yield* file, yield* file]
      const evolution = RegularizedEvolution.layer({ population: 4, sample: 4 })
      const replaced = { strategy: "replace" } as const
      for (const each of [path, broken]) yield* searched(each, { trials: 6 })
      assert.strictEqual((yield* Effect.flip(searched(path, { strategy: evolution })))._tag, "JournalForeign")
      const first = yield* searched(path, { strategy: evolution, trials: 12, journal: replaced })
      const handed = (yield* entriesIn(path)).find(({ _tag }) => _tag === "HandedOver")
      assert.deepStrictEqual(handed, { _tag: "HandedOver", trial: 6, strategy: "evolution", open: [] })
      // Every child differs in one digit from a point that random search has found.
      const parents = first.slice(0, 6)
      const child = first[6] ?? ""
      assert.isTrue(parents.some((parent) => [...parent].filter((digit, i) => digit !== child[i]).length === 1))
      yield* searched(broken, { strategy: evolution, trials: 9, journal: replaced })
      assert.deepStrictEqual(yield* searched(broken, { strategy: evolution, trials: 12 }), first)
      assert.deepStrictEqual(yield* entriesIn(broken), yield* entriesIn(path))
      // From now on the search belongs to the new strategy.
      assert.strictEqual((yield* Effect.flip(searched(path, { trials: 12 })))._tag, "JournalForeign")
    })
  )

  it.live("has the new one propose what the one before had proposed, and was never begun", () =>
    Effect.gen(function* () {
      const path = yield* file
      yield* searched(path, { trials: 4 })
      // As left by a search that is killed while trial 2 is waiting and trial 3 has already been refused.
      const whole = yield* entriesIn(path)
      const cut = `${path}.cut`
      const { identity } = yield* Journal.read(path)
      yield* Effect.provide(
        Journal.Journal.use((journal) =>
          Effect.andThen(
            journal.open(identity),
            Effect.forEach(
              whole.filter(({ trial }) => trial !== 2),
              (entry) => journal.append(entry)
            )
          )
        ),
        Journal.sqlite(cut)
      )
      const strategy = RegularizedEvolution.layer({ population: 2 })
      const records = yield* searched(cut, { strategy, trials: 6, journal: { strategy: "replace" } })
      assert.deepStrictEqual(
        (yield* entriesIn(cut)).find(({ _tag }) => _tag === "HandedOver"),
        { _tag: "HandedOver", trial: 4, strategy: "evolution", open: [2] }
      )
      assert.deepStrictEqual(yield* searched(cut, { strategy, trials: 6 }), records)
    })
  )
})

describe("failed trials", () => {
  it.live("are tried once more as trials of their own, beside those that were asked for", () =>
    Effect.gen(function* () {
      const path = yield* file
      const before = yield* searched(path, { fails: (trial) => trial === 1 || trial === 3 })
      assert.deepStrictEqual(
        before.map((text) => text.includes("failed")),
        [false, true, false, true, false, false]
      )
      const after = yield* searched(path, { fails: (trial) => trial === 6, retryFailed: true })
      assert.deepStrictEqual(after, [...before, `${before[1]?.slice(0, 6)} failed`, before[3]?.slice(0, 6)])
      const entries = yield* entriesIn(path)
      assert.deepStrictEqual(
        entries.filter(({ _tag }) => _tag === "Retrying"),
        [{ _tag: "Retrying", trial: 6, of: [1, 3] }]
      )
      const seeds = entries.flatMap((entry) => (entry._tag === "Proposed" ? [entry.seed] : []))
      assert.strictEqual(new Set(seeds).size, 8)
      assert.strictEqual(Search.begunIn((yield* Journal.read(path)).entries), 6)
      // More trials, then the one that failed twice: the journal has both in order.
      const more = yield* searched(path, { trials: 7 })
      assert.deepStrictEqual(more.slice(0, 8), after)
      const last = yield* searched(path, { trials: 7, retryFailed: true })
      assert.deepStrictEqual(last, [...more, before[1]?.slice(0, 6)])
      assert.deepStrictEqual(yield* searched(path, { trials: 7, retryFailed: true }), last)
    })
  )
})

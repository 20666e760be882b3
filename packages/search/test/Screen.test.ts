/** A filter in front of a strategy: what is left out, what the journal records of it, and when it is not used. */
import { assert, describe, it } from "@effect/vitest"
import { Random, RegularizedEvolution, type SearchStrategy } from "@uninet/controller"
import { Classification, ModelSpace } from "@uninet/model-space"
import { Evaluator, Journal, Screen, Search } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { measuresOf } from "./support/search.ts"

/** Six digits, each of which has a cost. */
const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 4 }), 6)))
type Point = ReadonlyArray<number>
const of = ModelSpace.table({
  name: "digits",
  space,
  task: Classification.make({ classes: 10 }),
  line: (point: Point) => point.join(""),
  costs: { macs: (point) => 1 + (point[0] ?? 0) }
})
const sum = (point: Point) => point.reduce((all, digit) => all + digit, 0) / 24
const mean = (points: ReadonlyArray<Point>) => points.reduce((all, point) => all + sum(point), 0) / points.length
/** Equal cost means equal worth. */
const byMacs = (point: Point) => 0.1 + (point[0] ?? 0) / 8
const constant = () => 0.5

interface How extends Partial<Search.Options<Point, "macs", Classification.Measure>> {
  readonly strategy?: Layer.Layer<SearchStrategy>
  readonly worth?: (point: Point) => number
}

/** What a search leaves in a journal's file, and the events of its screen. */
const searched = (path: string, { strategy = Random.layer(), worth = sum, ...options }: How) =>
  Effect.gen(function* () {
    const verdicts: Array<Screen.Verdict> = []
    const { best, records } = yield* Search.run(of, {
      trials: 30,
      seed: "s",
      ahead: 2,
      screen: 0.25,
      ...options,
      onEvent: (event) => Effect.sync(() => void (event._tag === "Screening" && verdicts.push(event.verdict)))
    })
    const entries = (yield* (yield* Journal.Journal).entries).map(({ entry }) => entry)
    return { best, records, verdicts, entries }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      [
        strategy,
        Evaluator.fromFunction(of, (point) => Effect.succeed(measuresOf(worth(point)))),
        Journal.sqlite(path, { existing: "resume", durability: "process", strategy: "replace" })
      ],
      { local: true }
    )
  )

const file = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-screen-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  ),
  (path) => join(path, "journal.db")
)

const leftOut = (entries: ReadonlyArray<Journal.Entry>) =>
  entries.flatMap((entry) => (entry._tag === "Refused" ? [entry] : []))

describe("a screened search", () => {
  it.live(
    "trains as many as it was asked to, one of four once its predictor is certified, and says who was left out",
    () =>
      Effect.gen(function* () {
        const { entries, records, verdicts } = yield* searched(yield* file, {})
        const trained = records.filter(({ outcome }) => outcome._tag === "Scored")
        const left = leftOut(entries)
        assert.strictEqual(trained.length, 30)
        assert.deepStrictEqual(
          verdicts.map(({ results, trusted }) => [results, trusted]),
          [[16, true]]
        )
        // Two were pending when it was certified; after them, three in four are left out.
        assert.strictEqual(left.length, 3 * (30 - 17))
        assert.isTrue(left.every(({ expected }) => Number.isFinite(expected)))
        assert.match(
          left[0]?.why ?? "",
          /^left out by the screen: its expected reward is 0\.\d+, and that of the proposals trained in its place is 0\.\d+ or more$/
        )
        const late = trained.filter(({ trial }) => trial > (left[0]?.trial ?? 0)).map(({ point }) => point)
        const early = trained.filter(({ trial }) => trial < (left[0]?.trial ?? 0)).map(({ point }) => point)
        assert.isAbove(mean(late), mean(early) + 0.1)
      }).pipe(Effect.scoped)
  )

  it.live(
    "is the same whether it is run at once or gone on with, and by another strategy keeps what was left out",
    () =>
      Effect.gen(function* () {
        const [whole, cut] = [yield* file, yield* file]
        const strategy = RegularizedEvolution.layer({ population: 10, sample: 4 })
        const atOnce = yield* searched(whole, { strategy, trials: 22 })
        yield* searched(cut, { strategy, trials: 20 })
        const resumed = yield* searched(cut, { strategy, trials: 22 })
        assert.deepStrictEqual(resumed.entries, atOnce.entries)
        const before = leftOut(resumed.entries)
        assert.isAbove(before.length, 0)
        const other = yield* searched(cut, { strategy: Random.layer(), trials: 24 })
        assert.deepStrictEqual(leftOut(other.entries).slice(0, before.length), before)
        assert.strictEqual(other.records.filter(({ outcome }) => outcome._tag === "Scored").length, 24)
      }).pipe(Effect.scoped)
  )

  it.live("trains everything where multiply-accumulates say as much, or results say nothing, and says so once", () =>
    Effect.gen(function* () {
      const same = yield* searched(yield* file, { worth: byMacs, trials: 18 })
      assert.deepStrictEqual(leftOut(same.entries), [])
      assert.strictEqual(same.verdicts.length, 1)
      assert.match(same.verdicts[0]?.why ?? "", /^MACs alone predict as well: its rank correlation with 16 results is /)
      const none = yield* searched(yield* file, { worth: constant, trials: 18 })
      assert.deepStrictEqual(leftOut(none.entries), [])
      assert.deepStrictEqual(
        none.verdicts.map(({ why }) => why),
        ["results are the same for every network, so they cannot rank networks; use another proxy, or other networks"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("refuses a share that is none, and several objectives", () =>
    Effect.gen(function* () {
      const path = yield* file
      for (const screen of [0, 1, Number.NaN, -0.5]) {
        const error = yield* Effect.flip(searched(path, { screen }))
        assert.strictEqual(error.message, `screen is ${screen}. Give a share between 0 and 1, such as 0.25.`)
      }
      const error = yield* Effect.flip(searched(path, { objectives: ["accuracy", "macs"] }))
      assert.match(error.message, /^screen is 0\.25 with several objectives/)
    }).pipe(Effect.scoped)
  )
  it.live("goes by what else is known of a point, and comes to the same when it is resumed", () =>
    Effect.gen(function* () {
      // Nothing that a line or a curve through the digits would find.
      const hidden = (point: Point) => (point.reduce((rest, digit) => (rest * 31 + digit * 17) % 101, 7) % 11) / 11
      const screenBy: Search.Known<Point> = {
        name: "hidden",
        of: (point) => Effect.succeed([hidden(point), Number.NaN])
      }
      const path = yield* file
      const { entries, verdicts } = yield* searched(path, { worth: hidden, screenBy })
      assert.isTrue(verdicts.some(({ trusted }) => trusted))
      assert.isAbove(leftOut(entries).length, 0)
      assert.deepStrictEqual((yield* searched(path, { worth: hidden, screenBy })).entries, entries)
      const foreign = yield* Effect.flip(searched(path, { worth: hidden, screenBy: { ...screenBy, name: "other" } }))
      assert.include(foreign.message, "screenBy")
    }).pipe(Effect.scoped)
  )
})

describe("a screen's predictor", () => {
  it("takes what costs nobody knows as average, and expects nothing before it has results", () => {
    const screen = Screen.make(of, "s")
    const prng = Prng.fromSeed("points")
    const unknown = { point: Space.sample(prng)(space), costs: { macs: Number.POSITIVE_INFINITY } }
    assert.isUndefined(screen.expect([unknown]))
    for (let i = 0; i < 25; i++) {
      const point = Space.sample(prng)(space)
      screen.told({ point, costs: { macs: 5 } }, sum(point))
    }
    assert.isTrue(screen.verdict()?.trusted)
    assert.isTrue(screen.expect([unknown])?.every(Number.isFinite))
  })
})

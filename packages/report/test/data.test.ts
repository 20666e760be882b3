import { assert, describe, it } from "@effect/vitest"
import {
  Distances,
  Filter,
  Front,
  FrontPicture,
  Importance,
  Lanes,
  Report,
  Row,
  Run,
  Shares,
  Table
} from "@uninet/report"
import type { Journal } from "@uninet/search"
import * as Result from "effect/Result"
import { journal } from "./support/journals.ts"

const about = { name: "runs/demo", state: "stopped", replay: "uninet replay runs/demo" } as const
const run = Run.of(journal({ trials: 300, rungs: [1, 3] }), about)
const table = Run.table(run)
const all = Array.from({ length: table.size }, (_, row) => row)
const picked = (expression: string, of = table) =>
  Result.map(Filter.parse(of)(expression), (holds) => Array.from({ length: of.size }, (_, row) => row).filter(holds))
const trialsOf = (expression: string) => Result.getOrThrow(picked(expression))
const textOf = (name: string, row: number) => Table.text(row)(Table.column(name)(table) ?? assert.fail(name))
const numbersOf = (name: string, of = table) => Table.numbers(name)(of) ?? assert.fail(name)

describe("a journal as a table", () => {
  it("has a row for every trial, with how it stands", () => {
    const entries = journal({ trials: 300, rungs: [1, 3] }).entries
    const of = (tag: Journal.Entry["_tag"]) => entries.filter(({ entry }) => entry._tag === tag)
    assert.strictEqual(table.size, 300)
    assert.strictEqual(trialsOf("state = failed").length, of("Failed").length)
    assert.strictEqual(trialsOf("state = refused").length, of("Refused").length)
    assert.deepStrictEqual(trialsOf("state = running"), [299])
    const second = of("Finished").filter(({ entry }) => entry._tag === "Finished" && entry.rung === 1).length
    assert.strictEqual(trialsOf("state = finished").length, second)
    assert.strictEqual(trialsOf('state = "stopped early"').length, of("Finished").length - 2 * second)
    assert.match(textOf("why", trialsOf("state = failed")[0]), /^Diverged: the loss became NaN/)
  })

  it("has a column for every place of the points that they differ in, empty where a point has it not", () => {
    const choices = Table.ofRole("choice")(table).map(({ name }) => name)
    assert.include(choices, "stages.0.operator")
    assert.include(choices, "stages.3.heads")
    assert.notInclude(choices, "classes")
    assert.deepStrictEqual(trialsOf("stages.0.heads"), trialsOf('stages.0.operator = SA or stages.0.operator = "LSA"'))
    const channels = Table.column("stages.1.channels")(table)
    assert.deepStrictEqual(channels?.kind === "category" && channels.labels, ["16", "24", "32", "48", "64"])
  })

  it("keeps numbers of a range as numbers, and texts that are different everywhere as texts", () => {
    const { add, rows } = Row.log(null)
    for (let trial = 0; trial < 200; trial++) {
      const point = { rate: trial / 7, id: `n${trial}` }
      add({ at: 0, entry: { _tag: "Refused", trial, hash: "", point, why: "no" } })
    }
    const made = [...rows.values()]
    const of = Table.of(made)
    assert.strictEqual(Table.column("rate")(of)?.kind, "number")
    assert.strictEqual(Table.column("id")(of)?.kind, "text")
    assert.deepStrictEqual(Result.getOrThrow(picked("rate > 28", of)), [197, 198, 199])
  })

  it("comes back from its bytes as it was", () => {
    const shown = { info: run.info, importances: [], details: [], table }
    const back = Result.getOrThrow(Report.fromBytes(Report.toBytes(Report.of([shown], { made: 7, problems: ["a"] }))))
    assert.deepStrictEqual(back.problems, ["a"])
    assert.deepStrictEqual(back.runs[0].table, table)
    assert.deepStrictEqual(back.runs[0].info, run.info)
    assert.match(Result.getOrThrow(Result.flip(Report.fromBytes(new Uint8Array(40)))), /another version/)
  })

  it("is what it is at whatever moment it is read: entry by entry or at once", () => {
    const log = Row.log(3)
    for (const stored of journal({ trials: 300, rungs: [1, 3] }).entries) log.add(stored)
    assert.deepStrictEqual(Table.of([...log.rows.values()].reverse()), table)
  })
})

const notesOf = (read: Partial<Journal.Read>, trials = 0) =>
  Run.of({ ...journal({ trials, notes: false }), ...read }, about).info.notes

describe("what is said of a search", () => {
  it("speaks of what its journal has not", () => {
    assert.deepStrictEqual(notesOf({}), ["It has no trials yet."])
    assert.match(notesOf({}, 1).join(" "), /Only one trial has a result.*guessed from their names/)
    assert.match(notesOf({ isCut: true }, 20).join(" "), /may be missing/)
    const { entries } = journal({ trials: 17 })
    const failed = entries.filter(({ entry }) => entry.trial === 16)
    assert.deepStrictEqual(notesOf({ entries: failed }), ["No trial has a result yet."])
  })

  it("knows measures, objectives and bounds", () => {
    assert.deepStrictEqual(run.info.measures, [
      { name: "accuracy", direction: "higher", isShare: true },
      { name: "loss", direction: "lower", isShare: false }
    ])
    assert.deepStrictEqual(run.info.bounds, [{ name: "macs", min: null, max: 1_400_000 }])
    assert.deepStrictEqual(run.info.rungs, [1, 3])
  })

  it("says nothing wrong of a journal whose settings are of no known form", () => {
    const strange = {
      ...journal({ trials: 3 }),
      identity: { space: "s", seed: "1", settings: { fidelity: 7, objectives: "?" } }
    }
    assert.strictEqual(Run.of(strange, about).info.strategy, "a custom strategy")
  })
})

describe("a filter", () => {
  it.each([
    [
      "accuracy > 0.85 and macs < 1M",
      (row: number) => numbersOf("accuracy")[row] > 0.85 && numbersOf("macs")[row] < 1e6
    ],
    ["accuracy > 85%", (row: number) => numbersOf("accuracy")[row] > 0.85],
    ["not (trial < 290)", (row: number) => row >= 290],
    ["stages.0.channels >= 48", (row: number) => Number(textOf("stages.0.channels", row)) >= 48],
    [
      "stages.0.operator = stages.1.operator",
      (row: number) => textOf("stages.0.operator", row) === textOf("stages.1.operator", row)
    ],
    ["network ~ 'lsa e2'", (row: number) => textOf("network", row).includes("LSA e2")],
    ["1000000 >= `macs`", (row: number) => numbersOf("macs")[row] <= 1e6],
    ["", () => true]
  ])("%s", (expression, holds) => {
    assert.deepStrictEqual(trialsOf(expression), all.filter(holds))
  })

  it.each([
    ["acuracy > 0.9", /Neither .acuracy. nor .* is a column/],
    ["nothing", /There is no column nothing\. There are /],
    ["accuracy > ", /It ends where/],
    ["accuracy > high", /give a number/],
    ["(trial = 1", /bracket/],
    ["trial = 1 trial = 2", /one too many/],
    ["trial = 1 ; 2", /is not understood/],
    ["> 3", /is where a column/]
  ])("%s is a mistake that is said in a sentence", (expression, says) => {
    assert.match(Result.getOrThrow(Result.flip(picked(expression))), says)
  })
})

describe("a front", () => {
  const objectives = [
    { values: numbersOf("accuracy"), direction: "higher" },
    { values: numbersOf("macs"), direction: "lower" },
    { values: numbersOf("loss"), direction: "lower" }
  ] as const

  it.each([2, 3])("of %i objectives holds what nothing is better than in all", (n) => {
    const of = objectives.slice(0, n)
    const worth = (row: number) => of.map(({ direction, values }) => (direction === "higher" ? 1 : -1) * values[row])
    const scored = all.filter((row) => worth(row).every((value) => !Number.isNaN(value)))
    const dominated = (row: number) =>
      scored.some((other) => {
        const [a, b] = [worth(other), worth(row)]
        return a.every((value, i) => value >= b[i]) && a.some((value, i) => value > b[i])
      })
    assert.deepStrictEqual(
      Front.of(all, of).toSorted((a, b) => a - b),
      scored.filter((row) => !dominated(row))
    )
  })

  it("over time: the best among results of as many epochs, one of more epochs before all", () => {
    const values = Float64Array.of(0.5, 0.4, 0.7, 0.6, 0.9, 0.65)
    const epochs = Float64Array.of(1, 1, 1, 3, 1, 3)
    assert.deepStrictEqual(
      Front.running([0, 1, 2, 3, 4, 5], { values, direction: "higher" }, epochs).map(({ row }) => row),
      [0, 2, 3, 5]
    )
  })
})

describe("importance", () => {
  it("finds the choice that matters, with an interval that leaves out nothing, the same every time", () => {
    const found = Importance.of("accuracy", { trees: 5 })(table)
    assert.strictEqual(found.silent, "")
    const [first, ...rest] = found.choices
    assert.strictEqual(first.name, "stages.0.operator")
    assert.isAbove(first.low, 0)
    for (const each of rest) assert.isBelow(each.mean, first.mean / 2)
    // What exists only together with the first is not mistaken for it.
    assert.isBelow(found.choices.find(({ name }) => name === "stages.0.heads")?.mean ?? 1, 0.1)
    const small = { forests: 3, trees: 2, most: 100 }
    assert.deepStrictEqual(Importance.of("accuracy", small)(table), Importance.of("accuracy", small)(table))
  })

  it("is silent where the data say nothing", () => {
    const noise = (seed: string) =>
      Importance.of("loss")(Run.table(Run.of(journal({ trials: 90, depends: false, seed }), about)))
    for (const seed of ["a", "b"]) assert.match(noise(seed).silent, /nothing can be said/, seed)
    assert.match(Importance.of("loss")(Run.table(Run.of(journal({ trials: 9 }), about))).silent, /fewer than 24/)
    assert.match(Importance.of("loss")(Table.of([])).silent, /same choices/)
  })
})

describe("what pages draw", () => {
  it("has shares that add up, and intervals around them", () => {
    const of = Table.column("stages.0.operator")(table)
    if (of?.kind !== "category") return assert.fail("it is one of some options")
    for (const { shares } of Shares.of(all, of, 5)) {
      assert.approximately(
        shares.reduce((sum, { share }) => sum + share, 0),
        1,
        1e-12
      )
      for (const { high, low, share } of shares) assert.isTrue(low <= share && share <= high)
    }
    assert.deepStrictEqual(Shares.of([], of), [])
  })

  it("has lanes in which no two trials are at once", () => {
    const { busy, placed } = Lanes.of(all, numbersOf("begun"), numbersOf("seconds"), 200)
    assert.isAbove(placed.length, 250)
    for (const lane of busy.keys()) {
      const own = placed.filter((each) => each.lane === lane)
      for (const [i, { from }] of own.entries()) if (i > 0) assert.isAtLeast(from, own[i - 1].to)
    }
  })

  it("has distances of 0 to itself and the share of different choices to others", () => {
    const choices = Table.ofRole("choice")(table)
    const [[own, other], [back]] = Distances.of([0, 1], choices)
    assert.strictEqual(own, 0)
    assert.strictEqual(other, back)
    const both = choices.filter((each) => textOf(each.name, 0) !== "" || textOf(each.name, 1) !== "")
    const different = both.filter(({ name }) => textOf(name, 0) !== textOf(name, 1))
    assert.approximately(other, different.length / both.length, 1e-12)
  })
})

const drawnOf = (svg: string, kind: string) => svg.split(`class="${kind}"`).length - 1

describe("a front as a picture", () => {
  it("has every comparable trial, and those of the front once more", () => {
    const drawn = FrontPicture.svg(run.info)(table) ?? assert.fail("nothing is drawn")
    const comparable = all.filter((row) => numbersOf("epochs")[row] === 3)
    const front = Front.of(comparable, [
      { values: numbersOf("accuracy"), direction: "higher" },
      { values: numbersOf("macs"), direction: "lower" }
    ])
    assert.deepStrictEqual([drawnOf(drawn, "d"), drawnOf(drawn, "f")], [comparable.length, front.length])
    assert.include(drawn, `${front.length} of ${comparable.length} networks`)
  })

  it("is none of a search without results, and no name in it is markup", () => {
    const early = Run.of(journal({ trials: 0 }), about)
    assert.strictEqual(FrontPicture.svg(early.info)(Run.table(early)), undefined)
    const hostile = Run.of(journal({ trials: 40, prefix: "<script>&" }), about)
    const drawn = FrontPicture.svg(hostile.info)(Run.table(hostile)) ?? assert.fail("nothing is drawn")
    assert.notMatch(drawn, /<script|&(?!#)/)
  })
})

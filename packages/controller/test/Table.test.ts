import { assert, describe, it } from "@effect/vitest"
import { Benchmark, Strategies, StrategyError, Table } from "@uninet/controller"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { gzipSync } from "node:zlib"
import { provided } from "./support/strategies.ts"

const rows = [0, 1, 2].flatMap((a) =>
  [0, 1].map((b): readonly [ReadonlyArray<number>, number, number] => [[a, b], a + b / 10, 10 * a + b])
)
const json = {
  name: "small",
  choices: [
    { name: "operator", options: ["x", "y", "z"] },
    { name: "kernel", options: [3, 5] }
  ],
  columns: ["choice", "search", "report"],
  rows
}
const table = Result.getOrThrow(Table.fromJson(json))
const problem = (given: unknown) => {
  const made = Table.fromJson(given, "mine.json")
  return Result.isFailure(made) ? made.failure.message : ""
}

describe("a table", () => {
  it("says what a search sees and what its result is judged by", () => {
    assert.strictEqual(table.search([2, 1]), 2.1)
    assert.strictEqual(table.report([2, 1]), 21)
    assert.strictEqual(table.optimum, 21)
    assert.strictEqual(table.size, 6)
  })

  it.effect("is read from JSON's bytes, gzipped or not", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode(JSON.stringify(json))
      for (const form of [bytes, gzipSync(bytes)]) {
        assert.strictEqual((yield* Table.fromBytes(form)).search([1, 0]), 1)
      }
    })
  )

  it("can be NAS-Bench-Macro's file as its authors publish it", () => {
    const published = Object.fromEntries(
      Array.from({ length: 3 ** 8 }, (_, n) => [
        n.toString(3).padStart(8, "0"),
        { test_acc: [n / 100, 50, 51], mean_acc: n / 50, std: 0.1, params: 100 + n, flops: 1000 + n }
      ])
    )
    const macro = Result.getOrThrow(Table.fromJson(published))
    assert.strictEqual(macro.size, 6561)
    assert.strictEqual(macro.search([0, 0, 0, 0, 0, 1, 0, 2]), 0.11)
    assert.strictEqual(macro.report([0, 0, 0, 0, 0, 1, 0, 2]), 0.22)
    const { "00000102": _, ...rest } = published
    assert.match(problem(rest), /the network \[0, 0, 0, 0, 0, 1, 0, 2\] is missing/)
  })

  it.effect("says what is wrong with bytes that are not a table", () =>
    Effect.gen(function* () {
      for (const bytes of [new TextEncoder().encode("{"), Uint8Array.of(0x1f, 0x8b, 1)]) {
        const broken = yield* Effect.flip(Table.fromBytes(bytes, "broken.json"))
        assert.match(
          broken.message,
          /^broken\.json is not a benchmark table: it cannot be read \((SyntaxError|its compressed bytes are cut off)/
        )
      }
    })
  )

  it("has increasing numbers if its options are ordered", () => {
    const choices = [{ name: "kernel", options: [5, 3], ordered: true }]
    const given = {
      ...json,
      choices,
      rows: [
        [[0], 1, 1],
        [[1], 2, 2]
      ]
    }
    assert.match(
      problem(given),
      /the options of its choice kernel are marked as ordered, but are not increasing numbers/
    )
  })

  it("with a sample answers for other networks by the nearest rows, and says how good that is", () => {
    const sample = {
      name: "sample",
      missing: "nearest",
      choices: [
        { name: "operator", options: ["x", "y", "z"] },
        { name: "width", options: [1, 2, 3, 4, 5], ordered: true }
      ],
      columns: ["choice", "search", "report"],
      rows: [
        [[0, 0], 10, 1],
        [[0, 4], 50, 5],
        [[2, 2], 90, 9]
      ]
    } as const satisfies Table.Json
    const found = Result.getOrThrow(Table.fromJson(sample))
    assert.deepStrictEqual([found.size, found.optimum, found.search([0, 4]), found.report([2, 2])], [3, 9, 50, 9])
    // The distances are a quarter from the first, three from the second, and one and a quarter from the third.
    const weights = [1 / 0.25, 1 / 0.75, 1 / 1.25]
    const mean = (weights[0] * 10 + weights[1] * 50 + weights[2] * 90) / (weights[0] + weights[1] + weights[2])
    assert.closeTo(found.search([0, 1]), mean, 1e-12)
    const [first] = Table.leftOut(sample)
    assert.closeTo(first ?? 0, (50 + 90 / 1.5) / (1 + 1 / 1.5), 1e-12)
    assert.include(problem({ ...sample, rows: [] }), "it has no rows")
    assert.include(problem({ ...sample, rows: [sample.rows[0], sample.rows[0]] }), "repeats the network [0, 0]")
    // A sample may be any small part of its space.
    const wide = { ...sample.choices[0], options: Array.from({ length: 1000 }, (_, i) => i) }
    const huge = { ...sample, choices: [wide, wide, wide, wide], rows: [[[1, 2, 3, 4], 1, 1]] }
    assert.strictEqual(Result.getOrThrow(Table.fromJson(huge)).search([9, 9, 9, 9]), 1)
  })

  it("that is invalid is refused with a reason", () => {
    assert.include(
      problem({ ...json, rows: rows.slice(0, 5) }),
      "it has only 5 of 6 rows; the network [2, 1] is missing"
    )
    assert.include(problem({ ...json, rows: [...rows.slice(0, 5), rows[0]] }), "row 5 repeats the network [0, 0]")
    assert.include(
      problem({ ...json, rows: [[[0], 1, 1], ...rows.slice(1)] }),
      "row 0 has 1 choices, but the table has 2"
    )
    assert.include(problem({ ...json, rows: [[[0, 7], 1, 1], ...rows.slice(1)] }), "row 0 has option 7 in choice 1")
    assert.include(
      problem({ ...json, rows: [[[0, 0], 1], ...rows.slice(1)] }),
      "row 0 has 2 columns, but the table has 3"
    )
    assert.include(
      problem({ ...json, rows: [[[0, 0], NaN, 1], ...rows.slice(1)] }),
      "mine.json is not a benchmark table"
    )
    assert.include(problem({ ...json, columns: ["choice", "search", "macs"] }), 'no column "report"')
    assert.include(
      problem({ ...json, columns: ["search", "choice", "report"] }),
      'its first column is search, but must be "choice"'
    )
    assert.include(problem({ ...json, choices: [{ name: "a", options: [] }] }), "mine.json is not a benchmark table")
    assert.include(
      problem({ ...json, choices: [{ name: "a", options: ["x", "x"] }] }),
      'the option "x" is listed twice'
    )
    assert.include(problem(3), "mine.json is not a benchmark table")
  })
})

describe("a benchmark", () => {
  const { grid, random } = Strategies.all

  it.effect("reports the report of the best network by search, after every budget", () =>
    Effect.gen(function* () {
      const { curves, rows } = yield* Benchmark.play({ table, strategies: { grid }, budgets: [1, 4, 6], seeds: 2 })
      assert.deepStrictEqual(curves[0]?.mean, [0, 1, 10, 11, 20, 21])
      assert.deepStrictEqual(
        rows.map(({ budget, deviation, mean, unique }) => [budget, mean, deviation, unique]),
        [
          [1, 0, 0, 1],
          [4, 11, 0, 4],
          [6, 21, 0, 6]
        ]
      )
    }).pipe(provided)
  )

  it.effect("goes on to the end of a budget larger than the table", () =>
    Effect.gen(function* () {
      const { rows } = yield* Benchmark.play({ table, strategies: { random }, budgets: [3, 50], seeds: 5, batch: 4 })
      assert.deepStrictEqual([rows[1]?.mean, rows[1]?.deviation, rows[1]?.unique], [21, 0, 6])
    }).pipe(provided)
  )

  it.effect("refuses invalid budgets and seeds", () =>
    Effect.gen(function* () {
      const wrong = [
        { budgets: [0], seeds: 1 },
        { budgets: [], seeds: 1 },
        { budgets: [10], seeds: 0 }
      ]
      for (const numbers of wrong) {
        const error = yield* Effect.flip(Benchmark.play({ table, strategies: { random }, ...numbers }))
        assert.instanceOf(error, StrategyError.InvalidOption)
      }
    }).pipe(provided)
  )

  it.effect("prints a line for every strategy", () =>
    Effect.gen(function* () {
      const played = yield* Benchmark.play({ table, strategies: { random, grid }, budgets: [2, 6], seeds: 2 })
      const lines = Benchmark.print(played).split("\n")
      assert.strictEqual(lines.length, 4)
      assert.match(lines[3] ?? "", /^grid +1\.000 ± 0\.000 +21\.000 ± 0\.000 +6 +\d+$/)
    }).pipe(provided)
  )
})

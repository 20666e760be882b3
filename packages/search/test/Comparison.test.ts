import { assert, describe, it } from "@effect/vitest"
import { Comparison, type Journal } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as Student from "../src/internal/student.js"

const by: Comparison.By = { name: "accuracy", direction: "higher" }

/** A journal with one trial per second and these accuracies; `null` for a trial that failed. */
const journal = (
  values: ReadonlyArray<number | null>,
  { macs = 10, seed = "1", strategy = "ppo" }: { macs?: number; seed?: string; strategy?: string } = {}
) => ({
  identity: { space: "s", seed, settings: { strategy } },
  entries: values.flatMap((value, trial): ReadonlyArray<Journal.Stored> => [
    {
      at: 1000 * trial,
      entry: { _tag: "Proposed", trial, hash: String(trial), point: null, line: "", costs: { macs }, seed: "" }
    },
    {
      at: 1000 * (trial + 1),
      entry:
        value === null
          ? { _tag: "Failed", trial, reason: "Failed", detail: "" }
          : { _tag: "Finished", trial, evaluation: { measures: { accuracy: value }, epochs: 2 }, reward: -value }
    }
  ])
})

const run = (name: string, ...of: Parameters<typeof journal>) => Comparison.runOf(name, journal(...of), by)

/** Searches whose best after five trials is about this. */
const seeds = (strategy: string, best: number, count: number, spread = 0.01) =>
  Array.from({ length: count }, (_, i) => {
    const prng = Prng.fromSeed(`${strategy}/${i}`)
    const values = Array.from({ length: 5 }, () => best - 0.1 * prng.nextFloat())
    return run(`${strategy}-${i}`, [...values, best + spread * prng.nextNormal()], { strategy, seed: String(i) })
  })

const quick = { resamples: 400, points: 5 }

/** The comparison of searches whose bests are about these values, with this many seeds each. */
const between = (first: number, second: number, count: number) =>
  Comparison.of([...seeds("ppo", first, count), ...seeds("gp", second, count)], by, quick).differences

describe("a run", () => {
  it("has the best so far, by trials, time and multiply-accumulates; failed trials count as trials", () => {
    assert.deepStrictEqual(run("a", [0.5, null, 0.4, 0.6]).steps, [
      { trials: 1, seconds: 1, macs: 20, best: 0.5 },
      { trials: 3, seconds: 3, macs: 40, best: 0.5 },
      { trials: 4, seconds: 4, macs: 60, best: 0.6 }
    ])
  })

  it("is measured by the reward, or by a measure that is better the lower", () => {
    const best = (by: Comparison.By) => Comparison.runOf("a", journal([0.5, 0.4]), by).steps.at(-1)?.best
    assert.strictEqual(best({ name: "reward", direction: "higher" }), -0.4)
    assert.strictEqual(best({ name: "accuracy", direction: "lower" }), 0.4)
    assert.deepStrictEqual(Comparison.runOf("a", journal([0.5]), { name: "mae", direction: "lower" }).steps, [])
  })

  it("on rungs counts a training that is gone on with once, and its best by the most epochs", () => {
    const { entries, identity } = journal([0.9])
    const more: Journal.Stored = {
      at: 5000,
      entry: {
        _tag: "Finished",
        trial: 0,
        rung: 1,
        evaluation: { measures: { accuracy: 0.8 }, epochs: 6 },
        reward: 0
      }
    }
    const { steps } = Comparison.runOf("a", { identity, entries: [...entries, more] }, by)
    assert.deepStrictEqual(
      steps.map(({ best, macs }) => [best, macs]),
      [
        [0.9, 20],
        [0.8, 60]
      ]
    )
  })
})

describe("a comparison", () => {
  it("takes runs that differ in the seed alone as one group, and says what tells others from it", () => {
    const { groups } = Comparison.of([...seeds("ppo", 0.9, 2), ...seeds("gp", 0.9, 3)], by, { resamples: 50 })
    assert.deepStrictEqual(
      groups.map(({ differs, name, runs }) => [name, runs.length, differs]),
      [
        ["A", 2, {}],
        ["B", 3, { strategy: '"gp"' }]
      ]
    )
    assert.deepStrictEqual(groups[1]?.curves.trials.at, [1, 2, 3, 4, 5, 6])
  })

  it("calls one better only where its interval leaves out 0", () => {
    for (const { high, low, verdict } of between(0.8, 0.9, 8)) {
      assert.strictEqual(verdict, "better")
      assert.isAbove(low ?? -1, 0)
      assert.isAbove(high ?? -1, low ?? 0)
    }
    assert.deepStrictEqual(
      between(0.8, 0.7, 8).map(({ verdict }) => verdict),
      ["worse", "worse", "worse"]
    )
    for (const { verdict } of between(0.8, 0.801, 8)) assert.strictEqual(verdict, "open")
  })

  it("has no interval with one run, and with few calls nothing better, however far they are apart", () => {
    for (const { difference, low, verdict } of between(0.1, 0.9, 1)) {
      assert.isNull(low)
      assert.strictEqual(verdict, "open")
      assert.closeTo(difference, 0.8, 0.1)
    }
    for (const { low, verdict } of between(0.1, 0.9, 3)) {
      assert.isAbove(low ?? 0, 0.5)
      assert.strictEqual(verdict, "open")
    }
  })

  it("is at as much as every run has used", () => {
    const { differences } = Comparison.of(
      [run("a", [0.1, 0.2, 0.3]), run("b", [0.2, 0.9], { strategy: "gp", macs: 100 })],
      by
    )
    assert.deepStrictEqual(
      differences.map(({ at, by, difference }) => [by, at, Number(difference.toFixed(6))]),
      [
        ["trials", 2, 0.7],
        ["seconds", 2, 0.7]
      ],
      "by multiply-accumulates the first has ended before the second has anything"
    )
  })

  it("is the same again, and names runs without a result", () => {
    const runs = [...seeds("ppo", 0.8, 4), run("empty", [null]), ...seeds("gp", 0.8, 4)]
    const once = Comparison.of(runs, by, quick)
    assert.deepStrictEqual(once.empty, ["empty"])
    assert.deepStrictEqual(Comparison.of(runs, by, quick), once)
    assert.notDeepEqual(Comparison.of(runs, by, { ...quick, seed: "another" }), once)
  })

  it("covers the truth about as often as it says, of five runs", () => {
    let covered = 0
    for (let s = 0; s < 100; s++) {
      const prng = Prng.fromSeed(`coverage/${s}`)
      const group = (strategy: string) =>
        Array.from({ length: 5 }, (_, i) => run(`${strategy}${i}`, [prng.nextNormal()], { strategy, seed: String(i) }))
      const [first] = Comparison.of([...group("a"), ...group("b")], by, { resamples: 200, points: 1 }).differences
      if ((first?.low ?? 1) <= 0 && (first?.high ?? -1) >= 0) covered++
    }
    assert.isAtLeast(covered, 90)
  })
})

describe("Student's quantiles", () => {
  it.each([
    [1, 12.706],
    [2, 4.3027],
    [4, 2.7764],
    [9, 2.2622],
    [30, 2.0423]
  ])("of %i degrees of freedom are those of the tables", (freedom, quantile) => {
    assert.closeTo(Student.quantile(freedom, 0.025), quantile, 0.002)
  })
})

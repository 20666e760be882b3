import { assert, describe, it } from "@effect/vitest"
import { Certificate, Correlation, LogRanks, Matrix } from "@uninet/predictor"
import { Prng } from "@uninet/search-space"
import * as Result from "effect/Result"

const prng = Prng.fromSeed("certificate")
const normals = (n: number) => Array.from({ length: n }, () => prng.nextNormal())

/** τ-b by its definition, pair by pair. */
const byPairs = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => {
  let [agreement, toldA, toldB] = [0, 0, 0]
  for (let i = 0; i < a.length; i++)
    for (let j = 0; j < i; j++) {
      const [u, v] = [Math.sign((a[i] ?? 0) - (a[j] ?? 0)), Math.sign((b[i] ?? 0) - (b[j] ?? 0))]
      agreement += u * v
      toldA += u * u
      toldB += v * v
    }
  return agreement / Math.sqrt(toldA * toldB)
}

describe("rank correlation", () => {
  it("shares ranks between equals and puts what is no number last", () => {
    assert.deepStrictEqual(Correlation.ranks([5, 7, 5, null, Number.NaN]), [3.5, 5, 3.5, 1.5, 1.5])
  })
  it("is 1 for one order, −1 for the opposite one, and NaN where nothing varies", () => {
    for (const of of [Correlation.spearman, Correlation.kendall]) {
      assert.approximately(of([1, 2, 3, 4], [10, 20, 40, 80]), 1, 1e-12)
      assert.approximately(of([1, 2, 3, 4], [4, 3, 2, 1]), -1, 1e-12)
      assert.isNaN(of([1, 1, 1], [1, 2, 3]))
    }
    assert.approximately(Correlation.spearman([1, 2, 3], [10, 30, 20]), 0.5, 1e-12)
  })
  it("counts pairs as τ-b's definition does, ties and all", () => {
    for (let turn = 0; turn < 30; turn++) {
      const [a, b] = [0, 0].map(() => Array.from({ length: 25 }, () => prng.nextInt(8))) as [
        Array<number>,
        Array<number>
      ]
      assert.approximately(Correlation.kendall(a, b), byPairs(a, b), 1e-12)
    }
  })
})

describe("a certificate", () => {
  const n = 60
  const results = normals(n)
  const noise = normals(n)
  const macs = results.map((x, i) => x + (noise[i] ?? 0))
  const make = (scores: ReadonlyArray<number | null>, options: Partial<Certificate.Options> = {}) =>
    Certificate.make({ of: "mine", scores, results, macs, seed: 0, resamples: 100, ...options })

  it("says that what is right clears multiply-accumulates, and what is noise does not", () => {
    const right = Result.getOrThrow(make(results))
    assert.strictEqual(right.overall.spearman.value, 1)
    assert.isTrue(right.overall.clears)
    assert.isTrue(right.inside?.clears ?? false)
    assert.isFalse(Result.getOrThrow(make(normals(n))).overall.clears)
    assert.strictEqual(Result.getOrThrow(make(macs)).overall.gain.value, 0)
    assert.isFalse(Result.getOrThrow(make(macs)).overall.clears)
  })
  it("has intervals around its values, the same for a seed", () => {
    const { overall } = Result.getOrThrow(make(macs))
    assert.isBelow(overall.spearman.low, overall.spearman.value)
    assert.isAbove(overall.spearman.high, overall.spearman.value)
    assert.deepStrictEqual(make(macs), make(macs))
  })
  it("says what to expect on as many other networks, in nine of ten cases", () => {
    let held = 0
    for (let turn = 0; turn < 40; turn++) {
      const [known, others] = [20, 1].map((resamples) => {
        const results = normals(n)
        const scores = normals(n).map((x, i) => x + (results[i] ?? 0))
        return Result.getOrThrow(make(scores, { results, macs: normals(n), resamples }))
      })
      const [said, found] = [known?.inside?.others, others?.inside?.spearman.value ?? Number.NaN]
      if (said !== undefined && said.low <= found && found <= said.high) held++
    }
    assert.isAtLeast(held, 33)
    assert.isAtMost(held, 39)
  })
  it("has classes while each has eight networks", () => {
    assert.strictEqual(Result.getOrThrow(make(macs)).inside?.classes, 5)
    const few = (k: number) =>
      Result.getOrThrow(make(macs.slice(0, k), { results: results.slice(0, k), macs: macs.slice(0, k) })).inside
        ?.classes
    assert.strictEqual(few(20), 2)
    assert.strictEqual(few(10), undefined)
  })
  it("counts those without a score, and refuses constants and too few", () => {
    const some = results.map((x, i) => (i % 10 === 0 ? null : x))
    assert.strictEqual(Result.getOrThrow(make(some)).unscored, 6)
    const failure = (made: ReturnType<typeof make>) => (Result.isFailure(made) ? made.failure.message : "")
    assert.include(failure(make(results.map(() => 1))), "mine are the same for every network")
    assert.include(failure(make(results.map(() => null))), "mine are the same for every network")
    assert.include(failure(make([1, 2], { results: [1, 2], macs: [1, 2] })), "2 results are too few")
  })
})

describe("several rankings as one", () => {
  it("puts a network that is bad by one of them behind one that is fair by both", () => {
    const [a, b, c] = LogRanks.combine([
      [3, 2, 1],
      [1, 2, 3]
    ])
    assert.isAbove(b ?? 0, a ?? 0)
    assert.isAbove(b ?? 0, c ?? 0)
  })
})

describe("matrices", () => {
  it("have eigenvalues that give their trace, their square's trace and their determinant", () => {
    for (let n = 1; n <= 12; n++) {
      const a = new Float64Array(n * n)
      for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) a[i * n + j] = a[j * n + i] = prng.nextNormal()
      const values = Matrix.eigenvalues(a, n)
      const sum = (f: (value: number) => number) => values.reduce((total, value) => total + f(value), 0)
      assert.approximately(
        sum((x) => x),
        Array.from({ length: n }, (_, i) => a[i * n + i] ?? 0).reduce((x, y) => x + y, 0),
        1e-9
      )
      assert.approximately(
        sum((x) => x * x),
        a.reduce((total, x) => total + x * x, 0),
        1e-9
      )
      assert.approximately(
        sum((x) => Math.log(Math.abs(x))),
        Matrix.logDeterminant(a, n),
        1e-7
      )
    }
  })
  it("are found out where they are singular or no numbers", () => {
    assert.deepStrictEqual([...Matrix.eigenvalues([2, 0, 0, 0], 2)].sort(), [0, 2])
    assert.strictEqual(Matrix.logDeterminant([1, 2, 2, 4], 2), -Infinity)
    assert.isTrue(Matrix.eigenvalues([1, Number.NaN, Number.NaN, 1], 2).every(Number.isNaN))
  })
})

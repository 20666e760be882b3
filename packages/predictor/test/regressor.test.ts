import { assert, describe, it } from "@effect/vitest"
import { Certificate, Features, Regressor } from "@uninet/predictor"
import { Choice, Prng, Space } from "@uninet/search-space"
import * as Result from "effect/Result"

const prng = Prng.fromSeed("regressor")
const rows = Array.from({ length: 60 }, () => Array.from({ length: 5 }, () => prng.nextNormal()))
const noise = rows.map(() => 0.1 * prng.nextNormal())
const results = (f: (row: ReadonlyArray<number>) => number) => rows.map((row, i) => f(row) + (noise[i] ?? 0))
const line = results(([a = 0, b = 0]) => 3 * a - 2 * b + 7)
const wave = results(([a = 0]) => 3 * Math.sin(2 * a))

const validated = (regressor: Regressor.Regressor, of: ReadonlyArray<number>) =>
  Result.getOrThrow(Regressor.crossValidate(rows, of, { folds: 5, seed: 0 })(regressor))

/** Mean squared error as a share of the variance. */
const error = ({ predictions }: Regressor.CrossValidated, of: ReadonlyArray<number>) => {
  const mean = of.reduce((a, b) => a + b, 0) / of.length
  const sum = (f: (x: number, i: number) => number) => of.reduce((total, x, i) => total + f(x, i) ** 2, 0)
  return sum((x, i) => x - (predictions[i]?.mean ?? 0)) / sum((x) => x - mean)
}

const failure = (made: ReturnType<Regressor.Regressor>) => (Result.isFailure(made) ? made.failure._tag : "")

describe("a regressor", () => {
  it("predicts what it has not seen: a line by either, a wave by the Gaussian process", () => {
    assert.isBelow(error(validated(Regressor.ridge, line), line), 0.01)
    assert.isBelow(error(validated(Regressor.gaussianProcess, line), line), 0.05)
    assert.isBelow(
      error(validated(Regressor.gaussianProcess, wave), wave),
      error(validated(Regressor.ridge, wave), wave)
    )
  })
  it("says how far off it may be: about nine of ten results are within its 90% intervals", () => {
    for (const regressor of [Regressor.ridge, Regressor.gaussianProcess])
      for (const of of [line, wave]) {
        const { coverage } = validated(regressor, of)
        assert.isAtLeast(coverage, 0.75)
      }
  })
  it("as trees sees what happens only where two things meet, which no line has, and as an ensemble is between its parts", () => {
    const corner = results(([a = 0, b = 0]) => (a > 0 && b > 0 ? 3 : 0))
    const [trees, ridge, both] = [
      Regressor.trees,
      Regressor.ridge,
      Regressor.ensemble([Regressor.ridge, Regressor.trees])
    ].map((regressor) => validated(regressor, corner))
    const errorOf = (made: Regressor.CrossValidated | undefined) =>
      made === undefined ? Number.NaN : error(made, corner)
    assert.isBelow(errorOf(trees), 0.6 * errorOf(ridge))
    assert.isBelow(errorOf(both), errorOf(ridge))
    for (const made of [trees, both]) assert.isAtLeast(made?.coverage ?? 0, 0.75)
    const [one = 0, other = 0, mean] = [
      Regressor.trees,
      Regressor.ridge,
      Regressor.ensemble([Regressor.ridge, Regressor.trees])
    ].map((regressor) => Result.getOrThrow(regressor(rows, corner)).predict([1, 1, 0, 0, 0]).mean)
    assert.approximately(mean ?? Number.NaN, (one + other) / 2, 1e-9)
  })
  it("is certified by what it predicts of networks that it has not seen", () => {
    const scores = validated(Regressor.ridge, line).predictions.map(({ mean }) => mean)
    const macs = rows.map(([, b = 0]) => -b)
    const made = Result.getOrThrow(
      Certificate.make({ of: "ridge", scores, results: line, macs, seed: 0, resamples: 50 })
    )
    assert.isTrue(made.overall.clears)
  })
  it("is the same for the same data", () => {
    assert.deepStrictEqual(validated(Regressor.gaussianProcess, wave), validated(Regressor.gaussianProcess, wave))
  })
  it("takes more features than results, features that are no numbers, and features that do not vary", () => {
    const wide = rows.slice(0, 5).map((row, i) => [...row, ...row, 1, i === 0 ? Number.NaN : i])
    for (const regressor of [Regressor.gaussianProcess, Regressor.trees]) {
      const fitted = Result.getOrThrow(regressor(wide, line.slice(0, 5)))
      const { deviation, mean } = fitted.predict(wide[0] ?? [])
      assert.isTrue(Number.isFinite(mean) && deviation > 0)
    }
  })
  it("refuses results that are too few or all one", () => {
    assert.strictEqual(failure(Regressor.ridge(rows.slice(0, 3), [1, 2, 3])), "TooFewResults")
    assert.strictEqual(
      failure(
        Regressor.ridge(
          rows,
          rows.map(() => 1)
        )
      ),
      "ConstantScores"
    )
  })
})

describe("the features of points", () => {
  const space = Result.getOrThrow(
    Space.make(Choice.struct({ width: Choice.ordered([8, 16, 32]), norm: Choice.categorical(["batch", "layer"]) }))
  )
  it("tell every option that was seen, and one that was not from all of them", () => {
    const points = [
      { width: 8, norm: "batch" },
      { width: 32, norm: "layer" }
    ] as const
    const { encode, names } = Features.ofChoices(points)(space)
    const [a, b] = points.map((point) => encode(point))
    assert.strictEqual(a?.length, names.length)
    assert.notDeepEqual(a, b)
    assert.notDeepEqual(encode({ width: 16, norm: "batch" }), a)
  })

  it("sees what was chosen in all elements of a list together", () => {
    const stage = Choice.struct({ operator: Choice.categorical(["conv", "mlp"]), depth: Choice.ordered([1, 2, 3]) })
    const space = Result.getOrThrow(Space.make(Choice.struct({ stages: Choice.tuple([stage, stage, stage]) })))
    const prng = Prng.fromSeed("lists")
    const { encode, names } = Features.ofChoices(Array.from({ length: 20 }, () => Space.sample(prng)(space)))(space)
    const row = encode({
      stages: [
        { operator: "mlp", depth: 1 },
        { operator: "conv", depth: 2 },
        { operator: "mlp", depth: 3 }
      ]
    })
    const of = (name: string) => row[names.indexOf(name)]
    assert.deepStrictEqual(
      ["stages[*].operator = mlp", "stages[*].operator = conv", "stages[*].depth", "stages[*].depth = 3"].map(of),
      [2, 1, 1.5, 1]
    )
    assert.isFalse(names.includes("stages[*].operator"))
  })
})

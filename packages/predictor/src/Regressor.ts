/**
 * Predictors of results from features (choices, costs, proxies), fitted on a handful of trained networks: ridge regression, a Gaussian process, boosted trees and ensembles of them, with their uncertainty, and
 * always the same for the same data. `crossValidate` shows how good they are, with predictions for networks that the fit has not seen: pass these to `Certificate.make`.
 *
 * **Source.** C. Rasmussen and C. Williams, "Gaussian Processes for Machine Learning" (2006), algorithm 2.1 and section 5.4; ridge regression is the process with a linear kernel (section 2.1).
 *
 * @example
 * ```ts
 * import { Regressor } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * const rows = Array.from({ length: 20 }, (_, i) => [i, (i * 7) % 5])
 * const results = rows.map(([a = 0, b = 0]) => 2 * a - b)
 * const fitted = Result.getOrThrow(Regressor.ridge(rows, results))
 * console.log(fitted.predict([10, 0])) // mean near 20, and how far off it may be
 * ```
 */
import { Cholesky, Elementary, Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import { at } from "./internal/at.ts"
import * as Boosting from "./internal/boosting.ts"
import { ConstantScores, TooFewResults } from "./PredictorError.ts"

/** An expected result, and the standard deviation of what a measurement would give. */
export interface Prediction {
  /** In the unit of the results. */
  readonly mean: number
  /** How far the mean may be off: one standard deviation, in the same unit. */
  readonly deviation: number
}

/** A regressor that has been fitted to results. */
export interface Fitted {
  /** Predicts from the features of one network, as many as in the fit. */
  readonly predict: (features: ReadonlyArray<number>) => Prediction
}

/** Fails with `TooFewResults` below four networks, and with `ConstantScores` if the results are all equal. A feature that is not a number is replaced by that feature's mean. */
export type Regressor = (
  rows: ReadonlyArray<ReadonlyArray<number>>,
  results: ReadonlyArray<number>
) => Result.Result<Fitted, TooFewResults | ConstantScores>

type Kernel = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => number

/** With fewer networks than this, nothing is fitted. */
const fewest = 4

/** Candidates for the noise, as a share of the results' variance. */
const noises = [0.01, 0.03, 0.1, 0.3, 1, 3]

/** Candidates for the length scale, as multiples of the square root of the number of features. */
const lengths = [0.25, 0.5, 1, 2, 4]

const square = (x: number): number => x * x

const meanOf = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

const varianceOf = (numbers: ReadonlyArray<number>) => {
  const mean = meanOf(numbers)
  return meanOf(numbers.map((x) => square(x - mean)))
}

/** Mean and deviation of the finite numbers; a deviation of 1 if nothing varies. */
const moments = (numbers: ReadonlyArray<number>): readonly [mean: number, deviation: number] => {
  const finite = numbers.filter(Number.isFinite)
  if (finite.length === 0) return [0, 1]
  const mean = meanOf(finite)
  const deviation = Math.sqrt(varianceOf(finite))
  return [mean, deviation > 1e-12 * Math.max(1, Math.abs(mean)) ? deviation : 1]
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += at(a, i) * at(b, i)
  return sum
}

/** A regressor on features and results standardised to mean 0 and deviation 1. */
const standardised =
  (
    fit: (
      rows: ReadonlyArray<ReadonlyArray<number>>,
      results: ReadonlyArray<number>
    ) => (features: ReadonlyArray<number>) => Prediction
  ): Regressor =>
  (rows, results) => {
    const n = rows.length
    if (n < fewest) return Result.fail(new TooFewResults({ results: n, needed: fewest }))
    if (results.every((result) => result === results[0])) return Result.fail(new ConstantScores({ of: "results" }))
    const scales = Array.from({ length: rows[0]?.length ?? 0 }, (_, f) =>
      moments(rows.map((row) => row[f] ?? Number.NaN))
    )
    const standard = (row: ReadonlyArray<number>) =>
      scales.map(([mean, deviation], f) => {
        const x = row[f] ?? Number.NaN
        return Number.isFinite(x) ? (x - mean) / deviation : 0
      })
    const [mean, deviation] = moments(results)
    const predict = fit(
      rows.map(standard),
      results.map((result) => (result - mean) / deviation)
    )
    return Result.succeed({
      predict: (row) => {
        const found = predict(standard(row))
        return { mean: mean + deviation * found.mean, deviation: deviation * found.deviation }
      }
    })
  }

/** A Gaussian process with the most likely of some kernels and noise levels, and the most likely variance for these. */
const process = (kernels: (features: number) => ReadonlyArray<Kernel>): Regressor =>
  standardised((known, y) => {
    const n = known.length
    const fits = kernels(Math.max(known[0]?.length ?? 0, 1)).flatMap((kernel) => {
      const covariances = known.map((a) => known.map((b) => kernel(a, b)))
      return noises.map((noise) => {
        const factor = Cholesky.make()
        for (const [i, row] of covariances.entries()) factor.append(row, Arr.getUnsafe(row, i) + noise)
        const solved = Float64Array.from(y)
        factor.forward([solved])
        // The most likely overall variance, and the likelihood with it.
        const variance = dot(solved, solved) / n
        return {
          factor,
          kernel,
          noise,
          solved,
          variance,
          likelihood: -(n / 2) * Elementary.log(variance) - factor.halfLogDeterminant()
        }
      })
    })
    const { factor, kernel, noise, solved, variance } = fits.reduce((a, b) => (b.likelihood > a.likelihood ? b : a))
    return (x) => {
      const towards = Float64Array.from(known, (other) => kernel(x, other))
      factor.forward([towards])
      const spread = Math.max(kernel(x, x) + noise - dot(towards, towards), noise)
      return { mean: dot(towards, solved), deviation: Math.sqrt(variance * spread) }
    }
  })

/** Ridge regression on standardised features, with the most likely penalty. */
export const ridge: Regressor = process((features) => [(a, b) => 1 + dot(a, b) / features])

/** A Gaussian process with the kernel exp(−d² / 2ℓ²) plus a linear one, with the most likely ℓ and noise. */
export const gaussianProcess: Regressor = process((features) =>
  lengths.map((length) => (a, b) => {
    const distance = a.reduce((sum, x, f) => sum + square(x - (b[f] ?? 0)), 0)
    return Elementary.exp(-distance / (2 * length * length * features)) + dot(a, b) / features
  })
)

/** How trees are grown, and how many times on resampled networks. */
const growth = { trees: 60, depth: 2, rate: 0.1, leaf: 4, features: 0.5 } satisfies Boosting.Options
const bags = 10

/**
 * Gradient-boosted trees with squared loss (J. Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics 2001): the mean of ten boosted models, each fitted to a resample
 * of the networks (L. Breiman, "Bagging Predictors", 1996). The uncertainty is the spread of the ten, plus the distance of results from models that have not seen them.
 */
export const trees: Regressor = standardised((rows, results) => {
  const prng = Prng.fromSeed("trees")
  const table = Boosting.tableOf(rows)
  const targets = Float64Array.from(results)
  const grown = Array.from({ length: bags }, () => {
    const counts = new Float64Array(rows.length)
    for (let i = 0; i < rows.length; i++) {
      const drawn = prng.nextInt(rows.length)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    return { counts, predict: Boosting.boosted(table, rows, targets, counts, growth, prng) }
  })
  // The error on unseen results that remains after subtracting the models' own disagreement.
  const left = Arr.zip(rows, results).flatMap(([row, result], i) => {
    const unseen = grown.filter(({ counts }) => counts[i] === 0).map(({ predict }) => predict(row))
    return unseen.length < 2 ? [] : [square(result - meanOf(unseen)) - varianceOf(unseen)]
  })
  const noise = left.length === 0 ? 1 : meanOf(left)
  return (row) => {
    const each = grown.map(({ predict }) => predict(row))
    return { mean: meanOf(each), deviation: Math.sqrt(Math.max(noise, 0.01) + varianceOf(each)) }
  }
})

/**
 * The mean of several regressors. Its uncertainty is their own plus the spread of their means.
 *
 * @example
 * Regressor.ensemble([Regressor.ridge, Regressor.trees])(rows, results)
 */
export const ensemble =
  (regressors: ReadonlyArray<Regressor>): Regressor =>
  (rows, results) =>
    Result.map(Result.all(regressors.map((regressor) => regressor(rows, results))), (fitted) => ({
      predict: (features) => {
        const each = fitted.map(({ predict }) => predict(features))
        const means = each.map(({ mean }) => mean)
        const own = meanOf(each.map(({ deviation }) => square(deviation)))
        return { mean: meanOf(means), deviation: Math.sqrt(own + varianceOf(means)) }
      }
    }))

/** Predictions from fits that have not seen what they predict. */
export interface CrossValidated {
  /** For every network, in order, by a fit that has not seen it. */
  readonly predictions: ReadonlyArray<Prediction>
  /** Share of the results that lie within the predictions' 90% intervals. */
  readonly coverage: number
}

/** How many parts the networks are divided into, and how. */
export interface CrossValidation {
  /** Number of parts, each left out in turn. Default 10, at most one per network. */
  readonly folds?: number
  /** Seed of the division. */
  readonly seed: string | number
}

/** The number of standard deviations around the mean that covers nine in ten normal numbers. */
const ninety = 1.6449

/**
 * Predicts every network by a fit on the others, part by part. Fails as the regressor does on the networks that remain when a part is left out.
 *
 * @example
 * ```ts
 * import { Regressor } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * // Twenty networks: width and depth, and the accuracy that each reached.
 * const rows = Array.from({ length: 20 }, (_, i) => [8 + (i % 5) * 8, 1 + Math.floor(i / 5)])
 * const accuracies = rows.map(([width = 0, depth = 0]) => 0.7 + 0.05 * Math.log2(width) + 0.02 * depth)
 *
 * // Each is predicted by a fit on the others, so this is what a fit is worth on unseen networks.
 * for (const [name, regressor] of Object.entries({ ridge: Regressor.ridge, process: Regressor.gaussianProcess })) {
 *   const { coverage, predictions } = Result.getOrThrow(Regressor.crossValidate(rows, accuracies, { seed: 0 })(regressor))
 *   const off = predictions.map(({ mean }, i) => Math.abs(mean - (accuracies[i] ?? 0)))
 *   console.log(name, `off by ${(100 * Math.max(...off)).toFixed(2)}% at most, coverage ${coverage}`)
 * }
 * ```
 */
export const crossValidate =
  (rows: ReadonlyArray<ReadonlyArray<number>>, results: ReadonlyArray<number>, { folds = 10, seed }: CrossValidation) =>
  (regressor: Regressor): Result.Result<CrossValidated, TooFewResults | ConstantScores> =>
    Result.gen(function* () {
      const n = rows.length
      const parts = Math.max(2, Math.min(folds, n))
      const order = Prng.fromSeed(seed).split("folds").permutation(n)
      const part = new Map([...order].map((i, place) => [i, place % parts] as const))
      const predictions = new Map<number, Prediction>()
      /** How far each fit's own mean is below that of all results. */
      const below = new Map<number, number>()
      for (let left = 0; left < parts; left++) {
        const kept = rows.map((_, i) => i).filter((i) => part.get(i) !== left)
        const fitted = yield* regressor(
          kept.map((i) => rows[i] ?? []),
          kept.map((i) => results[i] ?? Number.NaN)
        )
        const own = meanOf(kept.map((i) => results[i] ?? Number.NaN))
        for (const [i, row] of rows.entries())
          if (part.get(i) === left) {
            predictions.set(i, fitted.predict(row))
            below.set(i, meanOf(results) - own)
          }
      }
      // What the features do not explain is predicted by the fit's own mean, which is lower if better networks were left out.
      const unexplained = Math.max(
        0,
        1 - varianceOf([...predictions.values()].map(({ mean }) => mean)) / varianceOf(results)
      )
      const all = rows.map((_, i) => {
        const { deviation, mean } = predictions.get(i) ?? { mean: Number.NaN, deviation: Number.NaN }
        return { mean: mean + unexplained * (below.get(i) ?? 0), deviation }
      })
      const within = all.filter(
        ({ deviation, mean }, i) => Math.abs((results[i] ?? Number.NaN) - mean) <= ninety * deviation
      )
      return { predictions: all, coverage: within.length / n }
    })

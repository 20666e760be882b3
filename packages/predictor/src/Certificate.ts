/**
 * How far scores can be trusted: their rank correlation with training results, over all networks and within classes of about equal multiply-accumulates, with intervals, next to what multiply-accumulates alone
 * achieve. A proxy that does no better than those is not worth its time.
 *
 * @example
 * ```ts
 * import { Certificate } from "@uninet/predictor"
 * import { Result } from "effect"
 *
 * const networks = Array.from({ length: 40 }, (_, i) => i)
 * const certificate = Result.getOrThrow(
 *   Certificate.make({
 *     of: "mine",
 *     scores: networks.map((i) => i + 3 * Math.sin(i)),
 *     results: networks,
 *     macs: networks.map((i) => (i * 7) % 40),
 *     seed: 0
 *   })
 * )
 * console.log(certificate.overall.spearman, certificate.overall.clears)
 * ```
 */
import { Elementary, Prng } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Correlation from "./Correlation.ts"
import { ConstantScores, TooFewResults } from "./PredictorError.ts"

/** A 90% confidence interval. */
export interface Interval {
  /** The lower end. */
  readonly low: number
  /** The upper end. */
  readonly high: number
}

/** A number with an interval for its value if all networks were known, from the bootstrap's percentiles. */
export interface Estimate extends Interval {
  /** The value on these networks. */
  readonly value: number
}

/** How well the order by scores agrees with the order by results. */
export interface Agreement {
  readonly spearman: Estimate
  /**
   * An interval for Spearman's ρ on an equal number of other networks: what to expect of the scores in use. It is wider than the interval of `spearman`, since the other networks are a sample themselves.
   */
  readonly others: Interval
  readonly kendall: Estimate
  /** The same for multiply-accumulates alone. */
  readonly macs: { readonly spearman: Estimate; readonly kendall: Estimate }
  /** The gain in Spearman's ρ over multiply-accumulates, on the same resamples of networks. */
  readonly gain: Estimate
  /** Whether the gain's interval lies above 0: whether the scores are better at all, which a small sample of networks may not show. */
  readonly clears: boolean
}

/** How far scores can be trusted, judging by networks with known results. */
export interface Certificate {
  readonly of: string
  /** The number of networks, including those without a score, which are ranked last. */
  readonly networks: number
  /** Networks without a score. */
  readonly unscored: number
  readonly overall: Agreement
  /**
   * Means over classes of equal size by multiply-accumulates, weighted by the networks in each; `null` if there are too few networks for classes. A class whose scores or results are all equal
   * has no order to agree with, and counts as 0.
   */
  readonly inside: (Agreement & { readonly classes: number }) | null
}

/** Which scores to compare with which results, and how to make the intervals. */
export interface Options {
  /** The name of what gave the scores. */
  readonly of: string
  /** Larger for networks expected to be better; `null` or NaN for no score. */
  readonly scores: ReadonlyArray<number | null>
  /** The results of training, larger being better. */
  readonly results: ReadonlyArray<number>
  readonly macs: ReadonlyArray<number>
  /** Seed of the bootstrap. */
  readonly seed: string | number
  /** Number of resamples. Default 400. */
  readonly resamples?: number
  /** Number of classes of equal multiply-accumulates. Default 5; fewer if that leaves fewer than 8 networks in each. */
  readonly classes?: number
}

/** With fewer networks than this, nothing is certified. */
const fewest = 8

/** What is compared on one resample of networks. */
interface Draw {
  readonly spearman: number
  readonly kendall: number
  readonly macsSpearman: number
  readonly macsKendall: number
}

const or0 = (x: number) => (Number.isNaN(x) ? 0 : x)

const drawOf = ({ macs, results, scores }: Options, indices: ReadonlyArray<number>): Draw => {
  const of = (numbers: ReadonlyArray<number | null>) => indices.map((i) => numbers[i] ?? null)
  const [own, found, alone] = [of(scores), of(results), of(macs)]
  return {
    spearman: or0(Correlation.spearman(own, found)),
    kendall: or0(Correlation.kendall(own, found)),
    macsSpearman: or0(Correlation.spearman(alone, found)),
    macsKendall: or0(Correlation.kendall(alone, found))
  }
}

/** Means over draws, weighted by the networks in each. */
const meanOf = (draws: ReadonlyArray<readonly [draw: Draw, networks: number]>): Draw => {
  const all = draws.reduce((sum, [, n]) => sum + n, 0)
  const mean = (key: keyof Draw) => draws.reduce((sum, [draw, n]) => sum + draw[key] * n, 0) / all
  return {
    spearman: mean("spearman"),
    kendall: mean("kendall"),
    macsSpearman: mean("macsSpearman"),
    macsKendall: mean("macsKendall")
  }
}

const estimate = (value: number, draws: ReadonlyArray<number>): Estimate => {
  const sorted = draws.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? value
  return { value, low: at(0.05), high: at(0.95) }
}

/** The number of standard deviations around the mean that covers nine in ten normal numbers. */
const ninety = 1.6449

/** Fisher's z of a correlation, which makes its sampling error roughly normal. */
const fisher = (rho: number) => {
  const r = Math.max(-0.9999, Math.min(0.9999, rho))
  return Elementary.log((1 + r) / (1 - r)) / 2
}

/** The correlation with a given z. */
const correlation = (z: number) => 1 - 2 / (Elementary.exp(2 * z) + 1)

/**
 * An interval for ρ on an equal number of other networks. It combines the sampling error of the networks at hand, from the bootstrap, with that of the others, whose variance in Fisher's z is (1 + ρ² /
 * 2) / (n − 3) for n networks of one class (D. Bonett and T. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 2000).
 */
const ofOthers = (rho: number, draws: ReadonlyArray<number>, networks: number, classes: number): Interval => {
  const drawn = draws.map(fisher)
  const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length
  const known = drawn.reduce((sum, z) => sum + (z - mean) * (z - mean), 0) / drawn.length
  const half = ninety * Math.sqrt(known + (1 + (rho * rho) / 2) / (networks - 3 * classes))
  return { low: correlation(fisher(rho) - half), high: correlation(fisher(rho) + half) }
}

const agreement = (found: Draw, draws: ReadonlyArray<Draw>, networks: number, classes: number): Agreement => {
  const of = (read: (draw: Draw) => number) => estimate(read(found), draws.map(read))
  const gain = of(({ macsSpearman, spearman }) => spearman - macsSpearman)
  return {
    spearman: of(({ spearman }) => spearman),
    others: ofOthers(
      found.spearman,
      draws.map(({ spearman }) => spearman),
      networks,
      classes
    ),
    kendall: of(({ kendall }) => kendall),
    macs: { spearman: of(({ macsSpearman }) => macsSpearman), kendall: of(({ macsKendall }) => macsKendall) },
    gain,
    clears: gain.low > 0
  }
}

/** Indices sorted by multiply-accumulates, in `count` parts of equal size. */
const parts = (macs: ReadonlyArray<number>, count: number): ReadonlyArray<ReadonlyArray<number>> => {
  const order = Array.from(macs.entries())
    .sort(([a, x], [b, y]) => x - y || a - b)
    .map(([i]) => i)
  return Array.from({ length: count }, (_, part) =>
    order.slice(Math.floor((part * order.length) / count), Math.floor(((part + 1) * order.length) / count))
  )
}

/** A sample of the same size, drawn with replacement. */
const again = (from: ReadonlyArray<number>, prng: Prng.Prng) => from.map(() => from[prng.nextInt(from.length)] ?? 0)

/**
 * Makes a certificate of scores. Intervals come from resampling the given networks, within their class for those inside classes. The resamples depend only on the seed.
 *
 * Fails with `TooFewResults` below 8 networks, and with `ConstantScores` if scores or results are all equal.
 */
export const make = (options: Options): Result.Result<Certificate, TooFewResults | ConstantScores> => {
  const { classes = 5, macs, of, resamples = 400, results, scores, seed } = options
  const n = results.length
  if (n < fewest) return Result.fail(new TooFewResults({ results: n, needed: fewest }))
  if (
    Number.isNaN(
      Correlation.spearman(
        results,
        results.map((_, i) => i)
      )
    )
  )
    return Result.fail(new ConstantScores({ of: "results" }))
  if (Number.isNaN(Correlation.spearman(scores, results))) return Result.fail(new ConstantScores({ of }))
  const all = results.map((_, i) => i)
  const count = Math.min(classes, Math.floor(n / fewest))
  const groups = parts(macs, Math.max(count, 1))
  const inside = (draw: (group: ReadonlyArray<number>) => ReadonlyArray<number>) =>
    meanOf(groups.map((group) => [drawOf(options, draw(group)), group.length] as const))
  const prng = Prng.fromSeed(seed).split("bootstrap")
  const overall = prng.split("overall")
  const within = prng.split("inside")
  const draws = Array.from({ length: resamples }, () => drawOf(options, again(all, overall)))
  return Result.succeed({
    of,
    networks: n,
    unscored: scores.filter((x) => x === null || Number.isNaN(x)).length,
    overall: agreement(drawOf(options, all), draws, n, 1),
    inside:
      count < 2
        ? null
        : {
            classes: count,
            ...agreement(
              inside((group) => group),
              Array.from({ length: resamples }, () => inside((group) => again(group, within))),
              n,
              count
            )
          }
  })
}

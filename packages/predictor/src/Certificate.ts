/**
 * How far scores can be trusted: their rank correlation with what was trained, over all networks and inside classes of about equal multiply-accumulates, with intervals, beside what multiply-accumulates alone
 * give. A proxy that is no better than those is not worth its time.
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

/** Where a number lies with 90% confidence. */
export interface Interval {
  /** The lower end. */
  readonly low: number
  /** The upper end. */
  readonly high: number
}

/** A number with the interval in which it would lie if all networks were known, by the bootstrap's percentiles. */
export interface Estimate extends Interval {
  /** As found. */
  readonly value: number
}

/** How well an order agrees with that by results. */
export interface Agreement {
  readonly spearman: Estimate
  /**
   * Where Spearman's ρ lies on as many other networks: what to expect of the scores when they are used. Wider than the interval of `spearman`, since the others are a draw of their own.
   */
  readonly others: Interval
  readonly kendall: Estimate
  /** The same of multiply-accumulates alone. */
  readonly macs: { readonly spearman: Estimate; readonly kendall: Estimate }
  /** How much better than those by Spearman's ρ, on the same draws of networks. */
  readonly gain: Estimate
  /** Whether the gain's interval lies above 0: whether the scores are better at all, which may not show on every few networks. */
  readonly clears: boolean
}

/** How far scores can be trusted, by networks whose results are known. */
export interface Certificate {
  readonly of: string
  /** Networks, and those of them that had no score and went last. */
  readonly networks: number
  /** Networks that had no score. */
  readonly unscored: number
  readonly overall: Agreement
  /**
   * Means over classes of equal size by multiply-accumulates, weighted by the networks in each; `null` where there are too few networks for classes. In a class whose scores or results are all one,
   * there is no order to agree with: it counts 0.
   */
  readonly inside: (Agreement & { readonly classes: number }) | null
}

/** Which scores are held against which results, and how the intervals are made. */
export interface Options {
  /** Whose scores. */
  readonly of: string
  /** Larger for what is held to be better; `null` or NaN for none. */
  readonly scores: ReadonlyArray<number | null>
  /** What training found, larger being better. */
  readonly results: ReadonlyArray<number>
  readonly macs: ReadonlyArray<number>
  /** Decides the bootstrap's draws. */
  readonly seed: string | number
  /** Draws. Default 400. */
  readonly resamples?: number
  /** Classes of equal multiply-accumulates. Default 5; less where there are fewer than 8 networks for each. */
  readonly classes?: number
}

/** Networks below which nothing is certified. */
const fewest = 8

/** What is compared on one draw of networks. */
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

/** Means of draws, weighted by the networks in each. */
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

/** Standard deviations to either side of a mean within which nine of ten normal numbers lie. */
const ninety = 1.6449

/** Fisher's z of a correlation, in which its chance is about normal. */
const fisher = (rho: number) => {
  const r = Math.max(-0.9999, Math.min(0.9999, rho))
  return Elementary.log((1 + r) / (1 - r)) / 2
}

/** The correlation of a z. */
const correlation = (z: number) => 1 - 2 / (Elementary.exp(2 * z) + 1)

/**
 * Of ρ on as many other networks: the chance of those that it was found on, by the bootstrap, and that of the others, whose variance in Fisher's z is (1 + ρ² / 2) / (n − 3) for n networks of one class
 * (D. Bonett and T. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 2000).
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

/** Indices by multiply-accumulates, in so many parts of equal size. */
const parts = (macs: ReadonlyArray<number>, count: number): ReadonlyArray<ReadonlyArray<number>> => {
  const order = Array.from(macs.entries())
    .sort(([a, x], [b, y]) => x - y || a - b)
    .map(([i]) => i)
  return Array.from({ length: count }, (_, part) =>
    order.slice(Math.floor((part * order.length) / count), Math.floor(((part + 1) * order.length) / count))
  )
}

/** As many again, some of them several times. */
const again = (from: ReadonlyArray<number>, prng: Prng.Prng) => from.map(() => from[prng.nextInt(from.length)] ?? 0)

/**
 * A certificate of scores. Intervals are of networks drawn again from those that there are, within their class for those inside classes, always the same ones for a seed.
 *
 * Fails with `TooFewResults` below 8 networks, and with `ConstantScores` where scores or results are all one.
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

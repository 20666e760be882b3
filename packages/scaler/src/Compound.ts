/**
 * Compound scaling of any network whose space declares how it grows (`Scaling.Chain`): depth α^φ, width β^φ, resolution γ^φ, rounded so that the multiply-accumulates are 2^φ times the
 * baseline's.
 *
 * **Rounding.** It follows UniNet's released family or EfficientNet's code; anything else is our choice. A member keeps everything of the baseline that is not a size.
 *
 * - Depth: blocks of every stage, a whole number next to the ideal; in the first half of the stages preferably the one above.
 * - Width: channels of every stage, in the steps that its chain declares. Stem and head are scaled too, and are the first to be adjusted.
 * - Resolution: in the steps that the chain declares.
 * - Nothing is ever smaller than in the baseline or in the member at the next smaller whole φ, so a family only grows.
 *
 * **Hitting the target.** α·β²·γ² ≈ 2 only holds for the cost of the convolutions themselves: modules, stem and head do not repeat, and the cost of attention grows with the fourth
 * power of the edge. So the network follows the coefficients' direction (α^t, β^t, γ^t) until its cost is 2^φ times the baseline's, and reports t (`effective`). Then, of all ways of
 * rounding these sizes up or down to MACs within the tolerance, it takes the nearest: the one with the smallest sum of mean squared logarithmic deviations of depth, width and
 * resolution, found exactly up to a fiftieth of the tolerance. If there is none (small images with attention, whose next size costs more than twice as much), the image takes one of
 * the two sizes, and depth and width alone grow as far as needed. If that does not work either, single steps move towards the target. If even they cannot reach it, the result is a
 * `StepsTooCoarse`: no single step brings the network that it names any nearer.
 */
import { ModelSpace, type Scaling } from "@uninet/model-space"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type { Coefficients } from "./Coefficients.ts"
import { chainOf, macsOf, type Space } from "./internal/anatomy.ts"
import * as Q from "./internal/quantities.ts"
import * as Ray from "./internal/ray.ts"
import * as Rounding from "./internal/rounding.ts"
import {
  InvalidScale,
  LimitReached,
  NotPublished,
  type ScaleError,
  StepsTooCoarse,
  TargetBelowBaseline,
  Unscalable
} from "./ScaleError.ts"

/** One network of a family. */
export interface Member<A, C extends string = string> {
  /** φ: the member costs 2^φ times as much as the baseline. */
  readonly phi: number
  readonly point: A
  /** All costs of its space, by name. */
  readonly costs: { readonly [K in C]: number }
  /** Multiply-accumulates for one example. */
  readonly macs: number
  /** The multiply-accumulates it was meant to have: 2^φ times the baseline's. For a published network, its own. */
  readonly target: number
  /** How far along the coefficients' direction it is: its ideal sizes are α^effective and so on. `null` for a published network. */
  readonly effective: number | null
  /** What it became, relative to the baseline: all repeats, the geometric mean of the stages' channels, the geometric mean of the image's edges. */
  readonly factors: Readonly<Record<Scaling.Dimension, number>>
}

/** The coefficients with which a network grows, how exactly, and up to which limits. */
export interface Options {
  readonly coefficients: Coefficients
  /** Keeps the baseline's image: γ is not used, and depth and width grow more instead. Default false. */
  readonly fixedImage?: boolean
  /** What channels are multiples of where nothing else decides it. Default: the space's own. */
  readonly divisor?: number
  /** How far the MACs may be from the target, relative to it. Default 0.03. */
  readonly tolerance?: number
  /** The largest image edge in pixels (1024), channel count (8192) and number of repeats of a stage (256). */
  readonly limits?: Partial<Q.Limits>
}

/** How far a member's multiply-accumulates may be from the target, relative to it. */
export const defaultTolerance = 0.03
/** The largest image edge in pixels, the most channels of a layer, and the most repeats of a stage. */
export const defaultLimits: Q.Limits = { resolution: 1024, width: 8192, depth: 256 }

/** What stays the same from member to member. */
interface Baseline<A, C extends string, M extends string> {
  readonly of: ModelSpace.ModelSpace<A, C, M>
  readonly point: A
  readonly macs: number
  readonly chain: Scaling.Chain<A>
  readonly quantities: Q.Quantities
  readonly tolerance: number
}

const baselineOf = <A, C extends string, M extends string>(
  of: Space<A, C, M>,
  point: A,
  options: Options
): Result.Result<Baseline<A, C, M>, ScaleError> =>
  Result.gen(function* () {
    const { coefficients, divisor, fixedImage = false, tolerance = defaultTolerance } = options
    const limits = { ...defaultLimits, ...options.limits }
    const counts = Object.entries(limits).map(([dimension, limit]) => [`limits.${dimension}`, limit] as const)
    const wrong = faultOf(new Map([["divisor", divisor ?? 1], ...counts]), tolerance)
    if (wrong !== undefined) return yield* Result.fail(wrong)
    const chain = yield* chainOf(of, point, divisor)
    const macs = yield* macsOf(of, point)
    const counted = Ray.cost(Q.of(chain, still), chain.macs, chain.sizesOf(point), 0)
    yield* alike(of, point, counted, macs)
    const quantities = Q.of(chain, { coefficients, fixedImage, limits })
    if (Q.all(quantities).every(({ factor }) => factor === 1)) {
      const grow = (["depth", "width", "resolution"] as const).filter((dimension) =>
        Q.all(quantities).some((quantity) => quantity.dimension === dimension && quantity.step > 0)
      )
      return yield* Result.fail(
        grow.length === 0
          ? new Unscalable({ space: of.name, network: of.line(point), reason: "none of its sizes can grow" })
          : new InvalidScale({
              option: fixedImage
                ? "each of depth and width (the image is fixed)"
                : `every coefficient that counts (${grow.join(", ")})`,
              given: "1",
              expected: "a number above 1 for one of them"
            })
      )
    }
    return { of, point, macs, chain, quantities, tolerance }
  })

/** Nothing grows: for the cost of the sizes as they are. */
const still: Q.Settings = {
  coefficients: { depth: 1, width: 1, resolution: 1 },
  fixedImage: true,
  limits: defaultLimits
}

/** The chain gives the cost of sizes that are being tried, so it must count as the space does. */
const alike = <A, C extends string, M extends string>(
  of: Space<A, C, M>,
  point: A,
  counted: number,
  macs: number
): Result.Result<void, Unscalable> =>
  Math.abs(counted - macs) <= 1e-6 * macs
    ? Result.succeed(undefined)
    : Result.fail(
        new Unscalable({
          space: of.name,
          network: of.line(point),
          reason: `its scaling counts ${counted.toLocaleString("en")} MACs, but its cost macs is ${macs.toLocaleString("en")}; make both count the same`
        })
      )

const faultOf = (counts: ReadonlyMap<string, number>, tolerance: number): InvalidScale | undefined => {
  const wrong = [...counts].find(([, n]) => !(Number.isSafeInteger(n) && n >= 1))
  if (wrong !== undefined)
    return new InvalidScale({ option: wrong[0], given: String(wrong[1]), expected: "a whole number of 1 or more" })
  return tolerance > 0 && tolerance < 1
    ? undefined
    : new InvalidScale({ option: "tolerance", given: String(tolerance), expected: "a fraction between 0 and 1" })
}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)
const product = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a * b, 1)

/** What a network became, relative to the baseline. */
const factorsOf = <A>(chain: Scaling.Chain<A>, point: A, baseline: A): Member<A>["factors"] => {
  const [grown, own] = [chain.sizesOf(point), chain.sizesOf(baseline)]
  const [edges, before] = [chain.edges(grown.resolution), chain.edges(own.resolution)]
  return {
    depth: sum(grown.depths) / sum(own.depths),
    width: Elementary.exp(
      sum(Arr.zipWith(grown.widths, own.widths, (width, from) => Elementary.log(width / from))) / own.widths.length
    ),
    resolution: before.length === 0 ? 1 : Elementary.pow(product(edges) / product(before), 1 / before.length)
  }
}

const memberOf = <A, C extends string, M extends string>(
  { chain, of, point: baseline }: Baseline<A, C, M>,
  made: { readonly point: A; readonly phi: number; readonly target: number },
  effective: number
): Result.Result<Member<A, C>, ScaleError> =>
  Result.gen(function* () {
    const macs = yield* macsOf(of, made.point)
    const costs = yield* ModelSpace.costsOf(made.point)(of)
    return { ...made, costs, macs, effective, factors: factorsOf(chain, made.point, baseline) }
  })

/** The member at φ, with no size smaller than in `least`. */
const next = <A, C extends string, M extends string>(
  baseline: Baseline<A, C, M>,
  least: A,
  phi: number
): Result.Result<Member<A, C>, ScaleError> => {
  const { chain, macs, of, point, quantities, tolerance } = baseline
  const target = macs * Elementary.pow(2, phi)
  if (phi === 0) return memberOf(baseline, { point, phi, target }, 0)
  const floor = chain.sizesOf(least)
  const costAt = (t: number) => Ray.cost(quantities, chain.macs, floor, t)
  const end = Ray.end(quantities)
  const t = Ray.length(costAt, target, end.t)
  if (t === undefined)
    return Result.fail(
      new LimitReached({
        phi,
        target,
        dimension: end.quantity?.dimension ?? "resolution",
        at: end.quantity?.part ?? "image",
        limit: end.quantity?.limit ?? 0,
        reached: costAt(end.t)
      })
    )
  const problem: Rounding.Problem = { quantities, macs: chain.macs, least: floor, t, target, tolerance }
  const costOf = (sizes: Scaling.Sizes) => Result.getOrUndefined(macsOf(of, chain.apply(sizes)))
  const found = Rounding.best(problem, costOf)
  const made = chain.apply(found.sizes)
  return Result.gen(function* () {
    const nearest = yield* jsonOf(of, made)
    if (!Rounding.isWithin(problem, found.macs))
      return yield* Result.fail(
        new StepsTooCoarse({
          phi,
          target,
          tolerance,
          nearest,
          nearestMacs: found.macs,
          ...Rounding.finestStep(problem, found, costOf)
        })
      )
    const member = yield* memberOf(baseline, { point: made, phi, target }, t)
    yield* alike(of, made, found.macs, member.macs)
    return member
  })
}

/** A scaled network is stored as JSON, so the type of the space's points must be able to represent it, even though it is not in the space. */
const jsonOf = <A, C extends string, M extends string>(of: Space<A, C, M>, point: A) =>
  Result.try({
    try: () => ModelSpace.write(point)(of),
    catch: (cause) =>
      new Unscalable({
        space: of.name,
        network: of.line(point),
        reason: `the schema of its points does not allow these sizes (${cause instanceof Error ? cause.message : String(cause)}); give its choices a Choice.map whose schema allows all sizes`
      })
  })

/** The members at the whole φ below, whose sizes are lower bounds for those above; φ for which the steps are too coarse are skipped. */
const climb = <A, C extends string, M extends string>(
  baseline: Baseline<A, C, M>,
  phis: ReadonlyArray<number>
): Result.Result<ReadonlyArray<Member<A, C>>, ScaleError> =>
  Result.gen(function* () {
    const members: Array<Member<A, C>> = []
    let least = baseline.point
    let whole = 1
    for (const phi of phis) {
      for (; whole < phi; whole++) {
        const between = next(baseline, least, whole)
        if (Result.isSuccess(between)) least = between.success.point
        else if (between.failure._tag !== "StepsTooCoarse") return yield* Result.fail(between.failure)
      }
      const member = yield* next(baseline, least, phi)
      least = member.point
      members.push(member)
      if (whole === phi) whole++
    }
    return members
  })

const invalidPhi = (phi: number) =>
  new InvalidScale({ option: "φ", given: String(phi), expected: "a number of 0 or more" })

/**
 * The baseline's family at these φ (0 or more, in any order): every member is at least as deep, wide and large as those below it.
 *
 * Fails with `LimitReached`, `StepsTooCoarse`, `InvalidScale`, `Unscalable`, or `CostFailed`.
 *
 * @example
 * ```ts
 * import { Coefficients, Compound } from "@uninet/scaler"
 * import { UniNet, UniNetSpace } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * const space = Result.getOrThrow(UniNetSpace.models())
 * const family = Compound.family(space, UniNet.B0, [1, 2], { coefficients: Coefficients.efficientNet })
 * for (const { macs, phi } of Result.getOrThrow(family)) console.log(phi, macs)
 * ```
 */
export const family = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  baseline: A,
  phis: ReadonlyArray<number>,
  options: Options
): Result.Result<ReadonlyArray<Member<A, C>>, ScaleError> => {
  const wrong = phis.find((phi) => !(Number.isFinite(phi) && phi >= 0))
  if (wrong !== undefined) return Result.fail(invalidPhi(wrong))
  const ascending = [...new Set(phis)].sort((a, b) => a - b)
  return Result.flatMap(baselineOf(of, baseline, options), (made) => climb(made, ascending))
}

/** The member at one φ, the same as in the family of the whole numbers up to it. */
export const member = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  baseline: A,
  phi: number,
  options: Options
): Result.Result<Member<A, C>, ScaleError> =>
  Result.map(family(of, baseline, [phi], options), (members) => Arr.getUnsafe(members, 0))

/** The member with this many multiply-accumulates for one example: the one at φ = log₂(macs / the baseline's). */
export const toMacs = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  baseline: A,
  macs: number,
  options: Options
): Result.Result<Member<A, C>, ScaleError> =>
  Result.gen(function* () {
    yield* chainOf(of, baseline, undefined)
    const own = yield* macsOf(of, baseline)
    if (!(macs >= own)) return yield* Result.fail(new TargetBelowBaseline({ target: macs, baseline: own }))
    return yield* member(of, baseline, Elementary.log2(macs / own), options)
  })

/**
 * The members of a published family at these φ: whole numbers, 0 being the baseline.
 *
 * Fails with `NotPublished` if no family, or not such a large one, was published for this baseline.
 */
export const published = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  baseline: A,
  phis: ReadonlyArray<number>
): Result.Result<ReadonlyArray<Member<A, C>>, ScaleError> =>
  Result.gen(function* () {
    const table = of.scaling?.published(baseline) ?? null
    if (table === null) return yield* Result.fail(new NotPublished({ asked: `family of ${of.line(baseline)}` }))
    const chain = yield* chainOf(of, baseline, undefined)
    const members: Array<Member<A, C>> = []
    for (const phi of [...new Set(phis)].sort((a, b) => a - b)) {
      const point = table[phi]
      if (point === undefined)
        return yield* Result.fail(
          new NotPublished({
            asked: `member at φ = ${phi} of a family whose members are at φ = 0 to ${table.length - 1}`
          })
        )
      const costs = yield* ModelSpace.costsOf(point)(of)
      const macs = yield* macsOf(of, point)
      members.push({
        phi,
        point,
        costs,
        macs,
        target: macs,
        effective: null,
        factors: factorsOf(chain, point, baseline)
      })
    }
    return members
  })

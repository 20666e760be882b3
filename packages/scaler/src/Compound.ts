/**
 * Compound scaling of any architecture: depth α^φ, width β^φ, resolution γ^φ, rounded so that the multiply-accumulates are 2^φ times the
 * baseline's.
 *
 * **Rounding** [ours, where it is not UniNet's released family or EfficientNet's code]. A member keeps the baseline's operators, modules, expansions, strides and head size.
 *
 * - Depth: repeats of every stage, stage 0 too; a whole number next to the ideal, and in the first half of the stages rather the one above.
 * - Width: channels of every stage, multiples of the head size next to attention, elsewhere of the space's divisor (8 up to 64 pixels, else 16; less
 *   where the baseline's own channels are no multiples of it, as in the released family). Stem and head are scaled too, and are what is changed first.
 * - Resolution: height is a multiple of the total stride (or the baseline's own height), the width follows.
 * - Nothing is ever smaller than in the baseline or in the member of the next smaller whole φ, so that a family only grows.
 *
 * **Hitting the target.** α·β²·γ² ≈ 2 holds for convolutions' own cost only: modules, stem and head do not repeat, attention grows with the fourth power of the
 * edge. So the network goes along the coefficients' direction (α^t, β^t, γ^t) as far as 2^φ times the cost is, and t is told (`effective`). Then of all roundings of these
 * sizes up or down the one nearest to them is taken whose MACs are within the tolerance: the smallest sum of mean squared logarithmic deviations of depth, width and
 * resolution, found exactly up to a fiftieth of the tolerance. Where there is none (small images with attention, whose next size costs more than twice as much), the image takes one of
 * the two sizes and depth and width alone go as far as they must; and where that does not do either, single steps lead on to the target. What they cannot reach is a
 * `StepsTooCoarse`: no single step brings the network it names any nearer.
 */
import { Network, NetworkCosts } from "@uninet/network"
import type { Architecture } from "@uninet/search-space"
import * as Result from "effect/Result"
import type { Coefficients } from "./Coefficients.ts"
import * as Macs from "./internal/macs.ts"
import * as Q from "./internal/quantities.ts"
import * as Ray from "./internal/ray.ts"
import * as Rounding from "./internal/rounding.ts"
import {
  type Bound,
  InvalidScale,
  LimitReached,
  type ScaleError,
  StepsTooCoarse,
  TargetBelowBaseline
} from "./ScaleError.ts"

/** One network of a family. */
export interface Member {
  readonly phi: number
  readonly architecture: Architecture.Architecture
  readonly costs: NetworkCosts.NetworkCosts
  /** Multiply-accumulates for one image that it was to have: 2^φ times the baseline's. For a published network its own. */
  readonly target: number
  /** How far along the coefficients' direction it is: α^effective and so on are its ideal sizes. `null` for a published network. */
  readonly effective: number | null
  /** What it became, over the baseline: all repeats, the geometric mean of the stages' channels, the geometric mean of the image's edges. */
  readonly factors: { readonly depth: number; readonly width: number; readonly resolution: number }
}

export interface Options {
  readonly coefficients: Coefficients
  /** The operators and modules. Default: UniNet's own. */
  readonly sets?: Network.Sets
  /** Keeps the baseline's image: γ is not used, and depth and width grow the more. Default false. */
  readonly fixedImage?: boolean
  /** What channels away from attention are multiples of. Default: the space's, see above. */
  readonly divisor?: number
  /** How far the MACs may be from the target, as a share of it. Default 0.03. */
  readonly tolerance?: number
  /** The largest image edge in pixels (1024), channel count (8192) and number of repeats of a stage (256). */
  readonly limits?: Partial<Readonly<Record<Bound, number>>>
}

export const defaultTolerance = 0.03
export const defaultLimits: Readonly<Record<Bound, number>> = { image: 1024, channels: 8192, repeats: 256 }

/** What stays the same from member to member. */
interface Baseline {
  readonly architecture: Architecture.Architecture
  readonly costs: NetworkCosts.NetworkCosts
  readonly quantities: Q.Quantities
  readonly macs: Macs.Macs
  readonly sets: Network.Sets
  readonly tolerance: number
}

type Scaled = Result.Result<Member, ScaleError>

const costsOf = (architecture: Architecture.Architecture, sets: Network.Sets) =>
  Result.flatMap(Network.make(architecture, sets), NetworkCosts.of)

const baselineOf = (architecture: Architecture.Architecture, options: Options): Result.Result<Baseline, ScaleError> =>
  Result.gen(function* () {
    const { coefficients, divisor, fixedImage = false, sets = Network.standard, tolerance = defaultTolerance } = options
    const limits = { ...defaultLimits, ...options.limits }
    const wrong = faultOf({ divisor: divisor ?? 1, ...limits }, tolerance)
    if (wrong !== undefined) return yield* Result.fail(wrong)
    const costs = yield* costsOf(architecture, sets)
    const quantities = Q.of(architecture, { coefficients, sets, divisor, fixedImage, limits })
    if (Q.all(quantities).every(({ factor }) => factor === 1))
      return yield* Result.fail(
        new InvalidScale({
          option: fixedImage ? "depth and width, with an image that is not scaled," : "every coefficient",
          given: "1",
          expected: "one that is more"
        })
      )
    return { architecture, costs, quantities, macs: Macs.make(architecture, sets), sets, tolerance }
  })

const faultOf = (counts: Readonly<Record<string, number>>, tolerance: number): InvalidScale | undefined => {
  const wrong = Object.entries(counts).find(([, n]) => !(Number.isSafeInteger(n) && n >= 1))
  if (wrong !== undefined)
    return new InvalidScale({ option: wrong[0], given: String(wrong[1]), expected: "a whole number of 1 or more" })
  return tolerance > 0 && tolerance < 1
    ? undefined
    : new InvalidScale({ option: "tolerance", given: String(tolerance), expected: "a share between 0 and 1" })
}

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

const repeats = (stages: ReadonlyArray<Architecture.Stage>) => stages.reduce((sum, stage) => sum + stage.repeats, 0)

/** What a network became, over the baseline. */
export const factorsOf = (
  { image, stages }: Architecture.Architecture,
  baseline: Architecture.Architecture
): Member["factors"] => {
  return {
    depth: repeats(stages) / repeats(baseline.stages),
    width: Math.exp(mean(stages.map(({ channels }, i) => Math.log(channels / baseline.stages[i].channels)))),
    resolution: Math.sqrt((image.height * image.width) / (baseline.image.height * baseline.image.width))
  }
}

const memberOf = (
  { architecture: baseline, sets }: Baseline,
  made: { readonly architecture: Architecture.Architecture; readonly phi: number; readonly target: number },
  effective: number
): Scaled =>
  Result.map(costsOf(made.architecture, sets), (costs) => ({
    ...made,
    costs,
    effective,
    factors: factorsOf(made.architecture, baseline)
  }))

/** The member at φ, nothing being smaller than in `least`. */
const next = (baseline: Baseline, least: Architecture.Architecture, phi: number): Scaled => {
  const { architecture, costs, macs, quantities, sets, tolerance } = baseline
  const target = costs.macs * 2 ** phi
  if (phi === 0) return memberOf(baseline, { architecture, phi, target }, 0)
  const floor = Q.sizesOf(least)
  const costAt = (t: number) => Ray.cost(quantities, macs, floor, t)
  const end = Ray.end(quantities)
  const t = Ray.length(costAt, target, end.t)
  if (t === undefined)
    return Result.fail(
      new LimitReached({
        phi,
        target,
        bound: end.quantity?.bound ?? "image",
        at: end.quantity?.part ?? "image",
        limit: end.quantity?.limit ?? 0,
        reached: costAt(end.t)
      })
    )
  const problem: Rounding.Problem = { quantities, macs, least: floor, t, target, tolerance }
  const macsOf = (sizes: Q.Sizes) =>
    Result.match(costsOf(Q.apply(architecture, sizes), sets), {
      onSuccess: (found): number | undefined => found.macs,
      onFailure: () => undefined
    })
  const found = Rounding.best(problem, macsOf)
  return Rounding.isWithin(problem, found.macs)
    ? memberOf(baseline, { architecture: Q.apply(architecture, found.sizes), phi, target }, t)
    : Result.fail(
        new StepsTooCoarse({
          phi,
          target,
          tolerance,
          nearest: Q.apply(architecture, found.sizes),
          nearestMacs: found.macs,
          ...Rounding.finestStep(problem, found, macsOf)
        })
      )
}

/** The members at whole φ below, whose sizes are the least of those above; those that the steps are too coarse for are passed over. */
const climb = (baseline: Baseline, phis: ReadonlyArray<number>): Result.Result<ReadonlyArray<Member>, ScaleError> =>
  Result.gen(function* () {
    const members: Array<Member> = []
    let least = baseline.architecture
    let whole = 1
    const reach = function* (phi: number) {
      const member = yield* next(baseline, least, phi)
      least = member.architecture
      return member
    }
    for (const phi of phis) {
      for (; whole < phi; whole++) {
        const between = next(baseline, least, whole)
        if (Result.isSuccess(between)) least = between.success.architecture
        else if (between.failure._tag !== "StepsTooCoarse") return yield* Result.fail(between.failure)
      }
      members.push(yield* reach(phi))
      if (whole === phi) whole++
    }
    return members
  })

const invalidPhi = (phi: number) =>
  new InvalidScale({ option: "φ", given: String(phi), expected: "a number of 0 or more" })

/**
 * The baseline's family at these φ (0 or more, in any order): every member is at least as deep, wide and large as those below it.
 *
 * Fails with `LimitReached`, `StepsTooCoarse`, `InvalidScale`, or an `ArchitectureError` of the baseline.
 *
 * @example
 * Compound.family(UniNet.B0, [1, 2, 3], { coefficients: Coefficients.efficientNet })
 */
export const family = (
  architecture: Architecture.Architecture,
  phis: ReadonlyArray<number>,
  options: Options
): Result.Result<ReadonlyArray<Member>, ScaleError> => {
  const wrong = phis.find((phi) => !(Number.isFinite(phi) && phi >= 0))
  if (wrong !== undefined) return Result.fail(invalidPhi(wrong))
  const ascending = [...new Set(phis)].sort((a, b) => a - b)
  return Result.flatMap(baselineOf(architecture, options), (baseline) => climb(baseline, ascending))
}

/** The member at one φ; the same as in the family of the whole numbers up to it. */
export const member = (architecture: Architecture.Architecture, phi: number, options: Options): Scaled =>
  Result.map(family(architecture, [phi], options), ([only]) => only)

/** The member with so many multiply-accumulates for one image: that at φ = log₂(macs / the baseline's). */
export const toMacs = (architecture: Architecture.Architecture, macs: number, options: Options): Scaled =>
  Result.gen(function* () {
    const baseline = (yield* costsOf(architecture, options.sets ?? Network.standard)).macs
    if (!(macs >= baseline)) return yield* Result.fail(new TargetBelowBaseline({ target: macs, baseline }))
    return yield* member(architecture, Math.log2(macs / baseline), options)
  })

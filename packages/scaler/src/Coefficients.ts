/**
 * The coefficients of compound scaling (Tan & Le 2019, "EfficientNet", section 3.3): how much deeper, wider and larger a network becomes when φ grows by one.
 *
 * The cost of a convolution grows with the depth, the square of the width and the square of the image's edge; α·β²·γ² = 2 makes φ the
 * binary logarithm of the cost.
 *
 * @example
 * ```ts
 * import { Coefficients } from "@uninet/scaler"
 *
 * const wanted = Coefficients.balanced({ depth: 1.3, width: 1.1, resolution: 1.1 })
 * console.log(Coefficients.print(wanted), Coefficients.product(wanted).toFixed(3), Coefficients.check(wanted)._tag) // … 2.000 Success
 * ```
 */
import { Elementary } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { UnbalancedCoefficients } from "./ScaleError.ts"

const Factor = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(1))

/** α, β and γ, each 1 or more. */
export const Coefficients = Schema.Struct({
  /** α: number of repeats at φ = 1 relative to the baseline. */
  depth: Factor,
  /** β: the same for channels. */
  width: Factor,
  /** γ: the same for the image's edge. */
  resolution: Factor
})
export type Coefficients = typeof Coefficients.Type

/** EfficientNet's coefficients, found at its B0: α·β²·γ² = 1.92. UniNet's own are not published. */
export const efficientNet: Coefficients = { depth: 1.2, width: 1.1, resolution: 1.15 }

/** How far α·β²·γ² may be from 2, relative to 2. */
export const tolerance = 0.05

/** α·β²·γ². */
export const product = ({ depth, resolution, width }: Coefficients): number =>
  depth * (width * width) * (resolution * resolution)

/** The coefficients in the same proportion (of their logarithms) with α·β²·γ² = 2. If all are 1, they stay 1. */
export const balanced = (coefficients: Coefficients): Coefficients => {
  const growth = Elementary.log2(product(coefficients))
  if (growth === 0) return coefficients
  const { depth, resolution, width } = coefficients
  return {
    depth: Elementary.pow(depth, 1 / growth),
    width: Elementary.pow(width, 1 / growth),
    resolution: Elementary.pow(resolution, 1 / growth)
  }
}

/** The coefficients, if each is 1 or more and α·β²·γ² is within 5% of 2. */
export const check = (coefficients: Coefficients): Result.Result<Coefficients, UnbalancedCoefficients> =>
  Schema.is(Coefficients)(coefficients) && Math.abs(product(coefficients) / 2 - 1) <= tolerance
    ? Result.succeed(coefficients)
    : Result.fail(new UnbalancedCoefficients({ ...coefficients, product: product(coefficients) }))

/** The candidate values of a grid. */
export interface Grid {
  readonly depth: ReadonlyArray<number>
  readonly width: ReadonlyArray<number>
}

/** A small grid, our choice: every mix from depth alone to resolution alone, in coarse steps. */
export const defaultGrid: Grid = { depth: [1, 1.15, 1.3, 1.5, 2], width: [1, 1.1, 1.2, 1.3, 1.4] }

/** Rounds to three decimal places. */
const places = (x: number) => Math.round(1000 * x) / 1000

/**
 * All coefficients with these depths and widths and the resolution that makes α·β²·γ² = 2, to three decimal places; those that would shrink the
 * image are left out. Without `resolution` (images of one size), the width is chosen to make α·β² = 2.
 */
export const grid = (
  { depth, width }: Grid = defaultGrid,
  { resolution = true }: { readonly resolution?: boolean } = {}
): ReadonlyArray<Coefficients> => {
  const all = resolution
    ? depth.flatMap((a) => width.map((b) => ({ depth: a, width: b, resolution: places(Math.sqrt(2 / a) / b) })))
    : depth.map((a) => ({ depth: a, width: places(Math.sqrt(2 / a)), resolution: 1 }))
  return all.filter((each) => Result.isSuccess(check(each)))
}

/** `α 1.20, β 1.10, γ 1.15`. */
export const print = ({ depth, resolution, width }: Coefficients): string =>
  `α ${depth.toFixed(2)}, β ${width.toFixed(2)}, γ ${resolution.toFixed(2)}`

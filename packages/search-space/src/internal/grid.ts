/**
 * The real numbers of a range as tokens: a grid that is evenly spaced in the numbers themselves or in their logarithms.
 *
 * A token stands for the number with the fewest decimal digits that is nearer to its grid point than to any other. So numbers that people write (0.001) come back as
 * written, JSON is short, and the number of a token maps back to that token.
 */
import * as Result from "effect/Result"
import { exp, ln } from "./elementary.ts"

export type Scale = "linear" | "logarithmic"

export interface Grid {
  /** The number of points, both ends included. */
  readonly count: number
  readonly value: (token: number) => number
  /** The token nearest to a number in the range; undefined for anything else. */
  readonly tokenOf: (value: unknown) => number | undefined
}

/** The number of steps in a grid, and the fewest that are accepted if doubles are too coarse for that many. */
const finest = 2 ** 30
const coarsest = 2 ** 10

const epsilon = 2 ** -52

const fault = (problem: string, remedy: string) => Result.fail({ problem, remedy })

export const make = (
  scale: Scale,
  { max, min }: { readonly min: number; readonly max: number }
): Result.Result<Grid, { readonly problem: string; readonly remedy: string }> => {
  const range = `the range ${min} … ${max}`
  if (!(Number.isFinite(min) && Number.isFinite(max)))
    return fault(`${range} has a bound that is not a finite number`, "Use finite numbers")
  if (min === max) return fault(`${range} holds only one number`, "Use Choice.constant, or a max above min")
  if (min > max) return fault(`${range} is empty`, "Use a max above min")
  const logarithmic = scale === "logarithmic"
  if (logarithmic && min <= 0)
    return fault(`${range} is logarithmic but starts at ${min}`, "Use a min above 0, or Choice.uniform")
  if (logarithmic && min < 2 ** -1022)
    return fault(`${range} starts below the smallest normal double`, "Use a min of 1e-307 or more")
  const [low, high] = logarithmic ? [ln(min), ln(max)] : [min, max]
  const span = high - low
  if (!Number.isFinite(span)) return fault(`${range} is wider than the largest double`, "Use bounds closer to 0")
  // each step must contain many doubles, so that rounding never moves a number to another step
  const resolution = 16 * epsilon * Math.max(Math.abs(low), Math.abs(high), logarithmic ? 1 : 0)
  let steps = finest
  while (steps >= coarsest && span / steps < resolution) steps /= 2
  if (steps < coarsest) {
    return fault(
      `${range} is too narrow for doubles to tell its numbers apart`,
      "Search for the offset from a fixed number instead"
    )
  }
  const tokenOf = (value: unknown) =>
    typeof value === "number" && value >= min && value <= max
      ? Math.round((((logarithmic ? ln(value) : value) - low) / span) * steps)
      : undefined
  const value = (token: number): number => {
    if (token === 0) return min + 0 // no negative zero: JSON does not have one
    if (token === steps) return max + 0
    const point = low + span * (token / steps)
    const centre = logarithmic ? exp(point) : point
    // more digits never lead farther away, so bisect for the fewest digits that lead here
    let [fewest, enough] = [1, 17]
    while (fewest < enough) {
      const digits = (fewest + enough) >>> 1
      if (tokenOf(Number(centre.toPrecision(digits))) === token) enough = digits
      else fewest = digits + 1
    }
    return Number(centre.toPrecision(enough)) + 0
  }
  return Result.succeed({ count: steps + 1, value, tokenOf })
}

/** A number as people write it: `1e-4`, `0.1`, `1000`. */
export const show = (n: number): string => {
  const [plain, scientific] = [String(n), n.toExponential()]
  return Math.abs(n) < 1 && scientific.length < plain.length ? scientific : plain
}

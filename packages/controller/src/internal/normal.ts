/** The normal distribution, and normal scores of ranks. */
import { Elementary } from "@uninet/search-space"

/** Φ(x), by a rational approximation of the error function (Abramowitz & Stegun 7.1.26, error below 1.5·10⁻⁷). */
export const cdf = (x: number): number => {
  const z = Math.abs(x) / Math.SQRT2
  const t = 1 / (1 + 0.3275911 * z)
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  const tail = 0.5 * poly * Elementary.exp(-z * z)
  return x < 0 ? tail : 1 - tail
}

export const density = (x: number): number => Elementary.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI)

/** The expected improvement over `best` of a normally distributed result. */
export const improvement = (mean: number, deviation: number, best: number): number => {
  const z = (mean - best) / deviation
  return deviation * (z * cdf(z) + density(z))
}

/** a(r) / (b(r)·r + 1) for polynomials given by their coefficients, highest degree first. */
const rational = (r: number, a: ReadonlyArray<number>, b: ReadonlyArray<number>) => {
  let n = 0
  let d = 0
  for (const c of a) n = n * r + c
  for (const c of b) d = d * r + c
  return n / (d * r + 1)
}

/** Φ⁻¹(p) for 0 < p < 1 (Acklam's rational approximation, relative error below 1.2·10⁻⁹). */
export const quantile = (p: number): number => {
  if (p > 0.5) return -quantile(1 - p)
  if (p < 0.02425) return rational(Math.sqrt(-2 * Elementary.log(p)), tailTop, tailBottom)
  const q = p - 0.5
  return q * rational(q * q, top, bottom)
}

const top = [
  -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2, -3.066479806614716e1,
  2.506628277459239
]
const bottom = [
  -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1, -1.328068155288572e1
]
const tailTop = [
  -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783
]
const tailBottom = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416]

/**
 * Normal scores: the value of rank r of n becomes Φ⁻¹((r − ½) / n), with r = 1 for the smallest; ties share their mean rank. They make a method
 * insensitive to the scale of the rewards and to outliers.
 */
export const scores = (values: ArrayLike<number>): Float64Array => {
  const n = values.length
  /** The positions of each value among the sorted ones, from 0. */
  const places = new Map<number, { readonly first: number; last: number }>()
  for (const [i, value] of Float64Array.from(values).sort().entries()) {
    const known = places.get(value)
    if (known === undefined) places.set(value, { first: i, last: i })
    else known.last = i
  }
  const scored = new Map(
    Array.from(places, ([value, { first, last }]) => [value, quantile((first + last + 1) / 2 / n)] as const)
  )
  return Float64Array.from(values, (value) => scored.get(value) ?? Number.NaN)
}

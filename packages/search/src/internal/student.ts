/** How far out a bootstrap's percentiles have to be taken when there are few values. */
import { Elementary } from "@uninet/search-space"

/** Φ(−x) for x > 0, by the continued fraction of Mills' ratio far out and by integration near 0. */
const upper = (x: number): number => {
  const density = Elementary.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
  if (x > 3) {
    let ratio = x
    for (let k = 40; k >= 1; k--) ratio = x + k / ratio
    return density / ratio
  }
  return 0.5 - simpson((u) => Elementary.exp((-u * u) / 2) / Math.sqrt(2 * Math.PI), x)
}

const simpson = (of: (u: number) => number, to: number, parts = 400): number => {
  const step = to / parts
  let sum = of(0) + of(to)
  for (let i = 1; i < parts; i++) sum += (i % 2 === 1 ? 4 : 2) * of(i * step)
  return (sum * step) / 3
}

/** The constant of Student's density: Γ((ν + 1) / 2) / (√(νπ) Γ(ν / 2)), from those of ν = 1 and 2 by steps of 2. */
const constant = (freedom: number): number => {
  let [c, nu] = freedom % 2 === 1 ? [1 / Math.PI, 1] : [1 / Math.sqrt(8), 2]
  for (; nu < freedom; nu += 2) c *= ((nu + 1) / nu) * Math.sqrt(nu / (nu + 2))
  return c
}

/** The t beyond which Student's distribution has `tail`. */
export const quantile = (freedom: number, tail: number): number => {
  const c = constant(freedom)
  const beyond = (t: number) =>
    0.5 - simpson((u) => c * Elementary.exp((-(freedom + 1) / 2) * Elementary.log1p((u * u) / freedom)), t, 2000)
  let [low, high] = [0, 1]
  while (beyond(high) > tail && high < 1e4) high *= 2
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (beyond(middle) > tail) low = middle
    else high = middle
  }
  return (low + high) / 2
}

const known = new Map<string, number>()

/** The tail of a percentile bootstrap with `count` values that corresponds to `tail` with many values. */
export const expandedTail = (count: number, tail: number): number => {
  const key = `${count}/${tail}`
  const found = known.get(key) ?? upper(Math.sqrt(count / (count - 1)) * quantile(Math.min(count - 1, 1000), tail))
  known.set(key, found)
  return found
}

/** The probability of a value at least as far from 0 as ±t, for integer degrees of freedom (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4). */
export const beyond = (freedom: number, t: number): number => {
  const [sine, cosine] = [t / Math.sqrt(freedom + t * t), Math.sqrt(freedom / (freedom + t * t))]
  const isOdd = freedom % 2 === 1
  // 1, cos² · 1/2, cos⁴ · 1·3 / 2·4, …; for odd ones cos, cos³ · 2/3, …
  let [term, sum] = [isOdd ? cosine : 1, 0]
  for (let power = isOdd ? 1 : 0; power <= freedom - 2; power += 2) {
    sum += term
    term *= (cosine * cosine * (power + 1)) / (power + 2)
  }
  const within = isOdd ? (2 / Math.PI) * (angle(t / Math.sqrt(freedom)) + sine * sum) : sine * sum
  return Math.min(1, Math.max(0, 1 - within))
}

/** The arc tangent of x ≥ 0: halved until its series is short. */
const angle = (x: number): number => {
  if (x > 0.1) return 2 * angle(x / (1 + Math.sqrt(1 + x * x)))
  let sum = 0
  for (let k = 15; k >= 0; k--) sum = 1 / (2 * k + 1) - x * x * sum
  return x * sum
}

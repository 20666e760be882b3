/** Chi-squared tests, by the Wilson-Hilferty approximation of the distribution (accurate to a few per cent from 3 degrees of freedom up). */

/** The statistic of counts that should be equal to `expected` (one number for all, or one for each). */
export const chiSquared = (counts: ReadonlyArray<number>, expected: number | ReadonlyArray<number>): number =>
  counts.reduce((sum, n, i) => {
    const e = typeof expected === "number" ? expected : expected[i]!
    return sum + (n - e) ** 2 / e
  }, 0)

/** The statistic of two samples' counts in the same cells: are they drawn from the same distribution? */
export const chiSquaredOfTwo = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const [m, n] = [a.reduce((x, y) => x + y, 0), b.reduce((x, y) => x + y, 0)]
  return a.reduce((sum, x, i) => {
    const both = x + b[i]!
    return both === 0 ? sum : sum + (Math.sqrt(n / m) * x - Math.sqrt(m / n) * b[i]!) ** 2 / both
  }, 0)
}

/** The value that the statistic exceeds in about one of 100,000 samples from the right distribution. */
export const limit = (degrees: number): number => {
  const z = 4.265
  return degrees * (1 - 2 / (9 * degrees) + z * Math.sqrt(2 / (9 * degrees))) ** 3
}

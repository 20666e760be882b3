/**
 * Logarithm and exponential function from operations that IEEE 754 rounds exactly, so that they give bit-identical results on every machine;
 * `Math.log` and `Math.exp` may differ between engines. Older than `Elementary`, whose results differ in the last place: generators and grids keep using these because every recorded run depends on them.
 */
const view = new DataView(new ArrayBuffer(8))

/** The natural logarithm of a positive normal number, from exactly rounded operations only (so the same everywhere). */
export const ln = (x: number): number => {
  view.setFloat64(0, x)
  const top = view.getUint32(0)
  let exponent = ((top >>> 20) & 0x7ff) - 1023
  view.setUint32(0, (top & 0x000fffff) | 0x3ff00000)
  let mantissa = view.getFloat64(0)
  if (mantissa > Math.SQRT2) {
    mantissa /= 2
    exponent += 1
  }
  // ln m = 2 artanh((m - 1) / (m + 1)); |s| <= 0.172, so 11 terms reach the last bit. Unrolled, because a loop would divide for each term.
  const s = (mantissa - 1) / (mantissa + 1)
  const square = s * s
  let sum = 1 / 21
  sum = sum * square + 1 / 19
  sum = sum * square + 1 / 17
  sum = sum * square + 1 / 15
  sum = sum * square + 1 / 13
  sum = sum * square + 1 / 11
  sum = sum * square + 1 / 9
  sum = sum * square + 1 / 7
  sum = sum * square + 1 / 5
  sum = sum * square + 1 / 3
  sum = sum * square + 1
  return 2 * s * sum + exponent * Math.LN2
}

/** ln 2 in two parts; the first has so few bits that its products with small integers are exact. */
const ln2High = 0.6931471803691238
const ln2Low = 1.9082149292705877e-10

/** e to the power x, for results that are normal numbers. */
export const exp = (x: number): number => {
  const exponent = Math.round(x / Math.LN2)
  const r = x - exponent * ln2High - exponent * ln2Low
  // |r| <= 0.35, so 14 terms reach the last bit
  let sum = 1
  for (let k = 14; k >= 1; k--) sum = 1 + (sum * r) / k
  view.setUint32(0, (exponent + 1023) << 20)
  view.setUint32(4, 0)
  return sum * view.getFloat64(0)
}

/**
 * Exponentials, logarithms, powers, sine and cosine that give bit-identical results in every JavaScript engine and on every processor.
 *
 * ECMAScript leaves the last digits of `Math.exp`, `Math.log`, `Math.sin`, `Math.pow` and `**` to the engine, so results that must be reproducible elsewhere cannot use
 * them. The functions here use only additions, products, quotients and square roots of doubles, which IEEE 754 rounds exactly, with the methods and coefficients of Sun's fdlibm
 * (K. C. Ng, "Freely Distributable LIBM", 1993: argument reduction by parts of ln 2 and π/2, then a minimax polynomial). V8 follows fdlibm too: its results are the same, bit for bit (tests compare them).
 *
 * All errors are below one unit in the last place, and special values (±0, ±∞, NaN, subnormal numbers) are treated as in `Math`.
 */
const view = new DataView(new ArrayBuffer(8))

/** The upper half of a number's bits: the sign, the exponent and the first twenty bits of the fraction. */
const upper = (x: number): number => {
  view.setFloat64(0, x)
  return view.getInt32(0)
}

/** The number with its upper half replaced. */
const withUpper = (x: number, word: number): number => {
  view.setFloat64(0, x)
  view.setInt32(0, word)
  return view.getFloat64(0)
}

/** The number with this upper half and a lower half of 32 zero bits. */
const ofUpper = (word: number): number => {
  view.setInt32(0, word)
  view.setInt32(4, 0)
  return view.getFloat64(0)
}

/** The number with the lower half of its bits cleared: products of two such numbers are exact, or nearly so. */
const cut = (x: number): number => ofUpper(upper(x))

/** 2ᵏ for −1022 ≤ k ≤ 1023. */
const powerOfTwo = (k: number): number => ofUpper((k + 1023) << 20)

/** y · 2ᵏ for y about 1, rounded only once if the result is subnormal. */
const scaled = (y: number, k: number): number =>
  k > 1023 ? y * 2 * powerOfTwo(k - 1) : k >= -1021 ? y * powerOfTwo(k) : y * powerOfTwo(k + 1000) * powerOfTwo(-1000)

/** ln 2 in two parts; the first has so few bits that its products with small integers are exact. */
const ln2High = 0.693_147_180_369_123_8
const ln2Low = 1.908_214_929_270_587_7e-10

/** r − t·P(t) with t = r², for |r| ≤ ½ ln 2, where 2 + t·P(t) approximates r·coth(r/2). */
const remez = (r: number): number => {
  const t = r * r
  const p3 = 6.613_756_321_437_934e-5 + t * (-1.653_390_220_546_525_2e-6 + t * 4.138_136_797_057_238_5e-8)
  return r - t * (0.166_666_666_666_666_02 + t * (-0.002_777_777_777_701_559_3 + t * p3))
}

/**
 * eˣ.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.exp(1)) // 2.718281828459045
 * ```
 */
export const exp = (x: number): number => {
  if (Number.isNaN(x)) return x
  if (x > 709.782_712_893_384) return Infinity
  if (x < -745.133_219_101_941_1) return 0
  const size = upper(x) & 0x7fffffff
  if (size < 0x3e300000) return 1 + x // |x| < 2⁻²⁸
  if (size <= 0x3fd62e42) {
    const c = remez(x)
    return 1 - ((x * c) / (c - 2) - x)
  }
  if (x === 1) return Math.E
  const sign = x < 0 ? -1 : 1
  // |x| < 1.5 ln 2: subtract ln 2 once
  const k = size < 0x3ff0a2b2 ? sign : Math.trunc(Math.LOG2E * x + 0.5 * sign)
  const [high, low] = [x - k * ln2High, k * ln2Low]
  const r = high - low
  const c = remez(r)
  return scaled(1 - (low - (r * c) / (2 - c) - high), k)
}

/** (ln(1 + f) − (f − f²/2)) / s − f²/2 with s = f / (2 + f): a polynomial in z = s², with its odd and even powers summed separately. */
const atanhRest = (z: number): number => {
  const w = z * z
  const odd = w * (0.399_999_999_994_094_2 + w * (0.222_221_984_321_497_84 + w * 0.153_138_376_992_093_73))
  const p = 0.285_714_287_436_623_9 + w * (0.181_835_721_616_180_5 + w * 0.147_981_986_051_165_86)
  return z * (0.666_666_666_666_673_5 + w * p) + odd
}

/** Added to the upper half of a mantissa, it carries those above √2 into the next power of two. */
const aboveRoot = 0x95f64

/** A positive number as 2ᵏ · m, with m between √½ and √2. */
const parted = (x: number): { readonly k: number; readonly m: number; readonly fraction: number } => {
  const small = upper(x) < 0x00100000
  const y = small ? x * 18_014_398_509_481_984 : x
  const word = upper(y)
  const fraction = word & 0xfffff
  const carry = (fraction + aboveRoot) & 0x100000
  return {
    k: (word >> 20) - 1023 + (carry >> 20) - (small ? 54 : 0),
    m: withUpper(y, fraction | (carry ^ 0x3ff00000)),
    fraction
  }
}

/** The logarithm of 0, negative numbers, Infinity and NaN; `undefined` for positive finite numbers. */
const unbounded = (x: number): number | undefined =>
  x > 0 && x < Infinity ? undefined : x === 0 ? -Infinity : x > 0 ? Infinity : Number.NaN

/**
 * The natural logarithm: −∞ for 0, NaN for negative numbers.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.log(10)) // 2.302585092994046
 * ```
 */
export const log = (x: number): number => {
  const special = unbounded(x)
  if (special !== undefined) return special
  const { fraction, k, m } = parted(x)
  const f = m - 1
  if (((fraction + 2) & 0xfffff) < 3) {
    // |f| < 2⁻²⁰
    if (f === 0) return k * ln2High + k * ln2Low
    const rest = f * f * (0.5 - (1 / 3) * f)
    return k === 0 ? f - rest : k * ln2High - (rest - k * ln2Low - f)
  }
  const s = f / (2 + f)
  const rest = atanhRest(s * s)
  // f far from 0: f²/2 is subtracted separately
  if (((fraction - 0x6147a) | (0x6b851 - fraction)) > 0) {
    const half = 0.5 * f * f
    return k === 0 ? f - (half - s * (half + rest)) : k * ln2High - (half - (s * (half + rest) + k * ln2Low) - f)
  }
  return k === 0 ? f - s * (f - rest) : k * ln2High - (s * (f - rest) - k * ln2Low - f)
}

/**
 * The base-2 logarithm; exact for powers of two.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.log2(1024)) // 10
 * ```
 */
export const log2 = (x: number): number => {
  const special = unbounded(x)
  if (special !== undefined) return special
  const { k, m } = parted(x)
  const f = m - 1
  const half = 0.5 * f * f
  const s = f / (2 + f)
  const rest = s * (half + atanhRest(s * s))
  // ln m and 1 / ln 2, each in two parts
  const high = cut(f - half)
  const low = f - high - half + rest
  const top = high * 1.442_695_040_721_446_3
  const sum = k + top
  return k - sum + top + ((low + high) * 1.675_171_316_488_651_2e-10 + low * 1.442_695_040_721_446_3) + sum
}

/**
 * ln(1 + x), accurate to the last place even for x near 0.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.log1p(1e-10)) // 9.9999999995e-11
 * ```
 */
export const log1p = (x: number): number => {
  if (!(x > -1 && x < Infinity)) return unbounded(1 + x) ?? Number.NaN
  const size = upper(x) & 0x7fffffff
  if (size < 0x3c900000) return x // |x| < 2⁻⁵⁴
  if (size < 0x3e200000) return x - x * x * 0.5 // |x| < 2⁻²⁹
  const near = x < 0 ? size <= 0x3fd2bec3 : size < 0x3fda827a // 1 + x between √½ and √2
  const u = 1 + x
  const sum = upper(x) < 0x43400000 ? u : x
  const word = upper(sum)
  const fraction = word & 0xfffff
  const beyond = fraction >= 0x6a09e
  const k = near ? 0 : (word >> 20) - 1023 + (beyond ? 1 : 0)
  const f = near ? x : withUpper(sum, fraction | (beyond ? 0x3fe00000 : 0x3ff00000)) - 1
  // what rounding 1 + x lost
  const lost = near || sum === x ? 0 : ((word >> 20) - 1023 > 0 ? 1 - (u - x) : x - (u - 1)) / u
  const low = k * ln2Low + lost
  const half = 0.5 * f * f
  const tiny = !near && (beyond ? (0x100000 - fraction) >> 2 : fraction) === 0
  if (tiny) {
    if (f === 0) return k * ln2High + low
    const rest = half * (1 - (2 / 3) * f)
    return k === 0 ? f - rest : k * ln2High - (rest - low - f)
  }
  const s = f / (2 + f)
  const z = s * s
  const p4 =
    0.222_221_984_321_497_84 +
    z * (0.181_835_721_616_180_5 + z * (0.153_138_376_992_093_73 + z * 0.147_981_986_051_165_86))
  const rest = z * (0.666_666_666_666_673_5 + z * (0.399_999_999_994_094_2 + z * (0.285_714_287_436_623_9 + z * p4)))
  return k === 0 ? f - (half - s * (half + rest)) : k * ln2High - (half - (s * (half + rest) + low) - f)
}

/** arctan(1/n) · 2¹⁴⁰⁰. */
const arctan = (n: bigint): bigint => {
  let [power, sum, sign] = [(1n << 1400n) / n, 0n, 1n]
  for (let k = 1n; power > 0n; k += 2n) {
    sum += (sign * power) / k
    power /= n * n
    sign = -sign
  }
  return sum
}

/** π · 2¹³⁰⁰ by Machin's formula, computed when first needed. */
let pi: bigint | undefined

/** The remainder of a number after subtracting a multiple of π/2, in two parts, and that multiple modulo four. */
interface Reduced {
  readonly quadrant: number
  readonly high: number
  readonly low: number
}

/** For numbers so large that the remainder needs hundreds of digits of π. */
const reducedLarge = (x: number): Reduced => {
  pi ??= (16n * arctan(5n) - 4n * arctan(239n)) >> 100n
  // a fractional part is no finer than 2⁻³³ here
  const whole = x < 2 ** 53 ? BigInt(x * 2 ** 40) << 1260n : BigInt(x) << 1300n
  const quarter = pi >> 1n
  const n = (2n * whole + quarter) / (2n * quarter)
  // in units of 2⁻¹⁰⁰⁰, so that the number of units fits in a double
  const rest = (whole - n * quarter) >> 300n
  const high = Number(rest)
  const unit = powerOfTwo(-1000)
  return { quadrant: Number(n & 3n), high: high * unit, low: Number(rest - BigInt(high)) * unit }
}

const reducedSmall = (x: number): Reduced => {
  const n = Math.trunc(x * 0.636_619_772_367_581_4 + 0.5)
  // π/2 in parts of 33 bits, and the remainder after the last of them
  const first = x - n * 1.570_796_326_734_125_6
  const low2 = n * 6.077_100_506_303_966e-11
  const second = first - low2
  const low3 = n * 2.022_266_248_795_950_6e-21 - (first - second - low2)
  const third = second - low3
  return { quadrant: n & 3, high: third, low: second - third - low3 }
}

/** The sine of high + low, between −π/4 and π/4. */
const sine = (x: number, low: number): number => {
  const z = x * x
  const v = z * x
  const p = 2.755_731_370_707_006_8e-6 + z * (-2.505_076_025_340_686_3e-8 + z * 1.589_690_995_211_55e-10)
  const r = 0.008_333_333_333_322_49 + z * (-1.984_126_982_985_795e-4 + z * p)
  return low === 0
    ? x + v * (-0.166_666_666_666_666_32 + z * r)
    : x - (z * (0.5 * low - v * r) - low - v * -0.166_666_666_666_666_32)
}

/** The cosine of high + low, between −π/4 and π/4. */
const cosine = (x: number, low: number): number => {
  const z = x * x
  const p = -2.755_731_435_139_066_3e-7 + z * (2.087_572_321_298_175e-9 + z * -1.135_964_755_778_819_5e-11)
  const r = z * (0.041_666_666_666_666_6 + z * (-0.001_388_888_888_887_411 + z * (2.480_158_728_947_673e-5 + z * p)))
  const size = upper(x) & 0x7fffffff
  if (size < 0x3fd33333) return 1 - (0.5 * z - (z * r - x * low)) // |x| < 0.3
  // first subtract a value near x²/2 from 1 exactly
  const near = size > 0x3fe90000 ? 0.281_25 : ofUpper(size - 0x00200000)
  return 1 - near - (0.5 * z - near - (z * r - x * low))
}

/** Below this, reduction by parts of π/2 is exact: 2¹⁹ · π/2. */
const large = 823_549.664_582_643

const reduced = (size: number): Reduced =>
  size <= 0.785_398_163_397_448_3
    ? { quadrant: 0, high: size, low: 0 }
    : size < large
      ? reducedSmall(size)
      : reducedLarge(size)

/**
 * The sine of an angle in radians; NaN for ±∞.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.sin(Math.PI / 6)) // 0.49999999999999994
 * ```
 */
export const sin = (x: number): number => {
  if (!Number.isFinite(x)) return Number.NaN
  const size = Math.abs(x)
  if (size < powerOfTwo(-26)) return x
  const { high, low, quadrant } = reduced(size)
  const value = quadrant % 2 === 0 ? sine(high, low) : cosine(high, low)
  return x < 0 === quadrant >= 2 ? value : -value
}

/**
 * The cosine of an angle in radians; NaN for ±∞.
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.cos(Math.PI)) // -1
 * ```
 */
export const cos = (x: number): number => {
  if (!Number.isFinite(x)) return Number.NaN
  const { high, low, quadrant } = reduced(Math.abs(x))
  const value = quadrant % 2 === 0 ? cosine(high, low) : sine(high, low)
  return quadrant === 1 || quadrant === 2 ? -value : value
}

/** A number as the sum of two doubles, where the second holds the rounding error of the first: about a hundred bits. */
type Double = readonly [high: number, low: number]

/** The exact sum of two numbers, the larger first (Dekker 1971). */
const sumOf = (a: number, b: number): Double => {
  const high = a + b
  return [high, a - high + b]
}

/** The exact product of two numbers (Veltkamp and Dekker 1971). */
const productOf = (a: number, b: number): Double => {
  const high = a * b
  const aSplit = 134_217_729 * a
  const bSplit = 134_217_729 * b
  const aTop = aSplit - (aSplit - a)
  const bTop = bSplit - (bSplit - b)
  const [aRest, bRest] = [a - aTop, b - bTop]
  return [high, aRest * bRest - (high - aTop * bTop - aRest * bTop - aTop * bRest)]
}

const times = ([a, aLow]: Double, [b, bLow]: Double): Double => {
  const [high, low] = productOf(a, b)
  return sumOf(high, low + (a * bLow + aLow * b))
}

const over = ([a, aLow]: Double, [b, bLow]: Double): Double => {
  const first = a / b
  const [high, low] = productOf(first, b)
  return sumOf(first, (a - high - low + aLow - first * bLow) / b)
}

/** The sum of two numbers, the larger first. */
const plus = ([a, aLow]: Double, [b, bLow]: Double): Double => {
  const [high, low] = sumOf(a, b)
  return sumOf(high, low + (aLow + bLow))
}

const ln2: Double = [Math.LN2, 2.319_046_813_846_299_6e-17]

/** ln x for x > 0. */
const logDouble = (x: number): Double => {
  const { k, m } = parted(x)
  const s = over([m - 1, 0], sumOf(m + 1, m < 1 ? m - (m + 1 - 1) : 1 - (m + 1 - m)))
  const z = times(s, s)
  // 2 artanh s; its later terms are small enough for a single double
  let tail = 0
  for (let n = 41; n > 19; n -= 2) tail = tail * z[0] + 1 / n
  let sum: Double = [tail, 0]
  for (let n = 19; n > 0; n -= 2) sum = plus(over([1, 0], [n, 0]), times(z, sum))
  const whole = times(ln2, [k, 0])
  const rest = times([2 * s[0], 2 * s[1]], sum)
  return k === 0 ? rest : plus(whole, rest)
}

/** e to the power of x. */
const expDouble = (x: Double): number => {
  const k = Math.round(x[0] / Math.LN2)
  const [whole, wholeLow] = times(ln2, [-k, 0])
  const r = plus([x[0] + whole, 0], [x[1] + wholeLow, 0])
  let tail = 0
  for (let n = 22; n > 12; n--) tail = (1 + tail) * (r[0] / n)
  let sum: Double = [tail, 0]
  for (let n = 12; n > 0; n--) sum = times(plus([1, 0], sum), over(r, [n, 0]))
  const [high, low] = plus([1, 0], sum)
  return scaled(high + low, k)
}

/**
 * x to the power y, with the special cases of `**`: 1 to the power ±∞ is NaN, and so is a negative number to a power that is not an integer. Computed to a hundred bits, so the result is the nearest
 * double in all but one in a billion cases; powers that a double can represent are exact. (Since Node 24, V8 uses the C library's `pow`, whose bits depend on the processor; with glibc one result in a thousand differs.)
 *
 * @example
 * ```ts
 * import { Elementary } from "@uninet/search-space"
 *
 * console.log(Elementary.pow(2, 0.5)) // 1.4142135623730951
 * ```
 */
export const pow = (x: number, y: number): number => {
  if (y === 0) return 1
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.NaN
  // rounded exactly: a hundred bits might be just too few here
  if (y === -1) return 1 / x
  if (y === 0.5 && x > 0) return Math.sqrt(x)
  const size = Math.abs(x)
  const whole = Number.isInteger(y)
  const sign = whole && y % 2 !== 0 && (x < 0 || Object.is(x, -0)) ? -1 : 1
  if (size === 1 && !Number.isFinite(y)) return Number.NaN
  // beyond 2⁶⁵, even powers of the doubles next to 1 overflow or underflow
  const extreme = size === 0 || size === Infinity || Math.abs(y) > 2 ** 65
  if (extreme && size !== 1) return size > 1 === y > 0 ? sign * Infinity : sign * 0
  if (x < 0 && !whole) return Number.NaN
  if (size === 1) return sign
  const log = logDouble(size)
  const power = log[0] * y
  if (power > 710) return sign * Infinity
  if (power < -746) return sign * 0
  return sign * expDouble(times(log, [y, 0]))
}

/**
 * Functions that no CPU provides, made from those that all provide: they give the same bits everywhere. Each is written for 32-bit floats. Errors are relative to
 * the value, and were measured over the whole range against float64.
 */
import {
  add,
  binary,
  div,
  type Expression,
  madd,
  mul,
  nmadd,
  number,
  select,
  shift,
  sub,
  unary,
  word
} from "./Expression.ts"

const max = (x: Expression, y: Expression) => binary("pseudoMax", x, y)
const min = (x: Expression, y: Expression) => binary("pseudoMin", x, y)

/** `low ≤ x ≤ high`; NaN stays NaN. */
const clamp = (x: Expression, low: number, high: number) => min(max(x, number(low)), number(high))

type Coefficients = readonly [number, ...ReadonlyArray<number>]

/** Σ cᵢ·xⁱ, with the coefficient of the highest power first. */
const polynomial = (x: Expression, [first, ...rest]: Coefficients): Expression =>
  rest.reduce<Expression>((sum, c) => madd(sum, x, number(c)), number(first))

/** 1.5 · 2²³: adding it leaves a number, rounded to an integer, in the lowest bits of a float. */
const magic = 12_582_912

/** e to the power of the remainder of x after subtracting a multiple n of ln 2, and the float whose lowest bits are n. */
const reduced = (x: Expression) => {
  const shifted = madd(x, number(Math.LOG2E), number(magic))
  const n = sub(shifted, number(magic))
  // ln 2 in two parts: the first has few bits, so that n times it is exact.
  const r = nmadd(n, number(-2.121_944_4e-4), nmadd(n, number(0.693_359_375), x))
  const p = polynomial(
    r,
    [
      1.987_569_15e-4, 1.398_199_950_7e-3, 8.333_451_907_3e-3, 4.166_579_589_4e-2, 1.666_666_545_9e-1,
      5.000_000_120_1e-1
    ]
  )
  return { power: add(madd(mul(r, r), p, r), number(1)), n: shifted }
}

/** eˣ for x ≤ 0: the same bits as `exp` in fewer instructions. */
export const expOfNegative = (x: Expression): Expression => {
  const { n, power } = reduced(max(x, number(-105)))
  // 2ⁿ may be too small for a float, but 2ⁿ⁺³² is not. The bits above n are shifted out.
  const lifted = shift(binary("addWords", n, word(127 + 32)), 23)
  return mul(mul(power, lifted), number(2 ** -32))
}

/** 2ᵏ for an integer k, as a word. */
const powerOfTwo = (k: Expression) => shift(binary("addWords", k, word(127)), 23)

/** eˣ with a relative error up to 2e-7; infinite above 88.7 and zero below −104. */
export const exp = (x: Expression): Expression => {
  const { n, power } = reduced(clamp(x, -105, 90))
  // As a product of two powers of two, each of which fits into a float even if the product does not.
  const whole = binary("subWords", n, word(0x4b400000))
  const half = shift(whole, -1)
  return mul(mul(power, powerOfTwo(half)), powerOfTwo(binary("subWords", whole, half)))
}

/** ln x with a relative error up to 2e-7; −∞ for 0, NaN below. */
export const log = (x: Expression): Expression => {
  // Subnormal numbers, which lack a full mantissa, are scaled up first.
  const small = binary("less", x, number(1.175_494_35e-38))
  const y = select(small, mul(x, number(8_388_608)), x)
  const lift = binary("and", small, number(23))
  // The mantissa, between √½ and √2.
  const offset = binary("subWords", y, word(0x3f3504f3))
  const exponent = shift(offset, -23)
  const m = binary("subWords", y, shift(exponent, 23))
  const e = sub(unary("fromWords", exponent), lift)
  const f = sub(m, number(1))
  const z = mul(f, f)
  const p = polynomial(
    f,
    [
      7.037_683_629_2e-2, -1.151_461_031e-1, 1.167_699_874e-1, -1.242_014_084_6e-1, 1.424_932_278_7e-1,
      -1.666_805_766_5e-1, 2.000_071_476_5e-1, -2.499_999_399_3e-1, 3.333_333_117_4e-1
    ]
  )
  const low = nmadd(number(0.5), z, madd(e, number(-2.121_944_4e-4), mul(mul(p, z), f)))
  const result = madd(e, number(0.693_359_375), add(f, low))
  const infinite = select(binary("equal", x, number(0)), number(-Infinity), result)
  const unbounded = select(binary("equal", x, number(Infinity)), number(Infinity), infinite)
  // Not the other way round: NaN is not less than 0 either.
  return select(binary("greaterOrEqual", x, number(0)), unbounded, number(Number.NaN))
}

/** x · P(x²) / Q(x²), for |x| up to the point where the function becomes flat. */
const oddRational =
  (flat: number, p: Coefficients, q: Coefficients) =>
  (x: Expression): Expression => {
    const z = clamp(x, -flat, flat)
    const s = mul(z, z)
    return div(mul(z, polynomial(s, p)), polynomial(s, q))
  }

/** Φ(x) − ½, where Φ is the normal distribution function, with an error up to 3e-7. */
const centredPhi = oddRational(
  5.4,
  [-1.883_587_86e-8, 6.592_987_12e-6, 5.140_812_72e-4, 6.752_463_99e-3, 6.990_771e-2, 0.398_941_696],
  [1.729_995_27e-4, 3.852_972_53e-3, 4.892_981_8e-2, 0.341_887_951, 1]
)

/** The slope of the GELU − ½, with an error up to 3e-7. */
const centredSlope = oddRational(
  5.6,
  [1.921_573_44e-7, 3.589_868_72e-5, 1.977_816_1e-5, 1.422_596_44e-2, -3.097_398_77e-2, 0.797_885_358],
  [8.927_839_19e-6, 1.920_590_59e-4, 3.522_679_91e-3, 4.098_419_85e-2, 0.294_521_302, 1]
)

/** x·Φ(x). */
export const gelu = (x: Expression): Expression => mul(x, add(centredPhi(x), number(0.5)))
/** Φ(x) + x·φ(x). */
export const geluSlope = (x: Expression): Expression => add(centredSlope(x), number(0.5))

/** The hyperbolic tangent, with an error up to 3e-7. */
export const tanh = oddRational(
  8.5,
  [2.027_758_69e-11, -1.353_137_51e-8, 9.506_347_85e-6, 2.946_038_26e-3, 0.129_423_827, 0.999_999_821],
  [2.316_482_32e-4, 2.386_559_55e-2, 0.462_756_544, 1]
)

/** 1 / (1 + e⁻ˣ). */
export const sigmoid = (x: Expression): Expression => div(number(1), add(number(1), exp(unary("neg", x))))

/** −1, 0 or 1. */
export const sign = (x: Expression): Expression =>
  sub(binary("and", binary("greater", x, number(0)), number(1)), binary("and", binary("less", x, number(0)), number(1)))

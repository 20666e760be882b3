/**
 * The functions that no processor has, made of those that all have: the same bits everywhere. Each is written for 32-bit floats; errors are of the value, and were
 * measured over the whole range against float64.
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

/** `low ≤ x ≤ high`; what is no number stays so. */
const clamp = (x: Expression, low: number, high: number) => min(max(x, number(low)), number(high))

type Coefficients = readonly [number, ...ReadonlyArray<number>]

/** Σ cᵢ·xⁱ, the highest power first. */
const polynomial = (x: Expression, [first, ...rest]: Coefficients): Expression =>
  rest.reduce<Expression>((sum, c) => madd(sum, x, number(c)), number(first))

/** 1.5 · 2²³: added, it leaves a number rounded to a whole one in a float's lowest bits. */
const magic = 12_582_912

/** e to the power of what is left of x when a multiple n of ln 2 is taken off, and the float whose lowest bits are n. */
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
  // As a float 2ⁿ may be too small, but not 2ⁿ⁺³². What stands above n's bits is moved out.
  const lifted = shift(binary("addWords", n, word(127 + 32)), 23)
  return mul(mul(power, lifted), number(2 ** -32))
}

/** 2ᵏ of a whole number k as a word. */
const powerOfTwo = (k: Expression) => shift(binary("addWords", k, word(127)), 23)

/** eˣ to 2e-7 of it, infinite beyond 88.7 and nothing below −104. */
export const exp = (x: Expression): Expression => {
  const { n, power } = reduced(clamp(x, -105, 90))
  // By two powers of two, each of which is a float where their product is none.
  const whole = binary("subWords", n, word(0x4b400000))
  const half = shift(whole, -1)
  return mul(mul(power, powerOfTwo(half)), powerOfTwo(binary("subWords", whole, half)))
}

/** ln x to 2e-7 of it; −∞ of 0, no number below. */
export const log = (x: Expression): Expression => {
  // What is too small for a full mantissa is made larger first.
  const small = binary("less", x, number(1.175_494_35e-38))
  const y = select(small, mul(x, number(8_388_608)), x)
  const lift = binary("and", small, number(23))
  // The mantissa between √½ and √2.
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
  // Not the other way round: what is no number is not less than 0 either.
  return select(binary("greaterOrEqual", x, number(0)), unbounded, number(Number.NaN))
}

/** x · P(x²) / Q(x²), for |x| up to where the function is flat. */
const oddRational =
  (flat: number, p: Coefficients, q: Coefficients) =>
  (x: Expression): Expression => {
    const z = clamp(x, -flat, flat)
    const s = mul(z, z)
    return div(mul(z, polynomial(s, p)), polynomial(s, q))
  }

/** Φ(x) − ½, Φ the normal distribution, to 3e-7. */
const centredPhi = oddRational(
  5.4,
  [-1.883_587_86e-8, 6.592_987_12e-6, 5.140_812_72e-4, 6.752_463_99e-3, 6.990_771e-2, 0.398_941_696],
  [1.729_995_27e-4, 3.852_972_53e-3, 4.892_981_8e-2, 0.341_887_951, 1]
)

/** The slope of the GELU − ½, to 3e-7. */
const centredSlope = oddRational(
  5.6,
  [1.921_573_44e-7, 3.589_868_72e-5, 1.977_816_1e-5, 1.422_596_44e-2, -3.097_398_77e-2, 0.797_885_358],
  [8.927_839_19e-6, 1.920_590_59e-4, 3.522_679_91e-3, 4.098_419_85e-2, 0.294_521_302, 1]
)

/** x·Φ(x). */
export const gelu = (x: Expression): Expression => mul(x, add(centredPhi(x), number(0.5)))
/** Φ(x) + x·φ(x). */
export const geluSlope = (x: Expression): Expression => add(centredSlope(x), number(0.5))

/** To 3e-7. */
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

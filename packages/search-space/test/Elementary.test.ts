import { assert, describe, it } from "@effect/vitest"
import { Elementary, Prng } from "@uninet/search-space"
import * as fc from "fast-check"

const view = new DataView(new ArrayBuffer(8))

/** The position of a number among all doubles. */
const place = (x: number): bigint => {
  view.setFloat64(0, x)
  const bits = view.getBigInt64(0)
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
}

/** The distance between two numbers, counted in doubles; NaN equals NaN. */
const apart = (a: number, b: number): number =>
  Number.isNaN(a) || Number.isNaN(b) ? (Object.is(a, b) ? 0 : Infinity) : Math.abs(Number(place(a) - place(b)))

/** FNV-1a over the bits of the numbers. */
const digest = (numbers: Iterable<number>): string => {
  let hash = 0x811c9dc5
  for (const x of numbers) {
    view.setFloat64(0, x)
    for (let i = 0; i < 8; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x01000193)
  }
  return (hash >>> 0).toString(16).padStart(8, "0")
}

const { cos, exp, log, log1p, log2, pow, sin } = Elementary

/** Doubles of every size, including subnormal numbers, ±0, ±∞ and NaN. */
const anything = fc.double()
const between = (min: number, max: number) => fc.double({ min, max, noNaN: true })
const angle = between(-1e5, 1e5)

/** The function, its counterpart in `Math`, and the range in which it is used. */
const functions = [
  ["exp", exp, Math.exp, between(-750, 712)],
  ["log", log, Math.log, between(0, 4)],
  ["log2", log2, Math.log2, between(0, 4)],
  ["log1p", log1p, Math.log1p, between(-1, 3)],
  ["sin", sin, Math.sin, angle],
  ["cos", cos, Math.cos, angle]
] as const

const powAgrees = (x: number, y: number) => assert.isAtMost(apart(pow(x, y), x ** y), 1, `${x} ** ${y}`)

const special = [
  0,
  -0,
  5e-324,
  -5e-324,
  1e-310,
  2 ** -1022,
  2 ** -54,
  0.5,
  -0.5,
  1,
  -1,
  1 + 2 ** -52,
  1 - 2 ** -53,
  2,
  -2,
  3,
  -3,
  Math.E,
  Math.PI,
  Math.PI / 2,
  -Math.PI,
  709.782712893384,
  -745.1332191019411,
  -745.14,
  710,
  1e10,
  -1e10,
  2 ** 53,
  -(2 ** 53) - 2,
  1e22,
  1.797_693_134_862_315_7e308,
  -1.797_693_134_862_315_7e308,
  Infinity,
  -Infinity,
  Number.NaN
]

describe("Elementary", () => {
  it.each(functions)("%s is Math's to one unit in the last place", (name, own, known, usual) => {
    const agrees = (x: number) => assert.isAtMost(apart(own(x), known(x)), 1, `${name}(${x})`)
    fc.assert(fc.property(anything, agrees), { numRuns: 2000, seed: 1 })
    fc.assert(fc.property(usual, agrees), { numRuns: 2000 })
    for (const x of special) agrees(x)
  })

  it("pow is Math's to one unit in the last place", () => {
    fc.assert(fc.property(anything, anything, powAgrees), { numRuns: 2000, seed: 1 })
    fc.assert(fc.property(between(0, 100), between(-20, 20), powAgrees), { numRuns: 2000 })
    fc.assert(fc.property(between(0.999, 1.001), between(-7e5, 7e5), powAgrees), { numRuns: 1000 })
    for (const x of special) for (const y of special) assert.isAtMost(apart(pow(x, y), x ** y), 1, `${x} ** ${y}`)
  })

  it("gives what is exact exactly: powers of whole numbers, roots of squares, logarithms of powers of two", () => {
    for (let x = 0; x <= 40; x++)
      for (let n = 0n; BigInt(x) ** n < 2n ** 53n && n < 60n; n++)
        assert.strictEqual(pow(x, Number(n)), Number(BigInt(x) ** n))
    for (let x = 1; x < 200; x++) assert.strictEqual(pow(x * x * x * x, 0.25), x)
    for (let k = -1074; k < 1024; k++) assert.strictEqual(log2(pow(2, k)), k)
    assert.deepStrictEqual([exp(0), log(1), cos(0)], [1, 0, 1])
    // here the 54th bit decides which double is nearest
    assert.strictEqual(pow(63, 9), Number(63n ** 9n))
    assert.strictEqual(pow(10, -20), 1e-20)
  })

  it("keeps the sign of zero, and calls what has no value no number", () => {
    assert.deepStrictEqual([sin(-0), log1p(-0), pow(-0, 3)], [-0, -0, -0])
    assert.deepStrictEqual([log(0), log2(-0), log1p(-1)], [-Infinity, -Infinity, -Infinity])
    const none = [log(-1), sin(Infinity), pow(-8, 1 / 3), pow(1, Infinity)]
    for (const x of none) assert.isNaN(x)
  })

  it("gives these numbers, bit for bit, in every engine, on every processor and in every version", () => {
    const prng = Prng.fromSeed("elementary")
    const draws = Array.from({ length: 5000 }, prng.nextFloat)
    const of = (f: (x: number) => number) => digest(draws.map(f))
    assert.deepStrictEqual(
      {
        exp: of((x) => exp(1500 * x - 760)),
        expNear0: of((x) => exp(2 * x - 1)),
        log: of(log),
        log2: of((x) => log2(1e10 * x)),
        log1p: of((x) => log1p(4 * x - 1)),
        sin: of((x) => sin(20 * x - 10)),
        cos: of((x) => cos(20 * x - 10)),
        far: of((x) => cos(1e15 * x) + sin(1e200 * x)),
        pow: of((x) => pow(10 * x, 7 * x - 3)),
        powOfRatio: of((x) => pow(x, -0.07))
      },
      {
        exp: "a761f00f",
        expNear0: "380a8e02",
        log: "8b1a8bb2",
        log2: "c4561943",
        log1p: "6bbe38a8",
        sin: "be3cef05",
        cos: "8d52e120",
        far: "faa303a8",
        pow: "cb4e2459",
        powOfRatio: "d5adda92"
      }
    )
    assert.deepStrictEqual(
      [exp(0.1), log(0.1), cos(0.1), pow(0.1, 0.1)],
      [1.1051709180756477, -2.3025850929940455, 0.9950041652780257, 0.7943282347242815]
    )
  })
})

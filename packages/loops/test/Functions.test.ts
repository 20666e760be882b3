import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Expression, Loops } from "@uninet/loops"
import { Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Functions from "../src/Functions.js"

/** The normal distribution in double precision, by its series and its continued fraction. */
const phi = (x: number): number => {
  const z = Math.abs(x)
  if (z > 8) return x > 0 ? 1 : 0
  let [sum, term] = [z, z]
  for (let k = 1; k < 200; k++) {
    term *= (z * z) / (2 * k + 1)
    sum += term
  }
  const half = (sum * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)
  return x > 0 ? 0.5 + half : 0.5 - half
}

const x = Op.input("x", [8192])
const program = Result.getOrThrow(
  Program.make({
    outputs: {
      exp: Op.exp(x),
      log: Op.log(x),
      tanh: Op.tanh(x),
      sigmoid: Op.sigmoid(x),
      gelu: Op.gelu(x)
    }
  })
)

const functions: Readonly<Record<string, readonly [(x: number) => number, readonly [number, number], number]>> = {
  exp: [Math.exp, [-100, 88], 3e-7],
  log: [Math.log, [1e-40, 1e6], 3e-7],
  tanh: [Math.tanh, [-10, 10], 4e-7],
  sigmoid: [(v) => 1 / (1 + Math.exp(-v)), [-40, 40], 4e-7],
  gelu: [(v) => v * phi(v), [-6, 6], 2e-6]
}

const bits = (x: number) => new Int32Array(Float32Array.of(x).buffer)[0]
const float = (word: number) => new Float32Array(Int32Array.of(word).buffer)[0]

/** What plain arithmetic makes of an expression of one number, as bits: as a number some of them would be no number. */
const evaluate = (of: Expression.Expression, x: number): number => {
  const known = new Map<Expression.Expression, number>()
  const go = (e: Expression.Expression): number => {
    const value = known.get(e) ?? operation(e, x, Expression.argsOf(e).map(go))
    known.set(e, value)
    return value
  }
  return go(of)
}

const operation = (e: Expression.Expression, x: number, words: ReadonlyArray<number>): number => {
  if (e.op === "operand") return bits(x)
  if (e.op === "number") return bits(e.value)
  if (e.op === "word") return e.value
  const [a, b = 0, c = 0] = words.map(float)
  switch (e.op) {
    case "shift":
      return e.by > 0 ? words[0] << e.by : words[0] >> -e.by
    case "add":
      return bits(a + b)
    case "sub":
      return bits(a - b)
    case "mul":
      return bits(a * b)
    case "madd":
      return bits(Math.fround(a * b) + c)
    case "nmadd":
      return bits(c - Math.fround(a * b))
    case "pseudoMin":
      return b < a ? words[1] : words[0]
    case "pseudoMax":
      return a < b ? words[1] : words[0]
    case "addWords":
      return (words[0] + words[1]) | 0
    case "subWords":
      return (words[0] - words[1]) | 0
    default:
      throw new Error(`exponentials have no ${e.op}`)
  }
}

describe("functions that no processor has", () => {
  it("are the same bits for the exponential and that of numbers that are not positive, tiny results and no numbers too", () => {
    const values = [-0, -1e-30, -87, -87.4, -103.9, -104.1, -200, -Infinity, Number.NaN]
    for (const v of [...values, ...Array.from({ length: 400 }, (_, i) => Math.fround(-0.27 * i))]) {
      const [all, negative] = [Functions.exp, Functions.expOfNegative].map((f) =>
        float(evaluate(f(Expression.operand(0)), v))
      )
      assert.isTrue(Object.is(negative, all), `${v}: ${negative} for ${all}`)
    }
  })

  for (const [name, [reference, [low, high], tolerance]] of Object.entries(functions))
    it.effect(`${name} is within ${tolerance} of double precision`, () =>
      Effect.gen(function* () {
        const { run } = yield* (yield* Runtime).compile({ program })
        const values = Float32Array.from({ length: 8192 }, (_, i) => low + ((high - low) * i) / 8191)
        const found = (yield* run("program", { x: values }))[name]
        let worst = 0
        for (const [i, v] of values.entries()) {
          const exact = reference(v)
          // Relative where the result is large, and to what a float can hold near zero.
          worst = Math.max(
            worst,
            Math.abs(found[i] - exact) /
              Math.max(Math.abs(exact), 1e-37, name === "gelu" ? 1 : 0, name === "tanh" ? 1 : 0)
          )
        }
        assert.isBelow(worst, tolerance)
      }).pipe(Effect.scoped, Effect.provide(Loops.portable()))
    )

  it.effect("give infinities and no numbers where they should", () =>
    Effect.gen(function* () {
      const { run } = yield* (yield* Runtime).compile({ program })
      const values = new Float32Array(8192)
      values.set([Infinity, -Infinity, Number.NaN, 0, -1, 200, -200])
      const { exp, log } = yield* run("program", { x: values })
      assert.deepStrictEqual(Array.from(exp.slice(0, 7)), [Infinity, 0, Number.NaN, 1, exp[4], Infinity, 0])
      assert.deepStrictEqual(Array.from(log.slice(0, 5)), [Infinity, Number.NaN, Number.NaN, -Infinity, Number.NaN])
    }).pipe(Effect.scoped, Effect.provide(Loops.portable()))
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Loops } from "@uninet/loops"
import { Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

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

describe("functions that no processor has", () => {
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

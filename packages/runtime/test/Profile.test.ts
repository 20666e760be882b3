import { assert, describe, it } from "@effect/vitest"
import { Op, Program } from "@uninet/graph"
import { Profile } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const x = Op.input("x", [16, 8, 32, 32])
const program = Result.getOrThrow(
  Program.make({ outputs: { y: Op.gelu(Op.conv2d(x, Op.input("weight", [64, 8, 3, 3]))) } })
)
const values = { x: new Float32Array(16 * 8 * 32 * 32).fill(1), weight: new Float32Array(64 * 8 * 9).fill(0.1) }

describe("a profile", () => {
  it.effect.each(["standard", "blocked"] as const)(
    "says what each operator of the %s formulation took",
    (formulation) =>
      Effect.gen(function* () {
        const profile = yield* Profile.make(program, values, { formulation })
        const { fused, operators, wall } = yield* profile(3)
        const of = (kind: string) =>
          operators
            .filter(({ node }) => node?.kind === kind)
            .reduce((sum, { milliseconds }) => sum + milliseconds, fused)
        assert.isAbove(of("conv2d"), 0)
        assert.isAbove(of("activation"), 0)
        assert.isAbove(wall, 0)
        assert.isAbove(
          operators.reduce((sum, { bytes }) => sum + bytes, 0),
          4 * values.x.length
        )
      })
  )

  it.effect("of values that do not fit fails with what the engine says", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Profile.make(program, { ...values, x: new Float32Array(5) }))
      assert.strictEqual(error._tag, "RunFailed")
    })
  )
})

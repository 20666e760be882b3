import { assert, describe, it } from "@effect/vitest"
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import { expected, trained } from "./support/training.ts"

describe("three training steps of every kind of operator on portable loops", () => {
  it.effect("leave the bits behind that they leave on every processor", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* trained.pipe(Effect.provide(Loops.portable())), expected)
    })
  )

  it.effect("leave the same bits where the compiler may not join vectors", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* trained.pipe(Effect.provide(Loops.portable({ wide: false }))), expected)
    })
  )

  it.effect("leave the same bits where threads share the work", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* trained.pipe(Effect.provide(Loops.portable({ threads: 3 }))), expected)
    })
  )

  it.effect("and on fused loops, nearly the same losses", () =>
    Effect.gen(function* () {
      const { losses } = yield* trained.pipe(Effect.provide(Loops.fast()))
      for (const [i, loss] of losses.entries()) assert.approximately(loss, expected.losses[i], 1e-4)
    })
  )
})

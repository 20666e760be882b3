import { assert, describe, it } from "@effect/vitest"
import { Loops } from "@uninet/loops"
import { Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Small from "./support/searched.ts"
import { expected, oneGroup, trained, trainedOn } from "./support/training.ts"

const numericsOf = (layer: Layer.Layer<Runtime>) =>
  Runtime.use(({ numerics = Effect.succeed("nothing") }) => numerics).pipe(Effect.provide(layer))

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

  it.effect("leave the same bits where the batch is one group, whose work threads share piece by piece", () =>
    Effect.gen(function* () {
      const { digest } = yield* trainedOn(oneGroup).pipe(Effect.provide(Loops.portable({ threads: 3 })))
      assert.strictEqual(digest, oneGroup.digest)
    })
  )

  it.effect("are named by what decides them: not the processor, where arithmetic is plain", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* numericsOf(Loops.portable({ threads: 2 })), "loops portable, edition 1")
      assert.match(yield* numericsOf(Loops.fast()), /^loops, edition 1, products and sums rounded (once|twice)$/)
    })
  )

  it.effect("and on fused loops, nearly the same losses", () =>
    Effect.gen(function* () {
      const { losses } = yield* trained.pipe(Effect.provide(Loops.fast()))
      for (const [i, loss] of losses.entries()) assert.approximately(loss, expected.losses[i], 1e-4)
    })
  )
})

describe("a small search on portable loops, with augmentation, mixing, a schedule, a policy and a reward of powers", () => {
  it.effect("leaves the journal behind that it leaves on every machine, bit for bit", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Small.searched, Small.expected)
    })
  )
})

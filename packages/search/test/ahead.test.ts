import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Ahead from "../src/internal/ahead.js"

/** Work that waits to be released, and a record of what happened to it. */
const working = Effect.gen(function* () {
  const events: Array<string> = []
  const gates = new Map<string, Deferred.Deferred<number, string>>()
  for (const item of ["a", "b", "c"]) gates.set(item, yield* Deferred.make<number, string>())
  const gate = (item: string) => gates.get(item) ?? Deferred.makeUnsafe<number, string>()
  const ahead = yield* Ahead.make(
    (item: string) =>
      Effect.suspend(() => {
        events.push(`begin ${item}`)
        return Deferred.await(gate(item))
      }),
    (item) => Effect.sync(() => void events.push(`stop ${item}`))
  )
  return { ahead, events, gate }
})

describe("work ahead", () => {
  it.effect("goes on with what is still wanted and stops the rest", () =>
    Effect.gen(function* () {
      const { ahead, events } = yield* working
      yield* ahead.on(["a", "b"])
      yield* Effect.yieldNow
      yield* ahead.on(["b", "c"])
      yield* Effect.yieldNow
      assert.deepStrictEqual(events, ["begin a", "begin b", "stop a", "begin c"])
    }).pipe(Effect.scoped)
  )

  it.effect("gives what came of it, begun before or not, and stops all else", () =>
    Effect.gen(function* () {
      const { ahead, events, gate } = yield* working
      yield* ahead.on(["a", "b"])
      yield* Effect.yieldNow
      yield* Deferred.succeed(gate("a"), 1)
      assert.strictEqual(yield* ahead.result("a"), 1)
      const other = yield* Effect.forkChild(ahead.result("c"), { startImmediately: true })
      yield* Deferred.fail(gate("c"), "no")
      assert.strictEqual(yield* Effect.flip(Fiber.join(other)), "no")
      assert.deepStrictEqual(events, ["begin a", "begin b", "stop b", "stop a", "begin c"])
    }).pipe(Effect.scoped)
  )

  it.effect("ends with its scope", () =>
    Effect.gen(function* () {
      let ended = false
      yield* Effect.scoped(
        Effect.gen(function* () {
          const ahead = yield* Ahead.make(() =>
            Effect.onInterrupt(Effect.never, () => Effect.sync(() => (ended = true)))
          )
          yield* ahead.on(["a"])
          yield* Effect.yieldNow
        })
      )
      assert.isTrue(ended)
    })
  )
})

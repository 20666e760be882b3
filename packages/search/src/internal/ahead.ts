/** Work that is started before it is known to be needed. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"

export interface Ahead<Item, A, E> {
  /** Works on these, and stops work on everything else. */
  readonly on: (items: ReadonlyArray<Item>) => Effect.Effect<void>
  /** The result of the work on one item, which is started now if it was not before. Work on everything else is stopped. */
  readonly result: (item: Item) => Effect.Effect<A, E>
}

/** All work ends with the scope. */
export const make = <Item, A, E>(
  work: (item: Item) => Effect.Effect<A, E>,
  onStopped: (item: Item) => Effect.Effect<void> = () => Effect.void
): Effect.Effect<Ahead<Item, A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const begun = new Map<Item, Fiber.Fiber<A, E>>()
    const oneAtATime = yield* Semaphore.make(1)
    const on = (items: ReadonlyArray<Item>) =>
      Effect.gen(function* () {
        for (const [item, fiber] of begun)
          if (!items.includes(item)) {
            begun.delete(item)
            yield* Fiber.interrupt(fiber)
            yield* onStopped(item)
          }
        for (const item of items) if (!begun.has(item)) begun.set(item, yield* Effect.forkIn(work(item), scope))
      }).pipe(oneAtATime.withPermits(1))
    return {
      on,
      result: (item) =>
        Effect.andThen(
          on([item]),
          Effect.suspend(() => {
            const fiber = begun.get(item)
            // Another call has stopped it meanwhile.
            return fiber === undefined ? Effect.interrupt : Fiber.join(fiber)
          })
        )
    }
  })

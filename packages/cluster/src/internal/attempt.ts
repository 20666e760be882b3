/** One try at something on the database, with a limit of its own, and the waits between tries. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { SqlError } from "effect/sql"

/** Waits between tries: 100 ms, 200 ms, … at most 1 s, so that a database that is back is found at once. */
export const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("1 second")])

/** The longest that a statement without large values may take. */
const usual = Duration.seconds(5)

/** The longest for a statement with so many bytes: 100 kB a second are enough. */
export const forBytes = (bytes: number): Duration.Duration => Duration.sum(usual, Duration.millis(bytes / 100))

/**
 * One try. What takes longer has failed, whatever becomes of it: a connection whose other end is gone without a word says nothing for a quarter of an hour,
 * and even its interruption takes seconds, which nobody waits for.
 */
export const once = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  limit: Duration.Duration = usual
): Effect.Effect<A, E | SqlError.SqlError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDetach(Effect.interruptible(effect)), (fiber) =>
      restore(Fiber.join(fiber)).pipe(
        Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(unanswered(limit)) }),
        Effect.onExit(() => Effect.sync(() => fiber.interruptUnsafe()))
      )
    )
  )

const unanswered = (limit: Duration.Duration) =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({
      cause: new Error(`it did not answer for ${Duration.format(limit)}`),
      operation: "query"
    })
  })

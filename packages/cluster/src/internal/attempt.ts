/** One try at something on the database, with a limit of its own, and the waits between tries. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import { SqlError } from "effect/sql"
import { Timing } from "./timing.ts"

/** Waits between tries: 100 ms, 200 ms, … at most 1 s, so that a database that is back is found at once. */
export const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("1 second")])

/** The longest that a try may take, from the longest for a statement without large values. */
export type Limit = (attempt: Duration.Duration) => Duration.Duration

/** For a statement with so many bytes: 100 kB a second are enough. */
export const forBytes =
  (bytes: number): Limit =>
  (attempt) =>
    Duration.sum(attempt, Duration.millis(bytes / 100))

/** For a last word, which is not worth waiting for. */
export const shortly: Limit = Duration.min(Duration.seconds(2))

/**
 * One try. What takes longer has failed, whatever becomes of it: a connection whose other end is gone without a word says nothing for a quarter of an hour,
 * and even its interruption takes seconds, which nobody waits for.
 */
export const once = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  limitOf: Limit = identity
): Effect.Effect<A, E | SqlError.SqlError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const limit = limitOf((yield* Timing).attempt)
      // Some of it is asked four times a second: a trace has no use for it.
      const fiber = yield* Effect.forkDetach(Effect.interruptible(Effect.withTracerEnabled(effect, false)))
      return yield* restore(Fiber.join(fiber)).pipe(
        Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(unanswered(limit)) }),
        Effect.onExit(() => Effect.sync(() => fiber.interruptUnsafe()))
      )
    })
  )

const unanswered = (limit: Duration.Duration) =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({
      cause: new Error(`it did not answer for ${Duration.format(limit)}`),
      operation: "query"
    })
  })

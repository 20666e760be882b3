/** One attempt at a database operation, with its own time limit, and the waits between attempts. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { identity } from "effect/Function"
import * as Schedule from "effect/Schedule"
import { SqlError } from "effect/sql"
import { Timing } from "./timing.ts"

/** Waits between attempts: 100 ms, 200 ms, … at most 1 s, so that a database that is back is noticed at once. */
export const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("1 second")])

/** The time limit of an attempt, derived from the limit for a statement without large values. */
export type Limit = (attempt: Duration.Duration) => Duration.Duration

/** For a statement with this many bytes: 100 kB per second is enough. */
export const forBytes =
  (bytes: number): Limit =>
  (attempt) =>
    Duration.sum(attempt, Duration.millis(bytes / 100))

/** For a final message, which is not worth waiting for. */
export const shortly: Limit = Duration.min(Duration.seconds(2))

/**
 * One attempt. If it takes longer than its limit it has failed, whatever happens to it afterwards: a connection whose other end has
 * disappeared stays silent for a quarter of an hour, and even interrupting it takes seconds, for which nothing waits.
 */
export const once = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  limitOf: Limit = identity
): Effect.Effect<A, E | SqlError.SqlError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const limit = limitOf((yield* Timing).attempt)
      // Some statements run four times a second: they are of no use in a trace.
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

/**
 * A file that says whether a worker is alive and ready. Its modification time is renewed about once a second while the worker runs. Its
 * content is `ready` while the database answers, and `waiting` while it does not.
 *
 * A file rather than a port: a probe is a `grep` or `find` instead of a process of ours, any number of workers can run on one machine, and
 * nothing listens.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { type CliFault, usage } from "./CliFault.ts"

export type Word = "ready" | "waiting"

/** Writes the word; a reader never sees half of it. */
const write = (file: string, word: Word) => {
  writeFileSync(`${file}.part`, `${word}\n`)
  renameSync(`${file}.part`, file)
}

/** How a worker reports its health. */
export interface Health {
  /** While something else is waited for: keeps reporting `waiting`. */
  readonly waiting: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Once. */
  readonly say: (word: Word) => Effect.Effect<void>
}

/** For when nobody asks. */
export const none: Health = { waiting: (effect) => effect, say: () => Effect.void }

/** The file exists from now on, and is removed with the scope. Fails if it cannot be written. */
export const make = (given: string): Effect.Effect<Health, CliFault, Scope.Scope> =>
  Effect.gen(function* () {
    const file = resolve(given)
    yield* Effect.acquireRelease(
      Effect.try({
        try: () => write(file, "waiting"),
        catch: (cause) =>
          usage(
            `--health ${given} cannot be written: ${cause instanceof Error ? cause.message.replace(/,.*$/, "") : String(cause)}. Give a file in a folder that you may write to.`
          )
      }),
      () => Effect.sync(() => rmSync(file, { force: true }))
    )
    /** A file that can no longer be written grows old, which a probe notices. */
    const say = (word: Word) => Effect.ignore(Effect.try(() => write(file, word)))
    const again = Effect.repeat(say("waiting"), Schedule.spaced("1 second"))
    return {
      say,
      waiting: (effect) => Effect.raceFirst(effect, Effect.andThen(again, Effect.never))
    }
  })

/**
 * A file that says whether a worker is alive and ready: its time, which is renewed about once a second while the worker runs, and its word, `ready` while the database answers and `waiting` while it does not.
 *
 * A file and no port: a probe is `grep` or `find` and no process of ours, any number of workers can be on one machine, and nothing listens.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { renameSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { type CliFault, usage } from "./CliFault.ts"

export type Word = "ready" | "waiting"

/** Writes the word; a reader never finds half of it. */
const write = (file: string, word: Word) => {
  writeFileSync(`${file}.part`, `${word}\n`)
  renameSync(`${file}.part`, file)
}

/** How one says that it is there. */
export interface Health {
  /** While something else is waited for: says `waiting` again and again. */
  readonly waiting: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Once. */
  readonly say: (word: Word) => Effect.Effect<void>
}

/** Nobody asks. */
export const none: Health = { waiting: (effect) => effect, say: () => Effect.void }

/** The file is there from now on, and is gone with the scope. Fails where it cannot be written. */
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
    /** One that cannot be written any more grows old, which whoever asks takes note of. */
    const say = (word: Word) => Effect.ignore(Effect.try(() => write(file, word)))
    const again = Effect.repeat(say("waiting"), Schedule.spaced("1 second"))
    return {
      say,
      waiting: (effect) => Effect.raceFirst(effect, Effect.andThen(again, Effect.never))
    }
  })

/**
 * How a search's driver and other commands communicate, through two files in the run's folder: `live.json`, which the driver writes about
 * once a second, and `stop`, which asks it to end.
 */
import type { Finals, Search, Trial } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as tracker from "./tracker.ts"

export const files = { live: "live.json", stop: "stop" } as const

/** The progress of a search. */
export const Live = Schema.Struct({
  /** When it was written, in milliseconds since 1970. */
  at: Schema.Finite,
  phase: Schema.Literals(["search", "finals"]),
  /** The share of the phase that is done. */
  share: Schema.Finite,
  /** Seconds; `null` while not known. */
  left: Schema.NullOr(Schema.Finite),
  /** What is being trained, and how far each training is. */
  running: Schema.Array(Schema.Struct({ trial: Schema.Int, done: Schema.Finite }))
})
export type Live = typeof Live.Type

const Text = Schema.fromJsonString(Live)
const decode = Schema.decodeUnknownOption(Text)

/** What the driver wrote last, if it exists and can be read. */
export const read = (folder: string): Live | undefined => {
  try {
    return Option.getOrUndefined(decode(readFileSync(join(folder, files.live), "utf8")))
  } catch {
    return undefined
  }
}

const remove = (folder: string) => {
  for (const file of Object.values(files)) rmSync(join(folder, file), { force: true })
}

/** Asks the driver to end: at once, or when the running trials have finished. */
export const ask = (folder: string, how: "now" | "finish") =>
  Effect.try({
    try: () => writeFileSync(join(folder, files.stop), how),
    catch: (cause) => (cause instanceof Error ? cause.message : String(cause))
  })

const asked = (folder: string): string | undefined => {
  try {
    const file = join(folder, files.stop)
    return existsSync(file) ? readFileSync(file, "utf8") : undefined
  } catch {
    return undefined
  }
}

/** Whether it was asked to finish. */
export const isAskedToFinish = (folder: string) => Effect.sync(() => asked(folder) === "finish")

/** Ends when the driver was asked to stop at once. */
export const stopped = (folder: string): Effect.Effect<void> =>
  Effect.sync(() => asked(folder) === "now").pipe(
    Effect.repeat({ schedule: Schedule.spaced("250 millis"), until: (now) => now }),
    Effect.asVoid
  )

/** Writes the progress of a search while the scope is open. Failures to write are ignored: the journal is what counts. */
export const make = (folder: string, work: tracker.Work) =>
  Effect.gen(function* () {
    yield* Effect.acquireRelease(
      Effect.sync(() => remove(folder)),
      () => Effect.sync(() => remove(folder))
    )
    const state = tracker.begin()
    /** The finals' trainings, by purpose. */
    const finals = { compare: new Map<number, number>(), retrain: new Map<number, number>() }
    const began = performance.now()
    const write = () => {
      const trainings = [...finals.compare, ...finals.retrain]
      const now = trainings.length > 0
      const done = trainings.reduce((sum, [, part]) => sum + part, 0)
      const live: Live = {
        at: Date.now(),
        phase: now ? "finals" : "search",
        share: now ? done / trainings.length : tracker.share(state, work),
        left: now ? null : (tracker.left(state, work) ?? null),
        running: now
          ? trainings.flatMap(([trial, part]) => (part < 1 ? [{ trial, done: part }] : []))
          : [...state.running].map(([trial, { done }]) => ({ trial, done }))
      }
      try {
        const file = join(folder, files.live)
        writeFileSync(`${file}.part`, JSON.stringify(live))
        renameSync(`${file}.part`, file)
      } catch {
        // Then nobody reads it.
      }
    }
    yield* Effect.sync(write).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)
    return {
      seconds: () => (performance.now() - began) / 1000,
      onEvent: (event: Search.SearchEvent<unknown>) => Effect.sync(() => tracker.follow(state, event, work)),
      onFinal: ({ trial }: Search.Candidate<unknown>, { done }: Trial.Progress, what: Finals.Purpose) =>
        Effect.sync(() => void finals[what].set(trial, done)),
      onStopped: ({ trial }: Search.Candidate<unknown>) => Effect.sync(() => void finals.retrain.delete(trial))
    }
  })

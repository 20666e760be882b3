/** One writer at a time: a file beside the journal that says who it is. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { JournalLocked } from "../JournalError.ts"

const Holder = Schema.fromJsonString(Schema.Struct({ pid: Schema.Int, host: Schema.String }))

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    // It is there, and another user's.
    return cause instanceof Error && "code" in cause && cause.code === "EPERM"
  }
}

/** The lock of a journal. */
export const pathOf = (journal: string) => `${journal}.lock`

/** Who holds the lock, if it is held: a process that is gone holds nothing. */
export const holderOf = (path: string) => {
  try {
    const holder = Schema.decodeSync(Holder)(readFileSync(path, "utf8"))
    return holder.host !== hostname() || isAlive(holder.pid) ? holder : undefined
  } catch {
    return undefined
  }
}

/** Holds the lock until the scope ends. `cannot`: what is said where the file cannot be written for another reason. */
export const hold = <E>(
  journal: string,
  cannot: (cause: unknown) => E
): Effect.Effect<void, JournalLocked | E, Scope.Scope> => {
  const path = pathOf(journal)
  const mine = JSON.stringify({ pid: process.pid, host: hostname() })
  const take = Effect.try({
    try: () => writeFileSync(path, mine, { flag: "wx" }),
    catch: (cause) => cause
  })
  const acquire = take.pipe(
    Effect.catch((cause): Effect.Effect<void, JournalLocked | E> => {
      if (!(cause instanceof Error && "code" in cause && cause.code === "EEXIST")) return Effect.fail(cannot(cause))
      const holder = holderOf(path)
      if (holder !== undefined) return Effect.fail(new JournalLocked({ path: journal, lock: path, ...holder }))
      return Effect.andThen(
        Effect.sync(() => rmSync(path, { force: true })),
        Effect.mapError(take, cannot)
      )
    })
  )
  return Effect.acquireRelease(acquire, () => Effect.sync(() => rmSync(path, { force: true })))
}

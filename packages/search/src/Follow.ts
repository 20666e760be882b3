/**
 * Reads a journal while it grows: first what it holds, then what is added. It changes nothing and keeps nothing open in between, so that
 * the writer can close the journal properly.
 *
 * @example
 * ```ts
 * import { Follow } from "@uninet/search"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const following = yield* Follow.make("runs/demo/journal.db")
 *   console.log(following.first.entries.length, (yield* following.next).entries.length)
 * })
 * ```
 */
import * as Effect from "effect/Effect"
import * as Journal from "./Journal.ts"
import type { JournalUnreadable } from "./JournalError.ts"
import { slack, stampOf } from "./internal/growing.ts"

/** What a journal holds, or what was added to it. */
export interface Found extends Journal.Read {
  /** How the trials of these entries were trained, if that was kept. */
  readonly trainings: ReadonlyArray<Journal.Trained>
  /** Entries that cannot be read and are left out. */
  readonly damaged: number
}

/** What was added since the last look. */
export interface Step extends Found {
  /** Whether the journal is now a different one, or has lost entries. If so, these are all its entries, and what was known before no longer holds. */
  readonly anew: boolean
}

/** A journal that is being followed. */
export interface Following {
  /** What it holds at the start. */
  readonly first: Found
  /** What was added since. Costs next to nothing if there is nothing new. */
  readonly next: Effect.Effect<Step, JournalUnreadable>
}

const keyOf = ({ entry }: Journal.Stored) => entry.trial * 4096 + Journal.stepOf(entry)

const latestOf = (entries: ReadonlyArray<Journal.Stored>) => entries.reduce((most, { at }) => Math.max(most, at), 0)

/** Reads a journal. Fails if the file is not one, is damaged as a whole, or has another version. */
export const make = Effect.fnUntraced(function* (path: string): Effect.fn.Return<Following, JournalUnreadable> {
  let stamp = stampOf(path)
  const first = yield* Effect.gen(function* () {
    const { identity, isCut, readable, trainings } = yield* Journal.reader(path)
    return { identity: yield* identity, isCut, ...(yield* readable()), trainings: yield* trainings() } satisfies Found
  }).pipe(Effect.scoped)
  let { damaged, identity } = first
  let seen = new Set(first.entries.map(keyOf))
  let latest = latestOf(first.entries)
  const next = Effect.gen(function* () {
    const now = stampOf(path)
    if (now === stamp)
      return { anew: false, identity, isCut: false, entries: [], trainings: [], damaged: 0 } satisfies Step
    const reader = yield* Journal.reader(path)
    const other = yield* reader.identity
    const count = yield* reader.count
    const isOther = other.space !== identity.space || other.seed !== identity.seed
    const anew = isOther || count < seen.size + damaged
    if (anew) seen = new Set()
    let whole = anew
    let found = yield* reader.readable(anew ? 0 : latest - slack)
    let entries = found.entries.filter((stored) => !seen.has(keyOf(stored)))
    if (!anew && seen.size + entries.length + damaged !== count) {
      // New entries with an earlier time, as after the clock was set back, or entries that cannot be read.
      whole = true
      found = yield* reader.readable()
      entries = found.entries.filter((stored) => !seen.has(keyOf(stored)))
    }
    const wasDamaged = anew ? 0 : damaged
    if (whole) damaged = found.damaged
    identity = other
    stamp = now
    for (const stored of entries) seen.add(keyOf(stored))
    latest = Math.max(anew ? 0 : latest, latestOf(entries))
    return {
      anew,
      identity,
      isCut: reader.isCut,
      entries,
      trainings: yield* reader.trainings(entries.map(({ entry }) => entry.trial)),
      damaged: Math.max(0, damaged - wasDamaged)
    } satisfies Step
  }).pipe(Effect.scoped)
  return { first, next }
})

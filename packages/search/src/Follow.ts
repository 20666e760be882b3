/**
 * A journal that is read while it grows: what it holds, and then what comes to it. Nothing is changed, and nothing is held open in between, so that whoever writes to it can close it well.
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

/** What a journal holds, or what came to it. */
export interface Found extends Journal.Read {
  /** How the trials of these entries were trained, as far as that is kept. */
  readonly trainings: ReadonlyArray<Journal.Trained>
  /** Entries that cannot be read, and are left out. */
  readonly damaged: number
}

/** What came since it was looked at last. */
export interface Step extends Found {
  /** Whether the journal is another one by now, or has lost entries: these are all that it holds, and what was known is no more. */
  readonly anew: boolean
}

/** A journal that is followed. */
export interface Following {
  /** What it holds at first. */
  readonly first: Found
  /** What came since. Costs next to nothing where nothing has. */
  readonly next: Effect.Effect<Step, JournalUnreadable>
}

const keyOf = ({ entry }: Journal.Stored) => entry.trial * 4096 + Journal.stepOf(entry)

const latestOf = (entries: ReadonlyArray<Journal.Stored>) => entries.reduce((most, { at }) => Math.max(most, at), 0)

/** Reads a journal. Fails where it is none, is damaged as a whole, or is of another version. */
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
      // What came with a time of before, as after the clock was put back, or cannot be read.
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

/**
 * Copies a search's journal to the database, so that it can be viewed from any machine while the search runs. The journal itself stays with
 * the search. The copy in the database is never read back, and a search continues in the same way without it.
 *
 * @example
 * ```ts
 * import { Mirror } from "@uninet/cluster"
 *
 * export const watching = Mirror.publish({ search: "demo", journal: "runs/demo/journal.db" })
 * ```
 */
import { JournalCopy } from "@uninet/search"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SqlClient, SqlError } from "effect/sql"
import { DatabaseUnavailable } from "./ClusterError.ts"
import { Database } from "./Database.ts"
import { forBytes, once, shortly } from "./internal/attempt.ts"
import * as copies from "./internal/copies.ts"
import { Timing } from "./internal/timing.ts"

/** The search whose journal is copied to the database, and the journal's file. */
export interface Options {
  /** The search's name in the database. */
  readonly search: string
  /** The journal's file on this machine. */
  readonly journal: string
}

/** Entries per statement. */
const most = 500

/** Sends what was added to the journal; anything that fails is sent the next time. */
const sending = ({ journal, search }: Options) => {
  let source: JournalCopy.Source | undefined
  let waiting: ReadonlyArray<JournalCopy.Piece> = []
  let sent = ""
  return Effect.gen(function* () {
    source ??= yield* JournalCopy.source(journal)
    const { header, pieces } = yield* source.next
    waiting = [...waiting, ...pieces]
    if (header !== sent) yield* once(copies.begin(search, header))
    sent = header
    while (waiting.length > 0) {
      const part = waiting.slice(0, most)
      yield* once(copies.add(search, part), forBytes(part.reduce((sum, { text }) => sum + text.length, 0)))
      waiting = waiting.slice(part.length)
    }
  }).pipe(Effect.ignore)
}

/** Keeps the copy of a journal up to date until the scope ends, and then sends what is left. Never fails: without the database there is no copy. */
export const publish = (options: Options): Effect.Effect<void, never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function* () {
    const { poll } = yield* Timing
    const send = sending(options)
    yield* Effect.ignore(once(copies.tidy))
    yield* Effect.addFinalizer(() => Effect.ignore(once(send, shortly)))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(send, Effect.sleep(poll))))
  })

/** A search whose journal is in the database. */
export type Copied = copies.Copied

/** Asks once: a viewer asks again by itself, and learns at once that the database is unavailable. */
const asked = <A>(
  effect: Effect.Effect<A, SqlError.SqlError, SqlClient.SqlClient>
): Effect.Effect<A, DatabaseUnavailable, SqlClient.SqlClient | Database> =>
  Database.use(({ name, problemOf }) => {
    const began = performance.now()
    return Effect.mapError(
      once(effect),
      (error) =>
        new DatabaseUnavailable({
          database: name,
          seconds: (performance.now() - began) / 1000,
          problem: problemOf(error)
        })
    )
  })

/** The searches whose journals are in the database, newest first. Fails with `DatabaseUnavailable` at once if it is unavailable. */
export const list: Effect.Effect<ReadonlyArray<Copied>, DatabaseUnavailable, SqlClient.SqlClient | Database> = asked(
  copies.list
)

/**
 * Creates a journal in `into`, a file on this machine, from a search's copy, and extends it as the copy grows, until the scope ends.
 * Returns once everything that was there has been fetched.
 */
export const fetch = Effect.fnUntraced(function* (search: string, into: string) {
  const { poll } = yield* Timing
  const target = yield* JournalCopy.target(into)
  let last = 0
  const step = Effect.gen(function* () {
    for (;;) {
      const { header, pieces } = yield* asked(copies.since(search, last, most))
      if (header === undefined) return
      const [newest] = pieces.slice(-1)
      if (newest === undefined && last > 0) return
      yield* target.add({ header, pieces })
      if (newest === undefined) return
      last = newest.number
    }
  })
  yield* step
  // If the database is unavailable, it is asked again.
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(step), Effect.sleep(poll))))
})

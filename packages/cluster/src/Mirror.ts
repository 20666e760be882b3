/**
 * A search's journal on the database, so that it can be looked at from any machine while it runs. The journal itself stays where the search is: what lies on the database is a copy, which nothing is read back from, and a
 * search goes on as it would without it.
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

/** Which search is copied to the database, and from which file. */
export interface Options {
  /** The search's name on the database. */
  readonly search: string
  /** The journal's file on this machine. */
  readonly journal: string
}

/** Entries of one statement. */
const most = 500

/** Sends what came to the journal; whatever fails is sent the next time. */
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

/** Keeps the copy of a journal up to date until the scope ends, and brings what is left then. Never fails: without the database there is no copy. */
export const publish = (options: Options): Effect.Effect<void, never, SqlClient.SqlClient | Scope.Scope> =>
  Effect.gen(function* () {
    const { poll } = yield* Timing
    const send = sending(options)
    yield* Effect.ignore(once(copies.tidy))
    yield* Effect.addFinalizer(() => Effect.ignore(once(send, shortly)))
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(send, Effect.sleep(poll))))
  })

/** A search whose journal lies on the database. */
export type Copied = copies.Copied

/** Asks once: whoever looks asks again by himself, and hears at once that the database is away. */
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

/** The searches whose journals lie on the database, the newest first. Fails with `DatabaseUnavailable` at once where it is away. */
export const list: Effect.Effect<ReadonlyArray<Copied>, DatabaseUnavailable, SqlClient.SqlClient | Database> = asked(
  copies.list
)

/** Makes a journal in `into`, a file on this machine, of a search's copy, and lets it grow as that grows, until the scope ends. Gives when what there was is there. */
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
  // A database that is away is asked again.
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.ignore(step), Effect.sleep(poll))))
})

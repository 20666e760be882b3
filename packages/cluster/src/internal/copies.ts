/** Copies of journals: their headers, and their entries in order of arrival. */
import type { JournalCopy } from "@uninet/search"
import * as Effect from "effect/Effect"
import { SqlClient } from "effect/sql"
import { aliveSeconds } from "./tables.ts"
import { clean } from "./trials.ts"

/** Registers the search with this header. */
export const begin = (search: string, header: string) =>
  SqlClient.SqlClient.use(
    (sql) => sql`insert into uninet_journal (search, header) values (${search}, ${clean(header)})
      on conflict (search) do update set header = excluded.header, at = now()`
  )

/** Adds entries, in order; existing ones stay as they are. */
export const add = (search: string, pieces: ReadonlyArray<JournalCopy.Piece>) => {
  const rows = JSON.stringify(pieces.map(({ step, text, trial }) => ({ trial, step, text: clean(text) })))
  return SqlClient.SqlClient.use((sql) =>
    Effect.andThen(
      sql`insert into uninet_journal_entry (search, trial, step, text)
        select ${search}, given.trial, given.step, given.text from json_to_recordset(${rows}::json) as given (trial int, step int, text text)
        on conflict (search, trial, step) do nothing`,
      sql`update uninet_journal set at = now() where search = ${search}`
    )
  )
}

export interface Copied {
  readonly search: string
  /** `finished` means that its driver has cleaned up. */
  readonly state: "running" | "stopped" | "finished"
}

/** All copies, newest first. */
export const list = SqlClient.SqlClient.use(
  (sql) => sql<{ readonly search: string; readonly alive: boolean | null; readonly open: boolean }>`
    select j.search, s.id is not null as open, s.seen_at > now() - make_interval(secs => ${aliveSeconds}) as alive
    from uninet_journal j left join uninet_search s on s.id = j.search order by j.begun_at desc, j.search`
).pipe(
  Effect.map((rows): ReadonlyArray<Copied> =>
    rows.map(({ alive, open, search }) => ({
      search,
      state: !open ? "finished" : alive === true ? "running" : "stopped"
    }))
  )
)

/** The header, if there is one, and up to this many entries that arrived after a number. */
export const since = (search: string, number: number, most: number) =>
  SqlClient.SqlClient.use((sql) =>
    Effect.gen(function* () {
      const [row] = yield* sql<{
        readonly header: string
      }>`select header from uninet_journal where search = ${search}`
      const pieces = yield* sql<JournalCopy.Piece & { readonly number: number }>`
        select number::double precision as number, trial, step, text from uninet_journal_entry
        where search = ${search} and number > ${number} order by number limit ${most}`
      return { header: row?.header, pieces }
    })
  )

/** Removes copies that nothing was added to for a month. */
export const tidy = SqlClient.SqlClient.use(
  (sql) => sql`delete from uninet_journal where at < now() - interval '30 days'`
)

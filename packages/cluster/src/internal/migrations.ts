/**
 * The tables: `uninet_search` (how a search is evaluated, and who drives it), `uninet_worker` (the active workers), `uninet_trial` (the
 * queue, with progress and outcome of each trial), `uninet_checkpoint` (trainings that are to be continued), `uninet_journal` with
 * `uninet_journal_entry` (copies of journals, for viewing). A database from an earlier version is migrated to this one.
 */
import * as Effect from "effect/Effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import { DatabaseRefused } from "../ClusterError.ts"
import { once } from "./attempt.ts"

const table = "uninet_migrations"

/**
 * Programs of the previous version do not know the new tables. This name of a constraint appears in the error that they get when they write
 * to the old ones.
 */
const later = "this database is used by a later version of uninet"

/** Whether anyone with an earlier version was active within the last 15 s. */
const present = SqlClient.SqlClient.use(
  (sql) =>
    sql<{ readonly role: string; readonly host: string | null; readonly pid: number | null }>`
      select 'worker' as role, host, pid from uninet_worker where seen_at > now() - interval '15 seconds'
      union all select 'search', host, pid from uninet_search where seen_at > now() - interval '15 seconds' limit 1`
)

const migrations = {
  "0001_tables": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`create table uninet_search (
      id text primary key, version text not null, description text not null,
      host text, pid int, seen_at timestamptz, begun_at timestamptz not null default now()
    )`
    yield* sql`create table uninet_worker (
      id text primary key, version text not null, host text not null, pid int not null, slots int not null,
      problem text, seen_at timestamptz not null default now()
    )`
    yield* sql`create table uninet_progress (
      key text primary key, search text not null, worker text not null,
      done double precision not null, loss double precision, images_per_second double precision,
      at timestamptz not null default now()
    )`
    yield* sql`create table uninet_outcome (
      key text primary key, search text not null, outcome text not null, weights bytea, at timestamptz not null default now()
    )`
  }),
  "0002_checkpoints": SqlClient.SqlClient.use(
    (sql) => sql`create table uninet_checkpoint (
      search text not null, keep text not null, name text not null, content bytea not null, primary key (search, keep, name)
    )`
  ),
  "0003_examples": SqlClient.SqlClient.use(
    (sql) => sql`alter table uninet_progress rename column images_per_second to examples_per_second`
  ),
  // The queue used to be Effect's, with a workflow for each trial; now a trial is one row, where its outcome stays.
  "0004_trials": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const [other] = yield* present
    if (other !== undefined)
      return yield* new DatabaseRefused({
        database: "of an earlier version of uninet",
        problem: `a ${other.role} of an earlier version (process ${other.pid} on ${other.host}) is still using it`,
        remedy: "Stop it, then start this one again"
      })
    yield* sql`drop table uninet_progress`
    yield* sql`drop table if exists uninet_queue`
    yield* sql`drop table if exists uninet_queue_migrations`
    // The tables of Effect Cluster may also belong to another program.
    const [messages] = yield* sql<{
      readonly there: boolean
    }>`select to_regclass('cluster_messages') is not null as there`
    if (messages?.there === true) {
      yield* sql`delete from cluster_replies where request_id in (select request_id from cluster_messages where shard_id like 'uninet-%')`
      yield* sql`delete from cluster_messages where shard_id like 'uninet-%'`
    }
    // In place: the weights of finals may be gigabytes.
    yield* sql`alter table uninet_outcome rename to uninet_trial`
    yield* sql`create sequence uninet_trial_number`
    yield* sql`alter table uninet_trial
      alter column outcome drop not null,
      add column number bigint not null default 0,
      add column version text not null default '',
      add column trial text not null default '{}',
      add column claim text,
      add column worker text,
      add column beat int not null default 0,
      add column lost int not null default 0,
      add column strikes jsonb not null default '[]',
      add column avoid text[] not null default '{}',
      add column done double precision not null default 0,
      add column loss double precision,
      add column examples_per_second double precision`
    yield* sql`alter table uninet_trial alter column number set default nextval('uninet_trial_number')`
    yield* sql`alter sequence uninet_trial_number owned by uninet_trial.number`
    yield* sql`create index uninet_trial_open on uninet_trial (version, number) where outcome is null`
    yield* sql`create index uninet_trial_search on uninet_trial (search)`
    yield* sql`alter table uninet_search add column driver text, add column beat int not null default 0`
    yield* sql`alter table uninet_worker add column beat int not null default 0`
    for (const name of ["uninet_search", "uninet_worker"]) {
      yield* sql`alter table ${sql(name)} add column protocol int not null default 2`
      yield* sql`alter table ${sql(name)} alter column protocol set default 1,
        add constraint ${sql(later)} check (protocol >= 2)`
    }
  }),
  "0005_journals": Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`create table uninet_journal (
      search text primary key, header text not null, begun_at timestamptz not null default now(), at timestamptz not null default now()
    )`
    yield* sql`create table uninet_journal_entry (
      search text not null references uninet_journal on delete cascade, number bigserial, trial int not null, step int not null, text text not null,
      primary key (search, trial, step)
    )`
    yield* sql`create index uninet_journal_entry_order on uninet_journal_entry (search, number)`
  })
}

const newest = Object.keys(migrations).length

/** The last migration applied to the database; 0 if there is none. */
const reached = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  const [found] = yield* sql<{ readonly there: boolean }>`select to_regclass(${table}) is not null as there`
  if (found?.there !== true) return 0
  const [row] = yield* sql<{ readonly last: number }>`select coalesce(max(migration_id), 0) as last from ${sql(table)}`
  return row?.last ?? 0
})

/** Creates the missing tables. Any number of processes may do so at the same time, and may be killed while they do. */
export const migrate = (
  name: string
): Effect.Effect<void, DatabaseRefused | SqlError.SqlError | Migrator.MigrationError, SqlClient.SqlClient> =>
  Effect.gen(function* () {
    const last = yield* once(reached)
    if (last > newest)
      return yield* new DatabaseRefused({
        database: name,
        problem: "its tables were made by a later version of uninet",
        remedy: "Install that version, or use another database"
      })
    if (last === newest) return
    yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table }).pipe(
      Effect.mapError((error) => {
        if (SqlError.isSqlError(error) || !(error.cause instanceof DatabaseRefused)) return error
        const { problem, remedy } = error.cause
        return new DatabaseRefused({ database: name, problem, remedy })
      })
    )
  })

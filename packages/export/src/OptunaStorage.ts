/**
 * A search's trials as an Optuna storage: an SQLite file that `optuna-dashboard` and `optuna.load_study` open. Its tables follow Optuna's
 * schema 12 (Optuna 3.2 to 5).
 */
import * as Effect from "effect/Effect"
import { DatabaseSync } from "node:sqlite"
import { TrialsNotWritten } from "./TrialsNotWritten.ts"
import * as Trials from "./Trials.ts"

const schema = `
create table alembic_version (version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num));
create table version_info (version_info_id integer not null, schema_version integer, library_version varchar(256), primary key (version_info_id), check (version_info_id=1));
create table studies (study_id integer not null, study_name varchar(512) not null, primary key (study_id));
create unique index ix_studies_study_name on studies (study_name);
create table study_directions (study_direction_id integer not null, direction varchar(8) not null, study_id integer not null, objective integer not null, primary key (study_direction_id),
  unique (study_id, objective), foreign key(study_id) references studies (study_id));
create table study_user_attributes (study_user_attribute_id integer not null, study_id integer, "key" varchar(512), value_json text, primary key (study_user_attribute_id), unique (study_id, "key"),
  foreign key(study_id) references studies (study_id));
create table study_system_attributes (study_system_attribute_id integer not null, study_id integer, "key" varchar(512), value_json text, primary key (study_system_attribute_id),
  unique (study_id, "key"), foreign key(study_id) references studies (study_id));
create table trials (trial_id integer not null, number integer, study_id integer, state varchar(8) not null, datetime_start datetime, datetime_complete datetime, primary key (trial_id),
  foreign key(study_id) references studies (study_id));
create index ix_trials_study_id on trials (study_id);
create table trial_user_attributes (trial_user_attribute_id integer not null, trial_id integer, "key" varchar(512), value_json text, primary key (trial_user_attribute_id), unique (trial_id, "key"),
  foreign key(trial_id) references trials (trial_id));
create table trial_system_attributes (trial_system_attribute_id integer not null, trial_id integer, "key" varchar(512), value_json text, primary key (trial_system_attribute_id),
  unique (trial_id, "key"), foreign key(trial_id) references trials (trial_id));
create table trial_params (param_id integer not null, trial_id integer, param_name varchar(512), param_value float, distribution_json text, primary key (param_id), unique (trial_id, param_name),
  foreign key(trial_id) references trials (trial_id));
create table trial_values (trial_value_id integer not null, trial_id integer not null, objective integer not null, value float, value_type varchar(7) not null, primary key (trial_value_id),
  unique (trial_id, objective), foreign key(trial_id) references trials (trial_id));
create table trial_intermediate_values (trial_intermediate_value_id integer not null, trial_id integer not null, step integer not null, intermediate_value float,
  intermediate_value_type varchar(7) not null, primary key (trial_intermediate_value_id), unique (trial_id, step), foreign key(trial_id) references trials (trial_id));
create table trial_heartbeats (trial_heartbeat_id integer not null, trial_id integer not null, heartbeat datetime not null, primary key (trial_heartbeat_id), unique (trial_id),
  foreign key(trial_id) references trials (trial_id));
insert into alembic_version values ('v3.2.0.a');
insert into version_info values (1, 12, '3.2.0');
`

const states = { finished: "COMPLETE", failed: "FAIL", running: "RUNNING", refused: "FAIL" } as const satisfies Record<
  Trials.State,
  string
>

/** Optuna's times have no time zone; these are in UTC. */
const time = (at: number | null) =>
  at === null ? null : new Date(at).toISOString().replace("T", " ").replace("Z", "000")

/** How Optuna sees a choice: numbers by their range, everything else as a list of the values that occur. */
const distributionOf = (values: ReadonlyArray<Trials.Scalar>) => {
  const numbers = values.filter((each) => typeof each === "number")
  if (numbers.length < values.length) {
    const choices = [...new Set(values)]
    return {
      json: JSON.stringify({ name: "CategoricalDistribution", attributes: { choices } }),
      of: (value: Trials.Scalar) => choices.indexOf(value)
    }
  }
  const [low, high] = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))]
  const isWhole = numbers.every(Number.isSafeInteger)
  return {
    json: JSON.stringify({
      name: isWhole ? "IntDistribution" : "FloatDistribution",
      attributes: { log: false, step: isWhole ? 1 : null, low, high }
    }),
    of: Number
  }
}

const fill = (db: DatabaseSync, { name, objectives, rows: all, seed, settings }: Trials.Table) => {
  // A trial that was never started is not a trial for Optuna.
  const rows = all.filter(({ state }) => state !== "refused")
  const insert = (table: string, columns: number) =>
    db.prepare(`insert into ${table} values (null${", ?".repeat(columns)})`)
  db.prepare("insert into studies values (1, ?)").run(name)
  const direction = insert("study_directions", 3)
  for (const [i, objective] of objectives.entries())
    direction.run(objective.direction === "higher" ? "MAXIMIZE" : "MINIMIZE", 1, i)
  const ofStudy = insert("study_user_attributes", 3)
  for (const [key, value] of Object.entries({ ...settings, seed }))
    ofStudy.run(1, `uninet:${key}`, JSON.stringify(value))
  insert("study_system_attributes", 3).run(1, "study:metric_names", JSON.stringify(objectives.map((each) => each.name)))
  const names = [...new Set(rows.flatMap(({ parameters }) => Object.keys(parameters)))]
  const distributions = new Map(
    names.map((each) => {
      const values = rows.flatMap(({ parameters }) =>
        Object.hasOwn(parameters, each) ? [parameters[each] ?? null] : []
      )
      return [each, distributionOf(values)] as const
    })
  )
  const trial = db.prepare("insert into trials values (?, ?, 1, ?, ?, ?)")
  const [parameter, found, attribute, between] = [
    insert("trial_params", 4),
    insert("trial_values", 4),
    insert("trial_user_attributes", 3),
    insert("trial_intermediate_values", 4)
  ]
  const [first] = objectives
  for (const [number, row] of rows.entries()) {
    const id = number + 1
    trial.run(id, number, states[row.state], time(row.begun), row.state === "running" ? null : time(row.ended))
    for (const [each, value] of Object.entries(row.parameters)) {
      const distribution = distributions.get(each)
      if (distribution !== undefined) parameter.run(id, each, distribution.of(value), distribution.json)
    }
    if (row.state === "finished")
      for (const [i, objective] of objectives.entries()) {
        const value = Trials.valueOf(objective)(row)
        if (value !== undefined) found.run(id, i, value, "FINITE")
      }
    const about = {
      trial: row.trial,
      hash: row.hash,
      line: row.line,
      ...row.measures,
      ...row.costs,
      ...(row.reason === null ? {} : { reason: row.reason, detail: row.detail }),
      ...(row.place === null ? {} : row.place)
    }
    for (const [key, value] of Object.entries(about)) attribute.run(id, key, JSON.stringify(value))
    // One series per trial: the deciding measure, if its name is an objective's; otherwise the training loss.
    const series = first === undefined ? undefined : (row.curve?.measures[first.name] ?? row.curve?.loss)
    for (const [i, epoch] of (row.curve?.epochs ?? []).entries()) {
      const value = series?.[i] ?? null
      if (value !== null) between.run(id, epoch, value, "FINITE")
    }
  }
}

/**
 * Writes the file, which must not exist yet.
 *
 * Refused trials are left out. Numbers have the range of the values that occur, named choices the list of those that occur.
 *
 * @example
 * ```ts
 * import { OptunaStorage, type Trials } from "@uninet/export"
 * import { Console, Effect } from "effect"
 * import { rmSync } from "node:fs"
 *
 * // A table by hand; `Trials.of` makes one of a journal.
 * const row = (trial: number, width: number, reward: number): Trials.Row => ({
 *   trial,
 *   state: "finished",
 *   hash: String(trial),
 *   line: `width ${width}`,
 *   parameters: { width },
 *   costs: { macs: 1000 * width },
 *   measures: { accuracy: reward },
 *   epochs: 1,
 *   reward,
 *   reason: null,
 *   detail: null,
 *   begun: 1000 * trial,
 *   ended: 1000 * (trial + 1),
 *   place: null,
 *   curve: null,
 *   seed: `demo/trial/${trial}`
 * })
 * const table: Trials.Table = {
 *   name: "demo",
 *   objectives: [{ name: "reward", direction: "higher" }],
 *   settings: {},
 *   seed: "demo",
 *   rows: [row(0, 8, 0.9), row(1, 16, 0.93)]
 * }
 * rmSync("optuna.db", { force: true })
 * OptunaStorage.write("optuna.db")(table).pipe(
 *   Effect.andThen(Console.log("optuna-dashboard sqlite:///optuna.db shows it")),
 *   Effect.runPromise
 * )
 * ```
 */
export const write =
  (path: string) =>
  (table: Trials.Table): Effect.Effect<void, TrialsNotWritten> =>
    Effect.try({
      try: () => {
        const db = new DatabaseSync(path)
        try {
          db.exec("pragma synchronous = off; begin")
          db.exec(schema)
          fill(db, table)
          db.exec("commit")
        } finally {
          db.close()
        }
      },
      catch: (cause) => new TrialsNotWritten({ path, problem: cause instanceof Error ? cause.message : String(cause) })
    })

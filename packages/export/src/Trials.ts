/**
 * A search's trials as a table for other tools: the choices, each with its own name, their costs, their outcomes, and how training went.
 * Made from the journal alone: the space's module is not needed.
 */
import { Journal, type Training } from "@uninet/search"
import type * as Schema from "effect/Schema"

/** The value of a choice. */
export type Scalar = string | number | boolean | null

/** The state of a trial: it has a result; it has none; it was refused before any training; it had not ended when the journal was read. */
export type State = "finished" | "failed" | "refused" | "running"

/** A trial, for a spreadsheet or another tool. */
export interface Row {
  /** The trial's number, from 0. */
  readonly trial: number
  readonly state: State
  readonly hash: string
  /** The network on one line; empty if it was refused. */
  readonly line: string
  /** The leaves of the point by their paths, such as `stages.0.operator`: only letters, digits and `_ - .`. */
  readonly parameters: Readonly<Record<string, Scalar>>
  readonly costs: Readonly<Record<string, number>>
  /** The measures of its last result, and the epochs it was trained for. */
  readonly measures: Readonly<Record<string, number>>
  readonly epochs: number | null
  readonly reward: number | null
  /** Why it has no result. */
  readonly reason: string | null
  readonly detail: string | null
  /** Milliseconds since 1970: of its training if that is known, otherwise of its entries. */
  readonly begun: number
  readonly ended: number | null
  readonly place: Training.Place | null
  /** Over all its rungs. */
  readonly curve: Training.Curve | null
  readonly seed: string
}

/** A goal of the search. */
export interface Objective {
  readonly name: string
  readonly direction: "higher" | "lower"
}

/** A search's trials, for another tool. */
export interface Table {
  /** The name of the run. */
  readonly name: string
  /** The reward, or the objectives of a search for a Pareto front. */
  readonly objectives: ReadonlyArray<Objective>
  readonly settings: Readonly<Record<string, Schema.Json>>
  readonly seed: string
  /** By trial. */
  readonly rows: ReadonlyArray<Row>
}

const plain = (name: string) => name.replace(/[^\w.-]+/g, "_")

/**
 * The leaves of some JSON, by path.
 *
 * @example
 * ```ts
 * import { Trials } from "@uninet/export"
 *
 * console.log(Trials.leaves({ stages: [{ operator: "SA", repeats: 2 }], learningRate: 0.01 }))
 * // [ [ 'stages.0.operator', 'SA' ], [ 'stages.0.repeats', 2 ], [ 'learningRate', 0.01 ] ]
 * ```
 */
export const leaves = (json: Schema.Json, path = ""): ReadonlyArray<readonly [string, Scalar]> => {
  if (typeof json !== "object" || json === null) return [[path === "" ? "point" : path, json]]
  const below = (key: string) => (path === "" ? plain(key) : `${path}.${plain(key)}`)
  const entries = Array.isArray(json)
    ? json.map((each: Schema.Json, i) => [String(i), each] as const)
    : Object.entries(json)
  return entries.flatMap(([key, value]) => leaves(value, below(key)))
}

/** A row's value for an objective: a measure, a cost, or the reward. */
export const valueOf =
  ({ name }: Objective) =>
  ({ costs, measures, reward }: Row): number | undefined =>
    name === "reward" ? (reward ?? undefined) : (measures[name] ?? costs[name])

const isObjective = (each: Schema.Json): each is { readonly name: string; readonly direction: "higher" | "lower" } =>
  typeof each === "object" && each !== null && "name" in each && "direction" in each

/** If the objectives are custom functions, only their module knows them: the reward is used instead. */
const objectivesOf = (settings: Journal.Identity["settings"], rows: ReadonlyArray<Row>): ReadonlyArray<Objective> => {
  const given = settings["objectives"]
  const all = Array.isArray(given) ? given.filter(isObjective) : []
  const finished = rows.filter(({ state }) => state === "finished")
  const isKnown = all.length > 1 && finished.every((row) => all.every((each) => valueOf(each)(row) !== undefined))
  return isKnown ? all.map(({ direction, name }) => ({ name, direction })) : [{ name: "reward", direction: "higher" }]
}

/**
 * A journal's trials as a table.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { MlflowStore, TensorBoard, Trials } from "@uninet/export"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const options = { trials: 4, seed: "demo" }
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, options)
 *   const { entries } = yield* Journal.Journal
 *   const table = Trials.of("demo", yield* Search.identity(cells, options), yield* entries)
 *   const [first] = table.rows
 *   if (first !== undefined) yield* Console.log(Trials.valueOf({ name: "accuracy", direction: "higher" })(first))
 *   yield* Console.log(Trials.csv(table).split("\n")[0]) // the columns
 *   yield* Console.log(Trials.jsonl(table).trim().split("\n").length) // 4
 *   // The same for TensorBoard and for MLflow, as files by their paths.
 *   yield* Console.log(TensorBoard.files(table).size, MlflowStore.files()(table).size)
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Random.layer(), evaluator, Journal.memory])))
 * ```
 */
export const of = (
  name: string,
  identity: Journal.Identity,
  entries: ReadonlyArray<Journal.Stored>,
  trainings: ReadonlyArray<Journal.Trained> = []
): Table => {
  const trained = Map.groupBy(trainings, ({ trial }) => trial)
  const rows = new Map<number, Row>()
  for (const { at, entry } of entries) {
    if (entry._tag === "Proposed" || entry._tag === "Refused") {
      const isRefused = entry._tag === "Refused"
      rows.set(entry.trial, {
        trial: entry.trial,
        state: isRefused ? "refused" : "running",
        hash: entry.hash,
        line: isRefused ? "" : entry.line,
        parameters: Object.fromEntries(leaves(entry.point)),
        costs: isRefused ? {} : entry.costs,
        measures: {},
        epochs: null,
        reward: null,
        reason: isRefused ? "Refused" : null,
        detail: isRefused ? entry.why : null,
        begun: at,
        ended: isRefused ? at : null,
        place: null,
        curve: null,
        seed: isRefused ? "" : entry.seed
      })
    }
    const row = rows.get(entry.trial)
    if (row === undefined || (entry._tag !== "Finished" && entry._tag !== "Failed")) continue
    const own = (trained.get(entry.trial) ?? []).filter(({ step }) => step <= Journal.stepOf(entry))
    const [first, last] = [own[0], own.at(-1)]
    rows.set(entry.trial, {
      ...row,
      // A later rung that failed keeps the result of the one before.
      ...(entry._tag === "Finished"
        ? {
            state: "finished",
            measures: entry.evaluation.measures,
            epochs: entry.evaluation.stoppedAfter ?? entry.evaluation.epochs,
            reward: entry.reward
          }
        : { state: row.state === "finished" ? "finished" : "failed", reason: entry.reason, detail: entry.detail }),
      begun: first?.begun ?? row.begun,
      ended: last?.ended ?? at,
      place: last?.place ?? row.place,
      curve: Journal.curveOf(own) ?? null
    })
  }
  const all = [...rows.values()].toSorted((a, b) => a.trial - b.trial)
  return {
    name,
    objectives: objectivesOf(identity.settings, all),
    settings: identity.settings,
    seed: identity.seed,
    rows: all
  }
}

const names = (rows: ReadonlyArray<Row>, of: (row: Row) => Readonly<Record<string, unknown>>) => [
  ...new Set(rows.flatMap((row) => Object.keys(of(row))))
]

const cell = (value: Scalar | undefined): string => {
  const text = value === undefined || value === null ? "" : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const time = (at: number | null) => (at === null ? null : new Date(at).toISOString())

/** Comma-separated values (RFC 4180), one line per trial, empty if a trial has no value. Curves are left out. */
export const csv = ({ rows }: Table): string => {
  const columns: ReadonlyArray<readonly [string, (row: Row) => Scalar | undefined]> = [
    ["trial", ({ trial }) => trial],
    ["state", ({ state }) => state],
    ["reward", ({ reward }) => reward],
    ...names(rows, ({ measures }) => measures).map(
      (name) => [`measure.${name}`, (row: Row) => row.measures[name]] as const
    ),
    ...names(rows, ({ costs }) => costs).map((name) => [`cost.${name}`, (row: Row) => row.costs[name]] as const),
    ["epochs", ({ epochs }) => epochs],
    ["begun", ({ begun }) => time(begun)],
    ["ended", ({ ended }) => time(ended)],
    ["host", ({ place }) => place?.host],
    ["engine", ({ place }) => place?.engine],
    ...names(rows, ({ parameters }) => parameters).map(
      (name) => [`choice.${name}`, (row: Row) => row.parameters[name]] as const
    ),
    ["hash", ({ hash }) => hash],
    ["line", ({ line }) => line],
    ["reason", ({ reason }) => reason],
    ["detail", ({ detail }) => detail]
  ]
  const lines = [columns.map(([name]) => cell(name)), ...rows.map((row) => columns.map(([, of]) => cell(of(row))))]
  return lines.map((line) => `${line.join(",")}\r\n`).join("")
}

/** One line of JSON per trial, with everything known of it. */
export const jsonl = ({ rows }: Table): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

/**
 * Trials as columns, which a page filters, sorts and draws. Runs in Node and in a browser page.
 *
 * @example
 * ```ts
 * import { Random } from "@uninet/controller"
 * import { Choices, Distances, Front, Importance, Report, Run, Shares, Table } from "@uninet/report"
 * import { Evaluator, Journal, Search } from "@uninet/search"
 * import { NasBench201 } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const cells = Result.getOrThrow(NasBench201.models({ channels: 3, height: 32, width: 32, classes: 10, cells: 1 }))
 * const evaluator = Evaluator.fromFunction(cells, (cell) =>
 *   Effect.succeed({ accuracy: NasBench201.convolutions(cell).threes / 6, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const options = { trials: 60, seed: "demo" }
 * const program = Effect.gen(function* () {
 *   yield* Search.run(cells, options)
 *   const { entries } = yield* Journal.Journal
 *   const identity = yield* Search.identity(cells, options)
 *   const run = Run.of({ identity, entries: yield* entries, isCut: false }, { name: "demo", state: "finished" })
 *
 *   // The trials as columns: any of them as text, or as numbers.
 *   const table = Run.table(run)
 *   const choices = Table.ofRole("choice")(table)
 *   const accuracy = Table.numbers("accuracy")(table) ?? new Float64Array()
 *   const macs = Table.numbers("macs")(table) ?? new Float64Array()
 *   for (const column of choices) yield* Console.log(column.name, Table.text(0)(column), Table.number(0)(column))
 *   yield* Console.log(Table.column("network")(table)?.role)
 *
 *   // What can be had for how much, and what was the best by then.
 *   const rows = Array.from({ length: table.size }, (_, row) => row)
 *   const objectives = [
 *     { values: accuracy, direction: Front.directionOf("accuracy")(run.info) },
 *     { values: macs, direction: Front.directionOf("macs")(run.info) }
 *   ] as const
 *   yield* Console.log(Front.of(Front.comparable(rows, objectives, undefined).rows, objectives).length)
 *   yield* Console.log(Front.running(rows, objectives[0], undefined).at(-1)?.value)
 *
 *   // Which choices matter; how unlike three points are; what the strategy proposed how often.
 *   const { choices: important } = Importance.of("accuracy", { forests: 2 })(table)
 *   yield* Console.log(important[0]?.name, Report.importances(table, { forests: 2 })(run).map(({ measure }) => measure))
 *   yield* Console.log(Distances.of([0, 1, 2], choices))
 *   const [first] = choices
 *   if (first?.kind === "category") yield* Console.log(Shares.of(rows, first, 2).map(({ shares }) => shares.length))
 *   yield* Console.log(Choices.ordered(["16", "8", "conv"]), Choices.of({ stage: { width: 8 } })) // numbers rise
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide([Random.layer(), evaluator, Journal.memory])))
 * ```
 */
import * as Choices from "./Choices.ts"
import { type Row, states } from "./Row.ts"

/** The kind of content in a column. */
export type Role = "trial" | "state" | "time" | "result" | "measure" | "cost" | "choice" | "text"

/** Numbers; NaN for no value. */
export interface Numbers {
  readonly kind: "number"
  readonly name: string
  readonly role: Role
  readonly values: Float64Array
}

/** One of several options: the code of `labels[i]` is i + 1, and 0 means no value. */
export interface Category {
  readonly kind: "category"
  readonly name: string
  readonly role: Role
  readonly labels: ReadonlyArray<string>
  readonly codes: Uint16Array
}

/** Texts, stored as a single UTF-8 text: row i has the part from `offsets[i]` to `offsets[i + 1]`. */
export interface Texts {
  readonly kind: "text"
  readonly name: string
  readonly role: Role
  readonly offsets: Uint32Array
  readonly bytes: Uint8Array
}

/** A column: numbers, one of a few names, or texts. */
export type Column = Numbers | Category | Texts

/** Results by epochs for all rows; those of one row are in order. */
export interface Curves {
  /** The row of each step. */
  readonly rows: Int32Array
  readonly epochs: Float64Array
  readonly values: Readonly<Record<string, Float64Array>>
}

/** Trainings of all rows: what ran them, and when. */
export interface Work {
  /** The row of each training. */
  readonly rows: Int32Array
  /** In seconds since the first trial, like `begun`. */
  readonly begun: Float64Array
  readonly seconds: Float64Array
  /** The worker, as an index into `names`. */
  readonly workers: Uint16Array
  readonly names: ReadonlyArray<string>
}

/** Rows stored by columns. */
export interface Table {
  /** The number of rows. */
  readonly size: number
  readonly columns: ReadonlyArray<Column>
  readonly curves: Curves
  readonly work: Work
}

/** The column with a name, if there is one. */
export const column =
  (name: string) =>
  (table: Table): Column | undefined =>
    table.columns.find((each) => each.name === name)

/** The numbers of a column, one per row, NaN for no value; `undefined` if there is no column of numbers with that name. */
export const numbers =
  (name: string) =>
  (table: Table): Float64Array | undefined => {
    const found = column(name)(table)
    return found?.kind === "number" ? found.values : undefined
  }

/** The columns with a role. */
export const ofRole =
  (role: Role) =>
  (table: Table): ReadonlyArray<Column> =>
    table.columns.filter((each) => each.role === role)

const utf8 = new TextDecoder()

/** The value of a column in a row, as text; empty if there is none. */
export const text =
  (row: number) =>
  (of: Column): string => {
    if (of.kind === "category") return of.labels[(of.codes[row] ?? 0) - 1] ?? ""
    if (of.kind === "text") return utf8.decode(of.bytes.subarray(of.offsets[row], of.offsets[row + 1]))
    const value = of.values[row] ?? NaN
    return Number.isNaN(value) ? "" : String(value)
  }

/** The value of a column in a row as a number: for options their order, for texts nothing. */
export const number =
  (row: number) =>
  (of: Column): number =>
    of.kind === "number" ? (of.values[row] ?? NaN) : of.kind === "category" ? of.codes[row] || NaN : NaN

const textsOf = (name: string, role: Role, texts: ReadonlyArray<string>): Texts => {
  const encoder = new TextEncoder()
  const parts = texts.map((each) => encoder.encode(each))
  const offsets = new Uint32Array(texts.length + 1)
  for (const [i, part] of parts.entries()) offsets[i + 1] = (offsets[i] ?? 0) + part.length
  const bytes = new Uint8Array(offsets[texts.length] ?? 0)
  for (const [i, part] of parts.entries()) bytes.set(part, offsets[i])
  return { kind: "text", name, role, offsets, bytes }
}

const numbersOf = (name: string, role: Role, values: ReadonlyArray<number | null | undefined>): Numbers => ({
  kind: "number",
  name,
  role,
  values: Float64Array.from(values, (value) => value ?? NaN)
})

const categoryOf = (
  name: string,
  role: Role,
  labels: ReadonlyArray<string>,
  texts: ReadonlyArray<string | undefined>
): Category => {
  const codes = new Map(labels.map((label, i) => [label, i + 1]))
  return {
    kind: "category",
    name,
    role,
    labels,
    codes: Uint16Array.from(texts, (each) => (each === undefined ? 0 : (codes.get(each) ?? 0)))
  }
}

/** With more different numbers than this, a choice is a range. */
const mostOptions = 64

/** A choice as a column; nothing if all points have the same value. */
const choiceOf = (name: string, texts: ReadonlyArray<string | undefined>): Column | undefined => {
  const different = new Set(texts)
  if (different.size < 2) return undefined
  different.delete(undefined)
  const labels = Choices.ordered([...different].filter((each) => each !== undefined))
  if (labels.length <= mostOptions) return categoryOf(name, "choice", labels, texts)
  const values = texts.map((each) => (each === undefined ? NaN : Number(each)))
  // Arbitrary texts, such as a unique name for every point: not a choice that can be drawn.
  return values.some((value, i) => Number.isNaN(value) && texts[i] !== undefined)
    ? textsOf(
        name,
        "text",
        texts.map((each) => each ?? "")
      )
    : numbersOf(name, "choice", values)
}

const namesIn = (rows: ReadonlyArray<Row>, of: (row: Row) => Readonly<Record<string, number>>) => {
  const names = new Set<string>()
  for (const row of rows) for (const name in of(row)) names.add(name)
  return [...names]
}

/** A column of texts, if there are any. */
const some = (made: Texts): ReadonlyArray<Texts> => (made.bytes.length === 0 ? [] : [made])

/** Column names that exist for every search. */
export const own = [
  "trial",
  "state",
  "reward",
  "epochs",
  "begun",
  "seconds",
  "network",
  "why",
  "finals",
  "seed"
] as const

/** Rows as columns, sorted by trial. `begun` is in seconds since the first trial; `seconds` is how long a trial took. */
export const of = (rows: ReadonlyArray<Row>): Table => {
  const sorted = rows.toSorted((a, b) => a.trial - b.trial)
  const start = sorted.reduce((least, { begun }) => Math.min(least, begun ?? Infinity), Infinity)
  const measures = namesIn(sorted, ({ measures }) => measures)
  const costs = namesIn(sorted, ({ costs }) => costs)
  const taken = new Set<string>([...own, ...measures, ...costs])
  const paths = new Map<string, Array<string | undefined>>()
  for (const [i, { point }] of sorted.entries())
    for (const [path, label] of Choices.of(point)) {
      const known = paths.get(path) ?? Array.from({ length: sorted.length }, (): string | undefined => undefined)
      paths.set(path, known)
      known[i] = label
    }
  const choices = [...paths].flatMap(([path, texts]) => {
    const made = choiceOf(taken.has(path) ? `point.${path}` : path, texts)
    return made === undefined ? [] : [made]
  })
  const columns: ReadonlyArray<Column> = [
    numbersOf(
      "trial",
      "trial",
      sorted.map(({ trial }) => trial)
    ),
    categoryOf(
      "state",
      "state",
      states,
      sorted.map(({ state }) => state)
    ),
    numbersOf(
      "reward",
      "result",
      sorted.map(({ reward }) => reward)
    ),
    numbersOf(
      "epochs",
      "result",
      sorted.map(({ epochs }) => epochs)
    ),
    ...measures.map((name) =>
      numbersOf(
        name,
        "measure",
        sorted.map((row) => row.measures[name])
      )
    ),
    ...costs.map((name) =>
      numbersOf(
        name,
        "cost",
        sorted.map((row) => row.costs[name])
      )
    ),
    ...choices,
    numbersOf(
      "begun",
      "time",
      sorted.map(({ begun }) => (begun === null ? null : (begun - start) / 1000))
    ),
    numbersOf(
      "seconds",
      "time",
      sorted.map(({ begun, ended }) => (begun === null || ended === null ? null : (ended - begun) / 1000))
    ),
    ...some(
      textsOf(
        "network",
        "text",
        sorted.map(({ line }) => line)
      )
    ),
    ...some(
      textsOf(
        "why",
        "text",
        sorted.map(({ why }) => why)
      )
    ),
    ...some(
      textsOf(
        "finals",
        "text",
        sorted.map(({ finals }) => finals)
      )
    ),
    ...some(
      textsOf(
        "seed",
        "text",
        // Seeds that simply follow from the trial number are left out.
        sorted.map(({ seed, trial }) => (seed.endsWith(`/trial/${trial}`) ? "" : seed))
      )
    )
  ]
  return { size: sorted.length, columns, curves: curvesOf(sorted), work: workOf(sorted, start) }
}

/** No more steps than this are kept: the curves of the best trials, and as many others as there is room for. */
const mostSteps = 200_000

/** Curves with more than one step. */
const curvesOf = (sorted: ReadonlyArray<Row>): Curves => {
  const kept = new Set<number>()
  let room = mostSteps
  const byWorth = sorted
    .map(({ curve, reward }, row) => ({ row, steps: curve.length, worth: reward ?? -Infinity }))
    .filter(({ steps }) => steps > 1)
    .sort((a, b) => b.worth - a.worth || a.row - b.row)
  for (const { row, steps } of byWorth) {
    room -= steps
    if (room < 0) break
    kept.add(row)
  }
  const steps = sorted.flatMap(({ curve }, row) => (kept.has(row) ? curve.map((step) => ({ row, step })) : []))
  const names = new Set<string>()
  for (const { step } of steps) for (const name in step.values) names.add(name)
  return {
    rows: Int32Array.from(steps, ({ row }) => row),
    epochs: Float64Array.from(steps, ({ step }) => step.epochs),
    values: Object.fromEntries(
      [...names].map((name) => [name, Float64Array.from(steps, ({ step }) => step.values[name] ?? NaN)])
    )
  }
}

const workOf = (sorted: ReadonlyArray<Row>, start: number): Work => {
  const all = sorted.flatMap(({ work }, row) => work.map((each) => ({ row, ...each })))
  const names = [...new Set(all.map(({ worker }) => worker))].sort()
  const numbers = new Map(names.map((name, i) => [name, i]))
  return {
    rows: Int32Array.from(all, ({ row }) => row),
    begun: Float64Array.from(all, ({ begun }) => (begun - start) / 1000),
    seconds: Float64Array.from(all, ({ begun, ended }) => (ended - begun) / 1000),
    workers: Uint16Array.from(all, ({ worker }) => numbers.get(worker) ?? 0),
    names
  }
}

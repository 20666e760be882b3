/**
 * Tabular benchmarks: spaces of which every network was trained, so that a search is a matter of looking up.
 *
 * A table is a JSON file, gzipped or not:
 *
 * ```json
 * { "name": "…", "choices": [{ "name": "…", "options": ["…"] }], "columns": ["choice", "search", "report"],
 *   "rows": [[[0, 2, 1], 91.3, 91.1]] }
 * ```
 *
 * A row for every combination of options: the option numbers, then a number for every further column. `search` is what a search is told, `report` what its
 * result is judged by. All of the form, and how published benchmarks are brought into it, stands in `docs/benchmark-tables.md`.
 *
 * Of a space too large for that a table has a sample, and says so by `"missing": "nearest"`: any other network then has the mean of the five nearest rows, each by the inverse of its distance (choices
 * that differ, ordered ones by how far). What is played then is this smooth landscape: good for holding strategies against one another, not for the figures that a search of the space would find.
 */
import { Choice, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Problem } from "./Benchmark.ts"
import * as NasBenchMacro from "./internal/nasBenchMacro.ts"

const Options = Schema.Array(Schema.Union([Schema.String, Schema.Finite])).check(Schema.isMinLength(1))

/** The file's form. */
export const Json = Schema.Struct({
  name: Schema.String,
  source: Schema.optionalKey(Schema.String),
  license: Schema.optionalKey(Schema.String),
  dataset: Schema.optionalKey(Schema.String),
  choices: Schema.Array(
    /** `ordered`: its options are numbers that rise. */
    Schema.Struct({ name: Schema.String, options: Options, ordered: Schema.optionalKey(Schema.Literal(true)) })
  ).check(Schema.isMinLength(1)),
  /** What is answered for a network without a row. Absent: every network has one. */
  missing: Schema.optionalKey(Schema.Literal("nearest")),
  columns: Schema.Array(Schema.String),
  rows: Schema.Array(Schema.TupleWithRest(Schema.Tuple([Schema.Array(Schema.Int)]), [Schema.Finite]))
})
export type Json = typeof Json.Type

/** A network of a table: the option chosen in every choice. */
export type Network = ReadonlyArray<string | number>

/** A table, ready to be searched. */
export interface Table extends Problem<Network> {
  /** Rows, one for every network, or for a sample of them. */
  readonly size: number
}

/** A file that is no table: not JSON, a missing column, ragged or missing rows, … */
export class InvalidTable extends Schema.TaggedError<InvalidTable>()("InvalidTable", {
  table: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.table} is not a benchmark table: ${this.problem}. Copy it again, or see the form in docs/benchmark-tables.md.`
  }
}

/** Rows that answer for a network that has none. */
const neighbours = 5

/** Whether a choice's options may be `ordered` in a table: numbers that rise. */
export const isRising = (options: ReadonlyArray<string | number>): options is ReadonlyArray<number> =>
  options.every((option, i) => typeof option === "number" && (i === 0 || option > Number(options[i - 1])))

const choiceOf = ({ options, ordered }: Json["choices"][number]): Choice.Choice<string | number> =>
  ordered === true && isRising(options) ? Choice.ordered(options) : Choice.categorical(options)

/** How far two networks are from one another: the choices that differ, ordered ones by how far. */
const distance = (choices: Json["choices"], a: ArrayLike<number>, b: ArrayLike<number>): number =>
  choices.reduce((sum, { options, ordered }, i) => {
    const apart = Math.abs((a[i] ?? 0) - (b[i] ?? 0))
    return sum + (ordered === true ? apart / Math.max(1, options.length - 1) : Math.min(1, apart))
  }, 0)

/** The nearest rows to a network with their weights; its own row alone where it has one. `except`: a row that is taken for missing. */
const nearest = (
  { choices, rows }: Pick<Json, "choices" | "rows">,
  tokens: ArrayLike<number>,
  except = -1
): ReadonlyArray<{ readonly row: number; readonly weight: number }> => {
  const found: Array<{ readonly row: number; readonly far: number }> = []
  for (const [row, [own]] of rows.entries()) {
    if (row === except) continue
    const far = distance(choices, own, tokens)
    if (far === 0) return [{ row, weight: 1 }]
    // infinite as long as there are fewer than are asked for
    if (far >= (found[neighbours - 1]?.far ?? Infinity)) continue
    if (found.length === neighbours) found.pop()
    found.splice(found.filter((other) => other.far <= far).length, 0, { row, far })
  }
  const all = found.reduce((sum, { far }) => sum + 1 / far, 0)
  return found.map(({ far, row }) => ({ row, weight: 1 / far / all }))
}

/**
 * What a sampled table would answer for each of its rows if that row were missing, by `search`: held against what the rows have, it says how good its answers are.
 *
 * @example
 * ```ts
 * import { Table } from "@uninet/controller"
 * import { Correlation } from "@uninet/predictor"
 *
 * // Of a hundred networks, those were trained whose digits add up to an even number.
 * const digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
 * const json: Table.Json = {
 *   name: "half of a hundred",
 *   choices: ["a", "b"].map((name) => ({ name, options: digits, ordered: true })),
 *   missing: "nearest",
 *   columns: ["choice", "search", "report"],
 *   rows: digits.flatMap((a) => digits.filter((b) => (a + b) % 2 === 0).map((b) => [[a, b], a * b, a * b] as const))
 * }
 * const known = json.rows.map(([, search]) => search)
 * console.log(Correlation.spearman(Table.leftOut(json), known) > 0.9) // its neighbours tell a network well
 * ```
 */
export const leftOut = (json: Json): ReadonlyArray<number> => {
  const column = json.columns.indexOf("search")
  return json.rows.map(([tokens], i) =>
    nearest(json, tokens, i).reduce((sum, { row, weight }) => sum + weight * Number(json.rows[row]?.[column]), 0)
  )
}

/**
 * Checks a table's JSON; that of NAS-Bench-Macro is taken as its authors publish it, too. `label` names it in errors.
 *
 * Fails with `InvalidTable`, which says what is wrong: a column that is missing, a row that is ragged, missing or there twice.
 */
export const fromJson = (json: unknown, label = "the table"): Result.Result<Table, InvalidTable> => {
  const invalid = (problem: string) => Result.fail(new InvalidTable({ table: label, problem }))
  const decoded = Schema.decodeUnknownResult(Json)(Option.getOrElse(NasBenchMacro.tableOf(json), () => json))
  if (Result.isFailure(decoded)) return invalid(decoded.failure.message.replace(/\s+/g, " "))
  const { choices, columns, name, rows } = decoded.success
  const column = (wanted: string) => columns.indexOf(wanted)
  if (column("choice") !== 0)
    return invalid(`its first column is ${columns[0]?.slice(0, 40) ?? "missing"} where "choice" must stand`)
  for (const wanted of ["search", "report"]) {
    if (column(wanted) < 0) return invalid(`it has no column "${wanted}"`)
  }
  const unordered = choices.find(({ options, ordered }) => ordered === true && !isRising(options))
  if (unordered !== undefined)
    return invalid(`the options of its choice ${unordered.name.slice(0, 40)} are ordered and no numbers that rise`)
  const made = Space.make(Choice.tuple(choices.map(choiceOf)))
  if (Result.isFailure(made)) return invalid(made.failure.message.replace(/\s+/g, " "))
  const counts = choices.map(({ options }) => options.length)
  const size = counts.reduce((product, count) => product * count, 1)
  const isSample = decoded.success.missing === "nearest"
  if (isSample && rows.length === 0) return invalid("it has no row")
  if (!isSample && !(size <= 2 ** 26)) return invalid(`it has ${size} networks, more than can be held`)
  const search = new Float64Array(isSample ? 0 : size).fill(NaN)
  const report = new Float64Array(isSample ? 0 : size)
  const known = new Set<string>()
  const rowOf = (tokens: ArrayLike<number>) =>
    counts.reduce((row, count, i) => row * count + (tokens[i] ?? Number.NaN), 0)
  for (const [number, [tokens, ...numbers]] of rows.entries()) {
    if (tokens.length !== counts.length) {
      return invalid(`row ${number} has ${tokens.length} choices where there are ${counts.length}`)
    }
    const wrong = tokens.findIndex((token, i) => token < 0 || token >= (counts[i] ?? 0))
    if (wrong >= 0) {
      return invalid(`row ${number} has option ${tokens[wrong]} in choice ${wrong}, which has ${counts[wrong]} options`)
    }
    if (numbers.length !== columns.length - 1) {
      return invalid(`row ${number} has ${numbers.length + 1} columns where there are ${columns.length}`)
    }
    const key = isSample ? tokens.join() : ""
    const row = isSample ? -1 : rowOf(tokens)
    if (isSample ? known.has(key) : !Number.isNaN(search[row]))
      return invalid(`row ${number} gives the network [${tokens.join(", ")}] again`)
    if (isSample) {
      known.add(key)
      continue
    }
    search[row] = numbers[column("search") - 1] ?? Number.NaN
    report[row] = numbers[column("report") - 1] ?? Number.NaN
  }
  if (isSample) {
    const answered = (column: number) => (tokens: Space.Tokens) => {
      let sum = 0
      for (const { row, weight } of nearest(decoded.success, tokens)) sum += weight * Number(rows[row]?.[column])
      return sum
    }
    const reported = column("report")
    return Result.succeed({
      name,
      space: made.success,
      size: rows.length,
      search: answered(column("search")),
      report: answered(reported),
      // No mean is above the best of its rows.
      optimum: rows.reduce((best, row) => Math.max(best, Number(row[reported])), -Infinity)
    })
  }
  if (rows.length < size) {
    let missing = search.findIndex(Number.isNaN)
    const tokens: Array<number> = []
    for (const count of counts.toReversed()) {
      tokens.unshift(missing % count)
      missing = Math.floor(missing / count)
    }
    return invalid(`it has ${rows.length} rows of ${size}; the network [${tokens.join(", ")}] is missing`)
  }
  return Result.succeed({
    name,
    space: made.success,
    size,
    search: (tokens) => search[rowOf(tokens)] ?? Number.NaN,
    report: (tokens) => report[rowOf(tokens)] ?? Number.NaN,
    optimum: report.reduce((best, value) => Math.max(best, value), -Infinity)
  })
}

/** Of a table's text: of one so long the numbers take ten times as much. */
const mostText = 2 ** 27

/** By the platform's own decompression, which browsers have as well as Node, and to no more than `mostText`. */
const unzipped = async (bytes: Uint8Array): Promise<string> => {
  const parts: Array<Uint8Array> = []
  let length = 0
  const reader = new Blob([Uint8Array.from(bytes)]).stream().pipeThrough(new DecompressionStream("gzip")).getReader()
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    length += part.value.length
    if (length > mostText) {
      await reader.cancel()
      throw new Error(`it unpacks to more than ${mostText / 2 ** 20} MiB`)
    }
    parts.push(part.value)
  }
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return new TextDecoder().decode(all)
}

/**
 * The table in a file's bytes, gzipped or not: in Node, or fetched by a page.
 *
 * @example
 * ```ts
 * import { Table } from "@uninet/controller"
 * import { Console, Effect } from "effect"
 *
 * // Bytes such as `fetch` gives a page; gzipped ones are unpacked.
 * const bytes = new TextEncoder().encode(`{
 *   "name": "two networks", "choices": [{ "name": "operator", "options": ["conv", "mlp"] }],
 *   "columns": ["choice", "search", "report", "macs"], "rows": [[[0], 91.3, 91.1, 2e6], [[1], 90.2, 90.4, 1e6]]
 * }`)
 * Table.fromBytes(bytes).pipe(
 *   Effect.flatMap((table) => Console.log(table.size, table.optimum, table.search([1]))), // 2 91.1 90.2
 *   Effect.runPromise
 * )
 * ```
 */
export const fromBytes = (bytes: Uint8Array, label = "the table"): Effect.Effect<Table, InvalidTable> =>
  Effect.tryPromise({
    try: async (): Promise<unknown> => {
      const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b
      return JSON.parse(zipped ? await unzipped(bytes) : new TextDecoder().decode(bytes))
    },
    catch: (cause) => {
      // All that a stream says of gzipped bytes that do not end.
      const why = cause instanceof TypeError ? "its compressed bytes are cut off or damaged" : String(cause)
      return new InvalidTable({ table: label, problem: `it cannot be read (${why})` })
    }
  }).pipe(Effect.flatMap((json) => Effect.fromResult(fromJson(json, label))))

/** The table in a file. */
export const read = (path: string): Effect.Effect<Table, InvalidTable, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((fs) => fs.readFile(path)).pipe(
    Effect.mapError((error) => new InvalidTable({ table: path, problem: error.message })),
    Effect.flatMap((bytes) => fromBytes(bytes, path))
  )

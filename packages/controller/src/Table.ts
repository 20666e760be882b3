/**
 * Tabular benchmarks: spaces in which every network was trained, so that a search only has to look results up.
 *
 * A table is a JSON file, gzipped or not:
 *
 * ```json
 * { "name": "…", "choices": [{ "name": "…", "options": ["…"] }], "columns": ["choice", "search", "report"],
 *   "rows": [[[0, 2, 1], 91.3, 91.1]] }
 * ```
 *
 * There is a row for every combination of options: the option numbers, then a number for every further column. A search is told `search`, and its result is judged
 * by `report`. `docs/benchmark-tables.md` describes the whole format and how to convert published benchmarks to it.
 *
 * For a space that is too large for that, a table can have a sample, marked by `"missing": "nearest"`. Any other network then has the mean of the five nearest rows, weighted by the inverse of their distance
 * (the number of choices that differ, ordered ones by how far). Strategies then search this smoothed landscape, which is good for comparing strategies but does not give the figures that a search of the space itself would find.
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

/** The schema of the file. */
export const Json = Schema.Struct({
  name: Schema.String,
  source: Schema.optionalKey(Schema.String),
  license: Schema.optionalKey(Schema.String),
  dataset: Schema.optionalKey(Schema.String),
  choices: Schema.Array(
    /** `ordered`: its options are increasing numbers. */
    Schema.Struct({ name: Schema.String, options: Options, ordered: Schema.optionalKey(Schema.Literal(true)) })
  ).check(Schema.isMinLength(1)),
  /** How to answer for a network without a row. Absent: every network has a row. */
  missing: Schema.optionalKey(Schema.Literal("nearest")),
  columns: Schema.Array(Schema.String),
  rows: Schema.Array(Schema.TupleWithRest(Schema.Tuple([Schema.Array(Schema.Int)]), [Schema.Finite]))
})
export type Json = typeof Json.Type

/** A network of a table: the option chosen for every choice. */
export type Network = ReadonlyArray<string | number>

/** A table that is ready to search. */
export interface Table extends Problem<Network> {
  /** The number of rows: one for every network, or for a sample of them. */
  readonly size: number
}

/** A file that is not a valid table: not JSON, a missing column, ragged or missing rows, … */
export class InvalidTable extends Schema.TaggedError<InvalidTable>()("InvalidTable", {
  table: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.table} is not a benchmark table: ${this.problem}. Copy the file again, or compare it with the format in docs/benchmark-tables.md.`
  }
}

/** The number of rows that are averaged for a network without a row. */
const neighbours = 5

/** Whether a choice's options may be `ordered` in a table, i.e. are increasing numbers. */
export const isRising = (options: ReadonlyArray<string | number>): options is ReadonlyArray<number> =>
  options.every((option, i) => typeof option === "number" && (i === 0 || option > Number(options[i - 1])))

const choiceOf = ({ options, ordered }: Json["choices"][number]): Choice.Choice<string | number> =>
  ordered === true && isRising(options) ? Choice.ordered(options) : Choice.categorical(options)

/** The distance between two networks: the number of choices that differ, ordered ones by how far. */
const distance = (choices: Json["choices"], a: ArrayLike<number>, b: ArrayLike<number>): number =>
  choices.reduce((sum, { options, ordered }, i) => {
    const apart = Math.abs((a[i] ?? 0) - (b[i] ?? 0))
    return sum + (ordered === true ? apart / Math.max(1, options.length - 1) : Math.min(1, apart))
  }, 0)

/** The rows nearest to a network, with their weights; only its own row if it has one. `except`: a row to treat as missing. */
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
    // infinite while there are fewer than `neighbours`
    if (far >= (found[neighbours - 1]?.far ?? Infinity)) continue
    if (found.length === neighbours) found.pop()
    found.splice(found.filter((other) => other.far <= far).length, 0, { row, far })
  }
  const all = found.reduce((sum, { far }) => sum + 1 / far, 0)
  return found.map(({ far, row }) => ({ row, weight: 1 / far / all }))
}

/**
 * The `search` value that a sampled table would answer for each of its rows if that row were missing. Compare these with the rows' own values to see how good the table's answers are.
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
 * Checks a table's JSON. It also accepts NAS-Bench-Macro's JSON as its authors publish it. `label` names the table in errors.
 *
 * Fails with `InvalidTable`, which says what is wrong: a missing column, or a row that is ragged, missing or duplicated.
 */
export const fromJson = (json: unknown, label = "the table"): Result.Result<Table, InvalidTable> => {
  const invalid = (problem: string) => Result.fail(new InvalidTable({ table: label, problem }))
  const decoded = Schema.decodeUnknownResult(Json)(Option.getOrElse(NasBenchMacro.tableOf(json), () => json))
  if (Result.isFailure(decoded)) return invalid(decoded.failure.message.replace(/\s+/g, " "))
  const { choices, columns, name, rows } = decoded.success
  const column = (wanted: string) => columns.indexOf(wanted)
  if (column("choice") !== 0)
    return invalid(`its first column is ${columns[0]?.slice(0, 40) ?? "missing"}, but must be "choice"`)
  for (const wanted of ["search", "report"]) {
    if (column(wanted) < 0) return invalid(`it has no column "${wanted}"`)
  }
  const unordered = choices.find(({ options, ordered }) => ordered === true && !isRising(options))
  if (unordered !== undefined)
    return invalid(
      `the options of its choice ${unordered.name.slice(0, 40)} are marked as ordered, but are not increasing numbers`
    )
  const made = Space.make(Choice.tuple(choices.map(choiceOf)))
  if (Result.isFailure(made)) return invalid(made.failure.message.replace(/\s+/g, " "))
  const counts = choices.map(({ options }) => options.length)
  const size = counts.reduce((product, count) => product * count, 1)
  const isSample = decoded.success.missing === "nearest"
  if (isSample && rows.length === 0) return invalid("it has no rows")
  if (!isSample && !(size <= 2 ** 26)) return invalid(`it has ${size} networks, more than the limit of ${2 ** 26}`)
  const search = new Float64Array(isSample ? 0 : size).fill(NaN)
  const report = new Float64Array(isSample ? 0 : size)
  const known = new Set<string>()
  const rowOf = (tokens: ArrayLike<number>) =>
    counts.reduce((row, count, i) => row * count + (tokens[i] ?? Number.NaN), 0)
  for (const [number, [tokens, ...numbers]] of rows.entries()) {
    if (tokens.length !== counts.length) {
      return invalid(`row ${number} has ${tokens.length} choices, but the table has ${counts.length}`)
    }
    const wrong = tokens.findIndex((token, i) => token < 0 || token >= (counts[i] ?? 0))
    if (wrong >= 0) {
      return invalid(`row ${number} has option ${tokens[wrong]} in choice ${wrong}, which has ${counts[wrong]} options`)
    }
    if (numbers.length !== columns.length - 1) {
      return invalid(`row ${number} has ${numbers.length + 1} columns, but the table has ${columns.length}`)
    }
    const key = isSample ? tokens.join() : ""
    const row = isSample ? -1 : rowOf(tokens)
    if (isSample ? known.has(key) : !Number.isNaN(search[row]))
      return invalid(`row ${number} repeats the network [${tokens.join(", ")}]`)
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
      // A mean is never above the best of its rows.
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
    return invalid(`it has only ${rows.length} of ${size} rows; the network [${tokens.join(", ")}] is missing`)
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

/** The longest text of a table, in bytes: parsed, its numbers take ten times as much memory. */
const mostText = 2 ** 27

/** Unpacks with the platform's own decompression, which both browsers and Node have, up to `mostText` bytes. */
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
 * The table in a file's bytes, gzipped or not. It works in Node and in a browser, on bytes that the page has fetched.
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
      // A TypeError is all that the stream gives for gzipped bytes that are cut off.
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

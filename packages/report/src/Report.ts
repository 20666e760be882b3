/**
 * Everything that a report's page shows, as one value: the description of each search, its trials as columns, and the results computed from
 * them.
 *
 * @example
 * ```ts
 * import { Report } from "@uninet/report"
 *
 * const report = Report.of([], { made: 0 })
 * console.log(Report.toBytes(report).length > 0)
 * ```
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Codec from "./Codec.ts"
import { Compared } from "./Compared.ts"
import * as Importance from "./Importance.ts"
import * as Run from "./Run.ts"
import { numbers, type Table } from "./Table.ts"

/** The version of the format. A page shows only its own version. */
export const version = 1

/** The structure of a trial's network, as far as it was computed. */
export const Detail = Schema.Struct({
  trial: Schema.Int,
  /** The network as lines of text, for people. */
  picture: Schema.String,
  parts: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      columns: Schema.Record(Schema.String, Schema.NullOr(Schema.Union([Schema.String, Schema.Finite]))),
      parameters: Schema.Finite,
      macs: Schema.Finite
    })
  )
})
export type Detail = typeof Detail.Type

const Place = Schema.Struct({ offset: Schema.Int, bytes: Schema.Int })
const Described = Schema.Struct({
  name: Schema.String,
  role: Schema.Literals(["trial", "state", "time", "result", "measure", "cost", "choice", "text"]),
  kind: Schema.Literals(["number", "category", "text"]),
  values: Place,
  text: Schema.optionalKey(Place),
  labels: Schema.optionalKey(Schema.Array(Schema.String))
})
const Description = Schema.Struct({
  size: Schema.Int,
  columns: Schema.Array(Described),
  curves: Schema.Struct({ rows: Place, epochs: Place, values: Schema.Record(Schema.String, Place) }),
  work: Schema.Struct({ rows: Place, begun: Place, seconds: Place, workers: Place, names: Schema.Array(Schema.String) })
})

/** The part before the columns. Plain JSON. */
export const Header = Schema.Struct({
  version: Schema.Literal(version),
  /** When it was made, in milliseconds since 1970. */
  made: Schema.Finite,
  /** A sentence for each run that could not be read. */
  problems: Schema.Array(Schema.String),
  runs: Schema.Array(
    Schema.Struct({
      info: Run.Info,
      importances: Schema.Array(Importance.Importance),
      details: Schema.Array(Detail),
      table: Description
    })
  ),
  /** How they compare, if at least two can be compared. */
  compared: Schema.optionalKey(Compared)
})
export type Header = typeof Header.Type

/** A search in a report. */
export interface Shown {
  readonly info: Run.Info
  readonly importances: ReadonlyArray<Importance.Importance>
  readonly details: ReadonlyArray<Detail>
  readonly table: Table
}

/** Searches as the page shows them. */
export interface Report {
  /** When, in milliseconds since 1970. */
  readonly made: number
  readonly problems: ReadonlyArray<string>
  readonly runs: ReadonlyArray<Shown>
  /** How they compare. Absent if this was not requested, or if they have different measures. */
  readonly compared?: Compared
}

/** When it was made, and what could not be read. */
export interface Options {
  /** When it is made, in milliseconds since 1970. */
  readonly made: number
  /** A sentence for each run that could not be read. Default: none. */
  readonly problems?: ReadonlyArray<string>
  /** How they compare, from `Comparison.of` of `@uninet/search`. Default: not compared. */
  readonly compared?: Compared
}

/** The number of measures for which importances are computed. */
const most = 6

/** The importances of a search's choices: for its reward, and for its measures. */
export const importances =
  (table: Table, options: Importance.Options = {}) =>
  ({ info }: Pick<Run.Run, "info">): ReadonlyArray<Importance.Importance> =>
    ["reward", ...info.measures.map(({ name }) => name)]
      .filter((name) => numbers(name)(table) !== undefined)
      .slice(0, most)
      .map((name) => Importance.of(name, options)(table))

/** A search with its trials as columns and the importances of its choices, which can take a few seconds. */
export const shown =
  (details: ReadonlyArray<Detail> = [], options: Importance.Options = {}) =>
  (run: Run.Run): Shown => {
    const table = Run.table(run)
    return { info: run.info, importances: importances(table, options)(run), details, table }
  }

/** A report of some searches. */
export const of = (runs: ReadonlyArray<Shown>, { problems = [], ...rest }: Options): Report => ({
  ...rest,
  problems,
  runs
})

/** A report as bytes: a JSON header followed by the columns, which `fromBytes` reads. */
export const toBytes = ({ runs, ...rest }: Report): Uint8Array<ArrayBuffer> => {
  const body = Codec.body()
  const header = {
    version,
    ...rest,
    runs: runs.map(({ details, importances, info, table }) => ({
      info,
      importances,
      details,
      table: Codec.describe(table, body)
    }))
  }
  return Codec.join(header, body.bytes())
}

const decode = Schema.decodeUnknownOption(Header)

/** The report in some bytes, or a sentence that says why there is none. */
export const fromBytes = (bytes: Uint8Array<ArrayBuffer>): Result.Result<Report, string> => {
  const parts = Codec.part(bytes)
  const header = parts === undefined ? Option.none() : decode(parts.header)
  if (parts === undefined || Option.isNone(header))
    return Result.fail("These bytes are not a report, or are one of another version. Make the report again.")
  const { runs, version: _, ...rest } = header.value
  return Result.succeed({
    ...rest,
    runs: runs.map(({ details, importances, info, table }) => ({
      info,
      importances,
      details,
      table: Codec.read(table, parts.content)
    }))
  })
}

/** What every view receives, and what views have in common. */
import { number, percent, time } from "./format.ts"
import type { View } from "./address.ts"
import { type Compared, Front, type Info, type Shown, Table } from "./shared.ts"

/** Ranges that were brushed, by column. */
export type Brush = Readonly<Record<string, ReadonlyArray<readonly [number, number]>>>

export interface Seen {
  readonly run: Shown
  /** Rows that are shown, by trial. */
  readonly rows: Int32Array
  readonly view: View
  readonly set: (change: Partial<View>) => void
  /** Sets what a view shows. */
  readonly choose: (key: string, value: string) => void
  readonly open: (trial: number) => void
  readonly brush: Brush
  readonly setBrush: (brush: Brush) => void
  /** The rows shown, ignoring the brush. */
  readonly unbrushed: Int32Array
  /** All searches of the report. */
  readonly runs: ReadonlyArray<Shown>
  /** How they compare, if that was computed. */
  readonly compared: Compared | undefined
}

/** Columns of numbers that say how good a trial is. */
export const worths = ({ info, table }: Shown): ReadonlyArray<string> => {
  const names = [
    ...(info.decides === null ? [] : [info.decides]),
    "reward",
    ...info.measures.map(({ name }) => name),
    ...Table.ofRole("cost")(table).map(({ name }) => name),
    "seconds"
  ]
  return [...new Set(names)].filter(
    (name) => Table.numbers(name)(table)?.some((value) => !Number.isNaN(value)) === true
  )
}

/** A value in readable form: shares as percentages. */
export const valued = ({ measures }: Info, name: string, value: number): string =>
  measures.some((each) => each.name === name && each.isShare)
    ? Number.isNaN(value)
      ? "–"
      : percent(value, 2)
    : name === "seconds" || name === "begun"
      ? time(value)
      : number(value)

/** A cell of any column. */
export const cell = (info: Info, of: Table.Column, row: number): string =>
  of.kind === "number" && of.role !== "trial" && of.role !== "choice"
    ? Number.isNaN(of.values[row])
      ? ""
      : valued(info, of.name, of.values[row] ?? NaN)
    : Table.text(row)(of)

export const trialOf = (table: Table.Table, row: number): number => Table.numbers("trial")(table)?.[row] ?? -1

/** The row of a trial. */
export const rowOf = (table: Table.Table, trial: number): number | undefined => {
  const trials = Table.numbers("trial")(table)
  if (trials === undefined) return undefined
  let [low, high] = [0, trials.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((trials[middle] ?? 0) < trial) low = middle + 1
    else high = middle
  }
  return trials[low] === trial ? low : undefined
}

export interface SelectProps {
  readonly label: string
  readonly value: string
  readonly options: ReadonlyArray<string>
  readonly onChange: (value: string) => void
}

export const Select = ({ label, onChange, options, value }: SelectProps) => (
  <label>
    {label}{" "}
    <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      {options.map((option) => (
        <option value={option}>{option}</option>
      ))}
    </select>
  </label>
)

/** The chosen one, or the first that exists. */
export const chosen = (
  given: string | undefined,
  options: ReadonlyArray<string>,
  ...preferred: ReadonlyArray<string | null | undefined>
): string =>
  [given, ...preferred].find((each) => each !== undefined && each !== null && options.includes(each)) ??
  options[0] ??
  ""

/** Choices, the most important first if importances are known. */
export const choices = ({ importances, table }: Shown): ReadonlyArray<Table.Column> => {
  const known = importances.find(({ choices }) => choices.length > 0)?.choices ?? []
  const rank = new Map(known.map(({ name }, i) => [name, i]))
  return Table.ofRole("choice")(table).toSorted((a, b) => (rank.get(a.name) ?? 1e6) - (rank.get(b.name) ?? 1e6))
}

/** At most this many rows, evenly spread. */
export const spread = (rows: Int32Array, most: number): ReadonlyArray<number> =>
  rows.length <= most
    ? Array.from(rows)
    : Array.from({ length: most }, (_, i) => rows[Math.floor((i * rows.length) / most)] ?? 0)

/** Rows sorted by a column's worth, best first. */
export const bestFirst = (run: Shown, rows: Int32Array, name: string, most: number): ReadonlyArray<number> => {
  const values = Table.numbers(name)(run.table)
  if (values === undefined) return []
  const sign = Front.directionOf(name)(run.info) === "higher" ? -1 : 1
  const epochs = Table.numbers("epochs")(run.table)
  const known = Array.from(rows.filter((row) => !Number.isNaN(values[row])))
  // Only results after equally many epochs are comparable.
  const level = known.reduce((top, row) => Math.max(top, epochs?.[row] || 0), 0)
  return known
    .filter((row) => (epochs?.[row] || 0) === level)
    .sort((a, b) => sign * ((values[a] ?? 0) - (values[b] ?? 0)) || a - b)
    .slice(0, most)
}

/** The index from which a chart's point was made: charts return their data unchanged. */
export const indexIn = (event: unknown): number | undefined => {
  if (typeof event !== "object" || event === null || !("dataIndex" in event)) return undefined
  return typeof event.dataIndex === "number" ? event.dataIndex : undefined
}

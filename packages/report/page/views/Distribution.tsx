/** The share of trials that reached each value: the empirical distribution of a result. */
import { axis, Chart, grid } from "../chart.tsx"
import { percent, plural } from "../format.ts"
import { chosen, Select, type Seen, valued, worths } from "../seen.tsx"
import { Table } from "../shared.ts"

const points = 400

/** Sorted results, among those after the most epochs. */
const sortedOf = (rows: ArrayLike<number>, table: Table.Table, name: string): Float64Array => {
  const [values, epochs] = [Table.numbers(name)(table), Table.numbers("epochs")(table)]
  const all = Array.from(rows).filter((row) => !Number.isNaN(values?.[row] ?? NaN))
  const level = all.reduce((most, row) => Math.max(most, epochs?.[row] || 0), 0)
  return Float64Array.from(
    all.filter((row) => (epochs?.[row] || 0) === level),
    (row) => values?.[row] ?? 0
  ).sort()
}

const at = (sorted: Float64Array, share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN

export const Distribution = ({ choose, rows, run, runs, view }: Seen) => {
  const { info, table } = run
  const names = worths(run)
  const name = chosen(view.of["distribution"], names, "reward")
  const own = sortedOf(rows, table, name)
  const lines = [
    { name: info.name, sorted: own },
    // For the other runs, all trials: the filter refers to this run's columns.
    ...runs
      .filter((other) => other !== run)
      .slice(0, 7)
      .map((other) => ({
        name: other.info.name,
        sorted: sortedOf(
          Array.from({ length: other.table.size }, (_, i) => i),
          other.table,
          name
        )
      }))
  ].filter(({ sorted }) => sorted.length > 0)
  const summary =
    own.length === 0
      ? `No trial shown has a ${name}.`
      : `Of ${plural(own.length, "trial")} half have a ${name} of at most ${valued(info, name, at(own, 0.5))}; the middle half lies from ${valued(info, name, at(own, 0.25))} to ${valued(info, name, at(own, 0.75))}, all from ${valued(info, name, own[0] ?? NaN)} to ${valued(info, name, own.at(-1) ?? NaN)}.`
  return (
    <Chart
      summary={summary}
      of={[rows, table, name, runs]}
      height={300}
      table={() => ({
        head: ["share of the trials", ...lines.map((line) => line.name)],
        rows: [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1].map((share) => [
          percent(share, 0),
          ...lines.map(({ sorted }) => valued(info, name, at(sorted, share)))
        ])
      })}
      option={(colours) => ({
        grid: { ...grid, top: lines.length > 1 ? 40 : 16 },
        legend: { show: lines.length > 1, textStyle: { color: colours.text }, top: 0, type: "scroll" },
        tooltip: { trigger: "axis", valueFormatter: (value: number) => percent(value, 0) },
        xAxis: axis(colours, name),
        yAxis: axis(colours, "share of the trials", {
          scale: false,
          min: 0,
          max: 1,
          nameGap: 44,
          axisLabel: { color: colours.faint, formatter: (value: number) => percent(value, 0) }
        }),
        series: lines.map(({ name, sorted }) => {
          const n = Math.min(points, sorted.length)
          return {
            type: "line",
            name,
            step: "end",
            symbol: "none",
            data: Array.from({ length: n }, (_, i) => {
              const place = Math.ceil(((i + 1) * sorted.length) / n) - 1
              return [sorted[place] ?? 0, (place + 1) / sorted.length]
            })
          }
        })
      })}
    >
      <div class="controls">
        <Select label="Of" value={name} options={names} onChange={(value) => choose("distribution", value)} />
      </div>
    </Chart>
  )
}

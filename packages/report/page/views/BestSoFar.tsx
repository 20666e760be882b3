/** The best so far, among all results. */
import { axis, Chart, grid } from "../chart.tsx"
import { plural } from "../format.ts"
import { chosen, indexIn, Select, type Seen, trialOf, valued, worths } from "../seen.tsx"
import { Front, Table } from "../shared.ts"

export const BestSoFar = ({ choose, open, rows, run, view }: Seen) => {
  const { info, table } = run
  const names = worths(run)
  const name = chosen(view.of["best"], names, "reward")
  const values = Table.numbers(name)(table) ?? new Float64Array()
  const direction = Front.directionOf(name)(info)
  const best = Front.running(rows, { values, direction }, Table.numbers("epochs")(table))
  const last = best.at(-1)
  const scored = rows.filter((row) => !Number.isNaN(values[row]))
  const without = rows.filter((row) => Number.isNaN(values[row]))
  const trials = Table.numbers("trial")(table) ?? new Float64Array()
  const summary =
    last === undefined
      ? `None of the ${plural(rows.length, "trial")} shown has a ${name}.`
      : `Best ${name} ${valued(info, name, last.value)}, of trial ${trialOf(table, last.row)}; it was improved ${plural(best.length - 1, "time")} in ${plural(scored.length, "trial")} with a result${without.length > 0 ? `; at the foot ${plural(without.length, "trial")} without one` : ""}.`
  return (
    <Chart
      summary={summary}
      of={[rows, table, name]}
      table={() => ({
        head: ["trial", name, "network"],
        rows: best.map(({ row, value }) => {
          const network = Table.column("network")(table)
          return [
            String(trialOf(table, row)),
            valued(info, name, value),
            network === undefined ? "" : Table.text(row)(network)
          ]
        })
      })}
      on={{
        click: (event) => {
          const index = indexIn(event)
          if (index !== undefined && scored[index] !== undefined) open(trialOf(table, scored[index]))
        }
      }}
      option={(colours) => {
        const points = new Float64Array(2 * scored.length)
        let [low, high] = [Infinity, -Infinity]
        for (let i = 0; i < scored.length; i++) {
          const row = scored[i] ?? 0
          points[2 * i] = trials[row] ?? 0
          points[2 * i + 1] = values[row] ?? 0
          low = Math.min(low, values[row] ?? 0)
          high = Math.max(high, values[row] ?? 0)
        }
        const floor = Number.isFinite(low) ? low - 0.06 * (high - low || 1) : 0
        const end = trials[rows.at(-1) ?? 0] ?? 0
        return {
          grid,
          tooltip: {
            trigger: "item",
            formatter: (each: { readonly dataIndex: number; readonly seriesIndex: number }) => {
              const row = each.seriesIndex === 0 ? scored[each.dataIndex] : undefined
              return row === undefined
                ? `best ${name}`
                : `trial ${trialOf(table, row)}\n${name} ${valued(info, name, values[row] ?? NaN)}`
            }
          },
          xAxis: axis(colours, "trial", { scale: false, max: "dataMax" }),
          yAxis: axis(colours, name, { nameGap: 46 }),
          series: [
            {
              type: "scatter",
              large: true,
              largeThreshold: 3000,
              progressive: 0,
              symbolSize: scored.length > 3000 ? 2 : 5,
              itemStyle: { color: colours.accent, opacity: scored.length > 3000 ? 0.35 : 0.6 },
              dimensions: ["trial", name],
              data: points
            },
            {
              type: "line",
              step: "end",
              symbol: "none",
              silent: true,
              lineStyle: { color: colours.best, width: 2 },
              data: [
                ...best.map(({ row, value }) => [trials[row] ?? 0, value]),
                ...(last === undefined ? [] : [[end, last.value]])
              ]
            },
            {
              type: "scatter",
              large: true,
              progressive: 0,
              silent: true,
              symbolSize: 4,
              itemStyle: { color: colours.bad, opacity: 0.7 },
              dimensions: ["trial", name],
              data: Float64Array.from({ length: 2 * without.length }, (_, i) =>
                i % 2 === 0 ? (trials[without[i >> 1] ?? 0] ?? 0) : floor
              )
            }
          ]
        }
      }}
    >
      <div class="controls">
        <Select label="Of" value={name} options={names} onChange={(value) => choose("best", value)} />
      </div>
    </Chart>
  )
}

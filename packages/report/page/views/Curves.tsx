/** Results by epochs, for the trials shown. */
import { axis, Chart, grid } from "../chart.tsx"
import { plural } from "../format.ts"
import { bestFirst, chosen, Select, type Seen, trialOf, valued } from "../seen.tsx"

const most = 40

export const Curves = ({ choose, rows, run, view }: Seen) => {
  const { info, table } = run
  const { curves } = table
  const names = Object.keys(curves.values)
  const name = chosen(view.of["curve"], names, info.decides, "reward")
  const values = curves.values[name]
  if (values === undefined || curves.rows.length === 0)
    return (
      <p class="summary">No trial has results after more than one number of epochs: there are no learning curves.</p>
    )
  const by = new Map<number, Array<readonly [number, number]>>()
  const wanted = new Set(rows)
  for (let i = 0; i < curves.rows.length; i++) {
    const row = curves.rows[i] ?? 0
    if (!wanted.has(row) || Number.isNaN(values[i])) continue
    const known = by.get(row) ?? []
    by.set(row, known)
    known.push([curves.epochs[i] ?? 0, values[i] ?? 0])
  }
  const withCurve = rows.filter((row) => by.has(row))
  // The best by their last result, and the selected one.
  const best = bestFirst(run, withCurve, name, most)
  const shown = best.length > 0 ? best : Array.from(withCurve.slice(0, most))
  const looked = withCurve.find((row) => trialOf(table, row) === view.trial)
  const drawn = looked === undefined || shown.includes(looked) ? shown : [...shown, looked]
  const first = drawn[0]
  const summary =
    first === undefined
      ? "No trial shown has results after more than one number of epochs."
      : `${name} by epochs of the ${drawn.length} best of ${plural(withCurve.length, "trial")} with a curve; trial ${trialOf(table, first)} goes from ${valued(info, name, by.get(first)?.[0]?.[1] ?? NaN)} to ${valued(info, name, by.get(first)?.at(-1)?.[1] ?? NaN)}${looked === undefined ? "" : `; trial ${view.trial} is highlighted`}.`
  return (
    <Chart
      summary={summary}
      of={[rows, table, name, view.trial]}
      table={() => ({
        head: ["trial", "epochs", name],
        rows: drawn.flatMap((row) =>
          (by.get(row) ?? []).map(([epochs, value]) => [
            String(trialOf(table, row)),
            String(epochs),
            valued(info, name, value)
          ])
        )
      })}
      option={(colours) => ({
        grid,
        tooltip: { trigger: "item" },
        xAxis: axis(colours, "epochs"),
        yAxis: axis(colours, name, { nameGap: 46 }),
        series: drawn.map((row) => ({
          type: "line",
          name: `trial ${trialOf(table, row)}`,
          symbolSize: 4,
          z: row === looked ? 5 : 2,
          itemStyle: { color: row === looked ? colours.best : colours.accent },
          lineStyle: {
            color: row === looked ? colours.best : colours.accent,
            width: row === looked ? 3 : 1,
            opacity: row === looked ? 1 : 0.45
          },
          data: by.get(row) ?? []
        }))
      })}
    >
      <div class="controls">
        <Select label="Of" value={name} options={names} onChange={(value) => choose("curve", value)} />
      </div>
    </Chart>
  )
}

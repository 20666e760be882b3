/** What was trained when, in parallel lanes, and where nothing was. */
import { axis, Chart } from "../chart.tsx"
import { percent, plural, time } from "../format.ts"
import { indexIn, type Seen, trialOf } from "../seen.tsx"
import { Lanes, Table } from "../shared.ts"

/** The number of bars that can still be told apart. */
const most = 1500

/** By worker, if that was recorded; otherwise in as many lanes as trials ran at once. */
const lanesOf = (rows: Int32Array, table: Table.Table): Lanes.Lanes & { readonly names: ReadonlyArray<string> } => {
  const { work } = table
  if (work.rows.length > 0) {
    const wanted = new Set(rows)
    const placed = Array.from(work.rows, (row, i) => ({
      row,
      lane: work.workers[i] ?? 0,
      from: work.begun[i] ?? 0,
      to: (work.begun[i] ?? 0) + (work.seconds[i] ?? 0)
    }))
      .filter(({ row }) => wanted.has(row))
      .sort((a, b) => a.from - b.from)
    const first = placed[0]?.from ?? 0
    const whole = Math.max(1e-9, placed.reduce((end, { to }) => Math.max(end, to), 0) - first)
    const busy = work.names.map((_, lane) =>
      placed.reduce((sum, each) => sum + (each.lane === lane ? each.to - each.from : 0), 0)
    )
    return { placed, busy: busy.map((time) => Math.min(1, time / whole)), names: work.names }
  }
  const [begun, seconds] = [Table.numbers("begun")(table), Table.numbers("seconds")(table)]
  if (begun === undefined || seconds === undefined) return { placed: [], busy: [], names: [] }
  const now = rows.reduce((last, row) => Math.max(last, (begun[row] ?? 0) + (seconds[row] || 0)), 0)
  const lanes = Lanes.of(rows, begun, seconds, now)
  return { ...lanes, names: lanes.busy.map((_, lane) => `place ${lane + 1}`) }
}

export const Workers = ({ open, run, unbrushed }: Seen) => {
  const { table } = run
  const isKept = table.work.rows.length > 0
  const { busy, names, placed } = lanesOf(unbrushed, table)
  const now = placed.reduce((end, { to }) => Math.max(end, to), 0)
  const shown = placed.slice(-most)
  const state = Table.column("state")(table)
  const summary =
    placed.length === 0
      ? "No trial shown has its own timing."
      : `${plural(placed.length, "training")} in ${time(now)}, ${isKept ? `by ${plural(busy.length, "worker")}` : `at most ${busy.length} at once`}; ${busy.length <= 8 ? `busy: ${busy.map((share, lane) => `${names[lane]} ${percent(share, 0)}`).join(", ")}` : `busy on average ${percent(busy.reduce((sum, share) => sum + share, 0) / busy.length, 0)}`}${shown.length < placed.length ? `; the last ${shown.length.toLocaleString("en")} are drawn` : ""}.${isKept ? "" : " Which worker trained what was not recorded: each training is in the first place that was free."}`
  return (
    <Chart
      summary={summary}
      of={[unbrushed, table]}
      height={Math.min(520, 110 + 22 * busy.length)}
      table={() => ({
        head: ["by", "trial", "started after", "took"],
        rows: shown
          .slice(-200)
          .map(({ from, lane, row, to }) => [
            String(lane + 1),
            String(trialOf(table, row)),
            time(from),
            time(to - from)
          ])
      })}
      on={{
        click: (event) => {
          const index = indexIn(event)
          const one = index === undefined ? undefined : shown[index]
          if (one !== undefined) open(trialOf(table, one.row))
        }
      }}
      option={(colours) => ({
        grid: { left: 106, right: 16, top: 12, bottom: 78 },
        tooltip: {
          trigger: "item",
          formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
            const one = shown[dataIndex]
            return one === undefined
              ? ""
              : `trial ${trialOf(table, one.row)} by ${names[one.lane]}${state === undefined ? "" : `, ${Table.text(one.row)(state)}`}\n${time(one.to - one.from)} from ${time(one.from)}`
          }
        },
        dataZoom: [
          { type: "slider", height: 18, bottom: 8, borderColor: colours.line, textStyle: { color: colours.faint } },
          { type: "inside", zoomOnMouseWheel: "ctrl" }
        ],
        xAxis: axis(colours, "seconds since the first trial", {
          min: shown[0]?.from ?? 0,
          max: now,
          axisLabel: {
            color: colours.faint,
            hideOverlap: true,
            formatter: (value: number) => String(Math.round(value))
          }
        }),
        yAxis: {
          ...axis(colours, ""),
          type: "category",
          inverse: true,
          data: names.map((name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name))
        },
        series: [
          {
            type: "custom",
            encode: { x: [1, 2], y: 0 },
            data: shown.map(({ from, lane, row, to }) => {
              const failed = state !== undefined && Table.text(row)(state) === "failed"
              return {
                value: [lane, from, to],
                itemStyle: { color: failed ? colours.bad : colours.accent, opacity: 0.8 }
              }
            }),
            renderItem: (
              _: unknown,
              api: {
                readonly value: (i: number) => number
                readonly coord: (at: ReadonlyArray<number>) => ReadonlyArray<number>
                readonly size: (of: ReadonlyArray<number>) => ReadonlyArray<number>
                readonly visual: (what: string) => string
              }
            ) => {
              const [x = 0, y = 0] = api.coord([api.value(1), api.value(0)])
              const [end = 0] = api.coord([api.value(2), api.value(0)])
              const height = Math.max(2, 0.7 * (api.size([0, 1])[1] ?? 4))
              return {
                type: "rect",
                shape: { x, y: y - height / 2, width: Math.max(1, end - x - 0.5), height },
                style: { fill: api.visual("color"), opacity: 0.8 }
              }
            }
          }
        ]
      })}
    />
  )
}

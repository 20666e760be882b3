/** Choices and a result on parallel axes, with a line for every trial; ranges of an axis can be brushed. */
import { useRef, useState } from "preact/hooks"
import { Chart } from "../chart.tsx"
import { number, plural } from "../format.ts"
import { bestFirst, type Brush, choices, chosen, Select, type Seen, spread, trialOf, valued, worths } from "../seen.tsx"
import { Table } from "../shared.ts"

/** The number of lines that can still be told apart and drawn at once. The brush applies to all trials. */
const lines = 1200
const axes = 10

/** The brush as a filter expression. */
export const expressionOf = (table: Table.Table, brush: Brush): string =>
  Object.entries(brush)
    .flatMap(([name, ranges]) => {
      const of = Table.column(name)(table)
      if (of === undefined || ranges.length === 0) return []
      const quoted = /^[\p{L}_][\p{L}\p{N}\p{M}_.-]*$/u.test(name) ? name : `\`${name}\``
      const parts =
        of.kind === "category"
          ? of.labels
              .filter((_, i) => ranges.some(([from, to]) => from <= i + 1 && i + 1 <= to))
              .map((label) => `${quoted} = "${label.replaceAll('"', "")}"`)
          : ranges.map(
              ([from, to]) =>
                `(${quoted} >= ${Number(from.toPrecision(6))} and ${quoted} <= ${Number(to.toPrecision(6))})`
            )
      return [parts.length === 1 ? parts.join("") : `(${parts.join(" or ")})`]
    })
    .join(" and ")

/** The axis and its ranges in the chart's event. */
const brushedIn = (
  event: unknown
): { readonly id: number; readonly ranges: ReadonlyArray<readonly [number, number]> } => {
  if (typeof event !== "object" || event === null || !("parallelAxisId" in event) || !("intervals" in event))
    return { id: -1, ranges: [] }
  const given: ReadonlyArray<unknown> = Array.isArray(event.intervals) ? event.intervals : []
  return {
    id: Number(event.parallelAxisId),
    ranges: given.flatMap((range): ReadonlyArray<readonly [number, number]> =>
      Array.isArray(range) && typeof range[0] === "number" && typeof range[1] === "number"
        ? [[Math.min(range[0], range[1]), Math.max(range[0], range[1])]]
        : []
    )
  }
}

export const Parallel = ({ brush, choose, run, rows, set, setBrush, unbrushed, view }: Seen) => {
  const { info, table } = run
  const names = worths(run)
  const name = chosen(view.of["parallel"], names, info.decides, "reward")
  const [all, setAll] = useState(false)
  const sorted = choices(run)
  const cost = Table.ofRole("cost")(table)[0]
  const shown = [
    ...(all ? sorted.slice(0, 40) : sorted.slice(0, axes)),
    ...(cost === undefined || cost.name === name ? [] : [cost]),
    ...(Table.column(name)(table) === undefined ? [] : [Table.column(name)(table)])
  ].flatMap((each) => each ?? [])
  const best = bestFirst(run, unbrushed, name, 300)
  const drawn = [...new Set([...spread(unbrushed, lines), ...best])]
  const values = Table.numbers(name)(table) ?? new Float64Array()
  const expression = expressionOf(table, brush)
  // When a button clears the brush, the chart learns of it by being redrawn.
  const cleared = useRef({ times: 0, was: false })
  const isBrushed = Object.keys(brush).length > 0
  if (cleared.current.was && !isBrushed) cleared.current.times++
  cleared.current.was = isBrushed
  const top = bestFirst(run, rows, name, 1)[0]
  const summary = `${plural(shown.length, "axis").replace("axiss", "axes")}: ${shown.map((each) => each.name).join(", ")}. ${
    drawn.length < unbrushed.length
      ? `${drawn.length.toLocaleString("en")} of ${unbrushed.length.toLocaleString("en")} trials are drawn, the ${best.length} best by ${name} among them`
      : `All ${plural(drawn.length, "trial")} shown are drawn`
  }. ${
    expression === ""
      ? "Nothing is brushed: drag along an axis, or write the range into the filter."
      : `Brushed: ${expression}: ${plural(rows.length, "trial")}${top === undefined ? "" : `, the best of them ${trialOf(table, top)} with ${name} ${valued(info, name, values[top] ?? NaN)}`}.`
  }`
  return (
    <Chart
      summary={summary}
      // The chart draws its own brush, including the lines.
      of={[unbrushed, table, name, all, shown.map((each) => each.name).join(), cleared.current.times]}
      after={(chart) => {
        for (const [dim, of] of shown.entries())
          if (brush[of.name] !== undefined)
            chart.dispatchAction({ type: "axisAreaSelect", parallelAxisId: String(dim), intervals: brush[of.name] })
      }}
      height={420}
      narrow={70 + 62 * shown.length}
      table={() => ({
        head: ["trial", ...shown.map((each) => each.name)],
        rows: bestFirst(run, rows, name, 50).map((row) => [
          String(trialOf(table, row)),
          ...shown.map((each) => (each.name === name ? valued(info, name, values[row] ?? NaN) : Table.text(row)(each)))
        ])
      })}
      on={{
        axisareaselected: (event) => {
          const { id, ranges } = brushedIn(event)
          const name = shown[id]?.name
          if (name === undefined) return
          const { [name]: _, ...others } = brush
          setBrush(ranges.length === 0 ? others : { ...others, [name]: ranges })
        }
      }}
      option={(colours, { width }) => {
        const narrow = width < 640
        const label = {
          color: colours.text,
          fontSize: 10,
          backgroundColor: colours.back,
          padding: [1, 2],
          borderRadius: 2
        }
        // On a phone the axes are stacked vertically.
        return {
          tooltip: { show: false },
          visualMap: {
            show: false,
            dimension: shown.length - 1,
            min: drawn.reduce((least, row) => Math.min(least, values[row] || Infinity), Infinity),
            max: drawn.reduce((most, row) => Math.max(most, values[row] || -Infinity), -Infinity),
            inRange: { color: [...colours.ramp] }
          },
          parallel: narrow
            ? { layout: "vertical", left: 16, right: 24, top: 34, bottom: 30 }
            : { left: 40, right: 60, top: 56, bottom: 24 },
          parallelAxis: shown.map((each, dim) => ({
            id: String(dim),
            // Above the lines, so that its labels stay readable.
            z: 5,
            dim,
            nameTruncate: { maxWidth: 150 },
            name: each.name.length > 16 ? `…${each.name.slice(-15)}` : each.name,
            nameLocation: narrow ? "start" : "end",
            nameRotate: narrow ? 0 : shown.length > 6 ? 18 : 0,
            nameTextStyle: {
              color: colours.text,
              backgroundColor: colours.back,
              fontSize: 11,
              ...(narrow ? { align: "left", verticalAlign: "bottom", padding: [0, 0, 4, 0] } : {})
            },
            nameGap: narrow ? 2 : 12,
            axisLine: { lineStyle: { color: colours.faint } },
            axisTick: { show: !narrow },
            realtime: false,
            areaSelectStyle: { width: 22, borderColor: colours.best, color: colours.best, opacity: 0.25 },
            ...(each.kind === "category"
              ? {
                  type: "value",
                  min: 0,
                  max: each.labels.length + 1,
                  interval: 1,
                  axisLabel: {
                    ...label,
                    formatter: (value: number) => {
                      const label = value === 0 && each.codes.includes(0) ? "(none)" : (each.labels[value - 1] ?? "")
                      return label.length > 10 ? `${label.slice(0, 9)}…` : label
                    }
                  }
                }
              : {
                  type: "value",
                  scale: true,
                  axisLabel: { ...label, formatter: number }
                })
          })),
          series: [
            {
              type: "parallel",
              progressive: 0,
              inactiveOpacity: 0.02,
              activeOpacity: 0.8,
              lineStyle: { width: 1, opacity: drawn.length > 300 ? 0.25 : 0.5 },
              data: drawn.map((row) =>
                shown.map((each) => (each.kind === "category" ? (each.codes[row] ?? 0) : Table.number(row)(each)))
              )
            }
          ]
        }
      }}
    >
      <div class="controls">
        <Select label="Coloured by" value={name} options={names} onChange={(value) => choose("parallel", value)} />
        {sorted.length > axes ? (
          <label class="check">
            <input type="checkbox" checked={all} onChange={({ currentTarget }) => setAll(currentTarget.checked)} />
            {sorted.length > 40 ? "40" : "all"} of {sorted.length} choices
          </label>
        ) : null}
        {expression === "" ? null : (
          <>
            <button
              type="button"
              onClick={() => {
                setBrush({})
                set({ where: view.where === "" ? expression : `(${view.where}) and ${expression}` })
              }}
            >
              Copy the brush into the filter
            </button>
            <button type="button" onClick={() => setBrush({})}>
              Clear the brush
            </button>
          </>
        )}
      </div>
    </Chart>
  )
}

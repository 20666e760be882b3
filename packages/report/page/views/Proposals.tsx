/** How often each option of a choice was proposed, over time. */
import { axis, Chart, grid } from "../chart.tsx"
import { percent, plural } from "../format.ts"
import { choices, chosen, Select, type Seen, trialOf } from "../seen.tsx"
import { Shares } from "../shared.ts"

export const Proposals = ({ choose, run, unbrushed, view }: Seen) => {
  const { info, table } = run
  const all = choices(run).flatMap((each) => (each.kind === "category" ? [each] : []))
  const names = all.map((each) => each.name)
  const name = chosen(view.of["share"], names)
  const of = all.find((each) => each.name === name)
  if (of === undefined) return <p class="summary">There is no choice in which trials differ.</p>
  const windows = Shares.of(unbrushed, of)
  const labels = [...of.labels, ...(of.codes.includes(0) ? ["(none)"] : [])]
  const [first, last] = [windows[0], windows.at(-1)]
  const changes = labels
    .map((label, i) => ({ label, from: first?.shares[i]?.share ?? 0, to: last?.shares[i]?.share ?? 0 }))
    .sort((a, b) => b.to - a.to)
    .slice(0, 4)
  const draws = /ppo|reinforce|policy/i.test(info.strategy)
  const middle = ({ from, to }: Shares.Window) => trialOf(table, unbrushed[(from + to) >>> 1] ?? 0)
  const summary =
    windows.length === 0
      ? "No trial is shown."
      : `Share of each option of ${name} among the proposals, from the first to the last of ${plural(windows.length, "stretch").replace("stretchs", "stretches")}: ${changes.map(({ from, label, to }) => `${label} ${percent(from, 0)} to ${percent(to, 0)}`).join(", ")}.${draws ? ` Each proposal of ${info.strategy} is drawn from its policy: these shares estimate its probabilities, and the table gives their intervals.` : ""}`
  return (
    <Chart
      summary={summary}
      of={[unbrushed, table, name]}
      table={() => ({
        head: ["trials", ...labels],
        rows: windows.map((window) => [
          `${trialOf(table, unbrushed[window.from] ?? 0)}–${trialOf(table, unbrushed[window.to] ?? 0)}`,
          ...labels.map((_, i) => {
            const each = window.shares[i]
            return each === undefined
              ? ""
              : `${percent(each.share, 0)} (${percent(each.low, 0)}–${percent(each.high, 0)})`
          })
        ])
      })}
      option={(colours) => ({
        grid: { ...grid, top: 44 },
        legend: { type: "scroll", top: 0, textStyle: { color: colours.text }, pageTextStyle: { color: colours.text } },
        tooltip: {
          trigger: "axis",
          valueFormatter: (value: number) => percent(value, 0),
          axisPointer: { type: "line" }
        },
        xAxis: {
          ...axis(colours, "trial"),
          type: "category",
          boundaryGap: false,
          data: windows.map((window) => String(middle(window)))
        },
        yAxis: axis(colours, "share", {
          scale: false,
          min: 0,
          max: 1,
          nameGap: 44,
          axisLabel: { color: colours.faint, formatter: (value: number) => percent(value, 0) }
        }),
        series: labels.map((label, i) => ({
          type: "line",
          name: label,
          stack: "all",
          symbol: "none",
          areaStyle: { opacity: 0.75 },
          lineStyle: { width: 0 },
          data: windows.map(({ shares }) => shares[i]?.share ?? 0)
        }))
      })}
    >
      <div class="controls">
        <Select label="Of" value={name} options={names} onChange={(value) => choose("share", value)} />
      </div>
    </Chart>
  )
}

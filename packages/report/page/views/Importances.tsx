/** How much each choice matters for a measure. */
import { axis, Chart } from "../chart.tsx"
import { percent, plural } from "../format.ts"
import { chosen, Select, type Seen } from "../seen.tsx"

const most = 20

/** A share; negative estimates are shown as 0. */
const share = (value: number) => percent(Math.max(0, value), 1)

export const Importances = ({ choose, run, view }: Seen) => {
  const { importances } = run
  const names = importances.map(({ measure }) => measure)
  const name = chosen(view.of["important"], names, run.info.decides, "reward")
  const found = importances.find(({ measure }) => measure === name)
  const controls = (
    <div class="controls">
      <Select label="For" value={name} options={names} onChange={(value) => choose("important", value)} />
    </div>
  )
  if (found === undefined)
    return (
      <p class="summary">
        How much each choice matters has not been computed yet, or there is no measure to compute it for.
      </p>
    )
  if (found.choices.length === 0)
    return (
      <div>
        {controls}
        <p class="summary">{found.silent}</p>
      </div>
    )
  const clear = found.choices.filter(({ low }) => low > 0)
  const shown = found.choices.slice(0, most)
  const { explained, trials } = found
  const summary = `For ${name}, ${
    clear.length === 0
      ? "no single choice is shown to matter"
      : `${clear
          .slice(0, 3)
          .map((each) => `${each.name} has a part in ${share(each.mean)} (${share(each.low)} to ${share(each.high)})`)
          .join(", ")} of the variance`
  }${clear.length < found.choices.length ? `; ${plural(found.choices.length - clear.length, "other choice")} cannot be told from no effect` : ""}. From ${plural(trials, "trial")}${found.epochs === null ? "" : ` of ${plural(found.epochs, "epoch")}`}, by permutation in forests that explain ${explained === null ? "–" : share(explained.mean)} of the variance of trials that they have not seen.`
  return (
    <Chart
      summary={summary}
      of={[found]}
      height={60 + 22 * shown.length}
      table={() => ({
        head: ["choice", "share of the variance", "from", "to"],
        rows: found.choices.map(({ high, low, mean, name }) => [name, share(mean), share(low), share(high)])
      })}
      option={(colours, { width }) => {
        const reversed = shown.toReversed()
        const room = Math.min(0.45 * width, 190)
        return {
          grid: { left: room, right: 24, top: 8, bottom: 42 },
          tooltip: {
            trigger: "item",
            formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
              const each = reversed[dataIndex]
              return each === undefined
                ? ""
                : `${each.name}\n${share(each.mean)} (${share(each.low)} to ${share(each.high)})`
            }
          },
          xAxis: axis(colours, `share of the variance of ${name}`, {
            scale: false,
            min: 0,
            axisLabel: { color: colours.faint, formatter: (value: number) => percent(value, 0) }
          }),
          yAxis: {
            type: "category",
            data: reversed.map((each) => each.name),
            axisLine: { lineStyle: { color: colours.line } },
            axisLabel: { color: colours.text, width: room - 12, overflow: "truncate" }
          },
          series: [
            {
              type: "bar",
              barMaxWidth: 14,
              data: reversed.map(({ low, mean }) => ({
                value: Math.max(0, mean),
                itemStyle: { color: low > 0 ? colours.accent : colours.faint, opacity: low > 0 ? 1 : 0.5 }
              }))
            },
            {
              type: "custom",
              silent: true,
              z: 3,
              encode: { x: [1, 2], y: 0 },
              data: reversed.map(({ high, low }, i) => [i, Math.max(0, low), Math.max(0, high)]),
              renderItem: (
                _: unknown,
                api: {
                  readonly value: (i: number) => number
                  readonly coord: (at: ReadonlyArray<number>) => ReadonlyArray<number>
                }
              ) => {
                const [from = 0, y = 0] = api.coord([api.value(1), api.value(0)])
                const [to = 0] = api.coord([api.value(2), api.value(0)])
                const style = { stroke: colours.text, lineWidth: 1.2 }
                const line = (x1: number, y1: number, x2: number, y2: number) => ({
                  type: "line",
                  shape: { x1, y1, x2, y2 },
                  style
                })
                return {
                  type: "group",
                  children: [line(from, y, to, y), line(from, y - 4, from, y + 4), line(to, y - 4, to, y + 4)]
                }
              }
            }
          ]
        }
      }}
    >
      {controls}
    </Chart>
  )
}

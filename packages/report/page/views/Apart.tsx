/** How different the best networks are from each other. */
import { axis, Chart } from "../chart.tsx"
import { percent } from "../format.ts"
import { bestFirst, chosen, type Seen, trialOf, worths } from "../seen.tsx"
import { Distances, Table } from "../shared.ts"

const most = 12

export const Apart = ({ rows, run }: Seen) => {
  const { info, table } = run
  const name = chosen(undefined, worths(run), "reward", info.decides)
  const best = bestFirst(run, rows, name, most)
  const all = Table.ofRole("choice")(table)
  if (best.length < 2 || all.length === 0)
    return <p class="summary">There are no two networks to hold against one another.</p>
  const distances = Distances.of(best, all)
  const pairs = distances.flatMap((line, i) => line.slice(i + 1).map((distance, j) => ({ distance, i, j: i + 1 + j })))
  const mean = pairs.reduce((sum, { distance }) => sum + distance, 0) / pairs.length
  const [near, far] = [
    pairs.reduce((a, b) => (b.distance < a.distance ? b : a)),
    pairs.reduce((a, b) => (b.distance > a.distance ? b : a))
  ]
  const trial = (i: number) => String(trialOf(table, best[i] ?? -1))
  const said = ({ distance, i, j }: (typeof pairs)[number]) => `${trial(i)} and ${trial(j)} (${percent(distance, 0)})`
  const summary = `The ${best.length} best by ${name} differ in ${percent(mean, 0)} of their choices on average; nearest are ${said(near)}, farthest ${said(far)}.`
  return (
    <Chart
      summary={summary}
      of={[rows, table]}
      height={360}
      table={() => ({
        head: ["trial", ...best.map((_, i) => trial(i))],
        rows: distances.map((line, i) => [trial(i), ...line.map((distance) => percent(distance, 0))])
      })}
      option={(colours) => {
        const names = best.map((_, i) => trial(i))
        const category = { type: "category", data: names, splitLine: { show: false } }
        return {
          grid: { left: 62, right: 70, top: 12, bottom: 46 },
          tooltip: {
            trigger: "item",
            formatter: ({ value }: { readonly value: ReadonlyArray<number> }) =>
              `trials ${names[value[0] ?? 0]} and ${names[value[1] ?? 0]}\ndiffer in ${percent(value[2] ?? 0, 0)}`
          },
          xAxis: { ...axis(colours, "trial"), ...category },
          yAxis: { ...axis(colours, "trial", { nameGap: 44 }), ...category, inverse: true },
          visualMap: {
            min: 0,
            max: Math.max(0.01, far.distance),
            right: 0,
            top: "middle",
            itemWidth: 10,
            dimension: 2,
            textStyle: { color: colours.faint },
            formatter: (value: number) => percent(value, 0),
            inRange: { color: [...colours.ramp] }
          },
          series: [
            {
              type: "heatmap",
              itemStyle: { borderColor: colours.back, borderWidth: 1 },
              data: distances.flatMap((line, j) => line.map((distance, i) => [i, j, distance]))
            }
          ]
        }
      }}
    />
  )
}

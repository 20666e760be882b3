/** Compares the searches of a report: the best that each had found at equal trials, time or multiply-accumulates. */
import { axis, Chart, grid } from "../chart.tsx"
import { number, percent, plural, time } from "../format.ts"
import { chosen, Select, type Seen } from "../seen.tsx"
import type { Compared } from "../shared.ts"

const budgets = { trials: "trials", seconds: "time in seconds", macs: "MACs · epochs" } as const
type Budget = keyof typeof budgets
const isBudget = (name: string): name is Budget => name in budgets

const amount = (budget: Budget, value: number) =>
  budget === "seconds" ? time(value) : budget === "trials" ? plural(value, "trial") : `${number(value)} MACs · epochs`

const verdicts = { better: "better", worse: "worse", open: "not distinguishable" } as const

type Band = Compared["groups"][number]["curves"]["trials"]["bands"][number]

export const Searches = ({ choose, compared, run, view }: Seen) => {
  if (compared === undefined) return <p class="summary">There is nothing to compare.</p>
  const { by, differences, groups } = compared
  const options = Object.keys(budgets).filter(
    (name) => isBudget(name) && groups.some(({ curves }) => curves[name].at.length > 0)
  )
  const wanted = chosen(view.of["compared"], options, "trials")
  const budget = isBudget(wanted) ? wanted : "trials"
  const isShare = run.info.measures.some(({ isShare, name }) => isShare && name === by.name)
  const value = (of: number) => (isShare ? percent(of, 2) : number(of))
  const band = ({ high, low, mean }: Band) =>
    low === null || high === null ? value(mean) : `${value(mean)} (${value(low)} to ${value(high)})`
  const told = differences.filter((each) => each.by === budget)
  const summary = [
    `Best ${by.name} (${by.direction} is better) by ${budgets[budget]}; bands are 95% intervals over a group’s seeds.`,
    ...groups.map(({ name, runs }) => `${name}: ${runs.join(", ")}.`),
    ...told.map(
      ({ at, difference, first, high, low, second, verdict }) =>
        `At ${amount(budget, at)} ${first.group} has ${band(first)}, ${second.group} ${band(second)}: ${
          low === null || high === null
            ? `a difference of ${value(difference)}, from one run only`
            : `a difference of ${value(difference)}, ${value(low)} to ${value(high)}`
        }; ${verdict === "open" ? "the two are not distinguishable" : `${second.group} is ${verdicts[verdict]}`}.`
    ),
    ...(compared.empty.length === 0 ? [] : [`Without a result yet: ${compared.empty.join(", ")}.`])
  ].join(" ")
  return (
    <Chart
      summary={summary}
      of={[compared, budget]}
      height={320}
      table={() => ({
        head: ["at equal", "first", "best", "second", "best", "difference for the second", "95%", "the second is"],
        rows: differences.map(({ at, by, difference, first, high, low, second, verdict }) => [
          amount(by, at),
          first.group,
          band(first),
          second.group,
          band(second),
          value(difference),
          low === null || high === null ? "one run only" : `${value(low)} to ${value(high)}`,
          verdicts[verdict]
        ])
      })}
      option={(colours) => ({
        grid: { ...grid, top: 40 },
        legend: { textStyle: { color: colours.text }, top: 0, type: "scroll", data: groups.map(({ name }) => name) },
        tooltip: { trigger: "axis", valueFormatter: (of: number) => value(of) },
        xAxis: axis(colours, budgets[budget]),
        yAxis: axis(colours, by.name, { nameGap: 46 }),
        series: groups.flatMap(({ curves, name }, i) => {
          const { at, bands } = curves[budget]
          const colour = colours.palette[i % colours.palette.length]
          const points = (of: (band: Band) => number | null) => at.map((x, j) => [x, bands[j] && of(bands[j])])
          const hidden = {
            type: "line",
            step: "end",
            symbol: "none",
            silent: true,
            stack: `band ${name}`,
            lineStyle: { opacity: 0 }
          }
          return [
            {
              type: "line",
              name,
              symbol: "none",
              step: "end",
              itemStyle: { color: colour },
              data: points((b) => b.mean)
            },
            { ...hidden, stackStrategy: "all", tooltip: { show: false }, data: points((b) => b.low) },
            {
              ...hidden,
              stackStrategy: "all",
              tooltip: { show: false },
              areaStyle: { color: colour, opacity: 0.15 },
              data: points((b) => (b.low === null || b.high === null ? null : b.high - b.low))
            }
          ]
        })
      })}
    >
      <div class="controls">
        <Select label="By equal" value={budget} options={options} onChange={(value) => choose("compared", value)} />
      </div>
    </Chart>
  )
}

/** The front of two or three measures or costs, with the search's constraints. */
import { axis, Chart, grid } from "../chart.tsx"
import { number, plural } from "../format.ts"
import { chosen, indexIn, Select, type Seen, trialOf, valued, worths } from "../seen.tsx"
import { Front, Table } from "../shared.ts"

export const Pareto = ({ choose, open, rows, run, view }: Seen) => {
  const { info, table } = run
  const names = worths(run)
  const [first, second, third] = info.objectives.map(({ name }) => name)
  const x = chosen(
    view.of["x"],
    names,
    second,
    "macs",
    names.find((name) => Front.directionOf(name)(info) === "lower")
  )
  const y = chosen(
    view.of["y"],
    names.filter((name) => name !== x),
    first,
    info.decides,
    "reward"
  )
  const z = chosen(view.of["z"], ["none", ...names], third)
  const of = [x, y, ...(z === "none" ? [] : [z])].map((name) => ({
    name,
    values: Table.numbers(name)(table) ?? new Float64Array(),
    direction: Front.directionOf(name)(info)
  }))
  const { epochs: level, rows: comparable } = Front.comparable(rows, of, Table.numbers("epochs")(table))
  const front = Front.of(comparable, of).toSorted((a, b) => (of[0]?.values[a] ?? 0) - (of[0]?.values[b] ?? 0))
  const bounds = info.bounds.filter(({ name }) => name === x || name === y)
  const allowed = bounds
    .map(({ max, min, name }) =>
      [min === null ? "" : `${name} at least ${number(min)}`, max === null ? "" : `${name} at most ${number(max)}`]
        .filter((each) => each !== "")
        .join(" and ")
    )
    .join("; ")
  const list = of.map(({ direction, name }) => `${name} (${direction})`).join(", ")
  const summary =
    comparable.length === 0
      ? `No trial shown has ${list}.`
      : `The front of ${list} has ${plural(front.length, "trial")} of ${comparable.length.toLocaleString("en")}${level > 0 ? ` trained for ${plural(level, "epoch")}` : ""}${allowed === "" ? "" : `; the search allows ${allowed}`}.`
  const [a, b] = of
  return (
    <Chart
      summary={summary}
      of={[rows, table, x, y, z]}
      height={380}
      table={() => ({
        head: ["trial", ...of.map(({ name }) => name), "network"],
        rows: front.slice(0, 200).map((row) => {
          const network = Table.column("network")(table)
          return [
            String(trialOf(table, row)),
            ...of.map(({ name, values }) => valued(info, name, values[row] ?? NaN)),
            network === undefined ? "" : Table.text(row)(network)
          ]
        })
      })}
      on={{
        click: (event) => {
          const index = indexIn(event)
          const series = typeof event === "object" && event !== null && "seriesIndex" in event ? event.seriesIndex : 0
          const row = index === undefined ? undefined : series === 0 ? comparable[index] : front[index]
          if (row !== undefined) open(trialOf(table, row))
        }
      }}
      option={(colours) => {
        const dots = new Float64Array(2 * comparable.length)
        for (let i = 0; i < comparable.length; i++) {
          const row = comparable[i] ?? 0
          dots[2 * i] = a?.values[row] ?? 0
          dots[2 * i + 1] = b?.values[row] ?? 0
        }
        const [bx, by] = [x, y].map((name) => bounds.find((each) => each.name === name))
        const label = ({ dataIndex, seriesIndex }: { readonly dataIndex: number; readonly seriesIndex: number }) => {
          const row = seriesIndex === 0 ? comparable[dataIndex] : front[dataIndex]
          return row === undefined
            ? ""
            : [
                `trial ${trialOf(table, row)}`,
                ...of.map(({ name, values }) => `${name} ${valued(info, name, values[row] ?? NaN)}`)
              ].join("\n")
        }
        return {
          grid,
          tooltip: { trigger: "item", formatter: label },
          xAxis: axis(colours, x, { axisLabel: { color: colours.faint, hideOverlap: true, formatter: number } }),
          yAxis: axis(colours, y, { nameGap: 46, axisLabel: { color: colours.faint, formatter: number } }),
          series: [
            {
              type: "scatter",
              large: true,
              largeThreshold: 3000,
              progressive: 0,
              symbolSize: comparable.length > 3000 ? 2 : 5,
              itemStyle: { color: colours.accent, opacity: comparable.length > 3000 ? 0.3 : 0.5 },
              dimensions: [x, y],
              data: dots,
              ...(bx === undefined && by === undefined
                ? {}
                : {
                    markArea: {
                      silent: true,
                      itemStyle: { color: colours.best, opacity: 0.08 },
                      data: [
                        [
                          {
                            ...(bx?.min == null ? {} : { xAxis: bx.min }),
                            ...(by?.min == null ? {} : { yAxis: by.min })
                          },
                          {
                            ...(bx?.max == null ? {} : { xAxis: bx.max }),
                            ...(by?.max == null ? {} : { yAxis: by.max })
                          }
                        ]
                      ]
                    }
                  })
            },
            {
              type: of.length === 2 ? "line" : "scatter",
              step: of.length === 2 ? (a?.direction === "lower" ? "end" : "start") : undefined,
              symbol: "circle",
              symbolSize: 7,
              itemStyle: { color: colours.best },
              lineStyle: { color: colours.best, width: 1.5 },
              data: front.map((row) => [a?.values[row] ?? 0, b?.values[row] ?? 0])
            }
          ]
        }
      }}
    >
      <div class="controls">
        <Select label="Across" value={x} options={names} onChange={(value) => choose("x", value)} />
        <Select label="Up" value={y} options={names} onChange={(value) => choose("y", value)} />
        <Select label="Third" value={z} options={["none", ...names]} onChange={(value) => choose("z", value)} />
      </div>
    </Chart>
  )
}

/** The results of trials with an option, or with two options of two choices. */
import { axis, Chart } from "../chart.tsx"
import { plural } from "../format.ts"
import { choices, chosen, Select, type Seen, valued, worths } from "../seen.tsx"
import { Front, Table } from "../shared.ts"

interface Cell {
  readonly count: number
  readonly mean: number
  readonly least: number
  readonly most: number
}

/** A column's groups: its options, or a dozen ranges. */
const groupsOf = (
  of: Table.Column
): { readonly labels: ReadonlyArray<string>; readonly at: (row: number) => number } => {
  if (of.kind === "category") {
    const none = of.codes.includes(0)
    return {
      labels: [...of.labels, ...(none ? ["(none)"] : [])],
      at: (row) => ((of.codes[row] ?? 0) === 0 ? of.labels.length : (of.codes[row] ?? 0) - 1)
    }
  }
  const values = of.kind === "number" ? of.values : new Float64Array()
  let [low, high] = [Infinity, -Infinity]
  for (const value of values) {
    if (value < low) low = value
    if (value > high) high = value
  }
  const n = 12
  const step = (high - low) / n || 1
  return {
    labels: Array.from({ length: n }, (_, i) => `${Number((low + i * step).toPrecision(3))}…`),
    at: (row) => Math.min(n - 1, Math.floor(((values[row] ?? NaN) - low) / step))
  }
}

const cellsOf = (rows: ReadonlyArray<number>, values: Float64Array, at: (row: number) => number, n: number) => {
  const count = new Float64Array(n)
  const sum = new Float64Array(n)
  const least = new Float64Array(n).fill(Infinity)
  const most = new Float64Array(n).fill(-Infinity)
  for (const row of rows) {
    const i = at(row)
    const value = values[row] ?? NaN
    if (!(i >= 0 && i < n) || Number.isNaN(value)) continue
    count[i] = (count[i] ?? 0) + 1
    sum[i] = (sum[i] ?? 0) + value
    least[i] = Math.min(least[i] ?? value, value)
    most[i] = Math.max(most[i] ?? value, value)
  }
  return Array.from({ length: n }, (_, i): Cell => ({
    count: count[i] ?? 0,
    mean: (sum[i] ?? 0) / (count[i] ?? 0),
    least: least[i] ?? NaN,
    most: most[i] ?? NaN
  }))
}

export const Slice = ({ choose, rows, run, view }: Seen) => {
  const { info, table } = run
  const all = choices(run)
  const names = all.map((each) => each.name)
  const measures = worths(run)
  const a = chosen(view.of["a"], names)
  const others = ["none", ...names.filter((name) => name !== a)]
  const b = chosen(view.of["b"], others, others[1])
  const name = chosen(view.of["of"], measures, info.decides, "reward")
  const values = Table.numbers(name)(table)
  const [first, second] = [a, b].map((each) => all.find((column) => column.name === each))
  if (first === undefined || values === undefined)
    return <p class="summary">There is no choice in which trials differ.</p>
  const epochs = Table.numbers("epochs")(table)
  const level = rows.reduce((most, row) => Math.max(most, epochs?.[row] || 0), 0)
  const comparable = Array.from(rows).filter((row) => (epochs?.[row] || 0) === level)
  const across = groupsOf(first)
  const up = second === undefined ? { labels: [""], at: () => 0 } : groupsOf(second)
  const width = across.labels.length
  const cells = cellsOf(
    comparable,
    values,
    (row) => {
      const [i, j] = [across.at(row), up.at(row)]
      return i >= 0 && j >= 0 ? j * width + i : -1
    },
    width * up.labels.length
  )
  const higher = Front.directionOf(name)(info) === "higher"
  const labelled = cells.flatMap((cell, i) => {
    if (cell.count === 0) return []
    const [x, y] = [across.labels[i % width] ?? "", up.labels[Math.floor(i / width)] ?? ""]
    return [{ ...cell, x, y, i, best: higher ? cell.most : cell.least, label: y === "" ? x : `${x} and ${y}` }]
  })
  const ranked = labelled.toSorted((p, q) => (higher ? q.mean - p.mean : p.mean - q.mean))
  const [top, worst] = [ranked[0], ranked.at(-1)]
  const of = second === undefined ? a : `${a} and ${b}`
  const summary =
    top === undefined || worst === undefined
      ? `No trial shown has a ${name}.`
      : `Mean ${name} by ${of}${level > 0 ? `, of trials trained for ${plural(level, "epoch")}` : ""}: best with ${top.label} (${valued(info, name, top.mean)} over ${plural(top.count, "trial")}), worst with ${worst.label} (${valued(info, name, worst.mean)} over ${plural(worst.count, "trial")}). A strategy proposes what it thinks is good more often, and together with other good options: this is not the effect of the option by itself.`
  return (
    <Chart
      summary={summary}
      of={[rows, table, a, b, name]}
      height={second === undefined ? 320 : 380}
      table={() => ({
        head: [a, ...(second === undefined ? [] : [b]), "trials", `mean ${name}`, `best ${name}`],
        rows: ranked.map(({ best, count, mean, x, y }) => [
          x,
          ...(second === undefined ? [] : [y]),
          count.toLocaleString("en"),
          valued(info, name, mean),
          valued(info, name, best)
        ])
      })}
      option={(colours) => {
        const category = (title: string, data: ReadonlyArray<string>, more: object = {}) => ({
          ...axis(colours, title, more),
          type: "category",
          data,
          splitLine: { show: false }
        })
        const tooltip = {
          trigger: "item",
          formatter: ({ dataIndex }: { readonly dataIndex: number }) => {
            const each = labelled[dataIndex]
            return each === undefined
              ? ""
              : `${each.label}\nmean ${valued(info, name, each.mean)}, best ${valued(info, name, each.best)}\n${plural(each.count, "trial")}`
          }
        }
        if (second === undefined)
          return {
            grid: { left: 70, right: 16, top: 20, bottom: 46 },
            tooltip,
            xAxis: category(a, across.labels),
            yAxis: axis(colours, name, { nameGap: 50 }),
            series: [
              {
                type: "custom",
                encode: { x: 0, y: [1, 2, 3] },
                data: labelled.map(({ i, least, mean, most }) => [i, least, mean, most]),
                renderItem: (
                  _: unknown,
                  api: {
                    readonly value: (i: number) => number
                    readonly coord: (at: ReadonlyArray<number>) => ReadonlyArray<number>
                  }
                ) => {
                  const [x = 0, low = 0] = api.coord([api.value(0), api.value(1)])
                  const [, mean = 0] = api.coord([api.value(0), api.value(2)])
                  const [, high = 0] = api.coord([api.value(0), api.value(3)])
                  return {
                    type: "group",
                    children: [
                      {
                        type: "line",
                        shape: { x1: x, y1: low, x2: x, y2: high },
                        style: { stroke: colours.accent, lineWidth: 2 }
                      },
                      { type: "circle", shape: { cx: x, cy: mean, r: 6 }, style: { fill: colours.best } }
                    ]
                  }
                }
              }
            ]
          }
        const means = labelled.map(({ mean }) => mean)
        return {
          grid: { left: 84, right: 70, top: 12, bottom: 46 },
          tooltip,
          xAxis: category(a, across.labels),
          yAxis: category(b, up.labels, {
            nameGap: 66,
            axisLabel: { color: colours.faint, width: 56, overflow: "truncate" }
          }),
          visualMap: {
            min: means.reduce((least, value) => Math.min(least, value), Infinity),
            max: means.reduce((most, value) => Math.max(most, value), -Infinity),
            right: 0,
            top: "middle",
            itemWidth: 10,
            precision: 3,
            dimension: 2,
            textStyle: { color: colours.faint },
            inRange: { color: [...colours.ramp] }
          },
          series: [
            {
              type: "heatmap",
              itemStyle: { borderColor: colours.back, borderWidth: 1 },
              data: labelled.map(({ i, mean }) => [i % width, Math.floor(i / width), mean])
            }
          ]
        }
      }}
    >
      <div class="controls">
        <Select label="By" value={a} options={names} onChange={(value) => choose("a", value)} />
        <Select label="and" value={b} options={others} onChange={(value) => choose("b", value)} />
        <Select label="Of" value={name} options={measures} onChange={(value) => choose("of", value)} />
      </div>
    </Chart>
  )
}

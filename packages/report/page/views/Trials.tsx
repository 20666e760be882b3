/** All trials as a table: only the visible rows are in the page. */
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core"
import { useEffect, useMemo, useReducer, useRef } from "preact/hooks"
import { plural } from "../format.ts"
import { cell, type Seen, trialOf } from "../seen.tsx"
import { Table } from "../shared.ts"

const usual = (table: Table.Table, decides: string | null): ReadonlyArray<string> => {
  const costs = Table.ofRole("cost")(table).map(({ name }) => name)
  return [
    "trial",
    "state",
    ...(decides === null
      ? Table.ofRole("measure")(table)
          .slice(0, 2)
          .map(({ name }) => name)
      : [decides]),
    "reward",
    "epochs",
    ...costs.slice(0, 2),
    "seconds",
    "network"
  ]
}

/** Rows sorted by a column. */
const sorted = (rows: Int32Array, table: Table.Table, sort: string): Int32Array => {
  const falling = sort.startsWith("-")
  const of = Table.column(falling ? sort.slice(1) : sort)(table)
  if (of === undefined || (of.role === "trial" && !falling)) return rows
  if (of.role === "trial") return rows.toReversed()
  const sign = falling ? -1 : 1
  if (of.kind === "text") {
    const texts = new Map(Array.from(rows, (row) => [row, Table.text(row)(of)]))
    return rows.toSorted((a, b) => {
      const [x, y] = [texts.get(a) ?? "", texts.get(b) ?? ""]
      return x === y ? a - b : x < y ? -sign : sign
    })
  }
  // Missing values come last, in either direction.
  const keys = new Float64Array(table.size)
  for (let i = 0; i < keys.length; i++) {
    const value = Table.number(i)(of)
    keys[i] = Number.isNaN(value) ? Infinity : sign * value
  }
  return rows.toSorted((a, b) => (keys[a] === keys[b] ? a - b : (keys[a] ?? 0) < (keys[b] ?? 0) ? -1 : 1))
}

const height = 30

const longest = (labels: ReadonlyArray<string>) => labels.reduce((most, { length }) => Math.max(most, length), 0)

export const Trials = ({ open, rows, run, set, view }: Seen) => {
  const { info, table } = run
  const names = table.columns.map(({ name }) => name)
  const wanted = view.columns.filter((name) => names.includes(name))
  const columns = (wanted.length > 0 ? wanted : usual(table, info.decides)).flatMap(
    (name) => Table.column(name)(table) ?? []
  )
  const order = useMemo(() => sorted(rows, table, view.sort), [rows, table, view.sort])
  const place = useRef<HTMLDivElement>(null)
  const [, redraw] = useReducer((n: number) => n + 1, 0)
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(undefined)
  const options = {
    count: order.length,
    getScrollElement: () => place.current,
    estimateSize: () => height,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw(undefined)
  }
  virtual.current ??= new Virtualizer(options)
  virtual.current.setOptions(options)
  useEffect(() => virtual.current?._didMount(), [])
  useEffect(() => virtual.current?._willUpdate())
  const at = view.trial === null ? -1 : order.findIndex((row) => trialOf(table, row) === view.trial)
  const go = (to: number) => {
    const row = order[Math.max(0, Math.min(order.length - 1, to))]
    if (row === undefined) return
    set({ trial: trialOf(table, row) })
    virtual.current?.scrollToIndex(Math.max(0, Math.min(order.length - 1, to)))
  }
  const steps: Readonly<Record<string, number>> = {
    ArrowDown: at + 1,
    ArrowUp: at - 1,
    PageDown: at + 10,
    PageUp: at - 10,
    Home: 0,
    End: order.length - 1
  }
  const widths = columns.map((each) =>
    each.name === "network" || each.name === "why"
      ? "minmax(22rem, 1fr)"
      : each.kind === "text"
        ? "14rem"
        : `${Math.max(6.5, Math.min(16, 0.62 * each.name.length + 2.5), each.kind === "category" ? Math.min(14, 0.55 * longest(each.labels) + 1.5) : 0)}rem`
  )
  const template = { gridTemplateColumns: widths.join(" ") }
  const items = virtual.current.getVirtualItems()
  return (
    <div>
      <p class="summary" id="trials-summary" aria-live="polite">
        {plural(order.length, "trial")} of {table.size.toLocaleString("en")}, by {view.sort.replace(/^-/, "")}
        {view.sort.startsWith("-") ? ", descending" : ", ascending"}. Use the arrow keys to go from trial to trial;
        click a column’s name to sort by it.
      </p>
      <details>
        <summary>Columns</summary>
        <div class="controls">
          {names.map((name) => (
            <label class="check">
              <input
                type="checkbox"
                checked={columns.some((each) => each.name === name)}
                onChange={({ currentTarget }) => {
                  const now = columns.map((each) => each.name)
                  set({ columns: currentTarget.checked ? [...now, name] : now.filter((each) => each !== name) })
                }}
              />
              {name}
            </label>
          ))}
          <button type="button" onClick={() => set({ columns: [] })}>
            Default columns
          </button>
        </div>
      </details>
      <div
        class="trials"
        ref={place}
        role="table"
        tabIndex={0}
        aria-label="Trials"
        aria-describedby="trials-summary"
        aria-rowcount={order.length + 1}
        onKeyDown={(event) => {
          const to = steps[event.key]
          if (event.key === "Enter" && view.trial !== null) {
            open(view.trial)
            document.getElementById("trial")?.scrollIntoView()
          }
          if (to === undefined || event.target !== event.currentTarget) return
          event.preventDefault()
          go(to)
        }}
      >
        <div class="head row" role="row" aria-rowindex={1} style={template}>
          {columns.map(({ name }) => (
            <div
              role="columnheader"
              aria-sort={view.sort === name ? "ascending" : view.sort === `-${name}` ? "descending" : "none"}
            >
              <button type="button" onClick={() => set({ sort: view.sort === `-${name}` ? name : `-${name}` })}>
                {name}
                {view.sort === name ? " ▲" : view.sort === `-${name}` ? " ▼" : ""}
              </button>
            </div>
          ))}
        </div>
        <div role="rowgroup" style={{ height: `${virtual.current.getTotalSize()}px`, position: "relative" }}>
          {items.map(({ index, start }) => {
            const row = order[index] ?? 0
            const trial = trialOf(table, row)
            return (
              <div
                key={row}
                role="row"
                aria-rowindex={index + 2}
                aria-selected={trial === view.trial}
                class={`row${trial === view.trial ? " chosen" : ""}`}
                style={{ ...template, transform: `translateY(${start}px)`, height: `${height}px` }}
                onClick={() => open(trial)}
              >
                {columns.map((each) => (
                  <div
                    role="cell"
                    class={each.kind === "number" ? "number" : ""}
                    title={each.kind === "text" ? Table.text(row)(each) : undefined}
                  >
                    {cell(info, each, row)}
                  </div>
                ))}
              </div>
            )
          })}
        </div>
      </div>
    </div>
  )
}

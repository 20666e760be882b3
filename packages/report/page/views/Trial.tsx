/** The page of one trial. */
import { useState } from "preact/hooks"
import { axis, Chart, grid, Grid } from "../chart.tsx"
import { number, percent, plural } from "../format.ts"
import { cell, rowOf, type Seen } from "../seen.tsx"
import { type Detail, Table } from "../shared.ts"

const Parts = ({ detail }: { readonly detail: Detail }) => {
  const { parts } = detail
  const macs = parts.reduce((sum, part) => sum + part.macs, 0)
  const columns = [...new Set(parts.flatMap((part) => Object.keys(part.columns)))]
  const share = (part: Detail["parts"][number]) => (macs === 0 ? 0 : part.macs / macs)
  return (
    <div>
      <h4>Its blocks</h4>
      <ol class="blocks">
        {parts.map((part) => (
          <li>
            <span class="name">{part.name}</span>
            <span class="what">
              {columns
                .flatMap((column) => {
                  const value = part.columns[column]
                  return value === null || value === undefined || value === "" ? [] : [`${column} ${value}`]
                })
                .join(", ")}
            </span>
            <span class="bar" style={{ "--share": `${100 * share(part)}%` }}>
              {percent(share(part))} of the MACs
            </span>
          </li>
        ))}
      </ol>
      <details>
        <summary>As a table</summary>
        <Grid
          head={["part", ...columns, "parameters", "MACs", "share of the MACs"]}
          rows={parts.map((part) => [
            part.name,
            ...columns.map((column) => String(part.columns[column] ?? "")),
            part.parameters.toLocaleString("en"),
            part.macs.toLocaleString("en"),
            percent(share(part))
          ])}
        />
      </details>
      {detail.picture === "" ? null : (
        <details>
          <summary>As text</summary>
          <pre>{detail.picture}</pre>
        </details>
      )}
    </div>
  )
}

/** Its results by epochs, if there are several. */
const Curve = ({ run, row }: Pick<Seen, "run"> & { readonly row: number }) => {
  const { curves } = run.table
  const steps = Array.from(curves.rows.keys()).filter((i) => curves.rows[i] === row)
  const names = Object.keys(curves.values)
  if (steps.length < 2) return null
  const line = (name: string) =>
    steps.flatMap((i) => {
      const value = curves.values[name]?.[i] ?? NaN
      return Number.isNaN(value) ? [] : [[curves.epochs[i] ?? 0, value]]
    })
  return (
    <Chart
      summary={`Its results after ${steps.map((i) => curves.epochs[i]).join(", ")} epochs: ${names
        .map(
          (name) =>
            `${name} ${line(name)
              .map(([, value]) => number(value ?? NaN))
              .join(", ")}`
        )
        .join("; ")}.`}
      of={[run.table, row]}
      height={240}
      table={() => ({
        head: ["epochs", ...names],
        rows: steps.map((i) => [
          String(curves.epochs[i]),
          ...names.map((name) => number(curves.values[name]?.[i] ?? NaN))
        ])
      })}
      option={(colours) => ({
        grid: { ...grid, top: 40 },
        legend: { textStyle: { color: colours.text }, top: 0 },
        tooltip: { trigger: "axis" },
        xAxis: axis(colours, "epochs"),
        yAxis: axis(colours, ""),
        series: names.map((name) => ({ type: "line", name, data: line(name) }))
      })}
    />
  )
}

export const Trial = ({ run, view, set, asked }: Seen & { readonly asked: Detail | string | undefined }) => {
  const { info, table } = run
  const [copied, setCopied] = useState(false)
  if (view.trial === null)
    return (
      <p class="summary">
        Choose a trial in a chart or in the table: its network, its costs and its outcome are shown here.
      </p>
    )
  const row = rowOf(table, view.trial)
  if (row === undefined) return <p class="summary">There is no trial {view.trial}.</p>
  const detail = run.details.find(({ trial }) => trial === view.trial) ?? asked
  const said = (name: string) => {
    const of = Table.column(name)(table)
    return of === undefined ? "" : cell(info, of, row)
  }
  const facts = table.columns
    .filter(({ role }) => role === "measure" || role === "result" || role === "cost" || role === "time")
    .flatMap((of) => {
      const value = cell(info, of, row)
      return value === "" ? [] : [[of.name === "begun" ? "started after" : of.name, value] as const]
    })
  const chosen = Table.ofRole("choice")(table).flatMap((of) => {
    const value = Table.text(row)(of)
    return value === "" ? [] : [[of.name, value] as const]
  })
  const state = said("state")
  const command =
    info.replay === null || state === "refused" || state === "repeated" ? undefined : `${info.replay} ${view.trial}`
  const [why, finals, network] = [said("why"), said("finals"), said("network")]
  return (
    <article aria-label={`Trial ${view.trial}`}>
      <h3>
        Trial {view.trial}: {state}{" "}
        <button type="button" onClick={() => set({ trial: null })}>
          Close
        </button>
      </h3>
      {why === "" ? null : <p class={state === "failed" ? "bad" : ""}>{why}</p>}
      {network === "" ? null : <p class="network">{network}</p>}
      {finals === "" ? null : <p>After the search: {finals}.</p>}
      {command === undefined ? null : (
        <p>
          Train it again: <code>{command}</code>{" "}
          <button
            type="button"
            onClick={() =>
              void navigator.clipboard?.writeText(command).then(
                () => setCopied(true),
                () => {}
              )
            }
          >
            {copied ? "Copied" : "Copy"}
          </button>
        </p>
      )}
      <div class="two">
        <Grid head={["result or cost", "value"]} rows={facts} />
        <Grid head={["choice", "option"]} rows={chosen} />
      </div>
      <Curve run={run} row={row} />
      {typeof detail === "string" ? (
        <p class="summary">{detail}</p>
      ) : detail === undefined ? (
        <p class="summary">
          {run.details.length === 0
            ? "This report does not show the blocks of networks."
            : `Its blocks are not in this report, which has only those of the best ${plural(run.details.length, "trial")}.`}
        </p>
      ) : (
        <Parts detail={detail} />
      )}
    </article>
  )
}

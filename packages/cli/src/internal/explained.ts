/** A compiler's result for a program, as tables. */
import type { Explain, Lowering } from "@uninet/onnx"
import type { Explain as Measured } from "@uninet/runtime"
import * as Arr from "effect/Array"
import Table from "cli-table3"
import * as format from "./format.ts"

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string => {
  const made = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (rows.every((row) => typeof row[i] === "string") && i < 2 ? "left" : "right")),
    style: { head: [], border: [], compact: true }
  })
  for (const row of rows) made.push([...row])
  return format.fitted(made.toString())
}

export const tallied = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([kind, n]) => `${n} ${kind}`)
    .join(", ")

/** Milliseconds, and their ratio to the limit. */
export const timed = (
  milliseconds: number,
  macs: number,
  bytes: number,
  limits: Measured.Limits | undefined
): ReadonlyArray<string> => {
  const limit = limits === undefined ? 0 : Math.max(macs / limits.macs, bytes / limits.bytes)
  return [milliseconds.toFixed(2), limit.toFixed(2), limit === 0 ? "" : (milliseconds / limit).toFixed(1)]
}

/** The rewrites of `--device cpu`. */
export const ofRewrites = ({ predicted, rewrites }: Explain.Explained): string =>
  rewrites
    .map(
      ({ after, before, made, name, summary, taken, without }) =>
        `${name}: ${summary}\n  ${before} nodes → ${after}; ${tallied(taken) || "nothing"} replaced by ${tallied(made) || "nothing"}; predicted ${predicted.toFixed(1)} ms, ${without.toFixed(1)} without it`
    )
    .join("\n")

/** The form chosen for each kind of op, and what was refused. */
export const ofForms = ({ conversions, forms, refused }: Explain.Explained): string =>
  [
    table(
      ["op", "form", "ops", "predicted, ms", "refused: plain, ms"],
      forms.map(({ form, kind, ops, plain, predicted }) => [kind, form, ops, predicted.toFixed(2), plain.toFixed(2)])
    ),
    ...refused.map(
      ({ form, without }) => `without the form ${form} the whole is predicted to take ${without.toFixed(1)} ms`
    ),
    `${format.plural(conversions.count, "move")} from one order of elements to another, ${format.count(conversions.bytes)}B`
  ].join("\n")

/** The operators of ONNX Runtime. */
export const ofNodes = ({ nodes }: Explain.Explained): string =>
  table(
    ["op", "form", "ops", "operators", "MACs", "bytes", "predicted, ms", "which"],
    Object.values(Arr.groupBy(nodes, ({ formulation, kind }) => `${kind} ${formulation}`)).map((all) => {
      const counts: Record<string, number> = {}
      for (const { operators } of all)
        for (const [name, n] of Object.entries(operators)) counts[name] = (counts[name] ?? 0) + n
      const total = (of: (row: Lowering.Explanation) => number) => all.reduce((sum, one) => sum + of(one), 0)
      return [
        all[0].kind,
        all[0].formulation,
        all.length,
        Object.values(counts).reduce((sum, n) => sum + n, 0),
        format.count(total(({ macs }) => macs)),
        `${format.count(total(({ bytes }) => bytes))}B`,
        (total(({ predicted }) => predicted) / 1e6).toFixed(2),
        tallied(counts)
      ]
    })
  )

/** What is in memory at the peak. */
export const ofMemory = ({ memory: { at, held, operators, peak } }: Explain.Explained): string =>
  [
    `results in use: at most ${format.count(peak)}B, after operator ${at} of ${operators}`,
    table(
      ["path", "op", "operator", "bytes", "from", "to"],
      held
        .slice(0, 20)
        .map(({ bytes, from, kind, operator, path, to }) => [path, kind, operator, `${format.count(bytes)}B`, from, to])
    )
  ].join("\n")

/** Milliseconds by op, next to its limit and the plain form's. */
export const ofMeasured = ({ kinds, limits }: Measured.Measurement): string => {
  const sum = (of: (row: Measured.Measured) => number) => kinds.reduce((total, row) => total + of(row), 0)
  const row = (one: Measured.Measured) => [
    one.kind,
    format.count(one.macs),
    `${format.count(one.bytes)}B`,
    ...timed(one.milliseconds, one.macs, one.bytes, limits),
    one.predicted.toFixed(2),
    one.plain.toFixed(2)
  ]
  const all = {
    kind: "all",
    milliseconds: sum((k) => k.milliseconds),
    plain: sum((k) => k.plain),
    predicted: sum((k) => k.predicted),
    macs: sum((k) => k.macs),
    bytes: sum((k) => k.bytes)
  }
  return table(
    ["op", "MACs", "bytes", "ms", "limit, ms", "ratio", "predicted, ms", "plain form, ms"],
    [...kinds, all].map(row)
  )
}

/**
 * Numbers in readable form.
 *
 * @example
 * ```ts
 * import { Format } from "@uninet/cli"
 *
 * console.log(Format.count(1_610_000), Format.percent(0.941), Format.time(92), Format.plural(2, "trial"))
 * ```
 */

/** `1.07 M`, `555 M`, `2.1 G`. */
export const count = (n: number): string => {
  const [scale, unit] = n >= 1e9 ? [1e9, " G"] : n >= 1e6 ? [1e6, " M"] : n >= 1e3 ? [1e3, " K"] : [1, ""]
  const value = n / scale
  return `${scale === 1 || value >= 100 ? Math.round(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}${unit}`
}

/** `96.4%`, with two decimal places where asked for. */
export const percent = (share: number, places = 1): string => `${(100 * share).toFixed(places)}%`

/** `4.2 s`, `1 min 05 s`, `2 h 03 min`. */
export const time = (seconds: number): string => {
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`
  return `${Math.floor(whole / 3600)} h ${String(Math.floor((whole % 3600) / 60)).padStart(2, "0")} min`
}

/** A line that fits, with a mark where it was cut. */
export const cut = (text: string, columns: number): string =>
  text.length > columns ? `${text.slice(0, Math.max(0, columns - 1))}…` : text

/** Cuts every line of a text to the width of the terminal, if it is shown on one. */
export const fitted = (text: string, columns: number | undefined = process.stdout.columns): string =>
  columns === undefined
    ? text
    : text
        .split("\n")
        .map((line) => cut(line, columns))
        .join("\n")

/** `2 trials`, `1 trial`. */
export const plural = (n: number, one: string): string => `${n} ${one}${n === 1 ? "" : "s"}`

/** `after 4 epochs`, `stopped after 4 of 9 epochs`; nothing if nothing was trained. */
export const after = ({
  epochs,
  stoppedAfter = epochs ?? 0
}: {
  readonly epochs: number | null
  readonly stoppedAfter?: number
}): string =>
  epochs === null
    ? ""
    : stoppedAfter < epochs
      ? ` stopped after ${stoppedAfter} of ${plural(epochs, "epoch")}`
      : ` after ${plural(epochs, "epoch")}`

/** Costs from a device file. */
const isInMilliseconds = (name: string) => name === "latency" || name === "int8Latency"

/** A cost by its name: `1.07 M MACs`, `21.3 MB of activations`, `latency 12.4`. */
export const cost = (name: string, value: number): string => {
  if (name === "macs") return `${count(value)} MACs`
  if (name === "parameters") return `${count(value)} parameters`
  if (isInMilliseconds(name)) return `${words(name)} ${number(value)} ms`
  if (name === "peakMemory" || name === "fileSize") return `${words(name)} ${count(value)}B`
  if (name.endsWith("Bytes")) return `${count(value)}B ${words(name.slice(0, -"Bytes".length))}`
  return `${words(name)} ${number(value)}`
}

/** The heading of a cost's column. */
export const costHead = (name: string): string =>
  name === "macs" ? "MACs" : isInMilliseconds(name) ? `${words(name)}, ms` : words(name)

/** A cell in that column. */
export const costCell = (name: string, value: number): string =>
  isInMilliseconds(name) || !Number.isInteger(value) ? number(value) : count(value)

/** A measure's value: shares as percentages. */
export const measure = (value: number, isShare: boolean, places = 1): string =>
  isShare ? percent(value, places) : number(value)

/** The deciding measure, out of several. */
export const measured = (
  measures: Readonly<Record<string, number>>,
  { decides, shares }: { readonly decides: string; readonly shares: ReadonlyArray<string> },
  places = 1
): string => {
  const value = measures[decides]
  if (value === undefined) return `no ${decides}`
  return shares.includes(decides) ? percent(value, places) : `${decides} ${number(value)}`
}

/** All measures, the deciding one first: `accuracy 97.31%, loss 0.0912`. */
export const measures = (
  found: Readonly<Record<string, number>>,
  { decides, shares }: { readonly decides: string; readonly shares: ReadonlyArray<string> }
): string =>
  Object.entries(found)
    .toSorted(([a], [b]) => Number(b === decides) - Number(a === decides))
    .map(([name, value]) => `${name} ${measure(value, shares.includes(name), 2)}`)
    .join(", ")

/** `12.4`, `0.00312`, `1.07 M`. */
export const number = (value: number): string =>
  Math.abs(value) >= 1000 && Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)))

/** `trainingActivations` as `training activations`. */
const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

/** How long a trial is trained: `1 epoch of 15000 examples`. */
export const lengthOf = ({
  epochs,
  examples
}: {
  readonly epochs: number
  readonly examples?: number | undefined
}): string => `${plural(epochs, "epoch")}${examples === undefined ? "" : ` of ${plural(examples, "example")}`}`

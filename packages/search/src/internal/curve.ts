/** A curve as it is stored: the names of its series as a line of JSON, then four bytes per number, one series after the other. */
import type { Curve } from "../Training.ts"

const lineEnd = 10

/** Missing values are stored as NaN. */
export const encode = ({ epochs, loss, measures }: Curve): Uint8Array => {
  const names = Object.keys(measures)
  const head = new TextEncoder().encode(`${JSON.stringify(names)}\n`)
  const series = [epochs, loss, ...names.map((name) => measures[name] ?? [])]
  const bytes = new Uint8Array(head.length + 4 * epochs.length * series.length)
  bytes.set(head)
  const view = new DataView(bytes.buffer, head.length)
  for (const [s, values] of series.entries())
    for (let i = 0; i < epochs.length; i++) view.setFloat32(4 * (s * epochs.length + i), values[i] ?? Number.NaN, true)
  return bytes
}

/** As many digits as four bytes can hold. */
const rounded = (value: number) => Number(value.toPrecision(7))

/** Decodes a curve, to seven digits; `undefined` if the bytes are not one. */
export const decode = (bytes: Uint8Array): Curve | undefined => {
  const end = bytes.indexOf(lineEnd)
  const names = end === -1 ? undefined : namesIn(new TextDecoder().decode(bytes.subarray(0, end)))
  if (names === undefined) return undefined
  const length = (bytes.length - end - 1) / (4 * (names.length + 2))
  if (!Number.isInteger(length)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset + end + 1)
  const at = (s: number, i: number) => view.getFloat32(4 * (s * length + i), true)
  const series = (s: number) =>
    Array.from({ length }, (_, i) => {
      const value = at(s, i)
      return Number.isFinite(value) ? rounded(value) : null
    })
  return {
    epochs: Array.from({ length }, (_, i) => at(0, i)),
    loss: series(1),
    measures: Object.fromEntries(names.map((name, i) => [name, series(i + 2)]))
  }
}

const namesIn = (line: string): ReadonlyArray<string> | undefined => {
  try {
    const found: unknown = JSON.parse(line)
    return Array.isArray(found) && found.every((name) => typeof name === "string") ? found : undefined
  } catch {
    return undefined
  }
}

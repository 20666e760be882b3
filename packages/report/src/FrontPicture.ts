/**
 * The Pareto front of a search as a picture for a document: every trial, the front, and the axes. Plain SVG, without scripts or external
 * resources; light or dark as the reader's theme.
 */
import { Picture } from "@uninet/model-space"
import * as Front from "./Front.ts"
import type { Info } from "./Run.ts"
import { column, numbers, type Table, text as textIn } from "./Table.ts"

/** What is drawn. */
export interface Options {
  /** Two measures or costs: the vertical one, then the horizontal one. Default: the search's objectives, or the deciding measure and `macs`. */
  readonly of?: readonly [string, string]
}

const [width, height, left, right, top, bottom] = [720, 420, 76, 24, 56, 58]

const text = (kind: string, at: string, said: string) => `<text class="${kind}" ${at}>${Picture.escaped(said)}</text>`

const isBetter = { higher: "more is better", lower: "less is better" }

/** Some round numbers from `low` to `high`. */
const ticks = (low: number, high: number, about: number): ReadonlyArray<number> => {
  const rough = (high - low) / about
  const power = Number(`1e${Number(rough.toExponential().split("e")[1])}`)
  const step = [1, 2, 5, 10].map((times) => times * power).find((each) => each >= rough) ?? rough
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) =>
    Number(((first + i) * step).toPrecision(12))
  )
}

const number = (value: number): string => {
  const [scale, unit] = value >= 1e9 ? [1e9, " G"] : value >= 1e6 ? [1e6, " M"] : value >= 1e4 ? [1e3, " K"] : [1, ""]
  return `${Number((value / scale).toPrecision(4))}${unit}`
}

/** The two measures or costs; `undefined` if the search does not have two. */
const chosen = (info: Info, table: Table, of: Options["of"]) => {
  const { decides, measures, objectives } = info
  const names = of ?? (objectives.length > 1 ? objectives.map(({ name }) => name) : [decides ?? "reward", "macs"])
  const found = names.slice(0, 2).flatMap((name) => {
    const values = numbers(name)(table)
    const isShare = measures.some((each) => each.name === name && each.isShare)
    const said = (value: number) => (isShare ? `${Number((100 * value).toPrecision(4))}%` : number(value))
    return values === undefined ? [] : [{ name, values, direction: Front.directionOf(name)(info), said }]
  })
  const [up, across] = found
  return up === undefined || across === undefined ? undefined : { up, across }
}

/**
 * Draws the front of two measures or costs as SVG; `undefined` if the search has no result with both. Only results after the most epochs
 * are drawn: those after fewer cannot be compared with them.
 *
 * @example
 * ```ts
 * import { FrontPicture, Run } from "@uninet/report"
 *
 * export const picture = (run: Run.Run) =>
 *   FrontPicture.svg(run.info, { of: ["accuracy", "macs"] })(Run.table(run))
 * ```
 */
export const svg =
  (info: Info, { of }: Options = {}) =>
  (table: Table): string | undefined => {
    const two = chosen(info, table, of)
    if (two === undefined) return undefined
    const { across, up } = two
    const all = Array.from({ length: table.size }, (_, row) => row)
    const { rows } = Front.comparable(all, [up, across], numbers("epochs")(table))
    if (rows.length === 0) return undefined
    const front = Front.of(rows, [up, across]).toSorted((a, b) => (across.values[a] ?? 0) - (across.values[b] ?? 0))
    /** Maps a column's numbers to positions, with some space beyond the outermost. */
    const axis = (values: Float64Array, from: number, to: number) => {
      const [least, most] = rows.reduce(
        ([low, high], row) => [Math.min(low, values[row] ?? low), Math.max(high, values[row] ?? high)],
        [Infinity, -Infinity]
      )
      const room = 0.06 * (most - least || Math.abs(most) || 1)
      const [low, high] = [least - room, most + room]
      const at = (value: number) => Number((from + ((value - low) / (high - low)) * (to - from)).toFixed(1))
      return { at, ticks: ticks(low, high, 6) }
    }
    const x = axis(across.values, left, width - right)
    const y = axis(up.values, height - bottom, top)
    const place = (row: number) => [x.at(across.values[row] ?? 0), y.at(up.values[row] ?? 0)] as const
    const name = column("network")(table)
    const said = `${front.length} of ${rows.length} networks are on the front of ${up.name} and ${across.name}`
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" class="uninet-front">`,
      `<title>${Picture.escaped(`The front of ${info.name}`)}</title><desc>${Picture.escaped(said)}.</desc>`,
      `<style>.uninet-front{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:13px}
.uninet-front .b{fill:#fff}.uninet-front .t{fill:#1b1f24}.uninet-front .m{fill:#57606a;font-size:12px}.uninet-front .g{stroke:#d7dce1}
.uninet-front .d{fill:#2f6db3;opacity:.45}.uninet-front .f{fill:#d97706}.uninet-front .l{stroke:#d97706;stroke-width:2;fill:none}
@media (prefers-color-scheme:dark){.uninet-front .b{fill:#0d1117}.uninet-front .t{fill:#e6edf3}.uninet-front .m{fill:#9aa4af}.uninet-front .g{stroke:#30363d}.uninet-front .d{fill:#6ea8e5}}</style>`,
      `<rect class="b" width="${width}" height="${height}" rx="8"/>`,
      text("t", `x="${left}" y="26"`, said),
      ...y.ticks.flatMap((tick) => [
        `<path class="g" d="M${left} ${y.at(tick)}H${width - right}"/>`,
        text("m", `x="${left - 8}" y="${y.at(tick) + 4}" text-anchor="end"`, up.said(tick))
      ]),
      ...x.ticks.flatMap((tick) => [
        `<path class="g" d="M${x.at(tick)} ${top}V${height - bottom}"/>`,
        text("m", `x="${x.at(tick)}" y="${height - bottom + 18}" text-anchor="middle"`, across.said(tick))
      ]),
      text("t", `x="${left}" y="${top - 10}"`, `${up.name} (${isBetter[up.direction]})`),
      text(
        "t",
        `x="${width - right}" y="${height - 14}" text-anchor="end"`,
        `${across.name} (${isBetter[across.direction]})`
      ),
      ...rows.map((row) => {
        const [cx, cy] = place(row)
        return `<circle class="d" cx="${cx}" cy="${cy}" r="3"/>`
      }),
      `<path class="l" d="${front.map((row, i) => (i === 0 ? `M${place(row).join(" ")}` : `H${place(row)[0]}V${place(row)[1]}`)).join("")}"/>`,
      ...front.map((row) => {
        const [cx, cy] = place(row)
        const network = name === undefined ? "" : textIn(row)(name)
        return `<circle class="f" cx="${cx}" cy="${cy}" r="5"><title>${Picture.escaped(`trial ${numbers("trial")(table)?.[row] ?? row}: ${up.name} ${up.said(up.values[row] ?? 0)}, ${across.name} ${across.said(across.values[row] ?? 0)}${network === "" ? "" : `; ${network}`}`)}</title></circle>`
      }),
      "</svg>",
      ""
    ].join("\n")
  }

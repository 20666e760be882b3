/**
 * A picture of a network: a box for each of its parts, from input at the top to output at the bottom, with what was chosen, the output shape, and the part's share of the multiply-accumulates. Plain
 * SVG without scripts, fonts or external resources; follows the reader's light or dark mode; can be embedded in a page.
 */
import type { Part } from "./ModelSpace.ts"

/** What is shown around the picture. */
export interface Options {
  /** The network's name, shown above the picture. Default: nothing. */
  readonly title?: string
  /** The network's input, such as `3 × 224 × 224`. Default: not shown. */
  readonly input?: string
  /** The network's output, such as `logits 10`. Default: not shown. */
  readonly output?: string
}

/** Makes any text safe for XML: nothing in it is markup, and characters that XML does not allow are replaced. */
export const escaped = (text: string): string =>
  text
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
    .replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD")

/** `1.07 M` */
const count = (n: number) => {
  const [scale, unit] = n >= 1e9 ? [1e9, " G"] : n >= 1e6 ? [1e6, " M"] : n >= 1e3 ? [1e3, " K"] : [1, ""]
  return `${scale === 1 ? Math.round(n) : Number((n / scale).toPrecision(3))}${unit}`
}

/** From a palette that colour-blind people can distinguish (Okabe and Ito, 2008), with black text on it. */
const colours = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#7f9fd1"]
const neutral = "#b8bec6"

/** Columns that make up the shape, and are not shown a second time. */
const sizes = ["height", "width", "channels"]

const shapeOf = ({ columns }: Part): string =>
  sizes.flatMap((name) => (typeof columns[name] === "number" ? [String(columns[name])] : [])).join(" × ")

const isWord = (value: unknown): value is string => typeof value === "string" && value !== ""

/** A part's caption after its name: its text columns, such as its operator. */
const wordsOf = ({ columns }: Part): ReadonlyArray<string> => Object.values(columns).filter(isWord)

const rest = ({ columns }: Part): string =>
  Object.entries(columns)
    .flatMap(([name, value]) =>
      value === null || typeof value === "string" || sizes.includes(name) ? [] : [`${name} ${value}`]
    )
    .join(", ")

/** Wide scripts take twice the space. */
const wide = (text: string) => [...text].reduce((sum, c) => sum + ((c.codePointAt(0) ?? 0) > 0x2e80 ? 2 : 1), 0)
const cut = (text: string, most: number): string => {
  if (wide(text) <= most) return text
  let out = ""
  for (const c of text) {
    if (wide(out + c) > most - 1) break
    out += c
  }
  return `${out}…`
}

const [width, left, boxWidth, boxHeight, gap] = [640, 20, 400, 52, 36]

const style = `.uninet-picture{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:14px}
.uninet-picture .b{fill:#fff}.uninet-picture .t{fill:#1b1f24}.uninet-picture .m{fill:#57606a;font-size:12px}
.uninet-picture .l{stroke:#8c959f;fill:none}.uninet-picture .s{fill:#d7dce1}.uninet-picture .k{fill:#111}.uninet-picture .q{fill:#24292f;font-size:12px}
@media (prefers-color-scheme:dark){.uninet-picture .b{fill:#0d1117}.uninet-picture .t{fill:#e6edf3}.uninet-picture .m{fill:#9aa4af}.uninet-picture .s{fill:#30363d}}`

/**
 * Draws a network's parts (`ModelSpace.parts`) as SVG.
 *
 * @example
 * ```ts
 * import { Classification, ModelSpace, Picture } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const mine = ModelSpace.make({
 *   name: "flowers",
 *   space: Result.getOrThrow(Space.make(Choice.struct({ width: Choice.ordered([8, 16]) }))),
 *   task: Classification.make({ classes: 3 }),
 *   model: ({ width }) =>
 *     Model.make({
 *       inputs: { x: Model.input([4]) },
 *       forward: (scope, { x }) => {
 *         const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: width })(x))
 *         return { logits: Nn.linear(Scope.at("logits")(scope), { out: 3 })(hidden) }
 *       }
 *     })
 * })
 * const svg = Result.map(mine.parts({ width: 16 }), (parts) =>
 *   Picture.svg({ title: Picture.escaped("flowers & co."), input: "4", output: "logits 3" })(parts)
 * )
 * console.log(Result.getOrThrow(svg).slice(0, 60)) // <svg xmlns=…: for a file, or to stand in a page
 * ```
 */
export const svg =
  ({ input, output, title }: Options = {}) =>
  (parts: ReadonlyArray<Part>): string => {
    const macs = parts.reduce((sum, part) => sum + part.macs, 0)
    const kinds = [...new Set(parts.flatMap((part) => wordsOf(part).at(-1) ?? []))]
    const colourOf = (part: Part) => {
      const kind = wordsOf(part).at(-1)
      return kind === undefined ? neutral : (colours[kinds.indexOf(kind) % colours.length] ?? neutral)
    }
    const out: Array<string> = []
    const text = (x: number, y: number, kind: string, said: string, anchor = "start") =>
      out.push(
        `<text class="${kind}" x="${x}" y="${y}"${anchor === "start" ? "" : ` text-anchor="${anchor}"`}>${escaped(said)}</text>`
      )
    const middle = left + boxWidth / 2
    const arrow = (y: number, said: string) => {
      out.push(`<path class="l" d="M${middle} ${y}v${gap - 12}m-4 -5l4 6l4 -6"/>`)
      if (said !== "") text(middle + 12, y + gap / 2 - 1, "m", said)
    }
    let y = 24
    if (title !== undefined) {
      text(left, y + 4, "t", cut(title, 70))
      y += 26
    }
    if (input !== undefined) {
      text(middle, y + 6, "m", cut(input, 60), "middle")
      y += 14
      arrow(y, "")
      y += gap
    }
    const barLeft = left + boxWidth + 24
    const barWidth = width - barLeft - 62
    const largest = Math.max(1, ...parts.map((part) => part.macs))
    for (const [i, part] of parts.entries()) {
      const repeats = Number(part.columns["repeats"] ?? 1)
      // Repeated blocks are drawn behind one another.
      for (let k = Math.min(2, repeats - 1); k >= 1; k--)
        out.push(
          `<rect class="l" x="${left + 4 * k}" y="${y - 4 * k}" width="${boxWidth}" height="${boxHeight}" rx="8"/>`,
          `<rect fill="${colourOf(part)}" opacity="0.45" x="${left + 4 * k}" y="${y - 4 * k}" width="${boxWidth}" height="${boxHeight}" rx="8"/>`
        )
      out.push(`<rect fill="${colourOf(part)}" x="${left}" y="${y}" width="${boxWidth}" height="${boxHeight}" rx="8"/>`)
      const more = rest(part)
      text(left + 14, y + (more === "" ? 31 : 22), "k", cut([part.name, ...wordsOf(part)].join("  "), 44))
      if (more !== "") text(left + 14, y + 41, "q", cut(more, 58))
      if (macs > 0) {
        const share = part.macs / macs
        out.push(
          `<rect class="s" x="${barLeft}" y="${y + 20}" width="${barWidth}" height="12" rx="3"/>`,
          `<rect fill="${colourOf(part)}" x="${barLeft}" y="${y + 20}" width="${((barWidth * part.macs) / largest).toFixed(1)}" height="12" rx="3"/>`
        )
        text(width - 12, y + 31, "t", `${(100 * share).toFixed(1)}%`, "end")
        text(barLeft, y + 47, "m", `${count(part.macs)} MACs`)
      }
      y += boxHeight
      const isLast = i === parts.length - 1
      const shape = shapeOf(part)
      if (!isLast || output !== undefined) {
        arrow(y, shape)
        y += gap
      } else if (shape !== "") {
        text(middle, y + 18, "m", shape, "middle")
        y += 22
      }
    }
    if (output !== undefined) {
      text(middle, y + 12, "m", cut(output, 60), "middle")
      y += 18
    }
    const total = `${count(macs)} MACs, ${count(parts.reduce((sum, part) => sum + part.parameters, 0))} parameters`
    text(left, y + 24, "m", total)
    y += 38
    const told = parts.map((part) =>
      [
        part.name,
        ...wordsOf(part),
        rest(part),
        shapeOf(part),
        macs === 0 ? "" : `${((100 * part.macs) / macs).toFixed(1)}% of the MACs`
      ]
        .filter((each) => each !== "")
        .join(", ")
    )
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" class="uninet-picture" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">`,
      `<title>${escaped(title ?? "A network")}</title>`,
      `<desc>${escaped([...told, total].join(". "))}.</desc>`,
      `<style>${style}</style>`,
      `<rect class="b" width="${width}" height="${y}"/>`,
      ...out,
      "</svg>",
      ""
    ].join("\n")
  }

/** A chart, with the same content in words and as a table for anyone who cannot see it. */
import * as echarts from "echarts/core"
import type { EChartsCoreOption } from "echarts/core"
import { BarChart, CustomChart, HeatmapChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts"
import {
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkAreaComponent,
  MarkLineComponent,
  ParallelComponent,
  TooltipComponent,
  VisualMapComponent
} from "echarts/components"
import { CanvasRenderer } from "echarts/renderers"
import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"

echarts.use([
  BarChart,
  CanvasRenderer,
  CustomChart,
  DataZoomComponent,
  GridComponent,
  HeatmapChart,
  LegendComponent,
  LineChart,
  MarkAreaComponent,
  MarkLineComponent,
  ParallelChart,
  ParallelComponent,
  ScatterChart,
  TooltipComponent,
  VisualMapComponent
])

/** Colours of the theme, from the style sheet. */
export interface Colours {
  readonly text: string
  readonly faint: string
  readonly line: string
  readonly back: string
  readonly accent: string
  readonly best: string
  readonly bad: string
  readonly palette: ReadonlyArray<string>
  readonly ramp: ReadonlyArray<string>
}

const coloursOf = (): Colours => {
  const style = getComputedStyle(document.documentElement)
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim()
  return {
    text: of("text"),
    faint: of("faint"),
    line: of("line"),
    back: of("back"),
    accent: of("accent"),
    best: of("best"),
    bad: of("bad"),
    palette: of("palette").split(/\s+/),
    ramp: of("ramp").split(/\s+/)
  }
}

/** Notifies charts of a change of theme. */
export const themed = new EventTarget()
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => themed.dispatchEvent(new Event("change")))

export interface Tabular {
  readonly head: ReadonlyArray<string>
  readonly rows: ReadonlyArray<ReadonlyArray<string>>
}

export interface Size {
  readonly width: number
  readonly height: number
}

export interface Props {
  /** What the chart shows, in a sentence or two. */
  readonly summary: string
  /** The same as a table; built when it is opened. */
  readonly table: () => Tabular
  readonly option: (colours: Colours, size: Size) => EChartsCoreOption
  /** The chart's dependencies: it is drawn again when one of them changes. */
  readonly of: ReadonlyArray<unknown>
  readonly height?: number
  /** The height on a narrow screen. Default: the same, but at most 300. */
  readonly narrow?: number
  /** Handlers for events in the chart, by the event's name. */
  readonly on?: Readonly<Record<string, (event: unknown, chart: echarts.ECharts) => void>>
  /** Called after each drawing. */
  readonly after?: (chart: echarts.ECharts) => void
  readonly children?: ComponentChildren
}

const isWide = () => innerWidth >= 640

const drawn = new Set<() => void>()
// Charts below the fold are drawn when they come near; on paper all of them are visible, in the light theme.
const root = document.documentElement
let theme: string | undefined
addEventListener("beforeprint", () => {
  theme = root.dataset["theme"]
  root.dataset["theme"] = "light"
  drawn.forEach((draw) => draw())
})
addEventListener("afterprint", () => {
  if (theme === undefined) delete root.dataset["theme"]
  else root.dataset["theme"] = theme
  document.querySelectorAll(".printed").forEach((each) => each.replaceChildren())
  themed.dispatchEvent(new Event("change"))
})

export const Grid = ({ head, rows }: Tabular) => (
  <div class="scroll" tabIndex={0} role="region" aria-label="Table">
    <table>
      <thead>
        <tr>
          {head.map((name) => (
            <th scope="col">{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr>
            {row.map((cell) => (
              <td>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  </div>
)

export const Chart = (props: Props) => {
  const { children, height = 340, narrow = Math.min(height, 300), of, summary, table } = props
  const place = useRef<HTMLDivElement>(null)
  const paper = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  latest.current = props
  const draw = useRef<() => void>(() => {})
  const [open, setOpen] = useState(false)

  useEffect(() => {
    const element = place.current
    if (element === null) return
    let chart: echarts.ECharts | undefined
    let seen = false
    let frame = 0
    const render = () => {
      frame = 0
      if (element.clientWidth === 0) return
      if (chart === undefined) {
        const made = echarts.init(element, undefined, { renderer: "canvas" })
        chart = made
        for (const name of Object.keys(latest.current.on ?? {}))
          made.on(name, (event: unknown) => latest.current.on?.[name]?.(event, made))
      }
      const colours = coloursOf()
      const base = {
        animation: false,
        color: [...colours.palette],
        textStyle: { color: colours.text, fontFamily: "system-ui, sans-serif" },
        // Drawn, never as markup: names are plain text.
        tooltip: {
          renderMode: "richText",
          confine: true,
          backgroundColor: colours.back,
          borderColor: colours.line,
          textStyle: { color: colours.text }
        }
      }
      const own = latest.current.option(colours, { width: element.clientWidth, height: element.clientHeight })
      chart.setOption(
        { ...base, ...own, tooltip: { ...base.tooltip, ...(own["tooltip"] as object | undefined) } },
        true
      ) // an option's tooltip is an object here
      latest.current.after?.(chart)
      // Tests wait for this.
      element.dataset["drawn"] = String(Number(element.dataset["drawn"] ?? 0) + 1)
    }
    const soon = () => {
      if (seen && frame === 0) frame = requestAnimationFrame(render)
    }
    draw.current = soon
    const now = () => {
      seen = true
      render()
      // The chart's layers as one picture: on paper only the topmost layer would show, and it would not adapt to another width.
      const picture = chart?.renderToCanvas({ pixelRatio: 2 })
      if (picture === undefined) return
      picture.style.position = "static"
      picture.style.width = `${element.clientWidth}px`
      paper.current?.replaceChildren(picture)
    }
    drawn.add(now)
    const watching = new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting !== true || seen) return
        seen = true
        soon()
      },
      { rootMargin: "200px" }
    )
    watching.observe(element)
    const sizes = new ResizeObserver(() => {
      if (chart === undefined) return soon()
      chart.resize()
      soon()
    })
    sizes.observe(element)
    themed.addEventListener("change", soon)
    return () => {
      drawn.delete(now)
      watching.disconnect()
      sizes.disconnect()
      themed.removeEventListener("change", soon)
      cancelAnimationFrame(frame)
      chart?.dispose()
    }
  }, [])
  useEffect(() => draw.current(), of)

  return (
    <figure>
      {children}
      <div
        ref={place}
        class="canvas"
        role="img"
        aria-label={summary}
        style={{ height: `${isWide() ? height : narrow}px` }}
      />
      <div ref={paper} class="printed" aria-hidden="true" />
      <figcaption>
        <p class="summary">{summary}</p>
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>As a table</summary>
          {open ? <Grid {...table()} /> : null}
        </details>
      </figcaption>
    </figure>
  )
}

/** Axes common to all charts. */
export const axis = (colours: Colours, name: string, more: object = {}) => ({
  name,
  nameLocation: "middle",
  nameGap: 28,
  scale: true,
  axisLine: { lineStyle: { color: colours.line } },
  axisLabel: { color: colours.faint, hideOverlap: true },
  nameTextStyle: { color: colours.faint },
  splitLine: { lineStyle: { color: colours.line, opacity: 0.5 } },
  ...more
})

/** The margins of a chart with both axes named. */
export const grid = { left: 62, right: 16, top: 28, bottom: 46 }

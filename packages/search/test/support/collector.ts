/** A receiver of OpenTelemetry's JSON over HTTP, in this process. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"

type Value = { readonly stringValue?: string; readonly intValue?: number; readonly doubleValue?: number }
type Attributes = ReadonlyArray<{ readonly key: string; readonly value: Value }>

export interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly status: { readonly code: number; readonly message?: string }
  readonly attributes: Readonly<Record<string, unknown>>
  /** The process it belongs to. */
  readonly process: unknown
}

export interface Point {
  readonly name: string
  readonly value: number
  readonly attributes: Readonly<Record<string, unknown>>
}

export interface Collector {
  readonly url: string
  readonly spans: Array<Span>
  readonly points: Array<Point>
  readonly requests: () => number
}

const named = (attributes: Attributes = []) =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? value.doubleValue ?? value])
  )

/** Ends with its scope. */
export const collector: Effect.Effect<Collector, never, Scope.Scope> = Effect.gen(function* () {
  const spans: Array<Span> = []
  const points: Array<Point> = []
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    let text = ""
    request
      .setEncoding("utf8")
      .on("data", (part: string) => (text += part))
      .on("end", () => {
        const { resourceMetrics = [], resourceSpans = [] } = JSON.parse(text)
        for (const { resource, scopeSpans } of resourceSpans)
          for (const scope of scopeSpans)
            for (const span of scope.spans)
              spans.push({
                ...span,
                attributes: named(span.attributes),
                process: named(resource.attributes)["process.pid"]
              })
        for (const { scopeMetrics } of resourceMetrics)
          for (const scope of scopeMetrics)
            for (const { gauge, name, sum } of scope.metrics)
              for (const point of (gauge ?? sum)?.dataPoints ?? [])
                points.push({
                  name,
                  value: Number(point.asDouble ?? point.asInt),
                  attributes: named(point.attributes)
                })
        response.writeHead(200, { "content-type": "application/json" }).end("{}")
      })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}`, spans, points, requests: () => requests }
})

/** The names from a span up to the root of its trace. */
export const lineage = (spans: ReadonlyArray<Span>, span: Span): ReadonlyArray<string> => {
  const parent = spans.find(({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId)
  return [span.name, ...(parent === undefined ? [] : lineage(spans, parent))]
}

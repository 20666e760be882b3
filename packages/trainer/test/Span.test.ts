import { assert, describe, it } from "@effect/vitest"
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

/** A custom tracer, which keeps the spans it makes. */
const keeping = () => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: ({ annotations, kind, links, name, parent, sampled, startTime }) => {
      const span: Tracer.Span = {
        _tag: "Span",
        name,
        traceId: Option.match(parent, { onNone: () => "4bf92f3577b34da6a3ce929d0e0e4736", onSome: (of) => of.traceId }),
        spanId: `00f067aa0ba902b${spans.length}`,
        parent,
        annotations,
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        links,
        sampled,
        kind,
        end: () => {},
        attribute: () => {},
        event: () => {},
        addLinks: () => {}
      }
      spans.push(span)
      return span
    }
  })
  return { spans, tracer }
}

const text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

describe("a span", () => {
  it.effect("goes to another process as text, and is what is below it there", () =>
    Effect.gen(function* () {
      const { spans, tracer } = keeping()
      const traceparent = yield* Span.traceparent.pipe(Span.within("here"), Effect.withTracer(tracer))
      const [here] = spans
      assert.strictEqual(traceparent, `00-${here.traceId}-${here.spanId}-01`)
      yield* Effect.void.pipe(Span.within("there"), Span.below(traceparent), Effect.withTracer(tracer))
      const parent = Option.getOrThrow(spans[1].parent)
      assert.deepStrictEqual([parent.traceId, parent.spanId], [here.traceId, here.spanId])
      assert.strictEqual(spans[1].traceId, here.traceId)
    })
  )

  it.effect("is handed on by a process that makes none itself", () =>
    Effect.map(Span.traceparent.pipe(Span.within("nobody sees it"), Span.below(text)), (traceparent) =>
      assert.strictEqual(traceparent, text)
    )
  )

  it("is not read from what is no place in a trace", () => {
    const wrong = [
      "",
      "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
      "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
      `${text}-more`,
      text.toUpperCase()
    ]
    for (const each of wrong) assert.isUndefined(Span.told(each), each)
    assert.isFalse(Span.told(text.replace(/01$/, "00"))?.sampled)
  })

  it.effect("is none where there is no tracer but the default one", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* Span.isOn)
      assert.isUndefined(yield* Span.traceparent.pipe(Span.within("none")))
      assert.isUndefined(yield* Span.traceparent.pipe(Effect.withSpan("nobody's")))
    })
  )
})

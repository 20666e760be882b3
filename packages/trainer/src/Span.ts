/**
 * Spans where somebody is listening: a program without its own tracer (an OpenTelemetry layer) makes none at all, and so pays nothing for
 * them.
 *
 * A span's place in its trace is passed to other processes as text, in the W3C Trace Context format (`traceparent`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/** The attributes of a span; computed only if there is one. */
export type Attributes = () => Readonly<Record<string, unknown>>

/** Whether spans are made: whether the program was given a tracer. */
export const isOn: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

/**
 * Runs an effect as a span, below the current one. The effect's failure is the span's error.
 *
 * @example
 * ```ts
 * import { Span } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * // Where nobody looks no span is made, and what would be said of it is never worked out.
 * const attributes = () => {
 *   throw new Error("nobody asked")
 * }
 * const measured = Effect.gen(function* () {
 *   yield* Span.annotate(attributes)
 *   yield* Console.log(yield* Span.isOn, yield* Span.traceparent) // false undefined
 * }).pipe(Span.within("Bench.run", attributes))
 * Effect.runPromise(measured)
 * ```
 */
export const within =
  (name: string, attributes?: Attributes, options: Pick<Tracer.SpanOptions, "kind"> = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(isOn, (on) =>
      on
        ? Effect.useSpan(
            name,
            { ...options, ...(attributes === undefined ? {} : { attributes: attributes() }) },
            (span) => Effect.provideService(self, Tracer.ParentSpan, span)
          )
        : self
    )

/** Adds attributes to the current span, if there is one. */
export const annotate = (attributes: Attributes): Effect.Effect<void> =>
  Effect.flatMap(isOn, (on) => (on ? Effect.annotateCurrentSpan(attributes()) : Effect.void))

/**
 * The current place in the trace, for another process to continue from (`below`): `00-<trace>-<span>-<flags>`. `undefined` if the only
 * spans are ones that nobody records.
 */
export const traceparent: Effect.Effect<string | undefined> = Effect.contextWith((context: Context.Context<never>) => {
  const span = Context.getOrUndefined(context, Tracer.ParentSpan)
  return Effect.succeed(
    span === undefined || span instanceof Tracer.NativeSpan || !isTold(span)
      ? undefined
      : `00-${span.traceId.padStart(32, "0")}-${span.spanId}-${span.sampled ? "01" : "00"}`
  )
})

const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const isNothing = (id: string) => /^0*$/.test(id)

/** With a tracer that is switched off, a span's identity is not a real one. */
const isTold = ({ spanId, traceId }: Tracer.AnySpan) =>
  /^[0-9a-f]{16}$/.test(spanId) && /^[0-9a-f]{1,32}$/.test(traceId)

/** The span that another process passed on; `undefined` if it is in a form that this version cannot read. */
export const told = (traceparent: string): Tracer.ExternalSpan | undefined => {
  const [, traceId = "", spanId = "", flags = ""] = form.exec(traceparent) ?? []
  return isNothing(traceId) || isNothing(spanId)
    ? undefined
    : Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/**
 * Runs an effect below another process's span. Without one, or with one in a form that this version cannot read, the effect stays where it
 * is.
 *
 * @example
 * ```ts
 * import { Span } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * // A worker goes on with the trace of whoever sent it the trial.
 * const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
 * const trained = Effect.currentParentSpan.pipe(Effect.flatMap(({ traceId }) => Console.log(traceId)))
 * Effect.runPromise(Span.below(traceparent)(trained)) // 0af7651916cd43dd8448eb211c80319c
 * console.log(Span.told("something else")) // undefined
 * ```
 */
export const below =
  (traceparent: string | undefined) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const span = traceparent === undefined ? undefined : told(traceparent)
    return span === undefined ? self : Effect.provideService(self, Tracer.ParentSpan, span)
  }

/**
 * Services without the span in which they were made: providing them to an effect does not take it out of its own span.
 *
 * @example
 * ```ts
 * import { Span } from "@uninet/trainer"
 * import { Console, Context, Effect, Option, Tracer } from "effect"
 *
 * // Services made inside one span are provided to many effects, each of which has a span of its own.
 * const program = Effect.gen(function* () {
 *   const services = Span.without(yield* Effect.context<never>())
 *   yield* Console.log(Option.isNone(Context.getOption(services, Tracer.ParentSpan))) // true
 * }).pipe(Effect.withSpan("making"))
 * Effect.runPromise(program)
 * ```
 */
export const without = <R>(services: Context.Context<R>): Context.Context<R> =>
  // No type requires a span: it is there or not.
  Context.omit(Tracer.ParentSpan)(services) as Context.Context<R>

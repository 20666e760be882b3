/**
 * Spans where somebody looks: a program without a tracer of its own (an OpenTelemetry layer) makes none at all, and so pays nothing for them.
 *
 * A span's place in its trace goes to other processes as text, in the form of W3C's Trace Context (`traceparent`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/** What is said of a span; worked out only where there is one. */
export type Attributes = () => Readonly<Record<string, unknown>>

/** Whether spans are made: whether the program has a tracer that was given to it. */
export const isOn: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer !== Tracer.nativeTracer)

/**
 * An effect as a span, below the one that it runs in. What it fails with is the span's error.
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

/** Says more of the span that runs, where there is one. */
export const annotate = (attributes: Attributes): Effect.Effect<void> =>
  Effect.flatMap(isOn, (on) => (on ? Effect.annotateCurrentSpan(attributes()) : Effect.void))

/**
 * Where the trace stands, for another process to go on from (`below`): `00-<trace>-<span>-<flags>`. Nothing where there is no span but those that nobody sees.
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

/** Of a tracer that is switched off a span has an identity that is none. */
const isTold = ({ spanId, traceId }: Tracer.AnySpan) =>
  /^[0-9a-f]{16}$/.test(spanId) && /^[0-9a-f]{1,32}$/.test(traceId)

/** The span that another process has told of; nothing where it is not told in a way that this version reads. */
export const told = (traceparent: string): Tracer.ExternalSpan | undefined => {
  const [, traceId = "", spanId = "", flags = ""] = form.exec(traceparent) ?? []
  return isNothing(traceId) || isNothing(spanId)
    ? undefined
    : Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/**
 * An effect below the span of another process. Without one, or with one that is not told in a way that this version reads, it stays where it is.
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
 * Services without the span in which they were made: who provides them to an effect does not take it out of its own.
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
  // A span is not asked for by anybody's type: it is there or not.
  Context.omit(Tracer.ParentSpan)(services) as Context.Context<R>

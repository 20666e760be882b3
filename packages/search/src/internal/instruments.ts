/** A search's telemetry: spans of its trials, and counts. Nothing is made if nobody asks for it. */
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import * as Metric from "effect/Metric"
import * as SearchMetrics from "../SearchMetrics.ts"
import type { Reason } from "../Trial.ts"

/** Observes an effect without changing it. */
type Watched = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Instruments {
  /** Durations. */
  readonly strategy: Watched
  readonly journal: Watched
  readonly training: Watched
  /** From a trial's proposal to its outcome, and the part of that time in which it is evaluated. */
  readonly pending: Watched
  readonly running: Watched
  readonly scored: Effect.Effect<void>
  readonly failed: (reason: Reason) => Effect.Effect<void>
  readonly refused: Effect.Effect<void>
  readonly repeated: Effect.Effect<void>
  readonly best: (reward: number) => Effect.Effect<void>
}

const off: Instruments = {
  strategy: identity,
  journal: identity,
  training: identity,
  pending: identity,
  running: identity,
  scored: Effect.void,
  failed: () => Effect.void,
  refused: Effect.void,
  repeated: Effect.void,
  best: () => Effect.void
}

const timed =
  (phase: "strategy" | "journal" | "training"): Watched =>
  (self) =>
    Effect.suspend(() => {
      const began = performance.now()
      return Effect.ensuring(
        self,
        Effect.suspend(() => Metric.update(SearchMetrics.seconds(phase), (performance.now() - began) / 1000))
      )
    })

const on = (): Instruments => {
  const count = { pending: 0, running: 0 }
  const shown = Effect.suspend(() =>
    Effect.andThen(
      Metric.update(SearchMetrics.queue("waiting"), count.pending - count.running),
      Metric.update(SearchMetrics.queue("running"), count.running)
    )
  )
  const by = (which: keyof typeof count, change: number) =>
    Effect.suspend(() => {
      count[which] += change
      return shown
    })
  const counted =
    (which: keyof typeof count): Watched =>
    (self) =>
      Effect.acquireUseRelease(
        by(which, 1),
        () => self,
        () => by(which, -1)
      )
  return {
    strategy: timed("strategy"),
    journal: timed("journal"),
    training: timed("training"),
    pending: counted("pending"),
    running: counted("running"),
    scored: Metric.update(SearchMetrics.trials("scored"), 1),
    failed: (reason) =>
      Effect.andThen(
        Metric.update(SearchMetrics.trials("failed"), 1),
        Metric.update(SearchMetrics.failures(reason), 1)
      ),
    refused: Metric.update(SearchMetrics.trials("refused"), 1),
    repeated: Metric.update(SearchMetrics.trials("repeated"), 1),
    best: (reward) => Metric.update(SearchMetrics.best, reward)
  }
}

/** The instruments of a search. */
export const make: Effect.Effect<Instruments> = Effect.map(SearchMetrics.Wanted, (wanted) => (wanted ? on() : off))

/** Figures by name, in the form that a span takes. */
export const prefixed = (prefix: string, figures: Readonly<Record<string, number>>): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}.${name}`, value]))

/** A trial's evaluation as a span, with its outcome. */
export const trial =
  (about: Span.Attributes) =>
  <A, E extends { readonly _tag: string; readonly reason?: Reason }, R>(
    self: Effect.Effect<A, E, R>,
    found: (value: A) => Readonly<Record<string, unknown>>
  ): Effect.Effect<A, E, R> =>
    Effect.flatMap(Span.isOn, (isOn) =>
      isOn
        ? self.pipe(
            Effect.tap((value) => Span.annotate(() => ({ "uninet.outcome": "scored", ...found(value) }))),
            Effect.tapError(({ _tag, reason }) =>
              Span.annotate(() => ({
                "uninet.outcome": _tag === "TrialFailed" ? "failed" : "lost",
                ...(reason === undefined ? {} : { "uninet.failure.reason": reason })
              }))
            ),
            Span.within("Search.trial", about)
          )
        : self
    )

import { assert, describe, it } from "@effect/vitest"
import { Random } from "@uninet/controller"
import { Evaluator, Journal, Search, SearchMetrics, Telemetry, Trial, WorkerEvaluator } from "@uninet/search"
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import { type Collector, collector, lineage } from "./support/collector.ts"
import { measuresOf, type Point, rows } from "./support/rows.ts"
import rowsTraining from "./support/rowsTraining.ts"

const seed = "telemetry"
const here = Layer.merge(Random.layer(), Journal.memory)
const search = (trials: number) => Search.run(rows, { trials, seed })

/** Every second trial has a defect. */
const half = Evaluator.make(rows, (point: Point, { index }) =>
  index % 2 === 0 ? Effect.succeed({ measures: measuresOf(point), epochs: 3 }) : Effect.die(new Error("told to end"))
)

const environmentOf = ({ url }: Collector): Telemetry.Environment => ({ OTEL_EXPORTER_OTLP_ENDPOINT: url })

/** A search with telemetry, and what the collector has received of it once everything has been sent. */
const seen = (to: Collector, evaluator: Layer.Layer<Evaluator.Evaluator, unknown>, trials: number) =>
  search(trials).pipe(
    Effect.provide([evaluator, here]),
    // A trial does not belong to the span in which the layers are built.
    Span.within("main"),
    Effect.provide(Telemetry.layerFrom(environmentOf(to)), { local: true })
  )

const signals = (environment: Telemetry.Environment) =>
  (["TRACES", "METRICS", "LOGS"] as const).filter((signal) => Telemetry.wants(environment, signal))

/** Sets this process's environment, which its workers inherit, until the scope ends. */
const inEnvironment = (environment: Telemetry.Environment) =>
  Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, environment)),
    () => Effect.sync(() => Object.keys(environment).forEach((name) => delete process.env[name]))
  )

describe("a search that is watched", () => {
  it.live("has a span for each trial, and below it those of its epochs", () =>
    Effect.gen(function* () {
      const to = yield* collector
      const { best, records } = yield* seen(to, rowsTraining, 2)
      const named = (name: string) => to.spans.filter((span) => span.name === name)
      assert.deepStrictEqual(
        named("Search.run").map((span) => lineage(to.spans, span)),
        [["Search.run", "main"]]
      )
      const [{ attributes }] = named("Search.run")
      assert.strictEqual(attributes["uninet.search.strategy"], "random")
      assert.strictEqual(attributes["uninet.search.best.reward"], best.outcome.reward)
      const trials = named("Search.trial").toSorted(
        (a, b) => Number(a.attributes["uninet.trial"]) - Number(b.attributes["uninet.trial"])
      )
      assert.deepStrictEqual(
        trials.map((span) => span.attributes),
        records.map(({ costs, hash, outcome, point, trial }) => ({
          "uninet.trial": trial,
          "uninet.trial.hash": hash,
          "uninet.trial.seed": Trial.seedOf(seed, trial),
          "uninet.cost.width": point.width,
          "uninet.cost.parameters": costs.parameters,
          "uninet.cost.macs": costs.macs,
          "uninet.cost.activationBytes": costs.activationBytes,
          "uninet.outcome": "scored",
          ...(outcome._tag === "Scored"
            ? {
                "uninet.reward": outcome.reward,
                "uninet.measure.mae": outcome.evaluation.measures.mae,
                "uninet.measure.mse": outcome.evaluation.measures.mse
              }
            : {}),
          "uninet.epochs": 2
        }))
      )
      const epochs = named("Trainer.epoch")
      assert.strictEqual(epochs.length, 4)
      for (const epoch of epochs)
        assert.deepStrictEqual(lineage(to.spans, epoch), [
          "Trainer.epoch",
          "Trainer.fit",
          "Search.trial",
          "Search.run",
          "main"
        ])
      assert.sameMembers(
        epochs.map((epoch) => epoch.attributes["uninet.epoch"]),
        [0, 1, 0, 1]
      )
    }).pipe(Effect.scoped)
  )

  it.live("has the spans of its worker processes in the same trace, sent before they end", () =>
    Effect.gen(function* () {
      const to = yield* collector
      yield* inEnvironment(environmentOf(to))
      const module = new URL("./support/rowsTraining.ts", import.meta.url)
      yield* seen(to, WorkerEvaluator.layer({ module, workers: 1 }), 2)
      const epochs = to.spans.filter(({ name }) => name === "Trainer.epoch")
      assert.strictEqual(epochs.length, 4)
      for (const epoch of epochs) {
        assert.notStrictEqual(epoch.process, process.pid)
        assert.deepStrictEqual(lineage(to.spans, epoch), [
          "Trainer.epoch",
          "Trainer.fit",
          "Evaluator.evaluate",
          "Search.trial",
          "Search.run",
          "main"
        ])
      }
    }).pipe(Effect.scoped)
  )

  it.live("tells of failed trials with their reason, and counts what came of them", () =>
    Effect.gen(function* () {
      const to = yield* collector
      yield* seen(to, half, 6)
      const failed = to.spans.filter(({ attributes }) => attributes["uninet.outcome"] === "failed")
      assert.deepStrictEqual(
        failed.map(({ attributes, status }) => [attributes["uninet.failure.reason"], status.code]),
        [1, 3, 5].map(() => ["Crashed", 2])
      )
      assert.match(failed[0].status.message ?? "", /trial 1 crashed: told to end/)
      const last = (name: string, attributes: Readonly<Record<string, string>>) =>
        to.points.findLast(
          (point) =>
            point.name === name &&
            Object.entries(attributes).every(([key, value]) => String(point.attributes[key]) === value)
        )?.value
      assert.strictEqual(last("uninet.search.trials", { outcome: "scored" }), 3)
      assert.strictEqual(last("uninet.search.trials", { outcome: "failed" }), 3)
      assert.strictEqual(last("uninet.search.failures", { reason: "Crashed" }), 3)
      assert.strictEqual(last("uninet.search.queue", { state: "waiting" }), 0)
      assert.strictEqual(last("uninet.search.queue", { state: "running" }), 0)
      for (const phase of ["strategy", "journal", "training"])
        assert.isAbove(last("uninet.search.time", { phase }) ?? 0, 0, phase)
      assert.isBelow(last("uninet.search.best_reward", {}) ?? 0, 0)
    }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("a search that nobody watches", () => {
  it.live("sends nothing, makes no span, works out no attribute and counts nothing", () =>
    Effect.gen(function* () {
      const to = yield* collector
      const registry: Metric.MetricRegistry = new Map()
      let worked = 0
      const spans: Array<unknown> = []
      const evaluator = Evaluator.make(rows, (point: Point) =>
        Effect.gen(function* () {
          spans.push(yield* Effect.option(Effect.currentParentSpan), yield* Span.traceparent)
          yield* Span.annotate(() => ({ worked: ++worked }))
          return { measures: measuresOf(point), epochs: null }
        }).pipe(Span.within("mine", () => ({ worked: ++worked })))
      )
      yield* search(3).pipe(
        Effect.provide([evaluator, here]),
        Effect.provide(Telemetry.layerFrom({ ...environmentOf(to), OTEL_SDK_DISABLED: "true" })),
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      assert.strictEqual(to.requests(), 0)
      assert.strictEqual(worked, 0)
      assert.strictEqual(spans.length, 6)
      for (const span of spans) assert.notInclude(JSON.stringify(span) ?? "", "spanId")
      assert.strictEqual(registry.size, 0)
      assert.isFalse(yield* SearchMetrics.Wanted)
    }).pipe(Effect.scoped)
  )

  it("is one whose environment names no receiver, or switches all off", () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318" }
    assert.deepStrictEqual(signals({}), [])
    assert.deepStrictEqual(signals({ OTEL_EXPORTER_OTLP_ENDPOINT: "" }), [])
    assert.deepStrictEqual(signals({ OTEL_TRACES_EXPORTER: "otlp" }), [])
    assert.deepStrictEqual(signals(endpoint), ["TRACES", "METRICS"])
    assert.deepStrictEqual(signals({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://localhost/m" }), ["METRICS"])
    assert.deepStrictEqual(signals({ ...endpoint, OTEL_TRACES_EXPORTER: "none" }), ["METRICS"])
    assert.deepStrictEqual(signals({ ...endpoint, OTEL_LOGS_EXPORTER: "console, otlp" }), ["TRACES", "METRICS", "LOGS"])
    assert.deepStrictEqual(signals({ ...endpoint, OTEL_SDK_DISABLED: "TRUE" }), [])
  })

  it.live("is one whose settings cannot be read, which is said in a sentence", () =>
    Effect.gen(function* () {
      const said: Array<unknown> = []
      const found = yield* search(2).pipe(
        Effect.provide([half, here]),
        Effect.provide(Telemetry.layerFrom({ OTEL_EXPORTER_OTLP_ENDPOINT: "no address" })),
        Effect.provide(Logger.layer([Logger.make(({ message }) => void said.push(message))]))
      )
      assert.strictEqual(found.records.length, 2)
      assert.match(String(said), /^Nothing is sent to OpenTelemetry, because .*: correct or unset them\.$/)
    })
  )
})

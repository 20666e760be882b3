/** A trace that crosses a database: the machine that evaluates a trial continues its search's trace. */
import { assert, describe, it } from "@effect/vitest"
import { Evaluator, Journal, Search, Telemetry } from "@uninet/search"
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import { collector, lineage } from "../../search/test/support/collector.ts"
import { cluster, shared, worker } from "./support/cluster.ts"
import * as Postgres from "./support/postgres.ts"
import { measuresOf, setting, uninet } from "./support/search.ts"

const { fresh } = shared()

/** Trains for one epoch, with the spans of a trainer. */
const training = () =>
  Evaluator.make(uninet, () =>
    Effect.succeed({ measures: measuresOf(0.5), epochs: 1 }).pipe(Span.within("Trainer.epoch"))
  )

describe.skipIf(Postgres.missing !== undefined)("a search on a database that is watched", () => {
  it.live(
    "has the spans of the machines that evaluate its trials below those of the trials, and none of the queue",
    () =>
      Effect.gen(function* () {
        const to = yield* collector
        const telemetry = Telemetry.layerFrom({ OTEL_EXPORTER_OTLP_ENDPOINT: to.url })
        const url = fresh()
        yield* Effect.gen(function* () {
          yield* Effect.forkScoped(
            worker(url, { slots: 1, host: "lab", evaluator: training }).pipe(Effect.provide(telemetry, { local: true }))
          )
          yield* Search.run(uninet, { trials: 2, seed: "watched" }).pipe(
            Effect.provide([setting, cluster({ url }), Journal.memory], { local: true }),
            Effect.provide(telemetry, { local: true })
          )
        }).pipe(Effect.scoped)
        const of = (name: string) => to.spans.filter((span) => span.name === name)
        assert.deepStrictEqual(
          of("Trainer.epoch").map((span) => lineage(to.spans, span)),
          [0, 1].map(() => ["Trainer.epoch", "ClusterWorker.evaluate", "Search.trial", "Search.run"])
        )
        assert.sameMembers(
          of("ClusterWorker.evaluate").map(
            ({ attributes }) => `${attributes["uninet.host"]} ${attributes["uninet.trial"]}`
          ),
          ["lab 0", "lab 1"]
        )
        assert.sameMembers(
          [...new Set(to.spans.map(({ name }) => name))],
          ["Search.run", "Search.trial", "ClusterWorker.evaluate", "Trainer.epoch"]
        )
      }).pipe(Effect.scoped)
  )
})

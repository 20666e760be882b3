/** This many workers in one process, each with one trial at a time and its own connections: `workers.ts <url> <count>`. */
import { ClusterWorker, Database } from "@uninet/cluster"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { evaluator, Options } from "./evaluator.ts"

const [, , url = "", count = "1"] = process.argv

Effect.runFork(
  Effect.forEach(
    Array.from({ length: Number(count) }, (_, i) => i),
    (i) =>
      ClusterWorker.run({
        slots: 1,
        host: `${process.pid}-${i}`,
        evaluator: ({ options }) => evaluator(Schema.decodeUnknownSync(Options)(options))
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Database.layer({ url: Redacted.make(url) })), { local: true })),
    { concurrency: "unbounded", discard: true }
  )
)

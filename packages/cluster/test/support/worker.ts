/**
 * A worker in a separate process. Prints its events on standard output.
 *
 *     worker.ts <url> <slots> [--version v] [--host name] [--patience seconds] [--broken]
 */
import { ClusterWorker, Database } from "@uninet/cluster"
import { Evaluator } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { hostname } from "node:os"
import { parseArgs } from "node:util"
import { evaluator, Options } from "./evaluator.ts"

const {
  positionals: [url = "", slots = "1"],
  values: { broken, host, patience, version }
} = parseArgs({
  allowPositionals: true,
  options: {
    version: { type: "string" },
    host: { type: "string", default: hostname() },
    patience: { type: "string", default: "20" },
    // Its disk is full.
    broken: { type: "boolean", default: false }
  }
})

const full = Layer.succeed(Evaluator.Evaluator, {
  concurrency: 1,
  evaluate: () =>
    Effect.fail(new Evaluator.EvaluatorLost({ problem: "The disk of this machine is full", remedy: "Make room" }))
})

const program = ClusterWorker.run({
  slots: Number(slots),
  host,
  ...(version === undefined ? {} : { version }),
  evaluator: ({ module, options }) =>
    module !== "formula"
      ? Layer.effect(Evaluator.Evaluator, Effect.fail(new Error(`there is no module ${module}.`)))
      : broken
        ? full
        : evaluator(Schema.decodeUnknownSync(Options)(options)),
  onEvent: (event) => Console.log(event._tag)
}).pipe(
  Effect.scoped,
  Effect.provide(Database.layer({ url: Redacted.make(url), patience: `${Number(patience)} seconds` })),
  Effect.tapError((error) => Console.error(error.message))
)

const fiber = Effect.runFork(program)
process.on("SIGINT", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? 0 : 1))

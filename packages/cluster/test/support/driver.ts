/**
 * A search in a separate process. Prints what happens.
 *
 *     driver.ts <url> <journal> <trials> <milliseconds> <log> [--patience seconds] [--ahead proposals]
 */
import { ClusterEvaluator, Database } from "@uninet/cluster"
import { Journal, Search } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { basename } from "node:path"
import { parseArgs } from "node:util"
import { setting, uninet } from "./search.ts"

const {
  positionals: [url = "", journal = "", trials = "12", milliseconds = "100", log = ""],
  values: { ahead, patience }
} = parseArgs({
  allowPositionals: true,
  options: {
    ahead: { type: "string", default: String(Search.defaultAhead) },
    patience: { type: "string", default: "20" }
  }
})

const program = Search.run(uninet, {
  trials: Number(trials),
  seed: "test",
  ahead: Number(ahead),
  onEvent: (event) =>
    event._tag === "Progress" || event._tag === "Done"
      ? Effect.void
      : Console.log(event._tag === "Finished" ? `Finished ${event.record.trial}` : event._tag)
}).pipe(
  Effect.provide([setting, Journal.sqlite(journal, { existing: "resume" })]),
  Effect.provide(
    ClusterEvaluator.layer({
      search: basename(journal),
      module: "formula",
      options: { milliseconds: Number(milliseconds), log },
      onWorkers: (workers) => Console.log(`${workers.length} workers`)
    }).pipe(Layer.provide(Database.layer({ url: Redacted.make(url), patience: `${Number(patience)} seconds` })))
  ),
  Effect.tapError((error) => Console.error(error.message))
)

const fiber = Effect.runFork(program)
process.on("SIGINT", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? 0 : 1))

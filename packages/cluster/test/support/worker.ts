/** A worker in a process of its own: `worker.ts <url> <slots> [version]`. What happens to it stands on its standard output. */
import { ClusterWorker, Database } from "@uninet/cluster"
import { Evaluator } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { evaluator, Options } from "./evaluator.ts"

const [, , url = "", slots = "1", version] = process.argv

const program = ClusterWorker.run({
  slots: Number(slots),
  ...(version === undefined ? {} : { version }),
  evaluator: ({ module, options }) =>
    module === "formula"
      ? evaluator(Schema.decodeUnknownSync(Options)(options))
      : Layer.effect(Evaluator.Evaluator, Effect.fail(new Error(`there is no module ${module}.`))),
  onEvent: (event) => Console.log(event._tag)
}).pipe(
  Effect.scoped,
  Effect.provide(Database.layer({ url: Redacted.make(url), patience: "20 seconds" })),
  Effect.tapError((error) => Console.error(error.message))
)

const fiber = Effect.runFork(program)
process.on("SIGINT", () => fiber.interruptUnsafe())
fiber.addObserver((exit) => process.exit(exit._tag === "Success" ? 0 : 1))

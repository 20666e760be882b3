/**
 * A worker process: makes the evaluator that its module describes, then evaluates one trial after another. Started by `WorkerEvaluator`
 * with the module's address and its options.
 */
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { evaluate, Evaluator } from "../Evaluator.ts"
import * as Telemetry from "../Telemetry.ts"
import { here, Training } from "../Training.ts"
import { type Progress, unsound } from "../Trial.ts"
import { Reply, Request } from "./protocol.ts"
import { detailOf } from "./detail.ts"

const [, , address = "", options = "null", watched = ""] = process.argv

// Values of `Reply` are sent as they are: structured clone preserves maps and typed arrays.
const send = (reply: Reply) => Effect.sync(() => void process.send?.(reply))
const unable = (cause: unknown) => send(Reply.cases.Unable.make({ detail: detailOf(cause) }))
const isLayer = (value: unknown): value is Layer.Layer<Evaluator, unknown> => Layer.isLayer(value)

const load = Effect.tryPromise({ try: (): Promise<unknown> => import(address), catch: detailOf }).pipe(
  Effect.flatMap((module) => {
    const make = Predicate.hasProperty(module, "default") ? module.default : undefined
    const layer: unknown = typeof make === "function" ? make(JSON.parse(options)) : make
    return isLayer(layer)
      ? Effect.succeed(layer)
      : Effect.fail(`the module ${address} has no default export that is, or returns, a layer of Evaluator`)
  })
)

const isTraining = Schema.is(Training)

const serve = (requests: Queue.Queue<Request>) =>
  Effect.gen(function* () {
    const evaluator = yield* Evaluator
    yield* send(Reply.cases.Ready.make({}))
    while (true) {
      const { traceparent, trial } = yield* Queue.take(requests)
      let reported = 0
      const report = (progress: Progress) => {
        const now = performance.now()
        if (now - reported < 100 && progress.done < 1) return Effect.void
        reported = now
        return send(Reply.cases.Progress.make({ progress }))
      }
      const begun = Date.now()
      /** An evaluator that does not report how it trained has been here. */
      const trained = (given: Training | undefined) =>
        isTraining(given) ? given : { place: here(), begun, ended: Date.now() }
      const evaluating = evaluate(trial, report)(evaluator)
      const reply = yield* evaluating.pipe(
        Span.within("Evaluator.evaluate", () => ({ "uninet.trial": trial.index, "uninet.trial.seed": trial.seed })),
        Span.below(traceparent),
        Effect.map(({ training: given, weights, ...evaluation }) => {
          const wrong = unsound(evaluation)
          const training = trained(given)
          return wrong === undefined
            ? Reply.cases.Evaluated.make({ evaluation, training, ...(weights === undefined ? {} : { weights }) })
            : Reply.cases.Failed.make({ reason: "Failed", detail: wrong, training })
        }),
        Effect.catchTags({
          TrialFailed: ({ detail, reason, training }) =>
            Effect.succeed(Reply.cases.Failed.make({ reason, detail, training: trained(training) })),
          EvaluatorLost: ({ problem, remedy }) => Effect.succeed(Reply.cases.Lost.make({ problem, remedy }))
        }),
        Effect.catchDefect((defect) =>
          Effect.succeed(
            Reply.cases.Failed.make({ reason: "Crashed", detail: detailOf(defect), training: trained(undefined) })
          )
        )
      )
      yield* send(reply)
    }
  })

const program = Effect.gen(function* () {
  const requests = yield* Queue.unbounded<Request>()
  process.on("message", (message) =>
    Option.map(Schema.decodeUnknownOption(Request)(message), (request) => Queue.offerUnsafe(requests, request))
  )
  const layer = yield* load
  yield* Effect.provide(serve(requests), layer)
}).pipe(Effect.catch(unable), Effect.catchDefect(unable), Effect.provide(Telemetry.layer))

if (watched === "memory")
  setInterval(() => void process.send?.(Reply.cases.Memory.make({ bytes: process.memoryUsage.rss() })), 200).unref()

// The pool ends its workers. Ctrl-C reaches the whole process group, and is for the driver to handle.
process.on("SIGINT", () => {})
const fiber = Effect.runFork(program)
process.on("disconnect", () => {
  if (!Telemetry.isConfigured()) process.exit(0)
  // Pending telemetry is sent before the worker ends, if the receiver takes it soon.
  fiber.addObserver(() => process.exit(0))
  fiber.interruptUnsafe()
  setTimeout(() => process.exit(0), 5000)
})

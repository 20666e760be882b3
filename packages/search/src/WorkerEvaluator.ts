/**
 * An evaluator that runs others in processes of their own: a crash, a hang or a lack of memory in one is a failed trial and not the end of the
 * search.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { Evaluator, type Report } from "./Evaluator.ts"
import { Reply, type Request } from "./internal/protocol.ts"
import { type Evaluated, type Reason, type Trial, TrialFailed } from "./Trial.ts"

export interface Options {
  /**
   * A module whose default export is a layer of `Evaluator`, or a function that makes one from `options`. Every worker imports it, so
   * operators, data sets and evaluators of one's own reach the workers.
   */
  readonly module: URL
  /** Handed to the module's function. Plain JSON. Default `null`. */
  readonly options?: Schema.Json
  /** Worker processes. Default: the machine's cores. */
  readonly workers?: number
  /** Longest time for one trial, after which its worker is stopped and the trial has failed. Default: none. */
  readonly timeLimit?: Duration.Input
}

/** The evaluators of the workers could not be made. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  module: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `The worker process for ${this.module} cannot evaluate: ${this.detail}. Mend the module, or evaluate in this process.`
  }
}

// Published code is JavaScript, a checkout runs TypeScript: the worker is the file of the same kind.
const script = new URL(
  import.meta.url.endsWith(".ts") ? "./internal/worker.ts" : "./internal/worker.js",
  import.meta.url
)

/** A worker process and who listens to it. */
interface Lane {
  readonly child: ChildProcess
  /** The last of what it wrote to its standard error. */
  readonly stderr: () => string
  onReply: (reply: Reply) => void
  onExit: (how: string) => void
  alive: boolean
}

const start = ({ module, options = null }: Options): Lane => {
  const child = fork(script, [module.href, JSON.stringify(options)], {
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    execArgv: ["--disable-warning=ExperimentalWarning"]
  })
  let written = ""
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-2000)
  })
  const lane: Lane = { child, stderr: () => written.trim(), onReply: () => {}, onExit: () => {}, alive: true }
  child.on("message", (message) =>
    Option.map(Schema.decodeUnknownOption(Reply)(message), (reply) => lane.onReply(reply))
  )
  const ended = (how: string) => {
    if (!lane.alive) return
    lane.alive = false
    lane.onExit(how)
  }
  child.on("error", (cause) => ended(cause.message))
  // `close` comes after the last of its standard error.
  child.on("close", (code, signal) =>
    ended(signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`)
  )
  return lane
}

const kill = (lane: Lane) => {
  lane.alive = false
  lane.child.kill("SIGKILL")
}

/** The last line of an error output that says something. */
const lastWords = (stderr: string) => {
  const line = stderr.split("\n").findLast((l) => /error|memory|abort|terminate/i.test(l))
  return line === undefined ? "" : ` (${line.trim()})`
}

/** Waits until the worker has its evaluator. */
const ready = (lane: Lane) =>
  Effect.callback<void, string>((resume) => {
    lane.onReply = (reply) => {
      if (reply._tag === "Ready") resume(Effect.void)
      if (reply._tag === "Unable") resume(Effect.fail(reply.detail))
    }
    lane.onExit = (how) => resume(Effect.fail(`${how}${lastWords(lane.stderr())}`))
    return Effect.sync(() => kill(lane))
  })

const ask = (lane: Lane, trial: Trial, report: Report) =>
  Effect.callback<Evaluated, TrialFailed>((resume) => {
    const fail = (reason: Reason, detail: string) =>
      resume(Effect.fail(new TrialFailed({ trial: trial.index, architecture: trial.architecture, reason, detail })))
    lane.onReply = (reply) => {
      if (reply._tag === "Progress") Effect.runFork(report(reply.progress))
      if (reply._tag === "Failed") fail(reply.reason, reply.detail)
      if (reply._tag === "Evaluated")
        resume(
          Effect.succeed({
            ...reply.evaluation,
            ...(reply.weights === undefined ? {} : { weights: reply.weights })
          })
        )
    }
    lane.onExit = (how) => fail("Crashed", `its worker process was lost: ${how}${lastWords(lane.stderr())}`)
    lane.child.send({ _tag: "Evaluate", trial } satisfies Request, (cause) => {
      if (cause !== null) fail("Crashed", `its worker process was lost: ${cause.message}`)
    })
    // Nothing else stops a training at once.
    return Effect.sync(() => kill(lane))
  })

/**
 * A pool of worker processes, each with an evaluator of its own that evaluates one trial at a time. A worker that was lost is replaced.
 *
 * The workers start with the layer and end with its scope. Fails with `WorkerFailed` where the first worker cannot make its evaluator.
 *
 * @example
 * ```ts
 * // evaluator.ts
 * export default TrainingEvaluator.layer({ recipe: Recipe.proxy }).pipe(Layer.provide(...))
 *
 * // search.ts
 * const evaluator = WorkerEvaluator.layer({ module: new URL("./evaluator.ts", import.meta.url), workers: 2 })
 * ```
 */
export const layer = (options: Options): Layer.Layer<Evaluator, WorkerFailed> =>
  Layer.effect(
    Evaluator,
    Effect.gen(function* () {
      const workers = Math.max(1, options.workers ?? availableParallelism())
      const lanes = new Set<Lane>()
      const idle: Array<Lane> = []
      yield* Effect.addFinalizer(() => Effect.sync(() => lanes.forEach(kill)))

      const open = Effect.suspend(() => {
        const lane = start(options)
        lanes.add(lane)
        return Effect.as(ready(lane), lane)
      })
      const close = (lane: Lane) => {
        lanes.delete(lane)
        kill(lane)
      }
      const first = yield* Effect.all(
        Array.from({ length: workers }, () => open),
        { concurrency: "unbounded" }
      ).pipe(Effect.mapError((detail) => new WorkerFailed({ module: options.module.href, detail })))
      idle.push(...first)

      const limit = options.timeLimit === undefined ? undefined : Duration.fromInputUnsafe(options.timeLimit)
      const slots = yield* Semaphore.make(workers)
      return Evaluator.of({
        concurrency: workers,
        evaluate: (trial, report) => {
          const failed = (reason: Reason, detail: string) =>
            new TrialFailed({ trial: trial.index, architecture: trial.architecture, reason, detail })
          const take = Effect.suspend(() => {
            const lane = idle.pop()
            return lane?.alive === true ? Effect.succeed(lane) : open
          }).pipe(Effect.mapError((detail) => failed("Crashed", `no worker process could be started: ${detail}`)))
          const use = (lane: Lane) => {
            const asked = ask(lane, trial, report)
            return limit === undefined
              ? asked
              : Effect.timeoutOrElse(asked, {
                  duration: limit,
                  orElse: () => failed("TimedOut", `it took longer than ${Duration.format(limit)}`)
                })
          }
          return slots.withPermits(1)(
            Effect.flatMap(take, (lane) =>
              Effect.ensuring(
                use(lane),
                Effect.sync(() => {
                  lane.onReply = () => {}
                  lane.onExit = () => {}
                  if (lane.alive) idle.push(lane)
                  else close(lane)
                })
              )
            )
          )
        }
      })
    })
  )

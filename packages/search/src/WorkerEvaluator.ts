/**
 * An evaluator that runs others in separate processes: a crash, a hang or a lack of memory in one is a failed trial and not the end of the
 * search. A failure that is not the trial's fault is retried in another process; if that fails too, the search ends, and nothing of it is
 * written to the journal.
 */
import { Span } from "@uninet/trainer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { type ChildProcess, fork } from "node:child_process"
import * as NodeModule from "node:module"
import { availableParallelism, hostname } from "node:os"
import { dirname } from "node:path"
import { Evaluator, EvaluatorLost, type Report } from "./Evaluator.ts"
import { Reply, type Request } from "./internal/protocol.ts"
import * as Telemetry from "./Telemetry.ts"
import type { Training } from "./Training.ts"
import { type Evaluated, type Reason, type Trial, TrialFailed } from "./Trial.ts"

/** Which module the workers import, how many there are, and what a trial may use. */
export interface Options {
  /**
   * A module whose default export is a layer of `Evaluator`, or a function that makes one from `options`. Every worker imports it, so your
   * own operators, data sets and evaluators reach the workers.
   */
  readonly module: URL
  /** Passed to the module's function. Plain JSON. Default `null`. */
  readonly options?: Schema.Json
  /** Worker processes. Default: the number of cores of the machine. */
  readonly workers?: number
  /** Time limit of one trial, after which its worker is stopped and the trial fails. Default: none. */
  readonly timeLimit?: Duration.Input
  /** Limit on a worker's resident memory in bytes, above which the worker is replaced and its trial fails. Default: none. */
  readonly memoryLimit?: number
  /**
   * How often a trial is restarted after its worker was killed from outside (SIGKILL, SIGTERM, SIGHUP), which is not the trial's doing. A
   * trial that ends its worker itself fails at once. Default 5.
   */
  readonly retries?: number
  /**
   * How long to wait before a trial that could not be evaluated for reasons outside it (`EvaluatorLost`, a worker that cannot be started)
   * is retried in another process. The second wait is four times as long; after that the search stops. Default 1 second.
   */
  readonly pause?: Duration.Input
}

/** The workers' evaluators could not be made. */
export class WorkerFailed extends Schema.TaggedError<WorkerFailed>()("WorkerFailed", {
  module: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `The worker process for ${this.module} cannot evaluate: ${this.detail}. Fix the module, or evaluate in this process.`
  }
}

// Published code is JavaScript, a checkout runs TypeScript: the worker script has the same extension as this file.
const script = new URL(
  import.meta.url.endsWith(".ts") ? "./internal/worker.ts" : "./internal/worker.js",
  import.meta.url
)

/** A worker process and the listener for its messages. */
interface Lane {
  readonly child: ChildProcess
  /** Its resident memory in bytes, if there is a limit. */
  memory: number
  /** The end of what it wrote to its standard error. */
  readonly stderr: () => string
  onReply: (reply: Reply) => void
  onExit: (how: Ending) => void
  alive: boolean
}

/** How a worker ended. */
interface Ending {
  readonly how: string
  /** Whether it was killed from outside. */
  readonly outside: boolean
}

const outside: ReadonlyArray<NodeJS.Signals | null> = ["SIGKILL", "SIGTERM", "SIGHUP"]

/** A worker that was killed from outside, not by its trial. */
class Lost {
  readonly _tag = "Lost"
  readonly how: string
  constructor(how: string) {
    this.how = how
  }
}

const start = ({ memoryLimit, module, options = null }: Options): Lane => {
  const watched = memoryLimit === undefined ? [] : ["memory"]
  // Deno has none.
  const compiled = NodeModule.getCompileCacheDir?.()
  const child = fork(script, [module.href, JSON.stringify(options), ...watched], {
    // A worker need not compile again what this process has in its compile cache.
    ...(compiled === undefined ? {} : { env: { ...process.env, NODE_COMPILE_CACHE: dirname(compiled) } }),
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // Garbage from compiling would enlarge V8's young generation for the rest of a training: 0.1 GB of B0's peak.
    execArgv: ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=16"]
  })
  let written = ""
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-2000)
  })
  const lane: Lane = {
    child,
    memory: 0,
    stderr: () => written.trim(),
    onReply: () => {},
    onExit: () => {},
    alive: true
  }
  child.on("message", (message) =>
    Option.map(decodeReply(message), (reply) => {
      if (reply._tag === "Memory") lane.memory = reply.bytes
      lane.onReply(reply)
    })
  )
  const ended = (how: Ending) => {
    if (!lane.alive) return
    lane.alive = false
    lane.onExit(how)
  }
  child.on("error", (cause) => ended({ how: cause.message, outside: false }))
  // `close` comes after the last of its standard error.
  child.on("close", (code, signal) =>
    ended({
      how: signal === null ? `it exited with code ${code}` : `it was killed by ${signal}`,
      outside: outside.includes(signal)
    })
  )
  return lane
}

const kill = (lane: Lane) => {
  lane.alive = false
  lane.child.kill("SIGKILL")
}

/** Lets an idle worker send its remaining telemetry before it ends; one that takes longer than that may take is killed. */
const dismiss = (lane: Lane) =>
  Effect.callback<void>((resume) => {
    if (!lane.alive) return resume(Effect.void)
    // There is no `close` event for a child that was disconnected from this side.
    lane.child.once("exit", () => resume(Effect.void))
    lane.child.disconnect()
  }).pipe(Effect.timeout("6 seconds"), Effect.ignore, Effect.ensuring(Effect.sync(() => kill(lane))))

const decodeReply = Schema.decodeUnknownOption(Reply)

/** The last line of an error output that looks like an error. */
const lastWords = (stderr: string) => {
  const line = stderr.split("\n").findLast((l) => /error|memory|abort|terminate/i.test(l))
  return line === undefined ? "" : ` (${line.trim()})`
}

const isOutOfMemory = (stderr: string) => /out of memory|bad_alloc|failed to allocate/i.test(stderr)

/** Waits until the worker has its evaluator. */
const ready = (lane: Lane) =>
  Effect.callback<void, string | Lost>((resume) => {
    lane.onReply = (reply) => {
      if (reply._tag === "Ready") resume(Effect.void)
      if (reply._tag === "Unable") resume(Effect.fail(reply.detail))
    }
    lane.onExit = ({ how, outside }) =>
      resume(Effect.fail(outside ? new Lost(how) : `${how}${lastWords(lane.stderr())}`))
    return Effect.sync(() => kill(lane))
  })

/** What is known of a trial whose worker reported nothing. */
const triedIn = (lane: Lane, begun: number): Training => ({
  place: { host: hostname(), process: lane.child.pid ?? 0 },
  begun,
  ended: Date.now()
})

const mib = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MiB`

const ask = (
  lane: Lane,
  trial: Trial,
  report: Report,
  memoryLimit: number | undefined,
  traceparent: string | undefined
) =>
  Effect.callback<Evaluated, TrialFailed | EvaluatorLost | Lost>((resume) => {
    const begun = Date.now()
    const fail = (reason: Reason, detail: string, training = triedIn(lane, begun)) =>
      resume(Effect.fail(new TrialFailed({ trial: trial.index, reason, detail, training })))
    lane.onReply = (reply) => {
      if (reply._tag === "Progress") Effect.runFork(report(reply.progress))
      if (reply._tag === "Failed") fail(reply.reason, reply.detail, reply.training)
      if (reply._tag === "Lost") {
        // Another process may have what this one lacks.
        kill(lane)
        resume(Effect.fail(new EvaluatorLost({ problem: reply.problem, remedy: reply.remedy })))
      }
      if (reply._tag === "Memory" && memoryLimit !== undefined && reply.bytes > memoryLimit) {
        kill(lane)
        fail("OutOfMemory", `its worker took ${mib(reply.bytes)}, more than the limit of ${mib(memoryLimit)}`)
      }
      if (reply._tag === "Evaluated")
        resume(
          Effect.succeed({
            ...reply.evaluation,
            training: reply.training,
            ...(reply.weights === undefined ? {} : { weights: reply.weights })
          })
        )
    }
    lane.onExit = ({ how, outside }) => {
      if (outside) return resume(Effect.fail(new Lost(how)))
      const said = lane.stderr()
      return fail(
        isOutOfMemory(said) ? "OutOfMemory" : "Crashed",
        `its worker process was lost: ${how}${lastWords(said)}`
      )
    }
    const request: Request = { _tag: "Evaluate", trial, ...(traceparent === undefined ? {} : { traceparent }) }
    lane.child.send(request, (cause) => {
      // It is ending; how is reported once it has.
      if (cause !== null) lane.child.kill("SIGKILL")
    })
    // Nothing else stops a training at once.
    return Effect.sync(() => kill(lane))
  })

/**
 * A pool of worker processes, each with its own evaluator that evaluates one trial at a time. A worker that is lost is replaced.
 *
 * The workers start with the layer and end with its scope. Fails with `WorkerFailed` if the first worker cannot make its evaluator.
 *
 * @example
 * ```ts
 * import { WorkerEvaluator } from "@uninet/search"
 *
 * // evaluator.ts is a module whose default export is a layer, as TrainingEvaluator.layer makes one.
 * export const evaluator = WorkerEvaluator.layer({ module: new URL("evaluator.ts", import.meta.url), workers: 2 })
 * ```
 */
export const layer = (options: Options): Layer.Layer<Evaluator, WorkerFailed> =>
  Layer.effect(
    Evaluator,
    Effect.gen(function* () {
      const workers = Math.max(1, options.workers ?? availableParallelism())
      const lanes = new Set<Lane>()
      const idle: Array<Lane> = []
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          const seen = Telemetry.isConfigured() ? idle.filter((lane) => lanes.has(lane)) : []
          for (const lane of lanes) if (!seen.includes(lane)) kill(lane)
          return Effect.forEach(seen, dismiss, { concurrency: "unbounded", discard: true })
        })
      )

      const retries = options.retries ?? 5
      const isLost = Predicate.isTagged("Lost")
      const open = Effect.suspend(() => {
        const lane = start(options)
        lanes.add(lane)
        return Effect.as(
          Effect.tapError(ready(lane), () => Effect.sync(() => void lanes.delete(lane))),
          lane
        )
      }).pipe(
        Effect.retry({ times: retries, while: isLost }),
        Effect.mapError((error) => (typeof error === "string" ? error : `${error.how}, every time`))
      )
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
      const pauses = Schedule.upTo(Schedule.exponential(options.pause ?? "1 second", 4), { times: 2 })
      const slots = yield* Semaphore.make(workers)
      return Evaluator.of({
        concurrency: workers,
        evaluate: (trial, report) => {
          const failed = (reason: Reason, detail: string) => new TrialFailed({ trial: trial.index, reason, detail })
          const take = Effect.suspend(() => {
            const lane = idle.pop()
            if (lane?.alive === true) return Effect.succeed(lane)
            if (lane !== undefined) close(lane)
            return open
          }).pipe(
            Effect.mapError(
              (detail) =>
                new EvaluatorLost({
                  problem: `No more worker processes could be started: ${detail.replace(/\.$/, "")}`,
                  remedy: "Nothing is lost: fix that, then resume the search"
                })
            )
          )
          const use = (lane: Lane, traceparent: string | undefined) => {
            const begun = Date.now()
            const asked = ask(lane, trial, report, options.memoryLimit, traceparent)
            return limit === undefined
              ? asked
              : Effect.timeoutOrElse(asked, {
                  duration: limit,
                  orElse: () =>
                    new TrialFailed({
                      trial: trial.index,
                      reason: "TimedOut",
                      detail: `it took longer than ${Duration.format(limit)}`,
                      training: triedIn(lane, begun)
                    })
                })
          }
          const once = Effect.flatMap(take, (lane) =>
            Effect.ensuring(
              Effect.flatMap(Span.traceparent, (traceparent) => use(lane, traceparent)),
              Effect.sync(() => {
                lane.onReply = () => {}
                lane.onExit = () => {}
                if (lane.alive && lane.memory <= (options.memoryLimit ?? Infinity)) idle.push(lane)
                else close(lane)
              })
            )
          )
          return slots
            .withPermits(1)(once)
            .pipe(
              Effect.retry({ times: retries, while: isLost }),
              Effect.catchTag("Lost", ({ how }) =>
                failed(
                  "Crashed",
                  `its worker process was lost ${retries + 1} times: ${how}, which the system does when memory runs short`
                )
              ),
              Effect.retry({ schedule: pauses, while: Predicate.isTagged("EvaluatorLost") })
            )
        }
      })
    })
  )

/**
 * An evaluator that runs others in processes of their own: a crash, a hang or a lack of memory in one is a failed trial and not the end of the
 * search. What is not the trial's fault is tried again by another process, and then ends the search without a word of it in the journal.
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

/** Which module the workers import, how many they are, and what a trial may take. */
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
  /** Most resident memory of a worker in bytes, above which it is replaced and its trial has failed. Default: none. */
  readonly memoryLimit?: number
  /**
   * How often a trial is begun anew after its worker was ended from outside (SIGKILL, SIGTERM, SIGHUP), which is nothing that the trial did. A trial that
   * ends its worker by itself has failed at once. Default 5.
   */
  readonly retries?: number
  /**
   * How long to wait before a trial that could not be evaluated for reasons that are not its own (`EvaluatorLost`, a worker that cannot be started) is tried again, by another process; a second time
   * four times as long, and then the search stops. Default 1 second.
   */
  readonly pause?: Duration.Input
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
  /** Its resident memory in bytes, where there is a limit. */
  memory: number
  /** The last of what it wrote to its standard error. */
  readonly stderr: () => string
  onReply: (reply: Reply) => void
  onExit: (how: Ending) => void
  alive: boolean
}

/** How a worker ended. */
interface Ending {
  readonly how: string
  /** Whether someone else ended it. */
  readonly outside: boolean
}

const outside: ReadonlyArray<NodeJS.Signals | null> = ["SIGKILL", "SIGTERM", "SIGHUP"]

/** A worker that was ended from outside: nothing that its trial did. */
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
    // Where this process keeps what it compiled, a worker need not compile it again.
    ...(compiled === undefined ? {} : { env: { ...process.env, NODE_COMPILE_CACHE: dirname(compiled) } }),
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // What compiling throws away would enlarge V8's young generation for the rest of a training: 0.1 GB of B0's peak.
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
      how: signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`,
      outside: outside.includes(signal)
    })
  )
  return lane
}

const kill = (lane: Lane) => {
  lane.alive = false
  lane.child.kill("SIGKILL")
}

/** Lets an idle worker send on what it has seen before it ends; what takes longer than its last words may is ended. */
const dismiss = (lane: Lane) =>
  Effect.callback<void>((resume) => {
    if (!lane.alive) return resume(Effect.void)
    // There is no `close` of a child that was disconnected from here.
    lane.child.once("exit", () => resume(Effect.void))
    lane.child.disconnect()
  }).pipe(Effect.timeout("6 seconds"), Effect.ignore, Effect.ensuring(Effect.sync(() => kill(lane))))

const decodeReply = Schema.decodeUnknownOption(Reply)

/** The last line of an error output that says something. */
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

/** What is known of a trial whose worker said nothing. */
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
      // It is ending; how, is told when it has.
      if (cause !== null) lane.child.kill("SIGKILL")
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
        Effect.mapError((error) => (typeof error === "string" ? error : `${error.how}, again and again`))
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
                  problem: `No worker process could be started any more: ${detail.replace(/\.$/, "")}`,
                  remedy: "Nothing is lost: mend that, then resume the search"
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
                  `its worker process was lost ${retries + 1} times: ${how}, which the system does where memory is short`
                )
              ),
              Effect.retry({ schedule: pauses, while: Predicate.isTagged("EvaluatorLost") })
            )
        }
      })
    })
  )

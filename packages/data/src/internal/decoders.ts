/**
 * A pool of worker threads that decode images. (Not `effect/rpc`'s worker pool: an Effect runtime in every worker costs more
 * memory than the images in flight.)
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Worker } from "node:worker_threads"
import type { Job } from "./decode.ts"
import type { Reply, Request } from "./decodeWorker.ts"

/** Decodes a file into the job's place in some worker, or fails with the decoder's reason. */
export type Decode = (job: Job) => Effect.Effect<void, string>

/** Images that a worker holds at once. sharp decodes on threads of its own, so one worker keeps several busy. */
const inFlight = 4

interface Lane {
  readonly worker: Worker
  readonly waiting: Map<number, (reply: Effect.Effect<void, string>) => void>
}

// Published code is JavaScript, a checkout runs TypeScript: the worker is the file of the same kind beside this one.
const script = new URL(import.meta.url.endsWith(".ts") ? "./decodeWorker.ts" : "./decodeWorker.js", import.meta.url)

const open = (): Lane => {
  const worker = new Worker(script)
  const waiting: Lane["waiting"] = new Map()
  worker.on("message", (reply: Reply) => {
    const resume = waiting.get(reply.id)
    waiting.delete(reply.id)
    resume?.(reply.reason === undefined ? Effect.void : Effect.fail(reply.reason))
  })
  const stop = (cause: unknown) => {
    const pending = Array.from(waiting.values())
    waiting.clear()
    for (const resume of pending) resume(Effect.die(cause))
  }
  worker.on("error", stop)
  worker.on("exit", (code) => stop(new Error(`an image decoding worker stopped with code ${code}`)))
  return { worker, waiting }
}

/** Starts `size` workers; they stop with the scope. */
export const make = (size: number): Effect.Effect<Decode, never, Scope.Scope> =>
  Effect.gen(function* () {
    const lanes = yield* Effect.acquireRelease(
      Effect.sync(() => Array.from({ length: size }, open)),
      (lanes) => Effect.promise(() => Promise.all(lanes.map((lane) => lane.worker.terminate())))
    )
    const permits = yield* Semaphore.make(size * inFlight)
    let next = 0
    return (job) =>
      permits.withPermits(1)(
        Effect.callback<void, string>((resume) => {
          const lane = lanes.reduce((best, lane) => (lane.waiting.size < best.waiting.size ? lane : best))
          const id = next++
          lane.waiting.set(id, resume)
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
          lane.worker.postMessage({ id, job } satisfies Request)
          return Effect.sync(() => lane.waiting.delete(id))
        })
      )
  })

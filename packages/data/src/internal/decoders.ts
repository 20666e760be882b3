/**
 * A pool of worker threads that decode images. (Not `effect/rpc`'s worker pool: an Effect runtime in every worker costs more
 * memory than the images in flight.)
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Worker } from "node:worker_threads"
import type { Bad, Job } from "./decode.ts"
import type { Reply, Request } from "./decodeWorker.ts"

/** Decodes a job's files into their places in some worker; gives those that cannot be decoded. */
export type Decode = (job: Job) => Effect.Effect<ReadonlyArray<Bad>>

/** Jobs that a worker holds at once. sharp decodes on threads of its own, so one worker keeps several busy. */
const inFlight = 4

/**
 * V8 would rather let a worker's heap grow by hundreds of megabytes than collect it, each little object holding a file's or an image's
 * bytes outside it. What a worker needs in its heap is about 12 MB, whatever the images' sizes.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

interface Lane {
  readonly worker: Worker
  readonly waiting: Map<number, (reply: Effect.Effect<ReadonlyArray<Bad>>) => void>
}

// Published code is JavaScript, a checkout runs TypeScript: the worker is the file of the same kind beside this one.
const script = new URL(import.meta.url.endsWith(".ts") ? "./decodeWorker.ts" : "./decodeWorker.js", import.meta.url)

/** Starts a worker; `onStop` hears when it is gone. */
const open = (onStop: (lane: Lane) => void): Lane => {
  const lane: Lane = { worker: new Worker(script, { resourceLimits }), waiting: new Map() }
  const finish = (id: number, result: Effect.Effect<ReadonlyArray<Bad>>) => {
    const resume = lane.waiting.get(id)
    lane.waiting.delete(id)
    resume?.(result)
  }
  const stop = (cause: unknown) => {
    onStop(lane)
    for (const id of Array.from(lane.waiting.keys())) finish(id, Effect.die(cause))
  }
  lane.worker.on("message", ({ bad, id }: Reply) => finish(id, Effect.succeed(bad)))
  lane.worker.on("error", stop)
  lane.worker.on("exit", (code) => stop(new Error(`an image decoding worker stopped with code ${code}`)))
  return lane
}

/** Starts `size` workers; they stop with the scope. */
export const make = (size: number): Effect.Effect<Decode, never, Scope.Scope> =>
  Effect.gen(function* () {
    const live = new Set<Lane>()
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        for (let i = 0; i < size; i++) live.add(open((lane) => live.delete(lane)))
      }),
      () => Effect.promise(() => Promise.all(Array.from(live, (lane) => lane.worker.terminate())))
    )
    const permits = yield* Semaphore.make(size * inFlight)
    let next = 0
    return (job) =>
      permits.withPermits(1)(
        Effect.callback<ReadonlyArray<Bad>>((resume) => {
          const [first, ...others] = live
          if (first === undefined) return resume(Effect.die(new Error("every image decoding worker has stopped")))
          const lane = others.reduce((best, lane) => (lane.waiting.size < best.waiting.size ? lane : best), first)
          const id = next++
          lane.waiting.set(id, resume)
          // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
          lane.worker.postMessage({ id, job } satisfies Request)
          return Effect.sync(() => lane.waiting.delete(id))
        })
      )
  })

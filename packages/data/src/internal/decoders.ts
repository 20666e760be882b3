/**
 * A pool of worker threads that decode images. (Not `effect/rpc`'s worker pool: an Effect runtime in every worker costs more
 * memory than the images in flight.)
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { Worker } from "node:worker_threads"
import type { Bad, Item, Job } from "./decode.ts"
import type { Reply, Request } from "./decodeWorker.ts"

/** Decodes a job's files into their positions in some worker; returns those that cannot be decoded. */
export type Decode = (job: Job) => Effect.Effect<ReadonlyArray<Bad>>

/** Jobs that a worker holds at once. sharp decodes on its own threads, so one worker keeps several busy. */
const inFlight = 4

/** How often a worker may die on a file that it has alone before the file is reported as one that cannot be decoded. */
const attempts = 2

/**
 * Each small object holds a file's or an image's bytes outside V8's heap, and V8 would let a worker's heap grow by hundreds of megabytes
 * rather than collect them. What a worker needs on its heap is about 12 MB, whatever the images' sizes.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 }

/** The worker died before it was done, and the reason in words. */
interface Died {
  readonly died: string
}

interface Lane {
  readonly worker: Worker
  readonly waiting: Map<number, (result: ReadonlyArray<Bad> | Died) => void>
}

// Published code is JavaScript, a checkout runs TypeScript: the worker script next to this file has the same extension.
const script = new URL(import.meta.url.endsWith(".ts") ? "./decodeWorker.ts" : "./decodeWorker.js", import.meta.url)

/** Starts a worker; `onStop` is called once when it is gone. */
const open = (onStop: (lane: Lane) => void): Lane => {
  const lane: Lane = { worker: new Worker(script, { resourceLimits }), waiting: new Map() }
  const finish = (id: number, result: ReadonlyArray<Bad> | Died) => {
    const resume = lane.waiting.get(id)
    lane.waiting.delete(id)
    resume?.(result)
  }
  let stopped = false
  const stop = (died: string) => {
    if (stopped) return
    stopped = true
    onStop(lane)
    for (const id of Array.from(lane.waiting.keys())) finish(id, { died })
  }
  lane.worker.on("message", ({ bad, id }: Reply) => finish(id, bad))
  lane.worker.on("error", (cause) => stop(cause instanceof Error ? cause.message : String(cause)))
  lane.worker.on("exit", (code) => stop(`it exited with code ${code}`))
  return lane
}

/** Starts `size` workers, each replaced when it dies; they stop with the scope. */
export const make = (size: number): Effect.Effect<Decode, never, Scope.Scope> =>
  Effect.gen(function* () {
    const live = new Set<Lane>()
    /** A separate worker for files that a worker may have died on, one file at a time. */
    let apart: Lane | undefined
    let closed = false
    const start = () => {
      live.add(
        open((lane) => {
          live.delete(lane)
          if (!closed) start()
        })
      )
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        for (let i = 0; i < size; i++) start()
      }),
      () =>
        Effect.promise(() => {
          closed = true
          const all = apart === undefined ? Array.from(live) : [...live, apart]
          return Promise.all(all.map((lane) => lane.worker.terminate()))
        })
    )
    let next = 0
    const ask = (laneOf: () => Lane | undefined, job: Job): Effect.Effect<ReadonlyArray<Bad> | Died> =>
      Effect.callback((resume) => {
        const lane = laneOf()
        if (lane === undefined) return resume(Effect.succeed({ died: "the data set was closed" }))
        const id = next++
        lane.waiting.set(id, (result) => resume(Effect.succeed(result)))
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
        lane.worker.postMessage({ id, job } satisfies Request)
        return Effect.sync(() => lane.waiting.delete(id))
      })
    const idlest = (): Lane | undefined => {
      const [first, ...others] = live
      return first === undefined
        ? undefined
        : others.reduce((best, lane) => (lane.waiting.size < best.waiting.size ? lane : best), first)
    }
    const lonely = (): Lane | undefined => {
      if (closed) return undefined
      apart ??= open(() => (apart = undefined))
      return apart
    }
    const permits = yield* Semaphore.make(size * inFlight)
    const turn = yield* Semaphore.make(1)
    const alone = (job: Job, item: Item, left: number): Effect.Effect<ReadonlyArray<Bad>> =>
      Effect.flatMap(ask(lonely, { ...job, items: [item] }), (result) =>
        !("died" in result)
          ? Effect.succeed(result)
          : left > 1
            ? alone(job, item, left - 1)
            : Effect.succeed([
                { path: item.path, index: item.index, reason: `decoding it crashes the decoder: ${result.died}` }
              ])
      )
    return (job) =>
      Effect.flatMap(permits.withPermits(1)(ask(idlest, job)), (result) =>
        "died" in result
          ? // It is not known on which of its files the worker died.
            Effect.map(
              Effect.forEach(job.items, (item) => turn.withPermits(1)(alone(job, item, attempts))),
              (bad) => bad.flat()
            )
          : Effect.succeed(result)
      )
  })

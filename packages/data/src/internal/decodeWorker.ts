/**
 * The worker thread's side of `decoders.ts`.
 */
import { parentPort } from "node:worker_threads"
import { decode, type Job } from "./decode.ts"

/** `id` is the request's. A reply without a reason says that the image is in its place. */
export interface Request {
  readonly id: number
  readonly job: Job
}
export interface Reply {
  readonly id: number
  readonly reason?: string
}

const port = parentPort
if (port !== null) {
  port.on("message", ({ id, job }: Request) => {
    void decode(job).then(
      () => port.postMessage({ id } satisfies Reply),
      (cause: unknown) => {
        const message = cause instanceof Error ? cause.message : String(cause)
        port.postMessage({ id, reason: message.split("\n")[0] ?? "" } satisfies Reply)
      }
    )
  })
}

/**
 * The worker thread's side of `decoders.ts`.
 */
import { parentPort } from "node:worker_threads"
import { decode, type Bad, type Job } from "./decode.ts"

/** `id` is the request's. */
export interface Request {
  readonly id: number
  readonly job: Job
}
export interface Reply {
  readonly id: number
  readonly bad: ReadonlyArray<Bad>
}

const port = parentPort
if (port !== null) {
  port.on("message", ({ id, job }: Request) => {
    void decode(job).then((bad) => port.postMessage({ id, bad } satisfies Reply))
  })
}

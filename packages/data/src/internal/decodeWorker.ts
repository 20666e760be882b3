/**
 * The worker thread's side of `decoders.ts`.
 */
import { parentPort } from "node:worker_threads"
import { decode, type Job } from "./decode.ts"

/** `id` is the request's; a reply holds either the image's bytes or why there are none. */
export interface Request {
  readonly id: number
  readonly job: Job
}
export type Reply =
  | { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly reason: string }

const port = parentPort
if (port !== null) {
  port.on("message", ({ id, job }: Request) => {
    void decode(job).then(
      (bytes) => port.postMessage({ id, bytes }, [bytes.buffer as ArrayBuffer]),
      (cause: unknown) =>
        port.postMessage({ id, reason: (cause instanceof Error ? cause.message : String(cause)).split("\n")[0] })
    )
  })
}

/** The search, running in a worker so that the page stays responsive. */
import * as Effect from "effect/Effect"
import { type Options, search, type Told } from "./search.ts"

const tell = (told: Told) => postMessage(told)

addEventListener("message", ({ data }: MessageEvent<{ readonly digits: Uint8Array; readonly options: Options }>) => {
  void Effect.runPromise(search(data.digits, data.options, tell)).catch((cause: unknown) =>
    tell({ tag: "Broken", why: cause instanceof Error ? cause.message : String(cause) })
  )
})

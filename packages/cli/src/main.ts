/** Runs the command line of this process. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { run, teardown } from "./Uninet.ts"

// Who was to read the output has gone (`| head`): what is done goes on without being seen, and its files are written all the same.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EPIPE" && cause.code !== "EIO") throw cause
  })

// The first Ctrl-C lets what is running come to rest. Whoever asks again does not want to wait: whatever is ended at any moment can be gone on with.
let asked = 0
process.on("SIGINT", () => {
  if (++asked > 1) process.exit(130)
})

run(process.argv.slice(2)).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)

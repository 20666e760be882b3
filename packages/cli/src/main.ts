/** Runs the command line of this process. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import { run, teardown } from "./Uninet.ts"

// The reader of the output has gone (`| head`): the work continues without output, and its files are still written.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (cause: NodeJS.ErrnoException) => {
    if (cause.code !== "EPIPE" && cause.code !== "EIO") throw cause
  })

// The first Ctrl-C lets the running work stop cleanly. A second one means that the user does not want to wait: work that is killed at any
// moment can be resumed.
let asked = 0
process.on("SIGINT", () => {
  if (++asked > 1) process.exit(130)
})

run(process.argv.slice(2)).pipe(
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ disableErrorReporting: true, teardown })
)

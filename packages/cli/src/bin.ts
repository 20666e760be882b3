#!/usr/bin/env node
import { setFlagsFromString } from "node:v8"
import { complaint } from "./internal/nodeVersion.ts"

const tooOld = complaint(process.versions.node)
if (tooOld !== undefined) {
  console.error(tooOld)
  process.exit(1)
}
// A third of the start is compiling what was compiled before: what is imported after this is kept, for workers too.
const { enableCompileCache } = await import("node:module")
enableCompileCache()
// What compiling a network throws away would enlarge V8's young generation for the rest of a training: 0.1 GB of B0's peak.
setFlagsFromString("--semi-space-growth-factor=1")
await import("./main.ts")

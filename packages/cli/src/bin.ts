#!/usr/bin/env node
import { setFlagsFromString } from "node:v8"
import { complaint } from "./internal/nodeVersion.ts"

const tooOld = complaint(process.versions.node)
if (tooOld !== undefined) {
  console.error(tooOld)
  process.exit(1)
}
// Compiling takes a third of the start-up time: the compiled form of everything imported after this is cached, for workers too.
const { enableCompileCache } = await import("node:module")
enableCompileCache()
// Garbage from compiling a network would enlarge V8's young generation for the rest of a training: 0.1 GB of B0's peak.
setFlagsFromString("--semi-space-growth-factor=1")
await import("./main.ts")

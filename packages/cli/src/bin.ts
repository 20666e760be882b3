#!/usr/bin/env node
import { enableCompileCache } from "node:module"
import { setFlagsFromString } from "node:v8"

// A third of the start is compiling what was compiled before: what is imported after this is kept, for workers too.
enableCompileCache()
// What compiling a network throws away would enlarge V8's young generation for the rest of a training: 0.1 GB of B0's peak.
setFlagsFromString("--semi-space-growth-factor=1")
await import("./main.ts")

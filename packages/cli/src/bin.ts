#!/usr/bin/env node
import { enableCompileCache } from "node:module"

// A third of the start is compiling what was compiled before: what is imported after this is kept, for workers too.
enableCompileCache()
await import("./main.ts")

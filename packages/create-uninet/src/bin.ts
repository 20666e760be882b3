#!/usr/bin/env node
import { complaint } from "./internal/nodeVersion.ts"

const tooOld = complaint(process.versions.node)
if (tooOld !== undefined) {
  console.error(tooOld)
  process.exit(1)
}
const { main } = await import("./internal/main.ts")
process.exitCode = main(process.argv.slice(2))

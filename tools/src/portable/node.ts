/** Prints what a search's journal holds, for a Node that starts it as a bundle: `node bundle.mjs <digits> <options>`. */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { searched } from "./search.ts"

const [, , digits = "", options = ""] = process.argv
const entries = await Effect.runPromise(searched(readFileSync(digits), JSON.parse(options)))
process.stdout.write(`${JSON.stringify(entries)}\n`)

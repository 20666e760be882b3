/**
 * A page in which a search runs in the browser tab, as a folder that any file server can serve.
 *
 *     node tools/tab.ts [--out dist/tab]      makes it
 *     node tools/tab.ts --serve [--port n]    and serves it on this machine
 */
import { resolve } from "node:path"
import { parseArgs } from "node:util"
import { make, serve } from "./src/Tab.ts"

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "dist/tab" },
    serve: { type: "boolean", default: false },
    port: { type: "string", default: "8390" }
  }
})
const out = resolve(values.out)
const bytes = await make(out)
console.log(`${values.out} has the page, ${(bytes / 1e6).toFixed(1)} MB`)

if (values.serve) {
  try {
    console.log(`${(await serve(out, Number(values.port))).url}; Ctrl-C ends`)
  } catch (cause) {
    console.error(
      `It cannot be served: ${cause instanceof Error ? cause.message : String(cause)}. Give another port by --port.`
    )
    process.exitCode = 1
  }
}

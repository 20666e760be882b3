/** Assembles the runtime's WebAssembly from its source: `node tools/build-wasm.ts`. The result is checked in. */
import { readFileSync, writeFileSync } from "node:fs"
import wabt from "wabt"

const folder = new URL("../packages/runtime/src/internal/", import.meta.url)

/** Assembles the module's text form, and wraps it as a TypeScript module. */
export const assemble = async (): Promise<string> => {
  const { parseWat } = await wabt()
  const module = parseWat("optimiser.wat", readFileSync(new URL("optimiser.wat", folder), "utf8"), { simd: true })
  const { buffer } = module.toBinary({})
  module.destroy()
  return [
    "// Made from optimiser.wat by `node tools/build-wasm.ts`.",
    "export const optimiserWasm =",
    `  "${Buffer.from(buffer).toString("base64")}"`,
    ""
  ].join("\n")
}

if (import.meta.main) writeFileSync(new URL("optimiser.wasm.ts", folder), await assemble())

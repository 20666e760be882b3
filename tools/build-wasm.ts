/** Assembles the runtime's WebAssembly from its source: `node tools/build-wasm.ts`. The result is checked in. */
import { readFileSync, writeFileSync } from "node:fs"
import wabt from "wabt"

const folder = new URL("../packages/runtime/src/internal/", import.meta.url)

/** The module's text form, assembled and wrapped as a TypeScript module. */
export const assemble = async (): Promise<string> => {
  const { parseWat } = await wabt()
  const module = parseWat("adamw.wat", readFileSync(new URL("adamw.wat", folder), "utf8"), { simd: true })
  const { buffer } = module.toBinary({})
  module.destroy()
  return [
    "// Made from adamw.wat by `node tools/build-wasm.ts`.",
    `export const adamwWasm = "${Buffer.from(buffer).toString("base64")}"`,
    ""
  ].join("\n")
}

if (import.meta.main) writeFileSync(new URL("adamw.wasm.ts", folder), await assemble())

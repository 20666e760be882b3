import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { assemble } from "../build-wasm.ts"

describe("the runtime's WebAssembly", () => {
  it("is what its source makes", async () => {
    const checkedIn = readFileSync(
      new URL("../../packages/runtime/src/internal/optimiser.wasm.ts", import.meta.url),
      "utf8"
    )
    assert.strictEqual(checkedIn, await assemble())
  })
})

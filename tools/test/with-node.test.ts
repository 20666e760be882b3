import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const script = fileURLToPath(new URL("../with-node.mjs", import.meta.url))

describe("with-node", () => {
  it.each([[[]], [["walk"]], [["constructor"]]])("says how it is used when it is told to %j", (args) => {
    const { status, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" })
    assert.strictEqual(status, 2)
    assert.match(stderr, /^Usage: /)
  })
})

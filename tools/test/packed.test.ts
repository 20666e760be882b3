import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

/** Installing tarballs elsewhere needs `effect` and `fast-check` from the npm registry. */
const online = spawnSync("npm", ["view", "effect", "version"], { timeout: 20_000 }).status === 0

describe.skipIf(!online)(
  "the search space, spaces of networks and UniNet, packed and installed in an empty project",
  () => {
    it("work without onnxruntime and the command line, and their READMEs' examples run", { timeout: 240_000 }, () => {
      const { status, stderr, stdout } = spawnSync(
        process.execPath,
        [fileURLToPath(new URL("../packed.ts", import.meta.url))],
        {
          encoding: "utf8"
        }
      )
      assert.strictEqual(status, 0, `${stdout}\n${stderr}`)
    })
  }
)

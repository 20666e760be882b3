import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** The software driver of Debian's browser, and the loader beside it. */
const folder = "/usr/lib/chromium"
const driver = `${folder}/vk_swiftshader_icd.json`

describe("ONNX Runtime on WebGPU", () => {
  it.skipIf(!existsSync(driver))(
    "agrees with the reference interpreter and, in whole training steps, with the processor",
    async () => {
      const script = fileURLToPath(new URL("support/webgpu.ts", import.meta.url))
      const args = [
        "--disable-warning=ExperimentalWarning",
        script,
        "1",
        "ties in max pooling",
        "rows",
        "composite",
        "variables",
        "optimiser",
        "step"
      ]
      const env = { ...process.env, VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: folder }
      const { stdout } = await promisify(execFile)(process.execPath, args, { env })
      assert.deepStrictEqual(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? ""), {})
    },
    240_000
  )
})

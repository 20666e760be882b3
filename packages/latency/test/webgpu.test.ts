import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** The software driver of Debian's browser, and the loader next to it. */
const folder = "/usr/lib/chromium"
const driver = `${folder}/vk_swiftshader_icd.json`

describe("a GPU", () => {
  it.skipIf(!existsSync(driver))("is measured through WebGPU", async () => {
    const script = fileURLToPath(new URL("support/webgpu.ts", import.meta.url))
    const env = { ...process.env, VK_ICD_FILENAMES: driver, LD_LIBRARY_PATH: folder }
    const { stdout } = await promisify(execFile)(process.execPath, [script], { env })
    assert.isAbove(Number(stdout.trim().split("\n").at(-1)), 0)
  })
})

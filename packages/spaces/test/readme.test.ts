import { assert, describe, it } from "@effect/vitest"
import { Space } from "@uninet/search-space"
import { Grammar, MobileNet, VisionTransformer } from "@uninet/spaces"
import * as Result from "effect/Result"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

describe("the README", () => {
  it("has examples that run", () => {
    const [code] = [...readme.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code)
    const said = execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], {
      cwd: fileURLToPath(new URL("..", import.meta.url)),
      encoding: "utf8"
    })
    assert.strictEqual(said, "1288506 184730240\n")
    assert.include(code, "// 1288506 184730240")
  })

  it("says how large the spaces are", () => {
    const digits = { channels: 1, height: 28, width: 28, classes: 10 }
    assert.strictEqual(Space.size(Result.getOrThrow(MobileNet.models(digits)).space), 136_048_896n)
    assert.strictEqual(Space.size(Result.getOrThrow(VisionTransformer.models(digits)).space), 44_226n)
    assert.strictEqual(Space.size(Result.getOrThrow(Grammar.models(digits)).space), 68_976_487_884_331n)
    for (const size of ["1.4 · 10⁸", "4.4 · 10⁴", "6.9 · 10¹³"]) assert.include(readme, size)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Space } from "@uninet/search-space"
import { Grammar, MobileNet, VisionTransformer } from "@uninet/spaces"
import * as Result from "effect/Result"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has examples that run", () => {
    const [code = ""] = Readme.examples("spaces")
    assert.strictEqual(Readme.run("spaces", code), "1288506 184730240\n")
    assert.include(code, "// 1288506 184730240")
  })

  it("says how large the spaces are", () => {
    const digits = { channels: 1, height: 28, width: 28, classes: 10 }
    assert.strictEqual(Space.size(Result.getOrThrow(MobileNet.models(digits)).space), 136_048_896n)
    assert.strictEqual(Space.size(Result.getOrThrow(VisionTransformer.models(digits)).space), 44_226n)
    assert.strictEqual(Space.size(Result.getOrThrow(Grammar.models(digits)).space), 68_976_487_884_331n)
    for (const size of ["1.4 · 10⁸", "4.4 · 10⁴", "6.9 · 10¹³"]) assert.include(Readme.text("spaces"), size)
  })
})

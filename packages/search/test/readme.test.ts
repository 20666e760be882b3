import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has an example that runs", () => {
    const [example = ""] = Readme.examples("search")
    assert.include(example, "Search.run")
    assert.strictEqual(Readme.run("search", example), "0.637 with 64 channels\n")
  })
})

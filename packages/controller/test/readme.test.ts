import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has examples that run", () => {
    const [best, size, ...rest] = Readme.examples("controller").map((code) => Readme.run("controller", code))
    assert.isAbove(Number(best), 7.5)
    assert.strictEqual(size, "6\n")
    assert.lengthOf(rest, 0)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has examples that run", () => {
    const said = Readme.examples("export").map((code) => Readme.run("export", code))
    assert.deepStrictEqual(said, ["one hidden layer of 16 1 true\n"])
  })
})

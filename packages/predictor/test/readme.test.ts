import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has an example that runs", () => {
    const said = Readme.examples("predictor").map((code) => Readme.run("predictor", code))
    assert.match(said[0] ?? "", /(true|false)\n\[ -?\d/)
  })
})

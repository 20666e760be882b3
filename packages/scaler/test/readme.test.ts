import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has examples that run", () => {
    const said = Readme.examples("scaler").map((code) => Readme.run("scaler", code))
    assert.match(said[0], /│ 2 +│ 3 +│ \d+ +│ \d+ +│/)
    assert.match(said[1], /depth: \d.*, width: \d.*, resolution: \d/)
    assert.match(said[2], /│ 2 +│ 3 +│ \d+ +│ \d+ +│ \d+ +│/)
  })
})

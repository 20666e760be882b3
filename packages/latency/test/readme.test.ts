import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has an example that runs", () => {
    const said = Readme.examples("latency").map((code) => Readme.run("latency", code))
    assert.strictEqual(said[0]?.trim(), "true")
  })
})

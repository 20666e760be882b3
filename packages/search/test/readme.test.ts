import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

describe("the README", () => {
  it("has an example that runs", () => {
    const all = Readme.examples("search")
    const [example = ""] = all
    assert.include(example, "Search.run")
    // The example with telemetry continues from it.
    const watched = all.find((each) => each.includes("createServer")) ?? ""
    const lines = Readme.run("search", watched).trim().split("\n")
    assert.sameMembers(lines, [
      "0.637 with 64 channels",
      ...Array.from({ length: 8 }, () => "Search.trial"),
      "Search.run uninet.search.strategy random"
    ])
  })
})

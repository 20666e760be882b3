import { assert, describe, it } from "@effect/vitest"
import { complaint, oldest } from "../src/internal/nodeVersion.js"

describe("the Node that runs the commands", () => {
  it.each(["22.13.0", "22.14.1", "23.0.0", "24.1.0", "100.0.0"])("%s will do", (version) => {
    assert.isUndefined(complaint(version))
  })

  it.each(["12.22.0", "20.20.2", "22.4.0", "22.12.9"])("%s is told what is needed, in a sentence", (version) => {
    const said = complaint(version) ?? ""
    assert.include(said, `needs Node ${oldest} or newer, but this is ${version}`)
    assert.notInclude(said, "\n")
  })
})

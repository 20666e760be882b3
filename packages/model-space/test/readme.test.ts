import { assert, describe, it } from "@effect/vitest"
import * as Readme from "../../../tools/src/Readme.ts"

const [space = "", property = "", task = ""] = Readme.examples("model-space")

const run = (code: string): ReadonlyArray<string> => Readme.run("model-space", code).trimEnd().split("\n")

describe("README", () => {
  it("has a space whose every point keeps the laws and has its costs", () => {
    const lines = run(space)
    assert.strictEqual(lines.length, 2 * 2 * 2 + 1)
    // 14×14 places of a 3×3 convolution, and a linear layer.
    const macs = 14 * 14 * 9 * 8 + 8 * 10
    const parameters = 9 * 8 + 8 + 8 * 10 + 10
    assert.strictEqual(
      lines[0],
      `kernel = 3, width = 8, learningRate = 0.001 { macs: ${macs}, parameters: ${parameters}, receptiveField: 3 }`
    )
    assert.match(lines.at(-1) ?? "", /^[0-9a-f]{16}$/)
  })

  it("has a property test that holds", () => {
    assert.deepStrictEqual(run(property), [""])
  })

  it("has a custom task that measures", () => {
    assert.deepStrictEqual(run(task), ["{ distance: 1 }"])
  })
})

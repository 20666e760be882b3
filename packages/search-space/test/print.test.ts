import { assert, describe, it } from "@effect/vitest"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import { inspect } from "node:util"
import { rows } from "./support/rows.ts"

const get = Result.getOrThrow

const space = get(
  Space.make(
    Choice.struct({
      op: Choice.categorical(["conv", "pool"]),
      kernel: Choice.when({ op: ["conv"] }, Choice.integer({ min: 1, max: 7, step: 2, seed: 3 })),
      widths: Choice.repeat(Choice.ordered([16, 32]), { min: 1, max: 2 })
    })
  )
)

describe("what people and other tools read", () => {
  it("a space is an outline with its counts", () => {
    assert.strictEqual(
      Space.print(space),
      [
        "30 choices",
        '  op: "conv" | "pool"',
        '  kernel (where op is "conv"): 1 … 7 by 2',
        "  widths:",
        "    1 … 2 times:",
        "      16 | 32 (ordered)"
      ].join("\n")
    )
    assert.include(Space.print(rows), "95367431640625 choices, 3375000000000 distinct")
  })

  it("a space is a line where it is logged or put into a text", () => {
    assert.strictEqual(inspect(space), "Space(5 choices, 30 points)")
    assert.strictEqual(`${String(rows)}`.replace(/\d+ choices/, ""), "Space(, 3375000000000 points)")
    assert.deepStrictEqual(Object.keys(space).includes("toString"), false)
  })

  it("a value is the list of its choices", () => {
    const value = get(Space.decodeJson({ op: "conv", kernel: 5, widths: [32] })(space))
    assert.strictEqual(
      get(Space.printValue(value)(space)),
      ["op = conv", "kernel = 5", "widths.length = 1", "widths[0] = 32"].join("\n")
    )
  })

  it("a space has a JSON Schema with its options, bounds and optional fields", () => {
    const { schema } = Space.jsonSchema(space)
    const text = JSON.stringify(schema)
    for (const part of [
      '"required":["op","widths"]',
      '"enum":["conv","pool"]',
      '"enum":[16,32]',
      '"maxItems":2',
      '"maximum":7'
    ]) {
      assert.include(text, part)
    }
  })

  it("two declarations that differ have different fingerprints, where the values are the same too", () => {
    const prints = [
      Choice.categorical([1, 2]),
      Choice.ordered([1, 2]),
      Choice.ordered([1, 2], { seed: 2 }),
      Choice.integer({ min: 1, max: 2 }),
      Choice.tuple([Choice.ordered([1, 2])]),
      Choice.constant(1)
    ].map((choice: Choice.Choice<unknown>) => Space.fingerprint(get(Space.make(choice))))
    assert.strictEqual(new Set(prints).size, prints.length)
  })
})

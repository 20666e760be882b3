import { assert, describe, it } from "@effect/vitest"
import { Architecture, Choice, Space, UniNetSpace } from "@uninet/search-space"
import * as Result from "effect/Result"

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
    assert.include(Space.print(get(UniNetSpace.small())), "23174285888671875 choices, 151165440000000 distinct")
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
    const of = (choice: Choice.Choice<unknown>) => Space.fingerprint(get(Space.make(choice)))
    const prints = [
      Choice.categorical([1, 2]),
      Choice.ordered([1, 2]),
      Choice.ordered([1, 2], { seed: 2 }),
      Choice.integer({ min: 1, max: 2 }),
      Choice.tuple([Choice.ordered([1, 2])]),
      Choice.constant(1)
    ].map(of)
    assert.strictEqual(new Set(prints).size, prints.length)
    assert.notStrictEqual(
      Space.fingerprint(get(UniNetSpace.small({ classes: 10 }))),
      Space.fingerprint(get(UniNetSpace.small({ classes: 11 })))
    )
  })

  it("an architecture is a table with the map after every part", () => {
    const table = Architecture.print(UniNetSpace.seedPoint(get(UniNetSpace.small()))).split("\n")
    assert.strictEqual(table.length, 11)
    assert.match(table[4]!, /^stage 1 +DWConv +L +4 +8 +1 +2 +14×14$/)
    assert.strictEqual(table.at(-1), "attention heads are 8 wide")
  })
})

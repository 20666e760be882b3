/** Faults of declarations, tokens and values: typed, with the path to the fault, and a remedy. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const problems = (choice: Choice.Choice<unknown>) => {
  const made = Space.make(choice)
  return Result.isFailure(made) ? made.failure.problems.map((p) => `${p.path.join("/")}: ${p.problem}`) : []
}

const ab = Choice.categorical(["a", "b"])

describe("a declaration that is no space is refused", () => {
  it("an empty choice", () => {
    assert.deepStrictEqual(problems(Choice.struct({ op: Choice.categorical([]) })), ["op: the choice has no options"])
    assert.deepStrictEqual(problems(Choice.variants("op", {})), ["op: the choice has no options"])
  })

  it("an option given twice", () => {
    assert.deepStrictEqual(problems(Choice.tuple([ab, Choice.ordered([1, 2, 1])])), ["1: the option 1 is listed twice"])
  })

  it("a seed that is none of the options, or outside the range", () => {
    const wide: ReadonlyArray<string> = ["a", "b"]
    assert.deepStrictEqual(problems(Choice.categorical(wide, { seed: "c" })), [
      ': the seed "c" is not one of its options'
    ])
    assert.deepStrictEqual(problems(Choice.integer({ min: 1, max: 3, seed: 4 })), [": the seed 4 is outside the range"])
    assert.deepStrictEqual(problems(Choice.repeat(ab, { min: 1, max: 3, seed: 0 })), [
      "length: the seed 0 is outside the range"
    ])
  })

  it("a range that is empty, not of integers, or too long; a number without a JSON form", () => {
    assert.include(problems(Choice.integer({ min: 3, max: 1 }))[0], "is empty")
    assert.include(problems(Choice.integer({ min: 0, max: 1.5 }))[0], "not a range of integers")
    assert.include(problems(Choice.integer({ min: 0, max: 1, step: 0 }))[0], "not a range of integers")
    assert.include(problems(Choice.integer({ min: 0, max: 2 ** 40 }))[0], "1099511627777 numbers")
    assert.include(problems(Choice.ordered([1, Infinity]))[0], "has no JSON form")
    assert.include(problems(Choice.integer({ min: 0, max: Number.NaN }))[0], "not a range of integers")
    assert.include(problems(Choice.constant(Number.NaN))[0], "has no JSON form")
    assert.include(problems(Choice.repeat(ab, -1))[0], "repeated -1 to -1 times")
  })

  it("a cyclic condition, named as it goes round", () => {
    const cyclic = Choice.struct({
      a: Choice.when({ b: [1] }, Choice.ordered([1])),
      b: Choice.when({ c: [1] }, Choice.ordered([1])),
      c: Choice.when({ a: [1] }, Choice.ordered([1]))
    })
    assert.deepStrictEqual(problems(Choice.struct({ net: cyclic })), [
      "net/a: its condition is cyclic: a needs b needs c needs a"
    ])
    assert.include(problems(Choice.struct({ a: Choice.when({ a: [1] }, ab) }))[0], "a needs a")
  })

  it("a condition on what does not exist: no such field, no such option, no option at all, not a single choice", () => {
    assert.include(problems(Choice.struct({ a: Choice.when({ op: ["x"] }, ab) }))[0], '"op", which is not a field here')
    assert.include(problems(Choice.struct({ op: ab, a: Choice.when({ op: ["x"] }, ab) }))[0], '"op" to be "x"')
    assert.include(problems(Choice.struct({ op: ab, a: Choice.when({ op: [] }, ab) }))[0], "lists no values")
    assert.include(
      problems(Choice.struct({ op: Choice.tuple([ab]), a: Choice.when({ op: ["a"] }, ab) }))[0],
      "not a single choice"
    )
    const n = Choice.integer({ min: 0, max: 8, step: 2 })
    assert.include(problems(Choice.struct({ n, a: Choice.when({ n: [3] }, ab) }))[0], '"n" to be 3')
  })

  it("a case that has a field with the tag's name", () => {
    assert.include(
      problems(Choice.variants("op", { x: { op: ab } }))[0],
      'the case "x" has a field with the tag\'s name'
    )
  })

  it("a quotient that is too large to tabulate, or whose mapping throws", () => {
    const large = Choice.repeat(ab, 30).pipe(Choice.quotient({ schema: Schema.Int, to: () => 1 }))
    assert.include(problems(large)[0], "1073741824 choices is too large to tabulate")
    const broken = ab.pipe(
      Choice.quotient({
        schema: Schema.Int,
        to: (): number => {
          throw new Error("no such block")
        }
      })
    )
    assert.include(problems(Choice.tuple([broken]))[0], "0: its mapping failed: no such block")
  })

  it("all faults are told at once, each with its remedy", () => {
    const made = Space.make(Choice.struct({ a: Choice.categorical([]), b: Choice.integer({ min: 2, max: 1 }) }))
    assert.isTrue(Result.isFailure(made))
    if (Result.isSuccess(made)) return
    assert.strictEqual(made.failure._tag, "InvalidSpace")
    assert.strictEqual(
      made.failure.message,
      "Invalid search space:\n- a: the choice has no options. Give it at least one\n- b: the range 2 … 1 is empty. Use a max at or above min"
    )
  })
})

describe("a value that is not of the space is refused with the path to its fault", () => {
  const space = Result.getOrThrow(
    Space.make(
      Choice.struct({
        cells: Choice.repeat(
          Choice.struct({
            op: Choice.categorical(["conv", "pool"]),
            kernel: Choice.when({ op: ["conv"] }, Choice.integer({ min: 1, max: 7, step: 2 }))
          }),
          { min: 1, max: 2 }
        )
      })
    )
  )
  const message = (tokens: Space.Tokens) => {
    const decoded = Space.decode(tokens)(space)
    return Result.isFailure(decoded) ? decoded.failure.message : "decoded"
  }
  const fault = (json: unknown) => {
    const decoded = Space.decodeJson(json)(space)
    return Result.isFailure(decoded) ? decoded.failure : undefined
  }

  it("an option that is none, a number off the steps, a missing and a superfluous field", () => {
    assert.include(fault({ cells: [{ op: "norm" }] })?.message, `at cells[0].op, found "norm"`)
    assert.include(fault({ cells: [{ op: "conv", kernel: 4 }] })?.message, "at cells[0].kernel, found 4")
    assert.deepStrictEqual(fault({ cells: [{ op: "conv" }] })?.path, ["cells", 0, "kernel"])
    assert.deepStrictEqual(
      fault({
        cells: [
          { op: "conv", kernel: 3 },
          { op: "pool", kernel: 3 }
        ]
      })?.path,
      ["cells", 1, "kernel"]
    )
    assert.include(fault({ cells: [{ op: "pool", kernel: 3 }] })?.message, 'exists only if op is "conv"')
    assert.include(fault({ cells: [] })?.message, "at cells")
    assert.include(fault("cells")?.message, `found "cells" but expected object`)
  })

  it("by its Schema too, with the same path", () => {
    const decoded = Schema.decodeUnknownResult(Space.schema(space))({ cells: [{ op: "conv" }] })
    assert.isTrue(Result.isFailure(decoded) && decoded.failure.message.includes(`at ["cells"][0]["kernel"]`))
  })

  it("an index outside the space, or none at all", () => {
    for (const index of [-1, 30, 0.5, Number.NaN, 10n ** 30n]) {
      const found = Space.at(index)(space)
      assert.isTrue(Result.isFailure(found) && found.failure._tag === "InvalidIndex", String(index))
    }
  })

  it("tokens in excess, missing or out of range, with the choice's path", () => {
    assert.include(message([0, 0, 4]), "Token 2 (cells[0].kernel): 4 is not one of its 4 options")
    assert.include(message([0, 0]), "Token 2 (cells[0].kernel): the sequence ends before this choice")
    assert.include(message([0, 1, 0]), "the sequence has 3 tokens, but it is complete after 2")
  })
})

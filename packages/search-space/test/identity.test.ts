/** A space's fingerprint distinguishes spaces by what their points mean. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { type AnyChoice, declaration, numericDeclaration } from "./support/declarations.ts"

const of = (choice: AnyChoice, version?: string) =>
  Space.fingerprint(Result.getOrThrow(Space.make(choice, version === undefined ? {} : { version })))

/** A choice's numbers mapped by a function, one to one or not. */
const mapped = (choice: Choice.Choice<number>, to: (n: number) => number) =>
  choice.pipe(Choice.map({ schema: Schema.Finite, to, from: (m) => Result.succeed(m) }))
const merged = (choice: Choice.Choice<number>, to: (n: number) => number) =>
  choice.pipe(Choice.quotient({ schema: Schema.Finite, to }))

const same = (n: number) => n
const except =
  (where: number, to: number) =>
  (n: number): number =>
    n === where ? to : n

const few = Choice.integer({ min: 0, max: 9 })
const many = Choice.integer({ min: 0, max: 4999 })

/** Wraps a choice so that one point in a hundred million has it. */
const rare = (choice: AnyChoice) =>
  Choice.variants("kind", { common: { n: Choice.integer({ min: 0, max: 1e9 }) }, rare: { it: choice } })

/** The same choice under a name. */
const wrapped = (choice: AnyChoice, name: string) =>
  choice.pipe(
    Choice.map<unknown, Readonly<Record<string, unknown>>>({
      schema: Schema.Record(Schema.String, Schema.Unknown),
      to: (value) => ({ [name]: value }),
      from: (record) => Result.succeed(record[name])
    })
  )

describe("the fingerprint", () => {
  it("is another where a mapping gives other values for the same choices", () => {
    assert.strictEqual(of(mapped(few, same)), of(mapped(few, (n) => n)))
    for (const choice of [few, many, Choice.uniform({ min: 0, max: 1 })]) {
      assert.notStrictEqual(of(mapped(choice, same)), of(mapped(choice, (n) => 2 * n)))
      assert.notStrictEqual(of(choice), of(mapped(choice, same)))
    }
  })

  it("sees a single value of a mapping of few choices, and of a quotient of many", () => {
    for (let n = 0; n < 10; n++) assert.notStrictEqual(of(mapped(few, same)), of(mapped(few, except(n, 77))))
    for (const n of [0, 1, 2500, 4999])
      assert.notStrictEqual(of(merged(many, same)), of(merged(many, except(n, 77_777))))
  })

  it("sees which choices a quotient makes one, where the values are the same", () => {
    const low = merged(few, (n) => (n < 4 ? 0 : 1))
    const high = merged(few, (n) => (n < 5 ? 0 : 1))
    assert.notStrictEqual(of(low), of(high))
    assert.strictEqual(of(low), of(merged(few, (n) => (n < 4 ? 0 : 1))))
  })

  it("sees mappings and constants where the seed point never is and samples hardly ever are", () => {
    const prints = [
      mapped(few, same),
      mapped(few, (n) => n + 1),
      merged(few, same),
      merged(few, except(3, 4)),
      few,
      Choice.constant("a"),
      Choice.constant("b"),
      Choice.repeat(Choice.constant("a"), 2),
      Choice.repeat(Choice.constant("a"), 3),
      Choice.struct({ x: Choice.constant("a") }),
      Choice.struct({ y: Choice.constant("a") }),
      Choice.tuple([Choice.constant("a"), few]),
      Choice.tuple([few, Choice.constant("a")])
    ].map((choice) => of(rare(choice)))
    assert.strictEqual(new Set(prints).size, prints.length)
  })

  it("is another with another version, and the same with the same", () => {
    assert.strictEqual(of(few, "1"), of(few, "1"))
    assert.strictEqual(new Set([of(few), of(few, "1"), of(few, "2")]).size, 3)
  })

  it("is the same for the same declaration made again, and another behind a mapping that changes every value", () => {
    fc.assert(
      fc.property(fc.oneof(declaration, numericDeclaration), (choice) => {
        const prints = [of(choice), of(wrapped(choice, "a")), of(wrapped(choice, "b"))]
        assert.strictEqual(new Set(prints).size, 3)
        assert.deepStrictEqual(prints, [of(choice), of(wrapped(choice, "a")), of(wrapped(choice, "b"))])
      }),
      { numRuns: 200 }
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Architecture, Choice, Space, UniNetSpace } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"

/** FNV-1a with 64 bits, as its authors define it. */
const fnv = (text: string) =>
  new TextEncoder()
    .encode(text)
    .reduce((hash, byte) => BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n)
    .toString(16)
    .padStart(16, "0")

/** A value with the keys of all its records in reverse order. */
const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .toReversed()
            .map(([key, item]) => [key, reversed(item)])
        )
      : value

describe("the hash of a value", () => {
  it("is the FNV-1a hash of its JSON, for any text", () => {
    assert.deepStrictEqual(["", "a", "foobar"].map(fnv), ["cbf29ce484222325", "af63dc4c8601ec8c", "85944171f73967e8"])
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const space = Result.getOrThrow(Space.make(Choice.categorical([text])))
        assert.strictEqual(Space.hash(text)(space), fnv(JSON.stringify(text)))
      })
    )
  })

  it("does not depend on the order of keys", () => {
    const seed = UniNetSpace.seedPoint(Result.getOrThrow(UniNetSpace.small()))
    const sorted = (value: unknown): string => {
      if (Array.isArray(value)) return `[${value.map(sorted).join()}]`
      if (typeof value !== "object" || value === null) return JSON.stringify(value)
      const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
      return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sorted(item)}`).join()}}`
    }
    assert.strictEqual(Architecture.hash(seed), fnv(sorted(seed)))
    const space = Result.getOrThrow(UniNetSpace.small())
    const back = Result.getOrThrow(Space.decodeJson(reversed(seed))(space))
    assert.strictEqual(Architecture.hash(back), Architecture.hash(seed))
  })
})

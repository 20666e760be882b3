import { assert, describe, it } from "@effect/vitest"
import { Choice, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { fnv, reversed, sorted } from "./support/fnv.ts"
import { rows } from "./support/rows.ts"

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
    const seed = Space.seedPoint(rows)
    assert.strictEqual(Space.hash(seed)(rows), fnv(sorted(seed)))
    const back = Result.getOrThrow(Space.decodeJson(reversed(seed))(rows))
    assert.strictEqual(Space.hash(back)(rows), Space.hash(seed)(rows))
  })
})

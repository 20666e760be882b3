import { assert, describe, it } from "@effect/vitest"
import { Space } from "@uninet/search-space"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fnv, reversed, sorted } from "../../search-space/test/support/fnv.ts"

const space = Result.getOrThrow(UniNetSpace.small())
const seed = Space.seedPoint(space)

/** The seed network with choices of an operator's and a module's own in its last stage. */
const withSettings = (settings: NonNullable<Architecture.Stage["settings"]>): Architecture.Architecture => ({
  ...seed,
  stages: seed.stages.map((s, i) => (i === 5 ? { ...s, settings, dsmSettings: { pool: true } } : s))
})

describe("an architecture", () => {
  it("has one hash, whatever the order of its keys: the FNV-1a hash of its JSON with ordered keys", () => {
    assert.strictEqual(Architecture.hash(seed), fnv(sorted(seed)))
    const back = Result.getOrThrow(Space.decodeJson(reversed(seed))(space))
    assert.strictEqual(Architecture.hash(back), Architecture.hash(seed))
    assert.notStrictEqual(
      Architecture.hash(withSettings({ kernel: 5 })),
      Architecture.hash(withSettings({ kernel: 7 }))
    )
  })

  it("is a table with the map after every part", () => {
    const table = Architecture.print(seed).split("\n")
    assert.strictEqual(table.length, 11)
    assert.match(table[4] ?? "", /^stage 1 +DWConv +L +4 +8 +1 +2 +14×14$/)
    assert.strictEqual(table.at(-1), "attention heads are 8 wide")
  })

  it("says what the choices of its operators and modules came to, where they have some", () => {
    const architecture = withSettings({ kernel: 5, gate: "soft" })
    assert.match(
      Architecture.print(architecture),
      /^stage 5 +DWConv\(kernel 5, gate soft\) +L\(pool true\) +4 +32 +1 +1 +4×4$/m
    )
    assert.match(Architecture.line(architecture), /\| L\(pool true\) DWConv\(kernel 5, gate soft\) e4 32×1$/)
    const read = Schema.decodeUnknownResult(Architecture.Architecture)(JSON.parse(JSON.stringify(architecture)))
    assert.deepStrictEqual(read, Result.succeed(architecture))
  })
})

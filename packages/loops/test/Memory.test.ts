import { assert, describe, it } from "@effect/vitest"
import { Memory } from "@uninet/loops"
import fc from "fast-check"

const lives = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(9), fc.nat(4)), { maxLength: 30 }).map((all) =>
  all.map(([size, from, length], id): Memory.Life => ({
    buffer: { id, kind: "plain", size: 16 * size },
    bytes: 64 * size,
    from,
    to: from + length
  }))
)

describe("buffers in one memory", () => {
  it("that are in use at the same time lie apart, and no phase needs more than there is", () =>
    fc.assert(
      fc.property(lives, (all) => {
        const { bytes, places } = Memory.placed(all)
        const at = ({ buffer }: Memory.Life) => places.get(buffer.id) ?? Number.NaN
        for (const [i, a] of all.entries()) {
          assert.isAtMost(at(a) + a.bytes, bytes)
          for (const b of all.slice(0, i)) {
            const together = a.from <= b.to && b.from <= a.to
            const apart = at(a) + a.bytes <= at(b) || at(b) + b.bytes <= at(a)
            assert.isTrue(!together || apart)
          }
        }
        for (const used of Memory.usage(all, 15)) assert.isAtMost(used, bytes)
      }),
      { numRuns: 100, seed: 5 }
    ))
})

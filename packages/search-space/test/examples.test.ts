import { assert, describe, it } from "@effect/vitest"
import { Space } from "@uninet/search-space"
import { cells, topologies } from "../examples/nas-bench-201.ts"

describe("examples", () => {
  it("NAS-Bench-201: 15,625 cells, of which its authors count 6,466 unique topologies", () => {
    assert.strictEqual(Space.size(cells), 15_625n)
    assert.strictEqual(Space.distinct(cells), 15_625n)
    assert.strictEqual(Space.size(topologies), 15_625n)
    assert.strictEqual(Space.distinct(topologies), 6_466n)
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Classification, Comparison } from "@uninet/export"
import type { Model } from "@uninet/nn"

const ports: Model.Ports = { logits: { shape: [2], dtype: "float32" }, y: { shape: [], dtype: "float32" } }
const rows = (...values: ReadonlyArray<number>) => Float32Array.from(values)
const reference = { logits: rows(1, 2, 4, 3), y: rows(0.5, -0.25) }
const compare = (found: Readonly<Record<string, Float32Array>>, logits: string | null = "logits") =>
  Comparison.of(ports, found, reference, { logits, size: 2 })

describe("a comparison", () => {
  it("is the worst of all outputs, each by its own largest number", () => {
    assert.deepStrictEqual(compare(reference), { examples: 2, worst: 0, sameTop1: 2 })
    assert.deepStrictEqual(compare({ ...reference, logits: rows(1, 2, 4, 5) }), {
      examples: 2,
      worst: 0.5,
      sameTop1: 1
    })
    assert.strictEqual(compare({ ...reference, y: rows(0.5, 0.25) }).worst, 1)
    assert.deepStrictEqual(compare(reference, null), { examples: 2, worst: 0, sameTop1: null })
  })

  it("is infinitely far where something is missing, of another length, or no number", () => {
    for (const found of [
      { logits: reference.logits },
      { ...reference, y: rows(0.5) },
      { ...reference, y: rows(0.5, Number.NaN) },
      { ...reference, logits: rows() }
    ])
      assert.strictEqual(compare(found).worst, Infinity)
    // An output that both lack does not count as equal.
    const nothing = Comparison.of(ports, {}, {}, { logits: "logits", size: 2 })
    assert.deepStrictEqual(nothing, { examples: 2, worst: Infinity, sameTop1: 0 })
  })
})

describe("a classification", () => {
  it("has the most likely classes first, by names or by numbers", () => {
    const [first, second] = Classification.top(["no", "yes"], 5)(rows(0, Math.log(3)))
    assert.deepStrictEqual([first.label, second.label], ["yes", "no"])
    assert.closeTo(first.probability, 0.75, 1e-6)
    assert.deepStrictEqual(
      Classification.top([], 2)(rows(1000, 0, 2000)).map(({ label }) => label),
      ["2", "0"]
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { type ModelSpace, Picture } from "@uninet/model-space"

const part = (name: string, macs: number, columns: ModelSpace.Part["columns"] = {}): ModelSpace.Part => ({
  name,
  columns,
  parameters: 10,
  macs
})
const stages = [
  part("stem", 25),
  part("stage 0", 75, { dsm: "L", operator: "conv", repeats: 3, stride: null, height: 7, width: 7, channels: 16 })
]

describe("a picture of a network", () => {
  it("has its parts in order, what was chosen, shapes and shares, as text too", () => {
    const svg = Picture.svg({ title: "mine", input: "1 × 28 × 28", output: "logits 10" })(stages)
    const texts = [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text)
    assert.deepStrictEqual(texts, [
      "mine",
      "1 × 28 × 28",
      "stem",
      "25.0%",
      "25 MACs",
      "stage 0  L  conv",
      "repeats 3",
      "75.0%",
      "75 MACs",
      "7 × 7 × 16",
      "logits 10",
      "100 MACs, 20 parameters"
    ])
    assert.include(svg, "<title>mine</title>")
    assert.include(svg, "stage 0, L, conv, repeats 3, 7 × 7 × 16, 75.0% of the MACs.")
  })

  it("is of text alone, whatever a name holds", () => {
    const svg = Picture.svg({
      title: "<b>&"
    })([part(`</svg><script>alert("1")</script>\u0000`, 0, { operator: "注意力".repeat(20) })])
    assert.notInclude(svg, "<script")
    assert.notInclude(svg, "\u0000")
    assert.include(svg, "&#60;b&#62;&#38;")
    assert.include(svg, "…")
  })

  it("is drawn of no parts, and of parts that cost nothing", () => {
    assert.match(Picture.svg()([]), /^<svg .*viewBox/)
    assert.notInclude(Picture.svg()([part("table", 0)]), "NaN")
  })
})

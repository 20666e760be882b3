import * as chart from "../src/internal/chart.js"
import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as fc from "fast-check"
import { Format } from "@uninet/cli"
import { Units } from "@uninet/search"

describe("a chart", () => {
  it("rises with the values, from the smallest to the largest", () => {
    assert.deepStrictEqual(chart.lines([0.5, 0.5, 0.75, 1], 80, 2), ["  1   ▁█", "0.5 ▁▁██"])
  })

  it("has as many columns as there is room, and is left out where there is too little", () => {
    const many = Array.from({ length: 1000 }, (_, i) => i)
    assert.deepStrictEqual(
      chart.lines(many, 40).map((line) => line.length <= 40),
      Array(5).fill(true)
    )
    assert.deepStrictEqual(chart.lines(many, 20), [])
    assert.deepStrictEqual(chart.lines([1], 80), [])
    assert.deepStrictEqual(chart.lines([1, 1, 1], 80), [])
  })
})

describe("numbers for people", () => {
  it("are short", () => {
    assert.deepStrictEqual([999, 1_071_912, 555_380_288, 51_035_247_104].map(Format.count), [
      "999",
      "1.07 M",
      "555 M",
      "51.0 G"
    ])
    assert.deepStrictEqual([4.21, 61, 3723].map(Format.time), ["4.2 s", "1 min 01 s", "1 h 02 min"])
    assert.strictEqual(Format.percent(0.9643), "96.4%")
  })

  it("of MACs are read as they are written", () => {
    assert.deepStrictEqual(
      ["1500000", "1.5M", "1.5 m", "2G", "500K"].map(Units.parseAmount).map(Option.getOrUndefined),
      [1.5e6, 1.5e6, 1.5e6, 2e9, 500e3]
    )
    for (const text of ["", "-1", "0", "M", "1.5X", "NaN", "Infinity", "1e999"])
      assert.isTrue(Option.isNone(Units.parseAmount(text)), text)
  })

  it("of MACs may be any whole number", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), (n) => {
        assert.strictEqual(Option.getOrUndefined(Units.parseAmount(String(n))), n)
      })
    )
  })
})

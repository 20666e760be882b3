import { assert, describe, it } from "@effect/vitest"
import { Coefficients } from "@uninet/scaler"
import * as Result from "effect/Result"

describe("coefficients", () => {
  it("of EfficientNet are within 5% of doubling the cost", () => {
    assert.isTrue(Result.isSuccess(Coefficients.check(Coefficients.efficientNet)))
    assert.closeTo(Coefficients.product(Coefficients.efficientNet), 1.92, 0.001)
  })

  it("that are unbalanced or shrink anything are refused in a sentence with a remedy", () => {
    for (const depth of [2, 1.05, 0.9, Number.NaN]) {
      const wrong = Coefficients.check({ depth, width: 1.1, resolution: 1.15 })
      assert.isTrue(Result.isFailure(wrong) && /^the coefficients .*; give three numbers/.test(wrong.failure.message))
    }
  })

  it("balanced double the cost in the same proportions", () => {
    const { depth, resolution, width } = Coefficients.balanced({ depth: 2, width: 2, resolution: 1 })
    assert.closeTo(Coefficients.product({ depth, width, resolution }), 2, 1e-12)
    assert.closeTo(depth, width, 1e-12)
    assert.strictEqual(resolution, 1)
  })

  it("of a grid all double the cost, and never shrink", () => {
    for (const resolution of [true, false]) {
      const grid = Coefficients.grid(Coefficients.defaultGrid, { resolution })
      assert.isAtLeast(grid.length, 5)
      for (const each of grid) {
        assert.closeTo(Coefficients.product(each), 2, 0.1)
        assert.isAtLeast(Math.min(each.depth, each.width, each.resolution), 1)
        assert.isTrue(resolution || each.resolution === 1)
      }
    }
  })
})

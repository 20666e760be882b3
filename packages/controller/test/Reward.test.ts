import { assert, describe, it } from "@effect/vitest"
import { Reward } from "@uninet/controller"

describe("rewards", () => {
  it("MnasNet's gives 5% of the accuracy for half the cost", () => {
    const full = Reward.mnasnet(0.75, { cost: 300, target: 300 })
    const half = Reward.mnasnet(0.75, { cost: 150, target: 300 })
    assert.strictEqual(full, 0.75)
    assert.approximately(half / full, 2 ** 0.07, 1e-12)
  })

  it("soft ones multiply over the targets", () => {
    const targets = [
      { cost: 2, target: 1 },
      { cost: 1, target: 4 }
    ]
    assert.approximately(Reward.soft(0.5, targets), 0.5 * 2 ** -0.07 * 4 ** 0.07, 1e-12)
  })

  it("hard ones are the accuracy within the targets and fall in proportion beyond", () => {
    assert.strictEqual(Reward.hard(0.8, [{ cost: 90, target: 100 }]), 0.8)
    assert.approximately(Reward.hard(0.8, [{ cost: 200, target: 100 }]), 0.4, 1e-12)
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Schedule } from "@uninet/model-space"

const { rate } = Schedule
const { Constant, Cosine, Step } = Schedule.Schedule.cases
const at = (step: number) => ({ step, stepsPerEpoch: 10, epochs: 20 })

describe("a schedule", () => {
  it("of the paper rises linearly for its warm-up and falls by half a cosine", () => {
    const schedule = Cosine.make({ warmup: 5, from: 1e-6, to: 1e-5 })
    assert.closeTo(rate(1e-3, at(0))(schedule), 1e-6, 1e-12)
    assert.closeTo(rate(1e-3, at(25))(schedule), (1e-3 + 1e-6) / 2, 1e-12)
    assert.closeTo(rate(1e-3, at(50))(schedule), 1e-3, 1e-12)
    assert.closeTo(rate(1e-3, at(125))(schedule), (1e-3 + 1e-5) / 2, 1e-12)
    assert.closeTo(rate(1e-3, at(200))(schedule), 1e-5, 1e-12)
    // A third of the way down: cos 60° = 1/2.
    assert.closeTo(rate(1e-3, at(100))(schedule), 1e-5 + 0.75 * (1e-3 - 1e-5), 1e-12)
  })

  it("of steps falls by its factor at every milestone", () => {
    const schedule = Step.make({ warmup: 0, milestones: [5, 10], factor: 0.1 })
    for (const [step, expected] of [
      [0, 1],
      [49, 1],
      [50, 0.1],
      [99, 0.1],
      [100, 0.01]
    ] as const)
      assert.closeTo(rate(1, at(step))(schedule), expected, 1e-12)
  })

  it("that is constant stays at the peak once it is warm, and starts a step above nothing", () => {
    const schedule = Constant.make({ warmup: 1 })
    assert.closeTo(rate(2, at(0))(schedule), 0.2, 1e-12)
    assert.closeTo(rate(2, at(8))(schedule), 1.8, 1e-12)
    for (const step of [9, 10, 150]) assert.strictEqual(rate(2, at(step))(schedule), 2)
  })

  it("is never above its peak nor below what it starts and ends with", () => {
    const schedules = fc.oneof(
      fc.record({ warmup: fc.double({ min: 0, max: 30, noNaN: true }) }).map((s) => Constant.make(s)),
      fc
        .record({
          warmup: fc.double({ min: 0, max: 30, noNaN: true }),
          from: fc.double({ min: 0, max: 1, noNaN: true }),
          to: fc.double({ min: 0, max: 1, noNaN: true })
        })
        .map((s) => Cosine.make(s))
    )
    fc.assert(
      fc.property(schedules, fc.nat(300), (schedule, step) => {
        const found = rate(1, at(step))(schedule)
        const least = schedule._tag === "Cosine" ? Math.min(schedule.from, schedule.to) : 0
        assert.isAtMost(found, 1 + 1e-12)
        assert.isAtLeast(found, least - 1e-12)
      })
    )
  })
})

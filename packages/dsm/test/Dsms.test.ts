import { assert, describe, it } from "@effect/vitest"
import { Dsms, DsmSet } from "@uninet/dsm"
import { Op, Program } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { Effect, Result } from "effect"
import * as fc from "fast-check"

describe("the service", () => {
  const names = Effect.map(Dsms, (set) => Object.keys(set))
  it.effect("has all of UniNet's modules by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names, ["L", "LG", "G"])
    }).pipe(Effect.provide(Dsms.standard))
  )
  it.effect("has a subset for an ablation, and a user's own", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names.pipe(Effect.provide(Dsms.only("L", "LG"))), ["L", "LG"])
      assert.deepStrictEqual(yield* names.pipe(Effect.provide(Dsms.with({ Mine: DsmSet.standard.L }))), [
        "L",
        "LG",
        "G",
        "Mine"
      ])
    })
  )
})

describe("every module of UniNet", () => {
  it("divides height and width by its stride, rounded up", () => {
    const configs = fc.record({
      name: fc.constantFrom(...Object.keys(DsmSet.standard)),
      inChannels: fc.constantFrom(3, 8, 20),
      channels: fc.constantFrom(8, 16, 24),
      stride: fc.integer({ min: 1, max: 3 }),
      height: fc.integer({ min: 3, max: 20 }),
      width: fc.integer({ min: 3, max: 20 })
    })
    fc.assert(
      fc.property(configs, ({ channels, height, inChannels, name, stride, width }) => {
        const dsm = DsmSet.get(DsmSet.standard, name) ?? assert.fail(name)
        const y = dsm.layer(Scope.make("training"), { inChannels, channels, stride, headDim: 8 })(
          Op.input("x", [2, inChannels, height, width])
        )
        const { outputs } = Result.getOrThrow(Program.make({ outputs: { y } }))
        assert.deepStrictEqual(
          [...outputs["y"].shape],
          [2, channels, Math.ceil(height / stride), Math.ceil(width / stride)]
        )
      }),
      { numRuns: 200 }
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { type Operator, Operators, OperatorSet } from "@uninet/operators"
import { Effect, Result } from "effect"
import * as fc from "fast-check"

/** What adds nothing, for sets with an operator of one's own. */
const Identity: Operator.Operator = { layer: () => (x) => x }

describe("the service", () => {
  const names = Effect.map(Operators, (set) => Object.keys(set))
  it.effect("has all of UniNet's operators by default", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names, ["Conv", "DWConv", "SA", "LSA", "MLP"])
    }).pipe(Effect.provide(Operators.standard))
  )
  it.effect("has a subset for an ablation", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names, ["Conv", "DWConv"])
    }).pipe(Effect.provide(Operators.only("Conv", "DWConv")))
  )
  it.effect("has a user's own beside UniNet's", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* names, ["Conv", "DWConv", "SA", "LSA", "MLP", "Identity"])
      assert.strictEqual((yield* Operators)["Identity"], Identity)
    }).pipe(Effect.provide(Operators.with({ Identity })))
  )
})

describe("a set", () => {
  it("finds operators by their own names only", () => {
    assert.strictEqual(OperatorSet.get(OperatorSet.standard, "SA"), OperatorSet.standard.SA)
    assert.isUndefined(OperatorSet.get(OperatorSet.standard, "constructor"))
  })
})

describe("every operator of UniNet", () => {
  const configs = fc.record({
    name: fc.constantFrom(...Object.keys(OperatorSet.standard)),
    channels: fc.constantFrom(8, 16, 24, 40),
    expansion: fc.constantFrom(1, 1.5, 2, 4),
    height: fc.integer({ min: 1, max: 20 }),
    width: fc.integer({ min: 1, max: 20 })
  })

  it("keeps the image's shape in both modes, with the same parameters", () => {
    fc.assert(
      fc.property(configs, ({ channels, expansion, height, name, width }) => {
        const config = { inChannels: channels, channels, expansion, headDim: 8, stochasticDepth: 0.1 }
        const parameters = (["training", "evaluation"] as const).map((mode) => {
          const operator = OperatorSet.get(OperatorSet.standard, name) ?? assert.fail(name)
          const y = operator.layer(Scope.make(mode), config)(Op.input("x", [2, channels, height, width]))
          const { outputs, variables } = Result.getOrThrow(Program.make({ outputs: { y } }))
          assert.deepStrictEqual([...outputs["y"].shape], [2, channels, height, width])
          return variables
            .filter((v) => v.attributes.role === "parameter")
            .map((v) => `${v.attributes.name} ${Shape.print(v.shape)} ${v.attributes.decay}`)
            .sort()
        })
        assert.deepStrictEqual(parameters[0], parameters[1])
      }),
      { numRuns: 200 }
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { Operator, Operators, OperatorSet } from "@uninet/operators"
import { Choice } from "@uninet/search-space"
import { Effect, Result } from "effect"
import * as fc from "fast-check"

/** What adds nothing, for sets with a custom operator. */
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
    assert.strictEqual(OperatorSet.get("SA")(OperatorSet.standard), OperatorSet.standard.SA)
    assert.isUndefined(OperatorSet.get("constructor")(OperatorSet.standard))
  })
})

describe("an operator with choices of its own", () => {
  const Padded = Operator.make({
    choices: { pad: Choice.ordered([0, 1, 2]), left: Choice.categorical([true, false]) },
    layer: (_, { settings: { left, pad } }) => {
      const sides: readonly [number, number] = left ? [pad, 0] : [0, pad]
      return (x) => Op.pad(x, [0, 0, 0, sides[0]], [0, 0, 0, sides[1]])
    },
    count: ({ settings }, { height }) => ({ parameters: 0, macs: settings.pad * height }),
    widens: true,
    pytorch: {
      definitions: ["pad = nn.ZeroPad2d"],
      expression: ({ settings }, { width }) => `pad(${settings.pad}, ${settings.left}, ${width})`
    }
  })
  const config: Operator.Config = {
    inChannels: 4,
    channels: 4,
    expansion: 1,
    headDim: 4,
    stochasticDepth: 0,
    settings: { pad: 2, left: false }
  }

  it("is told what they came to, in its layer, its count and its PyTorch text", () => {
    const y = Padded.layer(Scope.make("evaluation"), config)(Op.input("x", [1, 4, 5, 6]))
    assert.deepStrictEqual([...y.shape], [1, 4, 5, 8])
    assert.deepStrictEqual(Padded.count?.(config, { height: 5, width: 6 }), { parameters: 0, macs: 10 })
    assert.strictEqual(Padded.pytorch?.expression(config, { height: 5, width: 6 }), "pad(2, false, 6)")
  })

  it("is an operator like any other, with what else was said of it", () => {
    const { Padded: found } = OperatorSet.with({ Padded })
    assert.isTrue(found?.widens)
    assert.deepStrictEqual(Object.keys(found?.choices ?? {}), ["pad", "left"])
    // what is not said is not there
    const plain = Operator.make({ layer: () => (x) => x })
    assert.deepStrictEqual(Object.keys(plain), ["layer"])
  })
})

describe("every operator of UniNet", () => {
  it("has a PyTorch class of its name, made with its widths", () => {
    const config = { inChannels: 16, channels: 16, expansion: 3, headDim: 8, stochasticDepth: 0, settings: {} }
    for (const [name, { pytorch }] of Object.entries(OperatorSet.standard)) {
      assert.include(pytorch?.definitions.at(-1), `class ${name}(`)
      assert.match(pytorch?.expression(config, { height: 4, width: 5 }) ?? "", new RegExp(`^${name}\\(16, .*hidden=48`))
    }
  })

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
        const config = { inChannels: channels, channels, expansion, headDim: 8, stochasticDepth: 0.1, settings: {} }
        const parameters = (["training", "evaluation"] as const).map((mode) => {
          const operator = OperatorSet.get(name)(OperatorSet.standard) ?? assert.fail(name)
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

import { assert, describe, it } from "@effect/vitest"
import { Dsm, Dsms, DsmSet } from "@uninet/dsm"
import { Op, Program } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { Choice } from "@uninet/search-space"
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

describe("a module with choices of its own", () => {
  const Sliced = Dsm.make({
    choices: { from: Choice.ordered([0, 1]) },
    layer:
      (_, { channels, settings }) =>
      (x) =>
        Op.slice(x, 1, settings.from, settings.from + channels),
    count: ({ settings }) => ({ parameters: settings.from, macs: 0 }),
    pytorch: { definitions: [], expression: ({ settings }) => `Sliced(${settings.from})` }
  })

  it("is told what they came to, in its layer, its count and its PyTorch text", () => {
    const config: Dsm.Config = { inChannels: 4, channels: 2, stride: 1, headDim: 2, settings: { from: 1 } }
    const y = Sliced.layer(Scope.make("evaluation"), config)(Op.input("x", [1, 4, 3, 3]))
    assert.deepStrictEqual([...y.shape], [1, 2, 3, 3])
    assert.deepStrictEqual(Sliced.count?.(config, { height: 3, width: 3 }), { parameters: 1, macs: 0 })
    assert.strictEqual(Sliced.pytorch?.expression(config, { height: 3, width: 3 }), "Sliced(1)")
    assert.deepStrictEqual(Object.keys(Sliced.choices ?? {}), ["from"])
  })
})

describe("every module of UniNet", () => {
  it("has a PyTorch class of its name, made with its widths and stride", () => {
    const config = { inChannels: 8, channels: 16, stride: 2, headDim: 8, settings: {} }
    for (const [name, { pytorch }] of Object.entries(DsmSet.standard)) {
      assert.include(pytorch?.definitions.at(-1), `class ${name}(`)
      assert.match(
        pytorch?.expression(config, { height: 4, width: 5 }) ?? "",
        new RegExp(`^${name}\\(8, 16, .*stride=2`)
      )
    }
  })

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
        const dsm = DsmSet.get(name)(DsmSet.standard) ?? assert.fail(name)
        const y = dsm.layer(Scope.make("training"), { inChannels, channels, stride, headDim: 8, settings: {} })(
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

import { assert, describe, it } from "@effect/vitest"
import { Model, type Weights } from "@uninet/nn"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Coefficients, Compound, Inherit } from "@uninet/scaler"
import { Prng, Space } from "@uninet/search-space"
import { Architecture, Network, NetworkCosts, UniNet, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { uninet } from "./support/architectures.ts"

const modelOf = (architecture: Architecture.Architecture) =>
  Network.model(Result.getOrThrow(Network.make(architecture)))

/** Weights as if trained: nothing is at its first value. */
const trained = (model: Model.Model, seed: string): Weights.Weights => {
  const prng = Prng.fromSeed(seed)
  const { variables } = Result.getOrThrow(Model.evaluation()(model))
  return new Map(
    variables.map(({ attributes: { name }, shape }) => {
      const fanIn = shape.slice(1).reduce((n, axis) => n * axis, 1)
      const draw = name.endsWith("running_var")
        ? () => 0.5 + prng.nextFloat()
        : shape.length > 1
          ? () => (1.5 * prng.nextNormal()) / Math.sqrt(fanIn)
          : () => 0.5 + 0.5 * prng.nextNormal()
      return [name, Float32Array.from({ length: shape.reduce((n, axis) => n * axis, 1) }, draw)]
    })
  )
}

const logits = Effect.fnUntraced(function* (model: Model.Model, weights: Weights.Weights) {
  const program = Result.getOrThrow(Model.evaluation({ batch: 2 })(model))
  const { run, write } = yield* (yield* Runtime).compile({ program })
  yield* write(weights)
  const prng = Prng.fromSeed("image")
  const length = model.inputs["image"].shape.reduce((n, axis) => n * axis, 2)
  const image = Float32Array.from({ length }, () => prng.nextNormal())
  return (yield* run("program", { image }))["logits"]
}, Effect.scoped)

/** The largest difference over the largest reference. */
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let [worst, largest] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i] - b[i]))
    largest = Math.max(largest, Math.abs(b[i]))
  }
  return worst / largest
}

/** How far the larger network's logits are from the smaller one's, and what it is said to compute only nearly. */
const compare = Effect.fnUntraced(function* (small: Architecture.Architecture, large: Architecture.Architecture) {
  const weights = trained(modelOf(small), Architecture.hash(small))
  const inherited = Result.getOrThrow(
    Inherit.weights(uninet, { smaller: small, trained: weights, larger: large }, { seed: "i" })
  )
  const [before, after] = [yield* logits(modelOf(small), weights), yield* logits(modelOf(large), inherited.weights)]
  return { off: difference(after, before), approximate: inherited.approximate }
})

const space = (operators: ReadonlyArray<string>, dsms: ReadonlyArray<string>, image: number) =>
  Result.getOrThrow(UniNetSpace.make({ image, channels: 1, classes: 5, operators, dsms }))

const changed = (
  architecture: Architecture.Architecture,
  change: (stage: Architecture.Stage, index: number) => Partial<Architecture.Stage>,
  more: Partial<Architecture.Architecture> = {}
): Architecture.Architecture => ({
  ...architecture,
  stages: architecture.stages.map((stage, i) => ({ ...stage, ...change(stage, i) })),
  ...more
})

/** For every operator and module: a random network of them alone, of a map that is no multiple of LSA's window. */
const kinds = [
  ["Conv", "L"],
  ["DWConv", "L"],
  ["SA", "LG"],
  ["LSA", "LG"],
  ["MLP", "G"]
] as const

const sampled = (operator: string, dsm: string) => Space.sample(Prng.fromSeed(operator))(space([operator], [dsm], 18))

describe("a network that inherits", () => {
  it.live.each(kinds)("computes what the smaller one did, deeper and twice as wide (%s, %s)", ([operator, dsm]) =>
    Effect.gen(function* () {
      const small = sampled(operator, dsm)
      const large = changed(
        small,
        ({ channels, repeats }, i) => ({ channels: 2 * channels, repeats: repeats + (i % 3) }),
        { stem: { channels: 2 * small.stem.channels, stride: small.stem.stride }, head: { channels: 200 } }
      )
      const { approximate, off } = yield* compare(small, large)
      assert.deepStrictEqual(approximate, [])
      assert.isBelow(off, 1e-4)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it.live.each([
    ["Conv", "L"],
    ["DWConv", "L"]
  ] as const)("computes what the smaller one did at any width, of convolutions (%s, %s)", ([operator, dsm]) =>
    Effect.gen(function* () {
      const small = sampled(operator, dsm)
      const large = changed(small, ({ channels }, i) => ({ channels: channels + 8 * (i % 4) }), {
        head: { channels: 136 }
      })
      const { approximate, off } = yield* compare(small, large)
      assert.deepStrictEqual(approximate, [])
      assert.isBelow(off, 1e-4)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it("is itself where nothing grew", () => {
    const network = sampled("DWConv", "L")
    const weights = trained(modelOf(network), "same")
    const inherited = Result.getOrThrow(
      Inherit.weights(uninet, { smaller: network, trained: weights, larger: network })
    )
    assert.deepStrictEqual([...inherited.weights.keys()].sort(), [...weights.keys()].sort())
    for (const [name, data] of weights) assert.strictEqual(String(inherited.weights.get(name)), String(data), name)
  })

  it.live("says where it computes something else, and is near it", () =>
    Effect.gen(function* () {
      const small = sampled("SA", "LG")
      const wider = changed(small, ({ channels }, i) => ({ channels: channels + (i === 0 ? 0 : 8) }))
      const { approximate, off } = yield* compare(small, wider)
      assert.isTrue(
        approximate.every(({ why }) => /layer norm is over \d+ channels, which is not a multiple/.test(why))
      )
      // Every block but stage 0's has a layer norm; a width that happens to double is not among them.
      assert.isAbove(approximate.length, 2)
      assert.isAbove(off, 1e-3)
      const image = yield* compare(small, UniNet.withImage({ height: 26 })(small))
      assert.deepInclude(image.approximate[0], { at: "image" })
      const mixer = sampled("MLP", "L")
      const larger = yield* compare(mixer, UniNet.withImage({ height: 36, width: 36 })(mixer))
      assert.match(larger.approximate.map(({ why }) => why).join("\n"), /token weights/)
      assert.isTrue(Number.isFinite(larger.off))
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it("has copies that training can tell apart", () => {
    const small = sampled("DWConv", "L")
    const large = changed(small, () => ({}), { head: { channels: 2 * small.head.channels } })
    const before = trained(modelOf(small), "copies")
    const { weights } = Result.getOrThrow(Inherit.weights(uninet, { smaller: small, trained: before, larger: large }))
    const [old, grown] = [before.get("classifier.weight"), weights.get("classifier.weight")]
    if (old === undefined || grown === undefined) return assert.fail("no classifier")
    const width = small.head.channels
    for (let c = 0; c < small.classes; c++)
      for (let i = 0; i < width; i++) {
        const [x, y] = [grown[c * 2 * width + i], grown[c * 2 * width + width + i]]
        assert.closeTo(x + y, old[c * width + i], 1e-6)
        assert.notStrictEqual(x, y)
      }
  })

  it("takes every member of a family from the one before", () => {
    const members = Result.getOrThrow(
      Compound.family(uninet, sampled("DWConv", "L"), [0, 1, 2], { coefficients: Coefficients.efficientNet })
    )
    let weights = trained(modelOf(members[0].point), "family")
    for (let i = 1; i < members.length; i++) {
      const [smaller, larger] = [members[i - 1].point, members[i].point]
      weights = Result.getOrThrow(Inherit.weights(uninet, { smaller, trained: weights, larger })).weights
    }
    const size = [...weights.values()].reduce((sum, { length }) => sum + length, 0)
    const { buffers, parameters } = Result.getOrThrow(Result.flatMap(Network.make(members[2].point), NetworkCosts.of))
    const counts = [...weights.keys()].filter((name) => name.endsWith("running_var")).length
    assert.strictEqual(members[2].costs.parameters, parameters)
    assert.strictEqual(size, parameters + buffers - counts)
  })

  it("is refused where it is no larger, and of weights of another network", () => {
    const small = sampled("SA", "LG")
    const weights = trained(modelOf(small), "refused")
    const said = (larger: Architecture.Architecture, own = weights) => {
      const result = Inherit.weights(uninet, { smaller: small, trained: own, larger })
      return Result.isFailure(result) ? result.failure.message : "accepted"
    }
    const wide = changed(small, ({ channels }) => ({ channels: 2 * channels }))
    assert.strictEqual(
      said(changed(wide, (_, i) => (i === 2 ? { channels: small.stages[2].channels - 8 } : {}))),
      `weights cannot be inherited: stage 2 has channels ${small.stages[2].channels} in the smaller network and ${small.stages[2].channels - 8} in the larger one; scale the larger one from the smaller one`
    )
    assert.match(said(changed(wide, (_, i) => (i === 1 ? { expansion: 9 } : {}))), /stage 1 has expansion/)
    assert.match(said({ ...wide, classes: 6 }), /classifier has classes 5/)
    assert.match(said(UniNet.withImage({ height: 16 })(wide)), /image has a height of 18/)
    assert.match(said(wide, new Map([...weights].slice(1))), /missing: stem\.0\.weight/)
  })
})

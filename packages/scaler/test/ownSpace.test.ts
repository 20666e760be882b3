import { assert, describe, it } from "@effect/vitest"
import { ModelSpace } from "@uninet/model-space"
import { Model, type Weights } from "@uninet/nn"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Coefficients, CoefficientSearch, Compound, Inherit, Scaler } from "@uninet/scaler"
import { Evaluator, Journal } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Chain, chains, declaration, scaling } from "./support/chains.ts"

const baseline: Chain = { width: 64, depth: 3 }

const byDepth = { coefficients: { depth: 2, width: 1, resolution: 1 } }
const byWidth = { coefficients: { depth: 1, width: Math.SQRT2, resolution: 1 } }

const family = (options: Compound.Options) => Result.getOrThrow(Compound.family(chains, baseline, [1, 2, 3], options))

/** The sentence of a failure. */
const said = (result: Result.Result<unknown, { readonly message: string }>): string =>
  Result.isFailure(result) ? result.failure.message : "accepted"

const modelOf = (chain: Chain) => Result.getOrThrow(chains.model(chain))

/** Weights as if trained: nothing is at its first value. */
const trained = (chain: Chain): Weights.Weights => {
  const prng = Prng.fromSeed("trained")
  const { variables } = Result.getOrThrow(Model.evaluation()(modelOf(chain)))
  return new Map(
    variables.map(({ attributes: { name }, shape }) => {
      const length = shape.reduce((n, axis) => n * axis, 1)
      const deviation = shape.length > 1 ? 1.5 / Math.sqrt(shape[1]) : 0.5
      return [name, Float32Array.from({ length }, () => 0.3 + deviation * prng.nextNormal())]
    })
  )
}

const outputs = Effect.fnUntraced(function* (chain: Chain, weights: Weights.Weights) {
  const program = Result.getOrThrow(Model.evaluation({ batch: 4 })(modelOf(chain)))
  const { run, write } = yield* (yield* Runtime).compile({ program })
  yield* write(weights)
  const prng = Prng.fromSeed("rows")
  return (yield* run("program", { x: Float32Array.from({ length: 32 }, () => prng.nextNormal()) }))["y"]
}, Effect.scoped)

/** How far the larger network's outputs are from the smaller one's, over the largest of these. */
const compare = Effect.fnUntraced(function* (smaller: Chain, larger: Chain) {
  const weights = trained(smaller)
  const inherited = Result.getOrThrow(Inherit.weights(chains, { smaller, trained: weights, larger }))
  const before = Array.from(yield* outputs(smaller, weights))
  const after = yield* outputs(larger, inherited.weights)
  const off = Math.max(...before.map((y, i) => Math.abs(after[i] - y))) / Math.max(...before.map(Math.abs))
  return { off, approximate: inherited.approximate }
})

describe("a custom space that says how its networks grow", () => {
  it("has families of 2^φ times the baseline's multiply-accumulates, by its own counted cost", () => {
    const own = chains.costs.macs(baseline)
    for (const options of [byDepth, byWidth, { coefficients: Coefficients.efficientNet }]) {
      let before: { readonly macs: number; readonly point: Chain } = { macs: own, point: baseline }
      for (const { costs, effective, factors, macs, phi, point } of family(options)) {
        assert.strictEqual(macs, chains.costs.macs(point))
        assert.deepStrictEqual(costs, Result.getOrThrow(ModelSpace.costsOf(point)(chains)))
        assert.isAtMost(Math.abs(macs / (own * 2 ** phi) - 1), 0.03)
        assert.isTrue(point.width >= before.point.width && point.depth >= before.point.depth && macs > before.macs)
        assert.deepStrictEqual(factors, { depth: point.depth / 3, width: point.width / 64, resolution: 1 })
        assert.closeTo(factors.depth / options.coefficients.depth ** (effective ?? 0), 1, 0.15)
        before = { macs, point }
      }
    }
  })

  it("reaches any target above the baseline, in steps that it is told", () => {
    const { macs, point } = Result.getOrThrow(Compound.toMacs(chains, baseline, 1e6, { ...byWidth, divisor: 16 }))
    assert.isAtMost(Math.abs(macs / 1e6 - 1), 0.03)
    assert.strictEqual(point.width % 16, 0)
    assert.match(
      said(Compound.toMacs(chains, baseline, 1000, byWidth)),
      /^the target of 1,000 MACs is below the baseline's 12,864; /
    )
  })

  it("has no limit but of what grows", () => {
    assert.strictEqual(
      said(Compound.member(chains, baseline, 8, { ...byWidth, limits: { width: 256, resolution: 1 } })),
      "φ = 4 (205,824 MACs) is out of reach: blocks stops at its limit of 256 channels, where the network has 198,912 MACs; give a smaller φ or target, or raise limits.width"
    )
  })

  it.live("inherits exactly, deeper and at multiples of its width", () =>
    Effect.gen(function* () {
      let smaller = baseline
      const members = family({ ...byDepth, divisor: 64, tolerance: 0.05 }).map(({ point }) => point)
      assert.isAbove(members[2].depth, 20)
      for (const larger of [...members, { width: 128, depth: 30 }, { width: 384, depth: 30 }]) {
        const { approximate, off } = yield* compare(smaller, larger)
        assert.deepStrictEqual(approximate, [])
        assert.isBelow(off, 1e-5)
        smaller = larger
      }
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it.live("says where it inherits nearly", () =>
    Effect.gen(function* () {
      const { approximate, off } = yield* compare(baseline, { width: 80, depth: 4 })
      assert.deepStrictEqual(approximate, [{ at: "blocks", why: "layer norms are over 80 numbers, no multiple of 64" }])
      assert.isAbove(off, 1e-4)
      assert.strictEqual(
        said(
          Inherit.weights(chains, { smaller: baseline, trained: trained(baseline), larger: { width: 32, depth: 3 } })
        ),
        "weights cannot be inherited: blocks has width 64 in the smaller network and 32 in the larger one; scale the larger one from the smaller one"
      )
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )

  it.live("has coefficients searched by a measure that is better the lower", () =>
    Effect.gen(function* () {
      const { candidates, coefficients, member, search } = yield* CoefficientSearch.run(chains, {
        baseline,
        seed: "chains"
      })
      const errors = candidates.map(({ measure }) => measure ?? Infinity)
      assert.isAbove(candidates.length, 2)
      for (const { measure, member } of candidates) assert.strictEqual(measure, 1 / member.point.depth)
      assert.strictEqual(1 / member.point.depth, Math.min(...errors))
      assert.deepStrictEqual(search.best.point, member.point)
      const scaler = yield* Effect.provide(Scaler, Scaler.given(coefficients))
      assert.deepStrictEqual((yield* scaler.family(chains, baseline, [1]))[0].point, member.point)
    }).pipe(
      Effect.provide([
        Evaluator.fromFunction(chains, ({ depth }) => Effect.succeed({ error: 1 / depth })),
        Journal.memory
      ])
    )
  )
})

describe("a network that cannot be scaled", () => {
  const still = ModelSpace.make(declaration)

  it.effect("is refused in one sentence where its space does not say how networks grow", () =>
    Effect.gen(function* () {
      const sentence =
        "networks of chains cannot be scaled: their space does not declare how they grow; give its ModelSpace a scaling"
      const weights = trained(baseline)
      assert.strictEqual(said(Compound.family(still, baseline, [1], byWidth)), sentence)
      assert.strictEqual(said(Compound.toMacs(still, baseline, 1e6, byWidth)), sentence)
      assert.strictEqual(
        said(Inherit.weights(still, { smaller: baseline, trained: weights, larger: baseline })),
        sentence
      )
      const scaler = yield* Effect.provide(Scaler, Scaler.given(Coefficients.efficientNet))
      assert.strictEqual((yield* Effect.flip(scaler.family(still, baseline, [1]))).message, sentence)
      const search = CoefficientSearch.run(still, { baseline, seed: 1 }).pipe(
        Effect.provide([Evaluator.fromFunction(still, () => Effect.succeed({ error: 1 })), Journal.memory])
      )
      assert.strictEqual((yield* Effect.flip(search)).message, sentence)
    })
  )

  it("is refused where no family of it was published", () => {
    for (const of of [chains, still])
      assert.strictEqual(
        said(Compound.published(of, baseline, [1])),
        "there is no published family of 3 of 64; give coefficients"
      )
  })

  it("is refused where its scaling and its cost count differently", () => {
    const odd = ModelSpace.make({ ...declaration, scaling, costs: { macs: ({ depth }) => depth } })
    assert.strictEqual(
      said(Compound.member(odd, baseline, 1, byWidth)),
      "the network 3 of 64 of chains cannot be scaled: its scaling counts 12,864 MACs, but its cost macs is 3; make both count the same"
    )
  })

  it("is refused where its space has no cost macs", () => {
    const { activationBytes } = chains.costs
    const bare: ModelSpace.ModelSpace<Chain, "activationBytes", "error"> = {
      ...chains,
      costs: { activationBytes },
      chain: null
    }
    assert.strictEqual(
      said(Compound.member(bare, baseline, 1, byWidth)),
      "the network 3 of 64 of chains cannot be scaled: the space has no cost named macs; add one"
    )
  })

  it("is refused where its points' schema has no larger sizes", () => {
    const narrow = Result.getOrThrow(
      Space.make(Choice.struct({ width: Choice.ordered<number>([16, 64]), depth: Choice.integer({ min: 1, max: 4 }) }))
    )
    assert.match(
      said(Compound.member(ModelSpace.make({ ...declaration, space: narrow, scaling }), baseline, 1, byWidth)),
      /^the network 3 of \d+ of chains cannot be scaled: the schema of its points does not allow these sizes .*; give its choices a Choice.map whose schema allows all sizes$/s
    )
  })

  it("is refused by the coefficients that count, where these are all 1", () => {
    const { coefficients } = { coefficients: { depth: 1, width: 1, resolution: Math.SQRT2 } }
    assert.strictEqual(
      said(Compound.member(chains, baseline, 1, { coefficients })),
      "every coefficient that counts (depth, width) is 1; give a number above 1 for one of them"
    )
  })
})

/** Every proxy against a network that can be worked out by hand, in the reference interpreter's float64. */
import { assert, describe, it } from "@effect/vitest"
import { Op } from "@uninet/graph"
import { Task } from "@uninet/model-space"
import { Loss, Model } from "@uninet/nn"
import { Proxies, type Proxy } from "@uninet/predictor"
import * as Effect from "effect/Effect"
import { interpreter } from "../../uninet/test/support/interpreter.ts"

/** The mean squared error of what the network gives. */
const squares = (length: number) =>
  Task.make({
    name: "squares",
    outputs: { y: [length] },
    targets: { shape: [length], dtype: "float32" },
    loss: ({ y }, targets) => (y === undefined ? Op.fill(0) : Loss.meanSquaredError(y, targets)),
    measures: { error: "lower" },
    decides: "error",
    tally: () => ({ add: () => {}, measures: () => ({ error: 0 }) })
  })

const weight = (name: string, value: number, out: number, features: number) =>
  Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value }, decay: true }, [out, features])

/** y = 3 · relu(2 · x). */
const twoWeights = {
  task: squares(1),
  model: Model.make({
    inputs: { x: Model.input([1]) },
    forward: (_, { x }) => ({
      y: Op.linear(Op.relu(Op.linear(x, weight("first", 2, 1, 1))), weight("second", 3, 1, 1))
    })
  })
}

/** y = 3 · relu(2 · x + `bias`). */
const withBias = (bias: number) => ({
  task: squares(1),
  model: Model.make({
    inputs: { x: Model.input([1]) },
    forward: (_, { x }) => ({
      y: Op.linear(
        Op.relu(
          Op.linear(
            x,
            weight("first", 2, 1, 1),
            Op.variable(
              { name: "bias", role: "parameter", initialiser: { kind: "constant", value: bias }, decay: false },
              [1]
            )
          )
        ),
        weight("second", 3, 1, 1)
      )
    })
  })
})

/** The mean loss is w₁² w₂² c with c the mean of the squares of what is positive: 14 / 4, and 5 / 2 and 9 / 2 of the halves. */
const examples = { inputs: { x: Float32Array.of(1, 2, -1, 3) }, targets: new Float32Array(4) }

/** y = Σ f(xᵢ) of three numbers. */
const units = (f: typeof Op.relu) => ({
  task: squares(1),
  model: Model.make({
    inputs: { x: Model.input([3]) },
    forward: (_, { x }) => ({ y: Op.linear(f(x), weight("sum", 1, 1, 3)) })
  })
})

/** A block relu(x) · `a` + relu(x) · `b` on pixels. */
const block = (channels: number, a: number, b: number) => ({
  task: squares(channels),
  model: Model.make({
    inputs: { image: Model.input([channels, 1, 1]) },
    forward: (_, { image }) => {
      const x = Op.relu(image)
      return { y: Op.reshape(Op.add(Op.scale(x, a), Op.scale(x, b)), [x.shape[0] ?? 1, channels]) }
    }
  })
})

const scored = (
  network: Parameters<ReturnType<typeof Proxies.score>>[0],
  proxy: Proxy.Proxy,
  given: Proxies.Examples | undefined = examples
) =>
  Effect.map(
    Effect.provide(
      Proxies.score([proxy], { seed: 1, batch: 4, ...(given === undefined ? {} : { examples: given }) })(network),
      interpreter
    ),
    ([only]) => only
  )

const near = (
  network: Parameters<ReturnType<typeof Proxies.score>>[0],
  proxy: Proxy.Proxy,
  expected: number,
  given?: Proxies.Examples
) =>
  Effect.map(scored(network, proxy, given ?? examples), (found) =>
    assert.approximately(found?.score ?? Number.NaN, expected, 1e-6 * Math.max(1, Math.abs(expected)))
  )

const { all } = Proxies

/** What an eigenvalue takes from jacov. */
const term = (value: number) => Math.log(value + 1e-5) + 1 / (value + 1e-5)

const refused = (batch: number) =>
  Effect.flip(Effect.provide(Proxies.score([all.snip], { seed: 0, batch, examples })(twoWeights), interpreter))

const sniped = (proxies: ReadonlyArray<Proxy.Proxy>, seed: number) =>
  Effect.map(Effect.provide(Proxies.score(proxies, { seed, batch: 8 })(twoWeights), interpreter), (found) =>
    found.find(({ proxy }) => proxy === "snip")
  )

describe("a proxy of a network that is worked out by hand", () => {
  it.effect("counts parameters and multiply-accumulates", () =>
    Effect.all([
      near(twoWeights, all.parameters, 2),
      near(twoWeights, all.macs, 2),
      near(twoWeights, all.complexity, 2)
    ])
  )
  // ∂L/∂w₁ = 2 · 2 · 9 · 3.5 and ∂L/∂w₂ = 2 · 4 · 3 · 3.5.
  it.effect("adds the norms of gradients", () => near(twoWeights, all["grad-norm"], 126 + 84))
  it.effect("adds |θ · g| for SNIP", () => near(twoWeights, all.snip, 2 * 126 + 3 * 84))
  it.effect("takes −θ · Hg for GraSP, by differences", () =>
    // H = c · [[2 w₂², 4 w₁ w₂], [4 w₁ w₂, 2 w₁²]].
    Effect.map(scored(twoWeights, all.grasp), (found) =>
      assert.approximately(found?.score ?? 0, -(2 * (63 * 126 + 84 * 84) + 3 * (84 * 126 + 28 * 84)), 70)
    )
  )
  it.effect("takes the logarithm of the synaptic flow, also where the flow leaves float32", () => {
    const deep = {
      task: squares(4),
      model: Model.make({
        inputs: { x: Model.input([4]) },
        forward: (_, { x }) => ({
          y: Array.from({ length: 60 }, (_, i) => weight(`w${i}`, -1000, 4, 4)).reduce(
            (y, w) => Op.relu(Op.linear(y, w)),
            Op.relu(x)
          )
        })
      })
    }
    // A chain of n matrices has R = 4 · 4000ⁿ, and every weight's share is R.
    return Effect.all([
      near(twoWeights, all.synflow, Math.log(12)),
      // R = 3 · (2 + 5), all of which goes through the second weight, and 6 of which through the first.
      near(withBias(-5), all.synflow, Math.log(21 + 6)),
      near(withBias(0), all.synflow, Math.log(12)),
      near(deep, all.synflow, Math.log(4 * 60) + 60 * Math.log(4000), {
        inputs: { x: new Float32Array(16) },
        targets: new Float32Array(16)
      })
    ])
  })
  it.effect("takes the eigenvalues of the Jacobian's correlations", () => {
    // Rows 100, 010, 001 and 110: three directions at 120°, and the opposite of the third; λ = 2.5, 1.5, 0, 0.
    const x = Float32Array.of(1, -1, -1, -1, 1, -1, -1, -1, 1, 1, 1, -1)
    return near(units(Op.relu), all.jacov, -(term(2.5) + term(1.5) + 2 * term(0)), {
      inputs: { x },
      targets: new Float32Array(4)
    })
  })
  it.effect("takes the determinant of agreements between codes, of ReLU and of GELU", () => {
    // Codes 100, 010, 001 and 000 agree in 3, 1 and 2 bits: the determinant is 12.
    const given = {
      inputs: { x: Float32Array.of(1, -1, -1, -1, 1, -1, -1, -1, 1, -1, -1, -1) },
      targets: new Float32Array(4)
    }
    return Effect.all([
      near(units(Op.relu), all.naswot, Math.log(12), given),
      near(units(Op.gelu), all.naswot, Math.log(12), given)
    ])
  })
  // Gradients 36 c and 24 c on halves with c = 2.5 and 4.5: mean over deviation is 3.5 for both.
  it.effect("takes means over deviations of two batches' gradients for ZiCo", () =>
    near(twoWeights, all.zico, 2 * Math.log(3.5))
  )
  it.effect("takes the entropy of features, and its least gain from block to block", () => {
    const given = { inputs: { image: Float32Array.of(1, 1, 1, 0, 0, 1, 0, 0) }, targets: new Float32Array(8) }
    return Effect.all([
      near(block(2, 1, 0.5), all.expressivity, 2 * Math.log(2), given),
      near(block(2, 1, 0.5), all.progressivity, 0, given)
    ])
  })
  it.effect("takes how much a block's gradients grow", () =>
    near(block(1, 1, 0.5), all.trainability, 2 - 1.5 - 1 / 1.5, {
      inputs: { image: Float32Array.of(1, 2, 3, 4) },
      targets: new Float32Array(4)
    })
  )
})

describe("the Fisher-eigenvalue entropy", () => {
  it.effect("is that of the deciles of the Fisher information's eigenvalues", () => {
    // Both classes have 3 · relu(2 · x) + x, so they are as likely as one another. Moving the first weight moves both alike: it says nothing. The other two move the first class by relu(2 · x) and x.
    const given = { inputs: { x: Float32Array.of(1, 2, -1, 3) }, targets: new Float32Array(8) }
    const network = {
      task: squares(2),
      model: Model.make({
        inputs: { x: Model.input([1]) },
        forward: (_, { x }) => ({
          y: Op.add(
            Op.linear(Op.relu(Op.linear(x, weight("first", 2, 1, 1))), weight("second", 3, 2, 1)),
            Op.linear(x, weight("third", 1, 2, 1))
          )
        })
      })
    }
    const [a, b, c] = [14, 7, 3.75].map((mean) => mean / 4) as [number, number, number]
    const apart = Math.sqrt((a - c) ** 2 + 4 * b * b)
    const [low, high] = [(a + c - apart) / 2, (a + c + apart) / 2]
    // Of 0, low and high: deciles 0.2 · low … low up to the middle one, then on to high.
    const deciles = [0.2, 0.4, 0.6, 0.8, 1]
      .map((share) => share * low)
      .concat([0.2, 0.4, 0.6, 0.8].map((share) => low + share * (high - low)))
    const sum = deciles.reduce((x, y) => x + y, 0)
    const entropy = deciles.reduce((total, x) => total - (x / sum) * Math.log(x / sum), 0)
    return near(network, all.vkdnw, entropy, given)
  })
  it.effect("says nothing where there are no classes", () =>
    Effect.map(scored(twoWeights, all.vkdnw), (found) =>
      assert.include(found?.problem?.message ?? "", "it has no class probabilities")
    )
  )
})

describe("a proxy that has nothing to say", () => {
  const ofImage = { inputs: { image: Float32Array.of(1, 2, 3, 4) }, targets: new Float32Array(4) }
  const codes = { inputs: { x: new Float32Array(12).fill(-1) }, targets: new Float32Array(4) }
  it.effect("says so where the Jacobian vanishes or codes are alike", () =>
    Effect.gen(function* () {
      for (const proxy of [all.jacov, all.naswot]) {
        const found = yield* scored(units(Op.relu), proxy, codes)
        assert.strictEqual(found?.score, null)
        assert.strictEqual(found?.problem?._tag, "ScoreUndefined")
      }
    })
  )
  it.effect("says so where a block passes on gradients unchanged", () =>
    Effect.map(scored(block(1, 1, 0), all.trainability, ofImage), (found) => {
      assert.strictEqual(found?.problem?._tag, "ScoreUndefined")
      assert.include(found?.problem?.message ?? "", "-Infinity")
    })
  )
  it.effect("says so where a network has nothing for it", () =>
    Effect.gen(function* () {
      const tanh = yield* scored(units(Op.tanh), all.naswot, codes)
      assert.include(tanh?.problem?.message ?? "", "it has no ReLU, GELU or SiLU")
      const flat = yield* scored(twoWeights, all.expressivity)
      assert.strictEqual(flat?.problem?._tag, "NotApplicable")
    })
  )
  it.effect("fails where the batch has no halves, or too few values are given", () =>
    Effect.gen(function* () {
      assert.include((yield* refused(5)).message, "give an even batch size of 4 or more")
      assert.include((yield* refused(6)).message, "give a whole batch")
    })
  )
})

describe("scores", () => {
  it.effect("are the same for a seed, whatever other proxies are asked for, and others for another", () =>
    Effect.gen(function* () {
      const alone = yield* sniped([all.snip], 3)
      assert.deepStrictEqual(yield* sniped([all.synflow, all.snip, all.zico], 3), alone)
      assert.notStrictEqual((yield* sniped([all.snip], 4))?.score, alone?.score)
    })
  )
})

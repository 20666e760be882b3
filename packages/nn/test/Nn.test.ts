import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape, type Tensor } from "@uninet/graph"
import { type Layer, Loss, Nn, Regularisation, RunningStatistics, Scope } from "@uninet/nn"
import { Result } from "effect"
import * as fc from "fast-check"
import { evaluate } from "../../graph/test/support/interpreter.ts"

const training = Scope.make("training")
const evaluation = Scope.make("evaluation")

const numbers = (shape: Shape.Shape, seed = 1): ReadonlyArray<number> =>
  Array.from({ length: Shape.size(shape) }, (_, i) => Math.sin(seed * (i + 1)))

const program = (outputs: Readonly<Record<string, Tensor.Tensor>>, updates: ReadonlyArray<Program.Update> = []) =>
  Result.getOrThrow(Program.make({ outputs, updates }))

/** A layer's result on made-up numbers, and the variables it has. */
const run = (layer: Layer.Layer, shape: Shape.Shape, inputs: Readonly<Record<string, ReadonlyArray<number>>> = {}) => {
  const built = program({ y: layer(Op.input("x", shape)) })
  const variables = Object.fromEntries(
    built.variables.map(({ attributes, shape }, k) => [
      attributes.name,
      numbers(shape, k + 2).map((n) => (attributes.role === "buffer" ? 1 + n * n : n))
    ])
  )
  return { built, y: evaluate(built, { inputs: { x: numbers(shape), ...inputs }, variables }).outputs["y"] }
}

/** The largest difference of two results; infinite where their lengths differ. */
const distance = (found: ArrayLike<number>, wanted: ArrayLike<number>) =>
  found.length === wanted.length ? Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i]))) : Infinity

describe("a scope", () => {
  it("names what is inside it", () => {
    assert.strictEqual(Scope.at(Scope.at(training, "blocks.3"), "b2.0").path, "blocks.3.b2.0")
    assert.strictEqual(Scope.at(training, "stem").mode, "training")
  })
  it("names a layer's parameters", () => {
    const { built } = run(Nn.selfAttention(Scope.at(evaluation, "attn"), { headDim: 4 }), [1, 3, 8])
    assert.deepStrictEqual(
      built.variables.map((v) => `${v.attributes.name} ${Shape.print(v.shape)}`),
      ["attn.qkv.weight [24×8]", "attn.qkv.bias [24]", "attn.proj.weight [8×8]", "attn.proj.bias [8]"]
    )
  })
})

describe("window attention", () => {
  it("is self-attention where one window holds the whole image", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 4, max: 9 }),
        (height, width, window) => {
          const shape = [2, height * width, 4]
          const inside = run(Nn.windowAttention(evaluation, { headDim: 2, window, height, width }), shape)
          assert.isBelow(distance(inside.y, run(Nn.selfAttention(evaluation, { headDim: 2 }), shape).y), 1e-9)
        }
      ),
      { numRuns: 30 }
    )
  })

  it("sees nothing of other windows, and nothing of padding", () => {
    // Two windows of 2×3 in a row, the second one half padding: each is self-attention of its own tokens.
    const [height, width, channels] = [2, 4, 4]
    const whole = run(Nn.windowAttention(evaluation, { headDim: 2, window: 3, height, width }), [
      1,
      height * width,
      channels
    ])
    const tokens = numbers([1, height * width, channels])
    const pick = (columns: ReadonlyArray<number>) => (from: ArrayLike<number>) =>
      [0, 1].flatMap((row) =>
        columns.flatMap((column) =>
          Array.from({ length: channels }, (_, c) => from[(row * width + column) * channels + c])
        )
      )
    for (const columns of [[0, 1, 2], [3]]) {
      const alone = run(Nn.selfAttention(evaluation, { headDim: 2 }), [1, height * columns.length, channels], {
        x: pick(columns)(tokens)
      })
      assert.isBelow(distance(pick(columns)(whole.y), alone.y), 1e-9)
    }
  })
})

describe("attention", () => {
  it("refuses channels that its heads do not divide, naming the layer and both numbers", () => {
    const y = Nn.selfAttention(Scope.at(training, "blocks.9.attn"), { headDim: 32 })(Op.input("x", [1, 4, 48]))
    const made = Program.make({ outputs: { y } })
    assert.isTrue(Result.isFailure(made))
    if (Result.isFailure(made)) {
      assert.strictEqual(made.failure._tag, "ShapeError")
      assert.match(made.failure.message, /^blocks\.9\.attn .*48 channels do not divide into heads of 32/)
    }
  })
})

describe("layers on inputs of the wrong rank", () => {
  it("hand a typed mistake on instead of throwing", () => {
    const layers: Readonly<Record<string, Layer.Layer>> = {
      convolution: Nn.convolution(training, { out: 4, kernel: 3 }),
      depthwise: Nn.depthwise(training),
      squeezeExcitation: Nn.squeezeExcitation(training),
      windowAttention: Nn.windowAttention(training, { headDim: 2, window: 7, height: 9, width: 9 }),
      crossAttention: Nn.crossAttention(training, { headDim: 2, query: Op.input("q", [3]) })
    }
    for (const [name, layer] of Object.entries(layers))
      for (const shape of [[], [3], [2, 3]])
        assert.isTrue(Result.isFailure(Program.make({ outputs: { y: layer(Op.input("x", shape)) } })), name)
  })
})

describe("makeDivisible", () => {
  it("gives a multiple that is at least the divisor and at most a tenth below the value", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4096 }), fc.constantFrom(8, 16, 32), (value, divisor) => {
        const rounded = Nn.makeDivisible(value, divisor)
        assert.strictEqual(rounded % divisor, 0)
        assert.isAtLeast(rounded, Math.max(divisor, 0.9 * value))
        assert.isAtMost(rounded, Math.max(divisor, value + divisor))
      })
    )
  })
})

describe("stochastic depth", () => {
  const scope = Scope.at(training, "blocks.2")
  const shape = [4, 2, 1, 1]

  it("drops whole examples by their noise and scales the others", () => {
    const { built, y } = run(Nn.stochasticDepth(scope, 0.25), shape, { "noise/blocks.2": [0.1, 0.25, 0.9, 0.2] })
    assert.deepStrictEqual(
      built.inputs.filter(Regularisation.isNoise).map((i) => i.attributes.name),
      ["noise/blocks.2"]
    )
    const x = numbers(shape)
    const kept = x.map((n, i) => ([1, 2].includes(i >> 1) ? n / 0.75 : 0))
    assert.isBelow(distance(y, kept), 1e-9)
  })

  it("leaves the graph alone where the rate is 0, and in evaluation", () => {
    const x = Op.input("x", shape)
    assert.strictEqual(Nn.stochasticDepth(scope, 0)(x), x)
    assert.strictEqual(Nn.stochasticDepth(Scope.at(evaluation, "blocks.2"), 0.5)(x), x)
    assert.strictEqual(Nn.dropout(scope, 0)(x), x)
  })
})

describe("cross entropy", () => {
  const shape = [3, 4]
  const logits = Op.input("logits", shape)
  const labels = Op.input("labels", [3], "int32")
  const given = { inputs: { logits: numbers(shape, 3), labels: [2, 0, 3] } }
  const logSoftmax = (row: number) => {
    const scores = given.inputs.logits.slice(4 * row, 4 * row + 4)
    const total = Math.log(scores.reduce((sum, s) => sum + Math.exp(s), 0))
    return scores.map((s) => s - total)
  }

  it("is the mean of minus the label's log-probability", () => {
    const { loss } = evaluate(program({ loss: Loss.crossEntropy(logits, labels) }), given).outputs
    const expected = given.inputs.labels.reduce((sum, label, row) => sum - logSoftmax(row)[label] / 3, 0)
    assert.closeTo(loss[0], expected, 1e-12)
  })

  it("spreads the smoothing over all classes", () => {
    const smoothed = Loss.crossEntropy(logits, labels, { labelSmoothing: 0.1 })
    const { loss } = evaluate(program({ loss: smoothed }), given).outputs
    const expected = given.inputs.labels.reduce((sum, label, row) => {
      const p = logSoftmax(row)
      return sum - (0.9 * p[label] + (0.1 / 4) * p.reduce((a, b) => a + b)) / 3
    }, 0)
    assert.closeTo(loss[0], expected, 1e-12)
  })
})

describe("running statistics", () => {
  it("move a tenth of the way to the batch's, the variance unbiased", () => {
    const shape = [3, 2, 2, 1]
    const x = Op.input("x", shape)
    const y = Nn.batchNorm(Scope.at(training, "norm"))(x)
    const built = program({ y }, RunningStatistics.updates([y]))
    const data = numbers(shape)
    const variables = {
      "norm.weight": [1, 1],
      "norm.bias": [0, 0],
      "norm.running_mean": [5, -5],
      "norm.running_var": [2, 3]
    }
    const { updates } = evaluate(built, { inputs: { x: data }, variables })
    for (const channel of [0, 1]) {
      const values = data.filter((_, i) => (i >> 1) % 2 === channel)
      const mean = values.reduce((a, b) => a + b) / values.length
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1)
      assert.closeTo(
        updates["norm.running_mean"][channel],
        0.9 * variables["norm.running_mean"][channel] + 0.1 * mean,
        1e-12
      )
      assert.closeTo(
        updates["norm.running_var"][channel],
        0.9 * variables["norm.running_var"][channel] + 0.1 * variance,
        1e-12
      )
    }
  })
})

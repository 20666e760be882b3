import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape, Tensor } from "@uninet/graph"
import { type Layer, Nn, Regularisation, RunningStatistics, Scope } from "@uninet/nn"
import { Result } from "effect"
import * as fc from "fast-check"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { distance, evaluation, numbers, program, run, training } from "./support.ts"

describe("a scope", () => {
  it("names what is inside it", () => {
    assert.strictEqual(Scope.at("b2.0")(Scope.at("blocks.3")(training)).path, "blocks.3.b2.0")
    assert.strictEqual(Scope.at("stem")(training).mode, "training")
  })
  it("names a layer's parameters", () => {
    const { built } = run(Nn.selfAttention(Scope.at("attn")(evaluation), { headDim: 4 }), [1, 3, 8])
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
    const y = Nn.selfAttention(Scope.at("blocks.9.attn")(training), { headDim: 32 })(Op.input("x", [1, 4, 48]))
    const made = Program.make({ outputs: { y } })
    assert.isTrue(Result.isFailure(made))
    if (Result.isFailure(made)) {
      assert.strictEqual(made.failure._tag, "ShapeError")
      assert.match(made.failure.message, /^blocks\.9\.attn .*48 channels do not divide evenly into heads of 32/)
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

/** How often so many causal layers make a mask. */
const masks = (layers: number) => {
  const x = Op.input("x", [1, 5, 4])
  const y = Array.from({ length: layers }, (_, i) =>
    Nn.selfAttention(Scope.at(`${i}`)(evaluation), { headDim: 2, causal: true })
  ).reduce<Tensor.Tensor>((t, layer) => layer(t), x)
  return program({ y }).nodes.filter(({ kind }) => kind === "compare").length
}

describe("causal self-attention", () => {
  it("gives a token what attention to itself and those before it gives, and nothing of those after it", () => {
    const shape = [2, 4, 6]
    const layer = Nn.selfAttention(evaluation, { headDim: 3, causal: true })
    const whole = run(layer, shape).y
    const data = numbers(shape)
    for (const kept of [1, 2, 3]) {
      const first = [0, 1].flatMap((b) => data.slice(24 * b, 24 * b + 6 * kept))
      const alone = run(Nn.selfAttention(evaluation, { headDim: 3 }), [2, kept, 6], { x: first }).y
      for (const b of [0, 1]) {
        const last = (y: ArrayLike<number>, tokens: number) =>
          Array.from(y).slice(6 * (b * tokens + kept - 1), 6 * (b * tokens + kept))
        assert.isBelow(distance(last(whole, 4), last(alone, kept)), 1e-9)
      }
    }
  })

  it("makes its mask once for all layers", () => {
    assert.deepStrictEqual([masks(1), masks(3)], [1, 1])
  })
})

describe("layers of ops", () => {
  const shape = [2, 3, 5, 4]
  const apart = (layer: Layer.Layer, op: (x: Tensor.Tensor) => Tensor.Tensor) =>
    distance(run(layer, shape).y, run(op, shape).y)

  it("activations compute what their names say", () => {
    assert.isBelow(
      apart(Nn.relu(training), (x) => Op.max(x, Op.fill(0))),
      1e-12
    )
    assert.isBelow(
      apart(Nn.silu(training), (x) => Op.mul(x, Op.sigmoid(x))),
      1e-12
    )
    assert.isBelow(
      apart(Nn.hardSwish(training), (x) =>
        Op.scale(Op.mul(x, Op.min(Op.max(Op.add(x, Op.fill(3)), Op.fill(0)), Op.fill(6))), 1 / 6)
      ),
      1e-12
    )
  })

  it("pools and resizes by windows and sizes of one number or two", () => {
    assert.isBelow(
      apart(Nn.maxPool2d(training, { kernel: 2, stride: 2 }), (x) =>
        Op.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] })
      ),
      1e-12
    )
    assert.isBelow(
      apart(Nn.averagePool2d(training, { kernel: [3, 1], countPadding: false, padding: [1, 0, 1, 0] }), (x) =>
        Op.averagePool2d(x, { kernel: [3, 1], countPadding: false })
      ),
      1e-12
    )
    assert.isBelow(
      apart(Nn.globalAveragePool(training), (x) => Op.mean(x, [2, 3])),
      1e-12
    )
    assert.isBelow(
      apart(Nn.resize(training, { scale: 1.5 }), (x) => Op.resize(x, [7, 6])),
      1e-12
    )
    assert.isBelow(
      apart(Nn.resize(training, { size: [3, 9], mode: "bilinear" }), (x) => Op.resize(x, [3, 9], { mode: "bilinear" })),
      1e-12
    )
  })

  it("convolutions keep the size by default, dilated ones too", () => {
    const dilated = Nn.convolution(training, { out: 2, kernel: 3, dilation: [2, 1] })
    assert.deepStrictEqual(dilated(Op.input("x", shape)).shape, [2, 2, 5, 4])
    const { built } = run(Nn.depthwise(training, { dilation: 3 }), shape)
    const [node] = built.nodes.filter(Tensor.is("conv2d"))
    assert.deepStrictEqual(
      [node.shape, node.attributes.dilation, node.attributes.padding],
      [shape, [3, 3], [3, 3, 3, 3]]
    )
  })

  it("an embedding gives every index its row, and zeros to one that has none", () => {
    const indices = Op.input("words", [2, 2], "int32")
    const built = program({ y: Nn.embedding(Scope.at("words")(training), { rows: 3, channels: 2 })(indices) })
    assert.deepStrictEqual(
      built.variables.map(({ attributes: { name, decay }, shape }) => [name, shape, decay]),
      [["words.weight", [3, 2], true]]
    )
    const given = { inputs: { words: [2, 0, -1, 2] }, variables: { "words.weight": [1, 2, 3, 4, 5, 6] } }
    assert.deepStrictEqual([...evaluate(built, given).outputs["y"]], [5, 6, 1, 2, 0, 0, 5, 6])
  })

  it("a batch norm without scale and offset has statistics only", () => {
    const names = (mode: Scope.Mode) =>
      run(Nn.batchNorm(Scope.make(mode, "norm"), { affine: false }), shape).built.variables.map(
        (v) => v.attributes.name
      )
    assert.deepStrictEqual(names("training"), [])
    assert.deepStrictEqual(names("evaluation"), ["norm.running_mean", "norm.running_var"])
    assert.isBelow(
      apart(Nn.batchNorm(training, { affine: false }), (x) => Op.batchNorm(x, Op.fill(1, [3]), Op.fill(0, [3]))),
      1e-12
    )
    const zero = Nn.batchNorm(training, { affine: false, zero: true })(Op.input("x", shape))
    assert.include(
      zero.fault?.message,
      "without affine there is no scale to start at zero; leave out zero or affine: false"
    )
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
  const scope = Scope.at("blocks.2")(training)
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
    assert.strictEqual(Nn.stochasticDepth(Scope.at("blocks.2")(evaluation), 0.5)(x), x)
    assert.strictEqual(Nn.dropout(scope, 0)(x), x)
  })

  it("and dropout refuse a rate that leaves nothing, or is none", () => {
    const x = Op.input("x", shape)
    for (const layer of [Nn.stochasticDepth, Nn.dropout])
      for (const rate of [1, 1.5, -0.1, Number.NaN])
        for (const mode of ["training", "evaluation"] as const) {
          const made = Program.make({ outputs: { y: layer(Scope.make(mode, "blocks.2"), rate)(x) } })
          const { message } = Result.getOrThrow(Result.flip(made))
          assert.include(message, `blocks.2 (${layer.name}): the rate must lie in [0, 1), not be ${rate}`)
        }
  })
})

describe("running statistics", () => {
  it("move a tenth of the way to the batch's, the variance unbiased", () => {
    const shape = [3, 2, 2, 1]
    const x = Op.input("x", shape)
    const y = Nn.batchNorm(Scope.at("norm")(training))(x)
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

  it("have no part of a norm that carries a fault, whatever its shape", () => {
    const flat = Op.batchNorm(Op.input("x", [8]), Op.fill(1, [8]), Op.fill(0, [8]))
    assert.deepStrictEqual(RunningStatistics.updates([flat]), [])
    assert.isTrue(Result.isFailure(Program.make({ outputs: { flat } })))
  })
})

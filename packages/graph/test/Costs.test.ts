import { assert, describe, it } from "@effect/vitest"
import { Costs, gradient, Op, Program, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { programOf } from "./support/gradients.ts"

const parameter = (name: string, ...shape: ReadonlyArray<number>) =>
  Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value: 1 }, decay: true }, shape)
const buffer = (name: string, ...shape: ReadonlyArray<number>) =>
  Op.variable({ name, role: "buffer", initialiser: { kind: "constant", value: 0 }, decay: false }, shape)

const image = Op.input("image", [2, 4, 10, 10])
const costs = (y: Tensor.Tensor) => Costs.ofProgram(programOf({ y }))
const bytesOf = (y: Tensor.Tensor) => costs(y).activationBytes

describe("Costs, counted by hand", () => {
  it("convolution: one multiply-accumulate per output element, input channel of its group and kernel position", () => {
    const dense = costs(Op.conv2d(image, parameter("w", 6, 4, 3, 3), { stride: [2, 2], bias: parameter("b", 6) }))
    assert.strictEqual(dense.macs, 2 * 6 * 5 * 5 * (4 * 3 * 3))
    assert.strictEqual(dense.flops, 2 * dense.macs)
    assert.strictEqual(dense.parameters, 6 * 4 * 3 * 3 + 6)
    assert.strictEqual(dense.parameterBytes, 4 * dense.parameters)
    assert.deepStrictEqual(dense.fvcoreByOperator, { conv: dense.macs })
    const depthwise = costs(Op.conv2d(image, parameter("w", 4, 1, 3, 3), { groups: 4 }))
    assert.strictEqual(depthwise.macs, 2 * 4 * 10 * 10 * (3 * 3))
    const dilated = costs(Op.conv2d(image, parameter("w", 4, 1, 3, 3), { groups: 4, dilation: [2, 2] }))
    assert.strictEqual(dilated.macs, depthwise.macs, "as many taps, further apart")
    const pointwise = costs(Op.conv2d(image, parameter("w", 8, 4, 1, 1)))
    assert.strictEqual(pointwise.macs, 2 * 8 * 10 * 10 * 4)
  })

  it("convolution's gradients: as many multiply-accumulates each as the convolution", () => {
    const weight = parameter("w", 6, 4, 3, 3)
    const y = Op.conv2d(image, weight, { stride: [2, 2] })
    const [dx, dw] = gradient(Op.sum(y), [image, weight])
    assert.isDefined(dx)
    assert.isDefined(dw)
    assert.strictEqual(costs(dx).macs, costs(y).macs)
    assert.strictEqual(costs(dw).macs, costs(y).macs)
  })

  it("linear and matrix product: rows × columns × what is summed over", () => {
    const tokens = Op.input("tokens", [2, 7, 5])
    const linear = costs(Op.linear(tokens, parameter("w", 3, 5), parameter("b", 3)))
    assert.strictEqual(linear.macs, 2 * 7 * 3 * 5)
    assert.deepStrictEqual(linear.fvcoreByOperator, { linear: 210 })
    const product = costs(Op.matmul(tokens, tokens, { transposeB: true }))
    assert.strictEqual(product.macs, 2 * 7 * 7 * 5)
    assert.deepStrictEqual(product.fvcoreByOperator, { matmul: 490 })
  })

  it("attention: queries × keys × channels for the scores and again for the sum of values; softmax is no multiply-accumulate", () => {
    const [query, key] = [Op.input("query", [2, 5, 8]), Op.input("key", [2, 9, 8])]
    const cost = costs(Op.attention(query, key, key, { heads: 4, scale: 1 }))
    assert.strictEqual(cost.macs, 2 * (2 * 5 * 9 * 8))
    assert.strictEqual(cost.flops, 2 * cost.macs + 9 * (4 * 2 * 5 * 9))
    assert.deepStrictEqual(cost.fvcoreByOperator, { matmul: cost.macs })
  })

  it("norms and pooling: no multiply-accumulates; fvcore charges 5 per element, 2 by running statistics, 1 for the mean", () => {
    const vector = parameter("v", 4)
    const norm = costs(Op.batchNorm(image, vector, vector))
    assert.strictEqual(norm.macs, 0)
    assert.strictEqual(norm.flops, 7 * 800)
    assert.deepStrictEqual(norm.fvcoreByOperator, { batch_norm: 5 * 800 })
    const bare = costs(Op.batchNorm(image))
    assert.strictEqual(bare.flops, 5 * 800)
    assert.deepStrictEqual(bare.fvcoreByOperator, { batch_norm: 4 * 800 })
    const running = costs(Op.batchNormInference(image, vector, vector, buffer("mean", 4), buffer("variance", 4)))
    assert.strictEqual(running.flops, 2 * 800)
    assert.strictEqual(running.fvcoreCount, 2 * 800)
    const byStatistics = Op.batchNormInference(image, undefined, undefined, buffer("mean", 4), buffer("variance", 4))
    assert.strictEqual(costs(byStatistics).fvcoreCount, 800)
    assert.strictEqual(running.parameters, 4, "running statistics are not parameters")
    const layer = costs(Op.layerNorm(Op.input("tokens", [2, 7, 4]), vector, vector))
    assert.deepStrictEqual(layer.fvcoreByOperator, { layer_norm: 5 * 56 })
    assert.deepStrictEqual(costs(Op.globalAveragePool(image)).fvcoreByOperator, { adaptive_avg_pool2d: 800 })
  })

  it("pooling over windows: an operation per element of each window, nothing that fvcore counts", () => {
    const mean = costs(Op.averagePool2d(image, { kernel: [3, 3], stride: [2, 2] }))
    assert.deepStrictEqual([mean.macs, mean.flops, mean.fvcoreCount], [0, 2 * 4 * 5 * 5 * 9, 0])
    assert.strictEqual(costs(Op.maxPool2d(image, { kernel: [3, 3], stride: [2, 2] })).flops, mean.flops)
  })

  it("resizing: seven operations per element that is mixed; fvcore charges 4, and 1 for one that is copied", () => {
    const mixed = costs(Op.resize(image, [20, 20], { mode: "bilinear" }))
    assert.deepStrictEqual([mixed.macs, mixed.flops], [0, 7 * 2 * 4 * 400])
    assert.deepStrictEqual(mixed.fvcoreByOperator, { upsample_bilinear2d: 4 * 2 * 4 * 400 })
    const copied = costs(Op.resize(image, [20, 20]))
    assert.strictEqual(copied.flops, 0)
    assert.deepStrictEqual(copied.fvcoreByOperator, { upsample_nearest2d: 2 * 4 * 400 })
  })

  it("rows of a table are only moved; adding them up is an operation per element", () => {
    const labels = Op.input("labels", [6], "int32")
    assert.strictEqual(costs(Op.gather(parameter("table", 10, 4), labels)).flops, 0)
    assert.strictEqual(costs(Op.scatterAdd(Op.input("values", [6, 4]), labels, 10)).flops, 24)
  })

  it("moving data is free", () => {
    const moved = Op.pad(Op.slice(Op.transpose(Op.toTokens(image), [0, 2, 1]), 1, 0, 2), [0, 0, 1], [0, 0, 1])
    assert.strictEqual(costs(Op.concat([moved, moved], 1)).flops, 0)
  })

  it("by layer sums to the whole, whatever the depth", () => {
    const weight = parameter("w", 4, 4, 3, 3)
    const a = Op.relu(Op.conv2d(image, weight, {}, "stages.0.conv"), "stages.0.act")
    const b = Op.conv2d(a, weight, {}, "stages.1.conv")
    const program = programOf({ b })
    const whole = Costs.ofProgram(program)
    const layers = Costs.byLayer(2)(program)
    assert.deepStrictEqual([...layers.keys()], ["stages.0", "stages.1"])
    assert.deepStrictEqual(layers.get("stages.0"), { macs: 28_800, flops: 2 * 28_800 + 800 })
    for (const depth of [1, 2, Infinity]) {
      const sum = [...Costs.byLayer(depth)(program).values()].reduce((total, layer) => total + layer.flops, 0)
      assert.strictEqual(sum, whole.flops)
    }
    assert.strictEqual(Costs.byKind(program).get("conv2d")?.nodes, 2)
    assert.strictEqual(Costs.byKind(program).get("conv2d")?.macs, whole.macs)
  })

  it("fvcore's count of a training step is that of its forward pass: gradients count nothing", () => {
    const [kernel, vector, head] = [parameter("kernel", 4, 4, 3, 3), parameter("v", 4), parameter("head", 5, 4)]
    const tokens = Op.toTokens(Op.gelu(Op.batchNorm(Op.conv2d(image, kernel), vector, vector)))
    const mixed = Op.matmul(tokens, Op.softmax(tokens), { transposeB: true })
    const attended = Op.attention(Op.matmul(mixed, tokens), tokens, tokens, { heads: 2, scale: 1 })
    const logits = Op.linear(Op.mean(Op.layerNorm(attended, vector, vector), [1]), head)
    const loss = Op.neg(Op.mean(Op.logSoftmax(logits)))
    const gradients = gradient(loss, [kernel, vector, head])
    const step = programOf({ loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g ?? loss])) })
    assert.deepStrictEqual(Costs.ofProgram(step).fvcoreByOperator, costs(loss).fvcoreByOperator)
    assert.isAbove(Costs.ofProgram(step).macs, costs(loss).macs)
  })

  it("an expression written twice is paid once", () => {
    const weight = parameter("w", 4, 4, 1, 1)
    const y = () => Op.conv2d(image, weight)
    assert.strictEqual(costs(Op.add(y(), y())).macs, costs(y()).macs)
  })
})

describe("Costs.activationBytes", () => {
  const x = Op.input("x", [100])

  it("of a chain is its widest step: one result is freed as soon as the next stands", () => {
    assert.strictEqual(bytesOf(x), 400)
    assert.strictEqual(bytesOf(Op.relu(x)), 800)
    assert.strictEqual(bytesOf(Op.relu(Op.exp(Op.relu(x)))), 800)
  })

  it("keeps what is used later", () => {
    const a = Op.relu(x)
    const b = Op.exp(a)
    // x + b, with x kept over a and b: three at once when b is made and when the sum is.
    assert.strictEqual(bytesOf(Op.add(x, b)), 1200)
    assert.strictEqual(bytesOf(Op.add(a, b)), 1200)
  })

  it("counts broadcast results at their full size, views and stored values not at all", () => {
    const column = Op.input("column", [100, 1])
    assert.strictEqual(bytesOf(Op.add(column, x)), 400 + 400 + 40_000)
    assert.strictEqual(bytesOf(Op.reshape(x, [10, 10])), 400)
    assert.strictEqual(bytesOf(Op.broadcastTo(x, [50, 100])), 400)
    assert.strictEqual(bytesOf(Op.mul(parameter("w", 100), Op.fill(2))), 400)
  })

  it("keeps a tensor alive as long as a view of it is", () => {
    const a = Op.exp(x)
    const view = Op.reshape(a, [10, 10])
    const long = Op.relu(Op.relu(Op.relu(x)))
    // The view first, then the chain: two of its steps at a time, and a all along.
    assert.strictEqual(bytesOf(Op.add(view, Op.reshape(long, [10, 10]))), 1200)
  })

  it("keeps outputs and updates to the end", () => {
    const state = buffer("state", 100)
    const next = Op.relu(x)
    const made = Program.make({
      outputs: { y: Op.exp(Op.exp(Op.exp(x))) },
      updates: [{ variable: state, value: next }]
    })
    // x is kept for the update while the chain runs, and the output while the update is made.
    assert.strictEqual(Costs.activationBytes(Result.getOrThrow(made)), 1200)
  })

  it("of a training step holds the forward's results until the backward has used them", () => {
    const weights = Array.from({ length: 5 }, (_, i) => parameter(`w${i}`, 100, 100))
    const rows = Op.input("rows", [10, 100])
    const loss = Op.sum(weights.reduce<Tensor.Tensor>((y, w) => Op.sigmoid(Op.linear(y, w)), rows))
    const gradients = gradient(loss, weights)
    const train = programOf({ loss, ...Object.fromEntries(gradients.map((g, i) => [`g${i}`, g ?? loss])) })
    const forward = Costs.activationBytes(programOf({ loss }))
    assert.strictEqual(forward, 2 * 4000)
    assert.isAbove(Costs.activationBytes(train), 5 * 40_000 + 2 * 4000)
  })
})

/** What ops compute, by numbers worked out by hand: they hold the interpreter that all else is held against. */
import { assert, describe, it } from "@effect/vitest"
import { Op, type Tensor } from "@uninet/graph"
import { programOf } from "./support/gradients.ts"
import { evaluate } from "./support/interpreter.ts"

/** A tensor that holds these numbers. */
const tensor = (shape: ReadonlyArray<number>, ...numbers: ReadonlyArray<number>) =>
  Op.constant(Float32Array.from(numbers), shape)
const vector = (...numbers: ReadonlyArray<number>) => tensor([numbers.length], ...numbers)

/** Height and width. */
const sizes = (y: Tensor.Tensor) => y.shape.slice(2)

/** What a tensor holds, to twelve decimals. */
const values = (y: Tensor.Tensor): ReadonlyArray<number> =>
  Array.from(evaluate(programOf({ y })).outputs.y, (v) => Number(v.toFixed(12)) + 0)

describe("ops compute what their names say:", () => {
  it("element-wise arithmetic broadcasts", () => {
    const column = tensor([2, 1], 10, 20)
    assert.deepStrictEqual(values(Op.add(column, vector(1, 2, 3))), [11, 12, 13, 21, 22, 23])
    assert.deepStrictEqual(values(Op.div(vector(1, 2, 3), column)), [0.1, 0.2, 0.3, 0.05, 0.1, 0.15])
    assert.deepStrictEqual(values(Op.max(vector(-1, 2, 0), vector(1, 1, 0))), [1, 2, 0])
    assert.deepStrictEqual(values(Op.greaterOrEqual(vector(-1, 2, 0), vector(1, 1, 0))), [0, 1, 1])
    assert.deepStrictEqual(values(Op.sign(vector(-5, 0, 0.25))), [-1, 0, 1])
    assert.deepStrictEqual(values(Op.broadcastTo(vector(1, 2), [2, 2])), [1, 2, 1, 2])
  })

  it("activations", () => {
    const x = vector(-4, -1, 0, 1, 4)
    const log3 = Op.log(vector(1, 3))
    assert.deepStrictEqual(values(Op.relu(x)), [0, 0, 0, 1, 4])
    // x·Φ(x), Φ(1) = 0.841344746069, Φ(4) = 0.999968328758
    assert.deepStrictEqual(values(Op.gelu(x)), [-0.000126684967, -0.158655253931, 0, 0.841344746069, 3.999873315033])
    assert.deepStrictEqual(values(Op.sigmoid(log3)), [0.5, 0.75])
    assert.deepStrictEqual(values(Op.silu(log3)), [0, 0.823959216501])
    assert.deepStrictEqual(values(Op.hardSigmoid(vector(-4, -1.5, 0, 1.5, 4))), [0, 0.25, 0.5, 0.75, 1])
    assert.deepStrictEqual(values(Op.tanh(log3)), [0, 0.8])
  })

  it("reductions, with and without keeping axes", () => {
    const x = tensor([2, 3], 1, 2, 3, 4, 5, 9)
    assert.deepStrictEqual(values(Op.sum(x)), [24])
    assert.deepStrictEqual(values(Op.mean(x, [0])), [2.5, 3.5, 6])
    assert.deepStrictEqual(Op.mean(x, [0], true).shape, [1, 3])
    assert.deepStrictEqual(values(Op.reduceMax(x, [1], true)), [3, 9])
    assert.deepStrictEqual(values(Op.argMax(tensor([2, 3], 1, 3, 3, 0, -1, -1))), [1, 0])
    assert.deepStrictEqual(values(Op.oneHot(Op.constant(Int32Array.of(2, 0, 7), [3]), 3)), [0, 0, 1, 1, 0, 0, 0, 0, 0])
  })

  it("softmax of rows, even of large numbers", () => {
    const odds = Op.softmax(tensor([2, 2], 0, 0, 1000, 0))
    assert.deepStrictEqual(values(odds), [0.5, 0.5, 1, 0])
    assert.deepStrictEqual(values(Op.exp(Op.logSoftmax(Op.log(tensor([1, 2], 1, 3))))), [0.25, 0.75])
  })

  it("layout", () => {
    const x = tensor([2, 3], 1, 2, 3, 4, 5, 6)
    assert.deepStrictEqual(values(Op.transpose(x, [1, 0])), [1, 4, 2, 5, 3, 6])
    assert.deepStrictEqual(values(Op.reshape(x, [3, 2])), [1, 2, 3, 4, 5, 6])
    assert.deepStrictEqual(values(Op.slice(x, 1, 1, 3)), [2, 3, 5, 6])
    assert.deepStrictEqual(values(Op.pad(vector(1, 2), [1], [2])), [0, 1, 2, 0, 0])
    assert.deepStrictEqual(values(Op.concat([x, tensor([2, 1], 7, 8)], 1)), [1, 2, 3, 7, 4, 5, 6, 8])
    const image = tensor([1, 2, 1, 3], 1, 2, 3, 4, 5, 6)
    assert.deepStrictEqual(values(Op.toTokens(image)), [1, 4, 2, 5, 3, 6])
    assert.deepStrictEqual(values(Op.toImage(Op.toTokens(image), 1, 3)), [1, 2, 3, 4, 5, 6])
  })

  it("rows of a table, zeros where there is no such row; and rows added up where their numbers say", () => {
    const table = tensor([3, 2], 1, 2, 3, 4, 5, 6)
    const indices = Op.constant(Int32Array.of(2, 0, 2, -1, 3), [5])
    assert.deepStrictEqual(values(Op.gather(table, indices)), [5, 6, 1, 2, 5, 6, 0, 0, 0, 0])
    assert.deepStrictEqual(Op.gather(table, Op.reshape(indices, [5, 1])).shape, [5, 1, 2])
    const sums = Op.scatterAdd(tensor([5, 2], 1, 10, 2, 20, 3, 30, 4, 40, 5, 50), indices, 3)
    assert.deepStrictEqual(values(sums), [2, 20, 0, 0, 4, 40])
  })

  it("matrix products and linear layers", () => {
    const a = tensor([2, 2], 1, 2, 3, 4)
    assert.deepStrictEqual(values(Op.matmul(a, tensor([2, 1], 1, 10))), [21, 43])
    assert.deepStrictEqual(values(Op.matmul(a, a, { transposeA: true })), [10, 14, 14, 20])
    assert.deepStrictEqual(values(Op.matmul(a, a, { transposeB: true })), [5, 11, 11, 25])
    assert.deepStrictEqual(values(Op.matmul(tensor([2, 1, 2], 1, 0, 0, 1), a)), [1, 2, 3, 4])
    assert.deepStrictEqual(
      values(Op.linear(vector(1, 10), tensor([3, 2], 1, 0, 0, 1, 1, 1), vector(0, 0, 100))),
      [1, 10, 111]
    )
  })

  it("convolution is cross-correlation, zero-padded, in groups", () => {
    const image = tensor([1, 1, 3, 3], 1, 2, 3, 4, 5, 6, 7, 8, 9)
    const kernel = tensor([1, 1, 2, 2], 1, 10, 100, 1000)
    const none = [0, 0, 0, 0] as const
    assert.deepStrictEqual(values(Op.conv2d(image, kernel, { padding: none })), [5421, 6532, 8754, 9865])
    assert.deepStrictEqual(
      values(Op.conv2d(image, kernel, { padding: [1, 1, 0, 0], stride: [2, 2], bias: vector(0.5) })),
      [1000.5, 3200.5, 7040.5, 9865.5]
    )
    // The four taps stand at the image's corners.
    assert.deepStrictEqual(values(Op.conv2d(image, kernel, { padding: none, dilation: [2, 2] })), [9731])
    assert.deepStrictEqual(values(Op.conv2d(image, kernel, { padding: none, dilation: [1, 2] })), [6431, 9764])
    const pair = tensor([1, 2, 1, 2], 1, 2, 3, 4)
    assert.deepStrictEqual(values(Op.conv2d(pair, tensor([2, 1, 1, 1], 10, 100), { groups: 2 })), [10, 20, 300, 400])
    assert.deepStrictEqual(values(Op.conv2d(pair, tensor([1, 2, 1, 1], 10, 100))), [310, 420])
  })

  it("pooling: padding never wins", () => {
    const image = tensor([1, 1, 2, 3], -1, -2, -3, -4, -5, -6)
    assert.deepStrictEqual(values(Op.maxPool2d(image, { kernel: [3, 3] })), [-1, -1, -2, -1, -1, -2])
    assert.deepStrictEqual(values(Op.maxPool2d(image, { kernel: [3, 3], stride: [2, 2] })), [-1, -2])
    assert.deepStrictEqual(values(Op.globalAveragePool(image)), [-3.5])
  })

  it("windows keep an image's size by default where they are odd, and are not padded where they are even", () => {
    const image = Op.fill(1, [1, 2, 8, 8])
    for (const pool of [Op.maxPool2d, Op.averagePool2d]) {
      assert.deepStrictEqual(sizes(pool(image, { kernel: [3, 5] })), [8, 8])
      assert.deepStrictEqual(sizes(pool(image, { kernel: [2, 2], stride: [2, 2] })), [4, 4])
      assert.deepStrictEqual(sizes(pool(image, { kernel: [2, 3] })), [7, 8])
    }
    const convolved = (kernel: readonly [number, number], dilation: readonly [number, number] = [1, 1]) =>
      sizes(Op.conv2d(image, Op.fill(1, [3, 2, ...kernel]), { dilation }))
    assert.deepStrictEqual(convolved([3, 1]), [8, 8])
    assert.deepStrictEqual(convolved([3, 5], [2, 1]), [8, 8])
    assert.deepStrictEqual(convolved([4, 2]), [5, 7])
    assert.deepStrictEqual(convolved([2, 3], [3, 2]), [5, 8])
  })

  it("average pooling: padding counts as zeros, or not at all", () => {
    const image = tensor([1, 1, 2, 3], 1, 2, 3, 4, 5, 6)
    const pool = (countPadding: boolean) => Op.averagePool2d(image, { kernel: [3, 3], countPadding })
    // Sums of what is under each window: 12, 21, 16 in either row; 4 or 6 of the 9 are elements.
    const ninths = [12, 21, 16, 12, 21, 16].map((sum) => Number((sum / 9).toFixed(12)))
    assert.deepStrictEqual(values(pool(true)), ninths)
    assert.deepStrictEqual(values(pool(false)), [3, 3.5, 4, 3, 3.5, 4])
    const strided = { kernel: [1, 2], stride: [2, 1], padding: [0, 1, 0, 0] } as const
    assert.deepStrictEqual(values(Op.averagePool2d(image, strided)), [0.5, 1.5, 2.5])
  })

  it("resizing: nearest elements, or means of those that an element lies between", () => {
    const row = tensor([1, 1, 1, 4], 0, 4, 8, 12)
    const to = (width: number, mode: Op.Interpolation) => values(Op.resize(row, [1, width], { mode }))
    assert.deepStrictEqual(to(8, "nearest"), [0, 0, 4, 4, 8, 8, 12, 12])
    assert.deepStrictEqual(to(3, "nearest"), [0, 4, 8])
    // As PyTorch's interpolate: at (i + ½) · 4 / 8 − ½, and the border beyond the outermost centres.
    assert.deepStrictEqual(to(8, "bilinear"), [0, 1, 3, 5, 7, 9, 11, 12])
    assert.deepStrictEqual(to(2, "bilinear"), [2, 10])
    assert.deepStrictEqual(to(1, "bilinear"), [6])
    const image = tensor([1, 1, 2, 2], 0, 4, 8, 12)
    assert.deepStrictEqual(values(Op.resize(image, [3, 3], { mode: "bilinear" })), [0, 2, 4, 4, 6, 8, 8, 10, 12])
    assert.deepStrictEqual(values(Op.resize(image, [3, 1])), [0, 0, 8])
  })

  it("norms by biased variance", () => {
    const x = tensor([2, 2, 1], 1, 5, 3, 9)
    const [scale, bias] = [vector(1, 10), vector(0, 0.5)]
    assert.deepStrictEqual(values(Op.batchNorm(x, scale, bias, { epsilon: 0 })), [-1, -9.5, 1, 10.5])
    assert.deepStrictEqual(values(Op.batchNorm(x, undefined, undefined, { epsilon: 0 })), [-1, -1, 1, 1])
    assert.deepStrictEqual(values(Op.batchMoments(x)), [2, 7, 1, 4])
    assert.deepStrictEqual(
      values(Op.batchNormInference(x, undefined, undefined, vector(1, 1), vector(3, 3), { epsilon: 1 })),
      [0, 2, 1, 4]
    )
    assert.deepStrictEqual(
      values(Op.batchNormInference(x, scale, bias, vector(1, 1), vector(3, 3), { epsilon: 1 })),
      [0, 20.5, 1, 40.5]
    )
    assert.deepStrictEqual(
      values(Op.layerNorm(tensor([2, 2], 1, 3, 8, 4), scale, bias, { epsilon: 0 })),
      [-1, 10.5, 1, -9.5]
    )
    assert.deepStrictEqual(values(Op.layerNorm(tensor([1, 2], 1, 3), scale, bias, { epsilon: 3 })), [-0.5, 5.5])
  })

  it("attention: a mean of values weighted by the softmax of scaled scores, per head, under a mask", () => {
    const query = Op.log(tensor([1, 1, 2], 3, 1))
    const key = tensor([1, 2, 2], 2, 5, 0, -5)
    const value = tensor([1, 2, 2], 8, 1, 0, 3)
    // First head: scores 2·ln 3·½ = ln 3 and 0, weights ¾ and ¼. Second: both scores 0.
    const attend = (mask?: Tensor.Tensor) => Op.attention(query, key, value, { heads: 2, scale: 0.5, mask })
    assert.deepStrictEqual(values(attend()), [6, 2])
    assert.deepStrictEqual(values(attend(tensor([1, 2], 0, -1e9))), [8, 1])
    assert.deepStrictEqual(values(attend(tensor([1, 1, 2], -1e9, 0))), [0, 3])
  })

  it("attention by query and key: causal, a token sees itself and those before it", () => {
    const tokens = tensor([1, 3, 1], 0, 0, 0)
    const value = tensor([1, 3, 1], 6, 12, 30)
    const causal = tensor([1, 3, 3], 0, -1e9, -1e9, 0, 0, -1e9, 0, 0, 0)
    const attended = Op.attention(tokens, tokens, value, { heads: 1, scale: 1, mask: causal })
    assert.deepStrictEqual(values(attended), [6, 9, 16])
  })

  it("SGD: momentum carries the velocity on, Nesterov's looks one step ahead", () => {
    const state = { parameter: vector(2, 1), gradient: vector(1, -1), velocity: vector(4, 0) }
    const step = (nesterov: boolean) => Op.sgd({ momentum: 0.5, nesterov, weightDecay: 0.5 }, state, Op.fill(0.1))
    assert.deepStrictEqual(values(step(false).velocity), [4, -0.5])
    assert.deepStrictEqual(values(step(false).parameter), [1.6, 1.05])
    assert.deepStrictEqual(values(step(true).parameter), [1.6, 1.075])
  })

  it("a moving average: the decay's part of what it was, the rest of what is", () => {
    assert.deepStrictEqual(values(Op.movingAverage(vector(4, 0), vector(0, 8), Op.fill(0.75))), [3, 2])
  })

  it("clipping: gradients together longer than allowed are shortened alike, shorter ones stay", () => {
    const gradients = [vector(3, 0), vector(0, -4)]
    const norm = Op.globalNorm(gradients)
    assert.deepStrictEqual(values(norm), [5])
    const clipped = (most: number) => gradients.map((g) => values(Op.clipByNorm(g, norm, most)))
    assert.deepStrictEqual(clipped(10), [
      [3, 0],
      [0, -4]
    ])
    for (const [i, expected] of [1.5, -2].entries()) assert.closeTo(clipped(2.5)[i][i], expected, 1e-6)
  })

  it("AdamW: the first step moves by the learning rate, decay apart", () => {
    const hyper = { beta1: 0.9, beta2: 0.99, epsilon: 0, weightDecay: 0.5 }
    const state = { parameter: vector(1, 1), gradient: vector(4, -0.25), moment1: vector(0, 0), moment2: vector(0, 0) }
    const first = Op.adamw(hyper, state, Op.fill(0.1), Op.fill(1))
    assert.deepStrictEqual(values(first.parameter), [0.85, 1.05])
    assert.deepStrictEqual(values(first.moment1), [0.4, -0.025])
    assert.deepStrictEqual(values(first.moment2), [0.16, 0.000625])
    // Second step with the same gradient: m = 0.76, v = 0.3184, corrections 0.19 and 0.0199, so 4 / 4 again.
    const { moment1, moment2 } = first
    assert.deepStrictEqual(
      values(Op.adamw(hyper, { ...state, moment1, moment2 }, Op.fill(0.1), Op.fill(2)).parameter),
      [0.85, 1.05]
    )
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Op, Program, ShapeError, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"

const t = (...shape: ReadonlyArray<number>) => Op.input(`t${shape.join("x")}`, shape)
const labels = Op.input("labels", [4], "int32")
const path = "stages.3.blocks.0"

/** By family of ops: a mistake, the op that is named, and what is said about it. */
const mistakes: ReadonlyArray<readonly [family: string, wrong: Tensor.Tensor, op: Tensor.Kind, reason: string]> = [
  ["leaf", Op.input(path, [2, 0]), "input", "every axis must have a positive whole number as its length, not [2×0]"],
  ["leaf", Op.constant(new Float32Array(5), [2, 3], path), "constant", "5 values were given for [2×3]"],
  ["element-wise", Op.add(t(2, 3), t(4), path), "binary", "the two shapes cannot be broadcast together"],
  ["element-wise", Op.greater(t(2, 3), t(2, 4), path), "compare", "the two shapes cannot be broadcast together"],
  ["element-wise", Op.broadcastTo(t(2, 3), [2], path), "broadcastTo", "the input cannot be broadcast to [2]"],
  ["activation", Op.gelu(labels, path), "activation", "expected float32 elements, not int32"],
  ["reduction", Op.sum(t(2, 3), [2], false, path), "reduce", "there are no axes [2]"],
  ["reduction", Op.mean(t(2, 3), [-1], false, path), "reduce", "there are no axes [-1]"],
  ["reduction", Op.sum(t(2, 3), [1, 1], false, path), "reduce", "the axes [1, 1] contain a duplicate"],
  ["reduction", Op.softmax(t(), path), "softmax", "a scalar has no last axis"],
  ["reduction", Op.oneHot(t(4), 10, path), "oneHot", "expected int32 elements, not float32"],
  [
    "reduction",
    Op.oneHot(labels, 0, path),
    "oneHot",
    "every axis must have a positive whole number as its length, not [4×0]"
  ],
  ["layout", Op.reshape(t(2, 3), [4], path), "reshape", "6 elements cannot take the shape [4]"],
  [
    "layout",
    Op.reshape(t(2, 3), [-2, -3], path),
    "reshape",
    "every axis must have a positive whole number as its length"
  ],
  ["layout", Op.transpose(t(2, 3), [0, 0], path), "transpose", "[0, 0] is not a permutation of the axes"],
  ["layout", Op.slice(t(2, 3), 1, 2, 4, path), "slice", "there are no elements 2 to 4 on axis 1"],
  ["layout", Op.slice(t(2, 3), -1, 0, 1, path), "slice", "there is no axis -1: the 2 axes are numbered from 0"],
  ["layout", Op.slice(t(2, 3), 1, 0.5, 2.5, path), "slice", "there are no elements 0.5 to 2.5 on axis 1"],
  ["layout", Op.concat([t(2, 3), t(2, 3)], -1, path), "concat", "there is no axis -1: the 2 axes are numbered from 0"],
  ["layout", Op.concat([t(2, 3)], 2, path), "concat", "there is no axis 2: the 2 axes are numbered from 0"],
  [
    "layout",
    Op.pad(t(2, 3), [0], [0], path),
    "pad",
    "the padding before and after every axis must be a whole number of 0 or more"
  ],
  [
    "layout",
    Op.pad(t(2, 3), [1], [1], path),
    "pad",
    "the padding before and after every axis must be a whole number of 0 or more"
  ],
  ["layout", Op.concat([t(2, 3), t(3, 3)], 1, path), "concat", "the shapes must agree on every axis but 1"],
  ["layout", Op.concat([t(4), labels], 0, path), "concat", "expected float32 elements, not int32"],
  ["layout", Op.toTokens(t(2, 3), path), "toTokens", "needs an image [batch×channels×height×width]"],
  ["layout", Op.toImage(t(2, 6, 5), 2, 2, path), "toImage", "needs tokens [batch×4×channels]"],
  ["rows", Op.gather(t(), labels, path), "gather", "the table must be [rows×...]"],
  ["rows", Op.gather(t(4, 2), t(4), path), "gather", "expected int32 elements, not float32"],
  ["rows", Op.scatterAdd(t(3, 2), labels, 5, path), "scatterAdd", "the values must be [4×...]"],
  [
    "rows",
    Op.scatterAdd(t(4, 2), labels, 2.5, path),
    "scatterAdd",
    "every axis must have a positive whole number as its length"
  ],
  [
    "matrix product",
    Op.matmul(t(2, 3), t(2, 3), {}, path),
    "matmul",
    "the left side has 3 columns, the right side 2 rows"
  ],
  ["matrix product", Op.matmul(t(4, 2, 3), t(5, 3, 2), {}, path), "matmul", "the leading axes must be equal"],
  ["matrix product", Op.linear(t(2, 3), t(4, 5), undefined, path), "linear", "last axis must have length 5"],
  ["matrix product", Op.linear(t(2, 3), t(4, 3), t(3), path), "linear", "the bias must be [4]"],
  [
    "convolution",
    Op.conv2d(t(1, 4, 8, 8), t(6, 3, 3, 3), {}, path),
    "conv2d",
    "the weight expects 3 input channels in 1 groups"
  ],
  [
    "convolution",
    Op.conv2d(t(1, 4, 8, 8), t(6, 1, 3, 3), { groups: 4 }, path),
    "conv2d",
    "6 output channels do not divide evenly into 4 groups"
  ],
  ["convolution", Op.conv2d(t(1, 4, 8, 8), t(6, 4, 3, 3), { bias: t(4) }, path), "conv2d", "the bias must be [6]"],
  [
    "convolution",
    Op.conv2d(t(1, 4, 2, 2), t(6, 4, 3, 3), { padding: [0, 0, 0, 0] }, path),
    "conv2d",
    "the window is larger than the padded image"
  ],
  [
    "convolution",
    Op.conv2d(t(1, 4, 8, 8), t(6, 4, 3, 3), { stride: [0, 1] }, path),
    "conv2d",
    "strides must be positive whole numbers"
  ],
  [
    "convolution",
    Op.conv2d(t(1, 4, 8, 8), t(6, 4, 3, 3), { dilation: [1, 0.5] }, path),
    "conv2d",
    "dilations must be positive whole numbers"
  ],
  [
    "pooling",
    Op.maxPool2d(t(1, 4, 8, 8), { kernel: [2, 2], padding: [2, 0, 0, 0] }, path),
    "maxPool2d",
    "no window may lie entirely in the padding"
  ],
  [
    "pooling",
    Op.averagePool2d(t(1, 4, 8, 8), { kernel: [3, 3], padding: [0, 3, 0, 0] }, path),
    "averagePool2d",
    "no window may lie entirely in the padding"
  ],
  [
    "pooling",
    Op.averagePool2d(t(1, 4, 8, 8), { kernel: [0, 3] }, path),
    "averagePool2d",
    "the window's sides must be positive whole numbers"
  ],
  ["pooling", Op.globalAveragePool(t(1, 4, 8), path), "globalAveragePool", "the input must be [batch×channels×"],
  ["resizing", Op.resize(t(4, 8, 8), [4, 4], {}, path), "resize", "the input must be [batch×channels×height×width]"],
  [
    "resizing",
    Op.resize(t(1, 4, 8, 8), [4, 0], {}, path),
    "resize",
    "every axis must have a positive whole number as its length"
  ],
  [
    "normalisation",
    Op.batchNorm(t(2, 4, 3, 3), t(3), t(4), {}, path),
    "batchNorm",
    "the per-channel inputs must be [4]"
  ],
  [
    "normalisation",
    Op.batchNorm(t(2, 4, 3, 3), t(4), undefined, {}, path),
    "batchNorm",
    "needs both a scale and a bias, or neither"
  ],
  [
    "normalisation",
    Op.batchNormInference(t(2, 4, 3, 3), undefined, t(4), t(4), t(4), {}, path),
    "batchNormInference",
    "needs both a scale and a bias, or neither"
  ],
  ["normalisation", Op.layerNorm(t(2, 4), t(4), t(3), {}, path), "layerNorm", "the scale and bias must be [4]"],
  [
    "attention",
    Op.attention(t(2, 5, 10), t(2, 5, 10), t(2, 5, 10), { heads: 3, scale: 1 }, path),
    "attention",
    "10 channels do not divide evenly into 3 heads"
  ],
  [
    "attention",
    Op.attention(t(2, 5, 9), t(2, 5, 9), t(2, 5, 9), { heads: 3, scale: 1, mask: t(3, 5) }, path),
    "attention",
    "the mask must be [groups×5] or [groups×5×5] with groups dividing 2"
  ],
  [
    "attention",
    Op.attention(t(2, 3, 9), t(2, 5, 9), t(2, 5, 9), { heads: 3, scale: 1, mask: t(1, 5, 3) }, path),
    "attention",
    "the mask must be [groups×5] or [groups×3×5] with groups dividing 2"
  ],
  [
    "optimiser",
    Op.adamw(
      { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      { parameter: Op.input(path, [3]), gradient: t(2), moment1: t(3), moment2: t(3) },
      t(),
      t()
    ).parameter,
    "adamw",
    "parameter, gradient and moments must have the same shape"
  ],
  [
    "SGD",
    Op.sgd(
      { momentum: 0.9, nesterov: false, weightDecay: 0 },
      { parameter: Op.input(path, [3]), gradient: t(3), velocity: t(3) },
      t(3)
    ).velocity,
    "sgd",
    "the learning rate must be a scalar"
  ],
  [
    "moving average",
    Op.movingAverage(t(2), Op.input(path, [3], "float32"), t()),
    "movingAverage",
    "the average and the current value must have the same shape"
  ],
  ["norm", Op.globalNorm([], path), "globalNorm", "needs a tensor"],
  ["clipping", Op.clipByNorm(Op.input(path, [3]), t(3), 1), "clipByNorm", "the norm must be a scalar"],
  ["clipping", Op.clipByNorm(Op.input(path, [3]), t(), 0), "clipByNorm", "the maximum norm must be above 0"]
]

describe("ShapeError", () => {
  for (const [family, wrong, op, reason] of mistakes)
    it(`${family}: ${reason}`, () => {
      const made = Program.make({ outputs: { wrong } })
      assert.isTrue(Result.isFailure(made))
      const error = Result.isFailure(made) ? made.failure : undefined
      assert.instanceOf(error, ShapeError)
      if (!(error instanceof ShapeError)) return
      assert.strictEqual(error.path, path)
      assert.strictEqual(error.op, op)
      assert.include(error.reason, reason)
      assert.deepStrictEqual(
        error.shapes,
        wrong.inputs.map((input) => [...input.shape])
      )
    })

  it("says where, what and with which shapes, in one sentence", () => {
    const error = Op.linear(t(2, 3), t(4, 5), undefined, path).fault
    assert.strictEqual(
      error?.message,
      "stages.3.blocks.0 (linear): the input's last axis must have length 5; the inputs have shapes [2×3], [4×5]"
    )
  })

  it("is carried on by whatever is made from the mistake, whether its shape would fit or not", () => {
    const wrong = Op.reshape(t(2, 3), [4], path)
    const heirs = [
      Op.reshape(wrong, [6]),
      Op.relu(wrong),
      Op.add(t(9), wrong),
      Op.conv2d(wrong, wrong),
      Op.attention(wrong, wrong, wrong, { heads: 1, scale: 1 }),
      Op.batchNorm(wrong, wrong, wrong),
      Op.maxPool2d(wrong, { kernel: [2, 2] }),
      Op.toTokens(wrong),
      Op.sum(wrong),
      Op.slice(wrong, 3, 0, 1)
    ]
    for (const heir of heirs) assert.strictEqual(heir.fault, wrong.fault)
  })
})

describe("element types", () => {
  it("stay when elements are only moved, and comparing gives floats", () => {
    const moved = Op.concat([Op.reshape(labels, [2, 2]), Op.slice(Op.broadcastTo(labels, [3, 4]), 1, 0, 2)], 0)
    assert.deepStrictEqual(moved.shape, [5, 2])
    assert.strictEqual(moved.dtype, "int32")
    assert.strictEqual(Op.argMax(t(4, 10)).dtype, "int32")
    const hits = Op.equal(Op.argMax(t(4, 10)), labels)
    assert.strictEqual(hits.fault, undefined)
    assert.strictEqual(hits.dtype, "float32")
  })

  it("of two sides must be one", () => {
    assert.include(Op.equal(t(4), labels).fault?.message, "expected float32 elements, not int32")
    assert.include(Op.mul(labels, labels).fault?.message, "expected float32 elements, not int32")
  })
})

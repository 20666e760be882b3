/** Attributes of any numbers at all: what makes no sense is a `ShapeError`, and what makes sense has the shape that it says and can be computed. */
import { assert, describe, it } from "@effect/vitest"
import { Op, Shape, ShapeError, type Tensor } from "@uninet/graph"
import fc from "fast-check"
import { check, numbers } from "./support/draw.ts"
import { programOf } from "./support/gradients.ts"
import { evaluate } from "./support/interpreter.ts"

/** Numbers that someone may write by mistake, and a few that are right. */
const wild = fc.constantFrom(-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6, Number.NaN, Infinity, -Infinity)
/** Mostly right. */
const mild = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(0, 1, 2) }, { weight: 1, arbitrary: wild })
const length = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(1, 2, 3) }, { weight: 1, arbitrary: wild })
const list = (most: number) => fc.array(mild, { maxLength: most })
const zeros = fc.oneof({ weight: 3, arbitrary: fc.tuple(mild, mild, mild) }, { weight: 1, arbitrary: list(4) })
const pair = fc.tuple(length, length)
const four = fc.tuple(mild, mild, mild, mild)

/** An op with attributes of such numbers; `expected` is the shape where they make sense. */
interface Attempt {
  readonly tensor: Tensor.Tensor
  readonly expected: Shape.Shape | undefined
}

const input = (...shape: Shape.Shape) => Op.input(`x${shape.join("x")}`, shape)
const x = input(2, 3, 4)
const image = input(1, 2, 5, 4)
const labels = Op.constant(Int32Array.of(0, 1), [2])

const isWhole = (n: number, least: number) => Number.isSafeInteger(n) && n >= least
const isLength = (n: number) => isWhole(n, 1)
const isAxis = (axis: number, of: Tensor.Tensor) => isWhole(axis, 0) && axis < of.shape.length
const isAmount = (n: number) => n >= 0 && n < Infinity
const when = (sensible: boolean, shape: () => Shape.Shape) => (sensible ? shape() : undefined)

/** How many windows fit, or nothing where one does not. */
const windows = (length: number, extent: number, stride: number, padding: number) =>
  Math.floor((length + padding - extent) / stride) + 1

const pooling = (pool: (kernel: readonly [number, number], window: Op.Window) => Tensor.Tensor) =>
  fc.tuple(pair, pair, four).map(([kernel, stride, padding]): Attempt => {
    const sensible =
      kernel.every(isLength) &&
      stride.every(isLength) &&
      padding.every((n, side) => isWhole(n, 0) && n < kernel[side % 2]) &&
      kernel[0] <= 5 + padding[0] + padding[2] &&
      kernel[1] <= 4 + padding[1] + padding[3]
    return {
      tensor: pool(kernel, { stride, padding }),
      expected: when(sensible, () => [
        1,
        2,
        windows(5, kernel[0], stride[0], padding[0] + padding[2]),
        windows(4, kernel[1], stride[1], padding[1] + padding[3])
      ])
    }
  })

const reducing = (reduce: typeof Op.sum) =>
  fc.tuple(list(4), fc.boolean()).map(([axes, keepDims]): Attempt => {
    const sensible = axes.every((axis) => isAxis(axis, x)) && new Set(axes).size === axes.length
    const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
    return {
      tensor: reduce(x, axes, keepDims),
      expected: when(sensible, () =>
        // Over no axes at all there is nothing to reduce.
        keepDims || axes.length === 0 ? kept : x.shape.filter((_, axis) => !axes.includes(axis))
      )
    }
  })

const vector = input(3)
const scalar = input()

/** By op; where an op takes numbers of several sorts, one of them goes wild. */
const attempts: Readonly<Record<string, fc.Arbitrary<Attempt>>> = {
  input: list(4).map((shape) => ({
    tensor: Op.input("y", shape),
    expected: when(shape.every(isLength), () => shape)
  })),
  fill: fc.tuple(wild.filter(Number.isFinite), list(4)).map(([value, shape]) => ({
    tensor: Op.fill(value, shape),
    expected: when(shape.every(isLength), () => shape)
  })),
  constant: list(3).map((shape) => ({
    tensor: Op.constant(new Float32Array(4), shape),
    expected: when(shape.every(isLength) && Shape.size(shape) === 4, () => shape)
  })),
  variable: fc.tuple(fc.constantFrom("constant", "uniform", "truncatedNormal"), wild).map(([kind, n]) => {
    const initialiser: Op.Initialiser =
      kind === "constant"
        ? { kind, value: n }
        : kind === "uniform"
          ? { kind: "uniform", bound: n }
          : { kind: "truncatedNormal", deviation: n }
    return {
      tensor: Op.variable({ name: "v", role: "parameter", initialiser, decay: false }, [3]),
      expected: when(kind === "constant" ? Number.isFinite(n) : isAmount(n), () => [3])
    }
  }),
  broadcastTo: fc.array(length, { maxLength: 4 }).map((shape) => {
    const sensible = shape.every(isLength) && shape.length >= 2 && shape.at(-1) === 3
    return { tensor: Op.broadcastTo(input(1, 3), shape), expected: when(sensible, () => shape) }
  }),
  sum: reducing(Op.sum),
  mean: reducing(Op.mean),
  reduceMax: reducing(Op.reduceMax as typeof Op.sum), // its axes have no default, which is all they differ in
  oneHot: wild.map((depth) => ({
    tensor: Op.oneHot(labels, depth),
    expected: when(isLength(depth), () => [2, depth])
  })),
  reshape: list(4).map((shape) => ({
    tensor: Op.reshape(input(4), shape),
    expected: when(shape.every(isLength) && Shape.size(shape) === 4, () => shape)
  })),
  transpose: list(4).map((permutation) => ({
    tensor: Op.transpose(x, permutation),
    expected: when(permutation.toSorted((a, b) => a - b).join() === "0,1,2", () =>
      permutation.map((axis) => x.shape[axis])
    )
  })),
  slice: fc.tuple(mild, mild, wild).map(([axis, start, end]) => {
    const sensible = isAxis(axis, x) && isWhole(start, 0) && isWhole(end, start + 1) && end <= x.shape[axis]
    return { tensor: Op.slice(x, axis, start, end), expected: when(sensible, () => x.shape.with(axis, end - start)) }
  }),
  pad: fc.tuple(zeros, zeros).map(([before, after]) => {
    const sensible = [before, after].every((some) => some.length === 3 && some.every((n) => isWhole(n, 0)))
    return {
      tensor: Op.pad(x, before, after),
      expected: when(sensible, () => x.shape.map((n, axis) => n + before[axis] + after[axis]))
    }
  }),
  concat: fc.tuple(wild, fc.integer({ min: 1, max: 3 })).map(([axis, count]) => ({
    tensor: Op.concat([x, ...Array.from({ length: count - 1 }, () => x)], axis),
    expected: when(isAxis(axis, x), () => x.shape.with(axis, count * x.shape[axis]))
  })),
  toImage: fc.tuple(wild, wild).map(([height, width]) => ({
    tensor: Op.toImage(input(2, 6, 3), height, width),
    expected: when(isLength(height) && isLength(width) && height * width === 6, () => [2, 3, height, width])
  })),
  scatterAdd: wild.map((rows) => ({
    tensor: Op.scatterAdd(input(2, 3), labels, rows),
    expected: when(isLength(rows), () => [rows, 3])
  })),
  conv2d: fc.tuple(mild, pair, four, pair).map(([groups, stride, padding, dilation]) => {
    const [down, across] = dilation.map((step) => 2 * step + 1)
    const sensible =
      (groups === 1 || groups === 2) &&
      [...stride, ...dilation].every(isLength) &&
      padding.every((n) => isWhole(n, 0)) &&
      down <= 5 + padding[0] + padding[2] &&
      across <= 4 + padding[1] + padding[3]
    return {
      tensor: Op.conv2d(image, input(4, groups === 2 ? 1 : 2, 3, 3), { groups, stride, padding, dilation }),
      expected: when(sensible, () => [
        1,
        4,
        windows(5, down, stride[0], padding[0] + padding[2]),
        windows(4, across, stride[1], padding[1] + padding[3])
      ])
    }
  }),
  maxPool2d: pooling((kernel, window) => Op.maxPool2d(image, { kernel, ...window })),
  averagePool2d: pooling((kernel, window) => Op.averagePool2d(image, { kernel, ...window, countPadding: false })),
  resize: fc.tuple(wild, wild, fc.constantFrom<Op.Interpolation>("nearest", "bilinear")).map(([h, w, mode]) => ({
    tensor: Op.resize(image, [h, w], { mode }),
    expected: when(isLength(h) && isLength(w), () => [1, 2, h, w])
  })),
  batchNorm: fc.tuple(mild, mild).map(([epsilon, momentum]) => ({
    tensor: Op.batchNorm(x, undefined, undefined, { epsilon, momentum }),
    expected: when(isAmount(epsilon) && momentum >= 0 && momentum <= 1, () => x.shape)
  })),
  batchNormInference: wild.map((epsilon) => ({
    tensor: Op.batchNormInference(x, undefined, undefined, vector, Op.exp(vector), { epsilon }),
    expected: when(isAmount(epsilon), () => x.shape)
  })),
  layerNorm: wild.map((epsilon) => ({
    tensor: Op.layerNorm(input(2, 3), vector, vector, { epsilon }),
    expected: when(isAmount(epsilon), () => [2, 3])
  })),
  attention: fc.tuple(wild, wild).map(([heads, scale]) => ({
    tensor: Op.attention(x, x, x, { heads, scale }),
    expected: when([1, 2, 4].includes(heads) && Number.isFinite(scale), () => x.shape)
  })),
  adamw: fc.tuple(mild, mild, mild, mild).map(([beta1, beta2, epsilon, weightDecay]) => {
    const moment2 = Op.exp(vector)
    const state = { parameter: vector, gradient: vector, moment1: vector, moment2 }
    const betas = [beta1, beta2].every((beta) => beta >= 0 && beta < 1)
    return {
      tensor: Op.adamw({ beta1, beta2, epsilon, weightDecay }, state, scalar, Op.fill(1)).parameter,
      expected: when(betas && isAmount(epsilon) && isAmount(weightDecay), () => [3])
    }
  }),
  sgd: fc.tuple(mild, mild, fc.boolean()).map(([momentum, weightDecay, nesterov]) => {
    const state = { parameter: vector, gradient: vector, velocity: vector }
    return {
      tensor: Op.sgd({ momentum, nesterov, weightDecay }, state, scalar).velocity,
      expected: when(isAmount(momentum) && isAmount(weightDecay), () => [3])
    }
  }),
  clipByNorm: wild.map((most) => ({
    tensor: Op.clipByNorm(vector, Op.exp(scalar), most),
    expected: when(most > 0, () => [3])
  }))
}

const valuesOf = (tensors: ReadonlyArray<Tensor.Tensor<"input"> | Tensor.Tensor<"variable">>) =>
  Object.fromEntries(tensors.map(({ attributes, shape }) => [attributes.name, numbers(1, Shape.size(shape))]))

/** What the interpreter makes of a tensor, from values for whatever it needs. */
const computed = (y: Tensor.Tensor): Float64Array => {
  const program = programOf({ y })
  return evaluate(program, { inputs: valuesOf(program.inputs), variables: valuesOf(program.variables) }).outputs.y
}

describe("attributes of any numbers", () => {
  for (const [op, cases] of Object.entries(attempts))
    it(`of ${op} are refused where they make no sense, and else give the shape that they say`, () => {
      let sensible = 0
      const law = ({ expected, tensor }: Attempt) => {
        if (expected === undefined) return assert.instanceOf(tensor.fault, ShapeError)
        sensible++
        assert.isUndefined(tensor.fault)
        assert.deepStrictEqual(tensor.shape, expected)
        const values = computed(tensor)
        assert.strictEqual(values.length, Shape.size(expected))
        assert.isTrue(values.every(Number.isFinite), "every element is computed from elements that are there")
      }
      check(cases, law, 500)
      assert.isAbove(sensible, 5, "some attempts should be right")
      // And others at every run, whose seed is printed where one fails.
      fc.assert(fc.property(cases, law))
    })

  it("are tried for every op that has numbers among its attributes", () => {
    // Those without: what they compute follows from the shapes of their inputs alone, or from a name.
    const without = ["unary", "binary", "compare", "activation", "softmax", "logSoftmax", "argMax", "toTokens"]
    const others = ["gather", "matmul", "linear", "globalAveragePool", "batchMoments", "movingAverage", "globalNorm"]
    // Its parameters are its author's.
    const own = ["composite"]
    const tried = Object.keys(attempts).map((op) => (["sum", "mean", "reduceMax"].includes(op) ? "reduce" : op))
    const kinds = Object.keys(Op.definitions).filter((kind) => !kind.includes("Grad"))
    assert.sameMembers(kinds, [...new Set([...tried, ...without, ...others, ...own])])
  })
})

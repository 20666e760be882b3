import { assert, describe, it } from "@effect/vitest"
import { Costs, type Definition, gradient, GradientError, Op, Program, Shape, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import fc from "fast-check"
import { among, broadcasting, check, length, seed, shape } from "./support/draw.ts"
import { sharpened, squaredRelu } from "./support/composites.ts"
import { type Case, largestError, programOf } from "./support/gradients.ts"
import { graph, grow } from "./support/graphs.ts"
import { evaluate } from "./support/interpreter.ts"

type Cases = Readonly<Record<string, fc.Arbitrary<Case>>>

const positive = among([0.5, 2])
const notZero = among([-2, -0.1], [0.1, 2])

/** The same operation on one tensor of any shape. */
const onOne = (apply: (x: Tensor.Tensor) => Tensor.Tensor, values?: Case["values"]): fc.Arbitrary<Case> =>
  shape(0, 3).map((s) => ({ shapes: [s], apply: ([x]) => apply(x), ...(values && { values }) }))

/** The same operation on two tensors that broadcast. */
const onTwo = (
  apply: (a: Tensor.Tensor, b: Tensor.Tensor) => Tensor.Tensor,
  values?: Case["values"]
): fc.Arbitrary<Case> =>
  broadcasting(2).map((shapes) => ({ shapes, apply: ([a, b]) => apply(a, b), ...(values && { values }) }))

const unary: Readonly<Record<Op.UnaryFunction, fc.Arbitrary<Case>>> = {
  neg: onOne(Op.neg),
  exp: onOne(Op.exp),
  log: onOne(Op.log, positive),
  sqrt: onOne(Op.sqrt, positive),
  reciprocal: onOne(Op.reciprocal, notZero),
  abs: onOne(Op.abs, notZero),
  sign: onOne(Op.sign, notZero)
}

const binary: Readonly<Record<Op.BinaryFunction, fc.Arbitrary<Case>>> = {
  add: onTwo(Op.add),
  sub: onTwo(Op.sub),
  mul: onTwo(Op.mul),
  div: onTwo(Op.div, notZero),
  max: onTwo(Op.max, "distinct"),
  min: onTwo(Op.min, "distinct")
}

const activation: Readonly<Record<Op.ActivationFunction, fc.Arbitrary<Case>>> = {
  relu: onOne(Op.relu, notZero),
  gelu: onOne(Op.gelu, among([-7, 7])),
  sigmoid: onOne(Op.sigmoid, among([-7, 7])),
  tanh: onOne(Op.tanh),
  hardSigmoid: onOne(Op.hardSigmoid, among([-5, -3.1], [-2.9, 2.9], [3.1, 5])),
  silu: onOne(Op.silu, among([-7, 7]))
}

/** A tensor, some of its axes, and whether they are kept. */
const reducing = (
  apply: (x: Tensor.Tensor, axes: ReadonlyArray<number>, keepDims: boolean) => Tensor.Tensor,
  values?: Case["values"]
): fc.Arbitrary<Case> =>
  shape(1, 4, 3).chain((s) =>
    fc
      .tuple(fc.shuffledSubarray([...s.keys()], { minLength: 1 }), fc.boolean())
      .map(([axes, keepDims]) => ({ shapes: [s], apply: ([x]) => apply(x, axes, keepDims), ...(values && { values }) }))
  )

const reduce: Readonly<Record<Tensor.Attributes["reduce"]["fn"], fc.Arbitrary<Case>>> = {
  sum: reducing(Op.sum),
  mean: reducing(Op.mean),
  max: reducing(Op.reduceMax, "distinct")
}

const broadcastTo: fc.Arbitrary<Case> = fc.tuple(broadcasting(2), shape(0, 1)).map(([[a, b], lead]) => ({
  shapes: [a],
  apply: ([x]) => Op.broadcastTo(x, [...lead, ...(Shape.broadcast(a, b) ?? a)])
}))

/** A shape with a last axis. */
const rowsOf = (apply: (x: Tensor.Tensor) => Tensor.Tensor): fc.Arbitrary<Case> =>
  shape(1, 3).map((s) => ({ shapes: [s], apply: ([x]) => apply(x) }))

const reshape: fc.Arbitrary<Case> = shape(0, 4).chain((s) =>
  fc
    .constantFrom([Shape.size(s)], [1, ...s], [...s].reverse())
    .map((to) => ({ shapes: [s], apply: ([x]) => Op.reshape(x, to) }))
)

const transpose: fc.Arbitrary<Case> = shape(2, 4, 3).chain((s) =>
  fc
    .shuffledSubarray([...s.keys()], { minLength: s.length })
    .map((permutation) => ({ shapes: [s], apply: ([x]) => Op.transpose(x, permutation) }))
)

const slice: fc.Arbitrary<Case> = fc.tuple(shape(1, 3), fc.nat(), fc.nat(), fc.nat()).map(([s, a, b, c]) => {
  const axis = a % s.length
  const start = b % s[axis]
  const end = start + 1 + (c % (s[axis] - start))
  return { shapes: [s], apply: ([x]) => Op.slice(x, axis, start, end) }
})

const pad: fc.Arbitrary<Case> = shape(1, 3).chain((s) => {
  const amounts = fc.array(fc.nat(2), { minLength: s.length, maxLength: s.length })
  return fc
    .tuple(amounts, amounts)
    .map(([before, after]) => ({ shapes: [s], apply: ([x]) => Op.pad(x, before, after) }))
})

const concat: fc.Arbitrary<Case> = shape(1, 3, 3).chain((s) =>
  fc.tuple(fc.nat(s.length - 1), fc.array(length(3), { minLength: 1, maxLength: 4 })).map(([axis, lengths]) => ({
    shapes: lengths.map((n) => s.map((m, i) => (i === axis ? n : m))),
    apply: ([first, ...rest]) => Op.concat([first, ...rest], axis)
  }))
)

/** Indices of which some are no row's number. */
const indices = (s: Shape.Shape, rows: number, from: number) =>
  Op.constant(
    Int32Array.from({ length: Shape.size(s) }, (_, i) => ((from + 7 * i) % (rows + 2)) - 1),
    s
  )

const gather: fc.Arbitrary<Case> = fc
  .tuple(length(), shape(0, 2), shape(0, 2), fc.nat())
  .map(([rows, row, s, from]) => ({
    shapes: [[rows, ...row]],
    apply: ([table]) => Op.gather(table, indices(s, rows, from))
  }))

const scatterAdd: fc.Arbitrary<Case> = fc
  .tuple(length(), shape(0, 2), shape(0, 2), fc.nat())
  .map(([rows, row, s, from]) => ({
    shapes: [[...s, ...row]],
    apply: ([values]) => Op.scatterAdd(values, indices(s, rows, from), rows)
  }))

const image = fc.tuple(length(3), length(3), length(4), length(4))

const toTokens: fc.Arbitrary<Case> = image.map((s) => ({ shapes: [s], apply: ([x]) => Op.toTokens(x) }))

const toImage: fc.Arbitrary<Case> = image.map(([batch, channels, height, width]) => ({
  shapes: [[batch, height * width, channels]],
  apply: ([x]) => Op.toImage(x, height, width)
}))

const matmul: fc.Arbitrary<Case> = fc
  .record({
    lead: shape(0, 2, 3),
    only: fc.constantFrom("both", "left", "right"),
    sizes: fc.tuple(length(), length(), length()),
    transposeA: fc.boolean(),
    transposeB: fc.boolean()
  })
  .map(({ lead, only, sizes: [m, k, n], transposeA, transposeB }) => ({
    shapes: [
      [...(only === "right" ? [] : lead), ...(transposeA ? [k, m] : [m, k])],
      [...(only === "left" ? [] : lead), ...(transposeB ? [n, k] : [k, n])]
    ],
    apply: ([a, b]) => Op.matmul(a, b, { transposeA, transposeB })
  }))

const linear: fc.Arbitrary<Case> = fc
  .tuple(shape(0, 3, 3), length(), length(), fc.boolean())
  .map(([lead, features, outputs, bias]) => ({
    shapes: [[...lead, features], [outputs, features], ...(bias ? [[outputs]] : [])],
    apply: ([x, w, b]) => Op.linear(x, w, b)
  }))

/** One axis of a sliding window, and by how much the image is larger than the smallest that it fits. */
interface WindowAxis {
  readonly kernel: number
  readonly dilation: number
  readonly stride: number
  readonly before: number
  readonly after: number
  readonly beyond: number
}

const windowAxis = (maxPadding: (kernel: number) => number, maxDilation = 1): fc.Arbitrary<WindowAxis> =>
  length(3).chain((kernel) =>
    fc.record({
      kernel: fc.constant(kernel),
      dilation: length(maxDilation),
      stride: length(3),
      before: fc.nat(maxPadding(kernel)),
      after: fc.nat(maxPadding(kernel)),
      beyond: fc.nat(3)
    })
  )
const imageLength = ({ kernel, dilation, before, after, beyond }: WindowAxis) =>
  Math.max(1, (kernel - 1) * dilation + 1 - before - after) + beyond
const windowOf = (v: WindowAxis, h: WindowAxis): Op.Window => ({
  stride: [v.stride, h.stride],
  padding: [v.before, h.before, v.after, h.after]
})

const anyWindow = windowAxis(() => 2, 3)
const conv2d: fc.Arbitrary<Case> = fc
  .record({
    v: anyWindow,
    h: anyWindow,
    batch: length(2),
    groups: length(3),
    inputs: length(2),
    outputs: length(2),
    bias: fc.boolean()
  })
  .map(({ v, h, batch, groups, inputs, outputs, bias }) => ({
    shapes: [
      [batch, groups * inputs, imageLength(v), imageLength(h)],
      [groups * outputs, inputs, v.kernel, h.kernel],
      ...(bias ? [[groups * outputs]] : [])
    ],
    apply: ([x, weight, b]) =>
      Op.conv2d(x, weight, { ...windowOf(v, h), groups, dilation: [v.dilation, h.dilation], bias: b })
  }))

const poolWindow = windowAxis((kernel) => kernel - 1)
const maxPool2d: fc.Arbitrary<Case> = fc
  .tuple(poolWindow, poolWindow, length(2), length(2))
  .map(([v, h, batch, channels]) => ({
    shapes: [[batch, channels, imageLength(v), imageLength(h)]],
    apply: ([x]) => Op.maxPool2d(x, { kernel: [v.kernel, h.kernel], ...windowOf(v, h) }),
    values: "distinct"
  }))

const averagePool2d: fc.Arbitrary<Case> = fc
  .tuple(poolWindow, poolWindow, length(2), length(2), fc.boolean())
  .map(([v, h, batch, channels, countPadding]) => ({
    shapes: [[batch, channels, imageLength(v), imageLength(h)]],
    apply: ([x]) => Op.averagePool2d(x, { kernel: [v.kernel, h.kernel], ...windowOf(v, h), countPadding })
  }))

const globalAveragePool: fc.Arbitrary<Case> = image.map((s) => ({
  shapes: [s],
  apply: ([x]) => Op.globalAveragePool(x)
}))

const resize = (mode: Op.Interpolation): fc.Arbitrary<Case> =>
  fc.tuple(image, length(9), length(9)).map(([s, height, width]) => ({
    shapes: [s],
    apply: ([x]) => Op.resize(x, [height, width], { mode })
  }))

const epsilon = fc.constantFrom(1e-5, 1e-3, 0.1)

// Numbers keep apart: a channel of almost equal ones is as good as a kink.
const batchNorm: fc.Arbitrary<Case> = fc.tuple(shape(2, 4, 3), epsilon, fc.boolean()).map(([s, epsilon, affine]) => ({
  shapes: [s, ...(affine ? [[s[1]], [s[1]]] : [])],
  apply: ([x, scale, bias]) => Op.batchNorm(x, scale, bias, { epsilon }),
  values: "distinct"
}))

const batchNormInference: fc.Arbitrary<Case> = fc
  .tuple(shape(2, 4, 3), epsilon, fc.boolean())
  .map(([s, epsilon, affine]) => ({
    shapes: [s, [s[1]], [s[1]], ...(affine ? [[s[1]], [s[1]]] : [])],
    apply: ([x, mean, variance, scale, bias]) => Op.batchNormInference(x, scale, bias, mean, variance, { epsilon }),
    values: positive
  }))

const layerNorm: fc.Arbitrary<Case> = fc.tuple(shape(1, 3), epsilon).map(([s, epsilon]) => {
  const vector = [s[s.length - 1]]
  return {
    shapes: [s, vector, vector],
    apply: ([x, scale, bias]) => Op.layerNorm(x, scale, bias, { epsilon }),
    values: "distinct"
  }
})

const attention: fc.Arbitrary<Case> = fc
  .record({
    groups: length(2),
    each: length(2),
    queries: length(3),
    keys: length(3),
    heads: length(3),
    size: length(3),
    masked: fc.constantFrom("not at all", "by key", "by query and key"),
    scale: fc.constantFrom(1, 0.5)
  })
  .map(({ groups, each, queries, keys, heads, size, masked, scale }) => {
    const [batch, channels] = [groups * each, heads * size]
    // A few keys are masked out, as windows at an image's border do it, never all of them.
    const entries = [groups, ...(masked === "by key" ? [] : [queries]), keys]
    const mask = Float32Array.from({ length: Shape.size(entries) }, (_, i) =>
      i % 3 === 1 && i % keys !== 0 ? -1e9 : i / 10
    )
    return {
      shapes: [
        [batch, queries, channels],
        [batch, keys, channels],
        [batch, keys, channels]
      ],
      apply: ([q, k, v]) =>
        Op.attention(q, k, v, { heads, scale, mask: masked === "not at all" ? undefined : Op.constant(mask, entries) })
    }
  })

/** By kind of op: one arbitrary each, or one per function that the kind stands for. */
const cases: Readonly<Partial<Record<Tensor.Kind, Cases>>> = {
  unary,
  binary,
  activation,
  reduce,
  broadcastTo: { "a larger shape": broadcastTo },
  softmax: { "of rows": rowsOf(Op.softmax) },
  logSoftmax: { "of rows": rowsOf(Op.logSoftmax) },
  reshape: { "to other shapes": reshape },
  transpose: { "by any permutation": transpose },
  slice: { "of any axis": slice },
  pad: { "of any axes": pad },
  concat: { "of several along any axis": concat },
  toTokens: { "from images": toTokens },
  toImage: { "from tokens": toImage },
  gather: { "of rows, by numbers of some that are not there too": gather },
  scatterAdd: { "to rows, and to some that are not there": scatterAdd },
  matmul: { "transposed, with and without leading axes": matmul },
  linear: { "with and without bias": linear },
  conv2d: { "with strides, padding, groups, dilation, bias": conv2d },
  maxPool2d: { "with strides and padding": maxPool2d },
  averagePool2d: { "with strides and padding, counted or not": averagePool2d },
  globalAveragePool: { "of images": globalAveragePool },
  resize: { "to the nearest": resize("nearest"), bilinearly: resize("bilinear") },
  batchNorm: { "of two to four axes, with and without scale and bias": batchNorm },
  batchNormInference: { "of two to four axes, with and without scale and bias": batchNormInference },
  layerNorm: { "of one to three axes": layerNorm },
  composite: {
    "without a gradient of its own": onOne((x) => squaredRelu([x]), notZero),
    "of parts, with parameters": rowsOf((x) => sharpened([x], { power: 1.5 }))
  },
  attention: { "without a mask, by key, by query and key": attention }
}

const kinds = Object.keys(Op.definitions) as ReadonlyArray<Tensor.Kind> // the keys of a record over kinds
const isLeaf = (kind: Tensor.Kind) => ["input", "variable", "constant", "fill"].includes(kind)
const ruleOf = (kind: Tensor.Kind) => (Op.definitions[kind] as Definition.Definition<Tensor.Kind>).gradient
const differentiable = kinds.filter((kind) => typeof ruleOf(kind) === "function" && !isLeaf(kind))

/** Of differences in float64, which are this good. */
const tolerance = 1e-7

describe("every op's gradient is what central differences give", () => {
  for (const kind of differentiable) {
    for (const [name, arbitrary] of Object.entries(cases[kind] ?? {}))
      it(`${kind} ${name}`, () => {
        let applied = 0
        check(fc.tuple(arbitrary, seed), ([example, seed]) => {
          const { shapes, apply } = example
          if (apply(shapes.map((s, i) => Op.input(`x${i}`, s))).kind === kind) applied++
          assert.isBelow(largestError(example, seed), tolerance)
        })
        assert.isAbove(applied, 25, `many examples should be of ${kind}`)
      })
  }

  it("and is paid for by the op's own layer", () => {
    for (const arbitrary of Object.values(cases).flatMap((byName) => Object.values(byName ?? {})))
      check(
        arbitrary,
        ({ shapes, apply }) => {
          const xs = shapes.map((shape, i) => Op.input(`x${i}`, shape))
          const y = apply(xs)
          const weighted = Op.mul(y, Op.input("weights", y.shape), "loss")
          const gradients = gradient(Op.sum(weighted, undefined, false, "loss"), xs)
          const program = programOf(Object.fromEntries(gradients.map((dx, i) => [`${i}`, dx ?? y])))
          const loss = Costs.byLayer()(program).get("loss")?.flops ?? 0
          assert.isAtMost(loss, Shape.size(y.shape), "the loss's own layer only multiplies by the weights")
          assert.isUndefined(Costs.byLayer()(program).get(""))
        },
        10
      )
  })

  it("no differentiable op is without such a test", () => {
    assert.deepStrictEqual(
      differentiable.filter((kind) => cases[kind] === undefined),
      []
    )
  })
})

const input = (...shape: ReadonlyArray<number>) => Op.input(`input${shape.join("x")}`, shape)
const x = input(2, 3)

/** The mistake that a gradient ends in. */
const mistake = (tensor: Tensor.Tensor | undefined) => {
  assert.isDefined(tensor)
  const made = Program.make({ outputs: { tensor } })
  assert.isTrue(Result.isFailure(made))
  return Result.isFailure(made) ? made.failure : undefined
}

/** Numbers of the gradient of a scalar. */
const values = (of: Tensor.Tensor, at: Readonly<Record<string, ReadonlyArray<number>>>, wrt = x) => {
  const [dx] = gradient(of, [wrt])
  assert.isDefined(dx)
  return [...evaluate(programOf({ dx }), { inputs: at }).outputs.dx]
}

describe("gradient", () => {
  it("adds up over every way on which a tensor reaches the scalar", () =>
    check(fc.tuple(graph, seed), ([steps, seed]) => {
      const shapes = [
        [2, 3],
        [2, 3],
        [3, 3]
      ]
      assert.isBelow(largestError({ shapes, apply: (leaves) => grow(steps, leaves) }, seed), tolerance)
    }))

  it("is taken with respect to results too, not only to leaves", () => {
    const y = Op.mul(x, x)
    const [dy, dx] = gradient(Op.sum(Op.exp(y)), [y, x])
    assert.isDefined(dy)
    assert.isDefined(dx)
    const { outputs } = evaluate(programOf({ dy, dx }), { inputs: { input2x3: [0, 1, 0.5, 0, 0, 0] } })
    assert.closeTo(outputs.dy[1], Math.E, 1e-12)
    assert.closeTo(outputs.dx[1], 2 * Math.E, 1e-12)
  })

  it("is 1 with respect to the scalar itself, and undefined where the scalar does not depend on a tensor", () => {
    const loss = Op.sum(x)
    const [one, none] = gradient(loss, [loss, input(5)])
    assert.isDefined(one)
    assert.deepStrictEqual([...evaluate(programOf({ one })).outputs.one], [1])
    assert.isUndefined(none)
  })

  it("stops at ops that are constant almost everywhere", () => {
    for (const y of [Op.greater(x, Op.fill(0)), Op.oneHot(Op.argMax(x), 3)])
      assert.deepStrictEqual(gradient(Op.sum(y), [x]), [undefined])
    assert.deepStrictEqual(
      values(Op.sum(Op.mul(x, Op.greater(x, Op.fill(0)))), { input2x3: [1, -1, 2, -2, 3, -3] }),
      [1, 0, 1, 0, 1, 0]
    )
  })

  it("of a maximum at a tie goes to the first: of two tensors, of the elements of one, of a window's", () => {
    const zeros = { input2x3: [0, 0, 0, 0, 0, 0] }
    const other = Op.fill(0, [2, 3])
    assert.deepStrictEqual(values(Op.sum(Op.max(x, other)), zeros), [1, 1, 1, 1, 1, 1])
    assert.deepStrictEqual(values(Op.sum(Op.max(other, x)), zeros), [0, 0, 0, 0, 0, 0])
    assert.deepStrictEqual(values(Op.sum(Op.min(x, other)), zeros), [1, 1, 1, 1, 1, 1])
    assert.deepStrictEqual(values(Op.sum(Op.min(other, x)), zeros), [0, 0, 0, 0, 0, 0])
    const rows = { input2x3: [1, 1, 0, 0, 2, 2] }
    assert.deepStrictEqual(values(Op.sum(Op.reduceMax(x, [1])), rows), [1, 0, 0, 0, 1, 0])
    assert.deepStrictEqual(values(Op.sum(Op.reduceMax(x, [0])), zeros), [1, 1, 1, 0, 0, 0])
    assert.deepStrictEqual(values(Op.reduceMax(x, [0, 1]), rows), [0, 0, 0, 0, 1, 0])
    const pooled = Op.maxPool2d(Op.reshape(x, [1, 1, 2, 3]), { kernel: [2, 2], padding: [0, 0, 0, 0] })
    assert.deepStrictEqual(values(Op.sum(pooled), zeros), [1, 1, 0, 0, 0, 0])
  })

  it("of a bias before a batch norm is exactly zero, and computed without the norm", () => {
    const ones = Op.fill(1, [5])
    const normed: Case["apply"] = ([x, weight, bias]) =>
      Op.gelu(Op.batchNorm(Op.conv2d(x, weight, { bias }), ones, ones))
    const shapes = [[2, 3, 2, 2], [5, 3, 1, 1], [5]]
    assert.isBelow(largestError({ shapes, apply: normed }, 1), tolerance)
    const leaves = shapes.map((shape, i) => Op.input(`x${i}`, shape))
    const [dBias] = gradient(Op.sum(normed(leaves)), leaves.slice(2))
    assert.isDefined(dBias)
    assert.deepStrictEqual([...evaluate(programOf({ dBias })).outputs.dBias], [0, 0, 0, 0, 0])
  })

  it("only asks for the rules between the tensors and the scalar", () => {
    const w = input(2, 1)
    const [dw] = gradient(Op.sum(Op.mul(w, Op.batchMoments(x))), [w])
    assert.isDefined(dw)
    assert.deepStrictEqual(dw.shape, [2, 1])
    programOf({ dw })
  })

  it("keeps only the rules that it asked for: nothing of the other inputs' gradients stays in the program", () => {
    const w = Op.input("w", [4, 3])
    const [dw] = gradient(Op.sum(Op.linear(x, w)), [w])
    assert.isDefined(dw)
    assert.notInclude(
      programOf({ dw }).nodes.map((n) => n.kind),
      "linearGradInput"
    )
  })

  it("of anything but a scalar is an error", () => {
    const error = mistake(gradient(Op.relu(x, "stem.act"), [x])[0])
    assert.instanceOf(error, GradientError)
    assert.strictEqual(error?.message, "stem.act (activation): only a scalar has a gradient; take a sum or mean first")
  })

  it("of a mistaken tensor is that mistake", () => {
    const wrong = Op.sum(Op.add(x, input(7)))
    const error = mistake(gradient(wrong, [x])[0])
    assert.strictEqual(error?._tag, "ShapeError")
    assert.include(error?.message, "[2×3], [7]")
  })

  it("through an op that has none is an error that names the op and its layer", () => {
    const error = mistake(gradient(Op.sum(Op.batchMoments(x, "stages.0.bn")), [x])[0])
    assert.instanceOf(error, GradientError)
    assert.strictEqual(error?.message, "stages.0.bn (batchMoments): no gradient is defined through this op")
    const step = Op.fill(1)
    const next = Op.adamw(
      { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 },
      { parameter: x, gradient: x, moment1: x, moment2: x },
      step,
      step
    )
    assert.instanceOf(mistake(gradient(Op.sum(next.parameter), [x])[0]), GradientError)
  })

  it("of a gradient op is an error: second derivatives go through primitive ops only", () => {
    const [dx] = gradient(Op.sum(Op.gelu(x)), [x])
    assert.isDefined(dx)
    assert.instanceOf(mistake(gradient(Op.sum(dx), [x])[0]), GradientError)
    const [cube] = gradient(Op.sum(Op.mul(x, Op.mul(x, x))), [x])
    assert.isDefined(cube)
    assert.deepStrictEqual(values(Op.sum(cube), { input2x3: [1, 2, 3, 0, -1, 0.5] }), [6, 12, 18, 0, -6, 3])
  })

  it("does not go to indices, whatever they were made from, and asking for it is an error", () => {
    const table = input(3, 2)
    const index = Op.argMax(table)
    const loss = Op.sum(Op.gather(table, index, "embedding"))
    assert.deepStrictEqual(values(loss, { input3x2: [0, 1, 0, 1, 1, 0] }, table), [1, 1, 2, 2, 0, 0])
    assert.strictEqual(
      mistake(gradient(loss, [index])[0])?.message,
      "embedding (gather): no gradient is defined with respect to its input 1"
    )
  })

  it("with respect to an attention mask is an error, not silently nothing", () => {
    const q = input(2, 4, 6)
    const mask = input(1, 4)
    const y = Op.attention(q, q, q, { heads: 2, scale: 1, mask }, "block.attention")
    assert.isDefined(gradient(Op.sum(y), [q])[0])
    assert.strictEqual(
      mistake(gradient(Op.sum(y), [mask])[0])?.message,
      "block.attention (attention): no gradient is defined with respect to its input 3"
    )
  })

  it("of a chain of 20,000 ops does not overflow the stack", () => {
    let y: Tensor.Tensor = x
    for (let i = 0; i < 20_000; i++) y = Op.scale(Op.add(y, x), i % 2 === 0 ? 0.5 : 1)
    const [dx] = gradient(Op.sum(y), [x])
    assert.isDefined(dx)
    assert.isAbove(programOf({ dx }).nodes.length, 20_000)
  })
})

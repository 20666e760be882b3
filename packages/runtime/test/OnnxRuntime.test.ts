import { assert, describe, it } from "@effect/vitest"
import { gradient, Op, Program, Shape, type Tensor } from "@uninet/graph"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { binarise, reversed, squaredRelu } from "../../graph/test/support/composites.ts"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { Lowering } from "@uninet/onnx"
import { OnnxRuntime, Runtime } from "@uninet/runtime"

const made = (ends: Parameters<typeof Program.make>[0]) => Result.getOrThrow(Program.make(ends))

/** Numbers that differ from one another, of both signs. */
const numbers = (n: number, seed: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(seed * 7.13 + i * 1.37) * 1.5)

/** Largest difference relative to the largest reference value, or to 0.1 where that is smaller: some gradients are zero but for rounding. */
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let worst = 0
  let largest = 0.1
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i] - b[i]))
    largest = Math.max(largest, Math.abs(b[i]))
  }
  return worst / largest
}

const finite = (xs: ArrayLike<number>) => Array.from(xs, (x) => (Number.isFinite(x) ? x : 0))

/** The difference of numbers that are infinite at the same places. */
const differenceOfFinite = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  assert.deepStrictEqual(Array.from(a, Number.isFinite), Array.from(b, Number.isFinite))
  return difference(finite(a), finite(b))
}

/** A function of tensors with, for its inputs, the shapes they have. */
interface Case {
  readonly inputs: ReadonlyArray<Shape.Shape>
  readonly f: (...inputs: ReadonlyArray<Tensor.Tensor>) => Tensor.Tensor
  /** What the inputs hold; default `numbers`. */
  readonly values?: (n: number, seed: number) => Float32Array
}

/** A function's result and the gradients of a weighted sum of it, and values for its inputs. */
const programOf = (one: Case) => {
  const inputs = one.inputs.map((shape, i) => Op.input(`x${i}`, shape))
  const y = one.f(...inputs)
  const weights = Op.constant(numbers(Shape.size(y.shape), 99), y.shape)
  const gradients = gradient(Op.sum(Op.mul(y, weights)), inputs)
  const program = made({
    outputs: { y, ...Object.fromEntries(gradients.flatMap((g, i) => (g === undefined ? [] : [[`d${i}`, g]]))) }
  })
  const { values: make = numbers } = one
  const values = Object.fromEntries(one.inputs.map((shape, i) => [`x${i}`, make(Shape.size(shape), i)]))
  return { program, values }
}

/** On the engine and by the reference interpreter. */
const compare = Effect.fnUntraced(function* (one: Case) {
  const { program, values } = programOf(one)
  const expected = evaluate(program, { inputs: values }).outputs
  const runtime = yield* Runtime
  const { run } = yield* runtime.compile({ program })
  const actual = yield* run("program", values)
  for (const [name, reference] of Object.entries(expected))
    assert.isBelow(difference(actual[name], reference), 1e-4, `${name} of ${JSON.stringify(one.inputs)}`)
})

const agrees = (name: string, cases: fc.Arbitrary<Case>) =>
  describe.each(["standard", "blocked"] as const)("by its %s formulation", (formulation) => {
    it.effect(`${name} agrees with the reference interpreter, and so do its gradients`, () =>
      Effect.forEach(fc.sample(cases, { numRuns: 12, seed: 5 }), (one) => Effect.scoped(compare(one))).pipe(
        Effect.provide(OnnxRuntime.cpu({ formulation }))
      )
    )
  })

const small = fc.integer({ min: 1, max: 4 })
/** Batches that divide into blocks and batches that do not. */
const batches = fc.constantFrom(1, 3, 16, 32)
const side = fc.integer({ min: 3, max: 7 })
/** Some of whose products are whole blocks. */
const evenSide = fc.constantFrom(3, 4, 6, 8)
const pair = fc.constantFrom<readonly [number, number]>([1, 1], [2, 2], [1, 2])

describe("every op on ONNX Runtime", () => {
  agrees(
    "convolution",
    fc
      .record({
        batch: batches,
        groups: small,
        per: small,
        out: small,
        h: side,
        w: side,
        k: fc.constantFrom(1, 3),
        stride: pair,
        biased: fc.boolean()
      })
      .map(({ batch, groups, per, out, h, w, k, stride, biased }) => ({
        inputs: [[batch, groups * per, h, w], [groups * out, per, k, k], ...(biased ? [[groups * out]] : [])],
        f: (x, weight, bias) => Op.conv2d(x, weight, { stride, groups, bias })
      }))
  )
  const edge = fc.integer({ min: 0, max: 2 })
  agrees(
    "full convolution with any kernel and padding",
    fc
      .record({
        batch: fc.constantFrom(16, 32),
        channels: small,
        out: small,
        kernel: fc.tuple(small, small),
        stride: pair,
        padding: fc.tuple(edge, edge, edge, edge)
      })
      .map(({ batch, channels, kernel, out, padding, stride }) => ({
        inputs: [
          [batch, channels, 5, 6],
          [out, channels, ...kernel]
        ],
        f: (x, weight) => Op.conv2d(x, weight, { stride, padding })
      }))
  )
  agrees(
    "dilated convolution, full, in groups or depthwise,",
    fc
      .record({
        batch: batches,
        groups: small,
        per: fc.constantFrom(1, 2),
        out: fc.constantFrom(1, 3),
        kernel: fc.constantFrom<readonly [number, number]>([3, 3], [2, 3], [1, 3]),
        stride: pair,
        dilation: fc.constantFrom<readonly [number, number]>([2, 2], [3, 1]),
        padding: fc.tuple(edge, edge, edge, edge)
      })
      .map(({ batch, dilation, groups, kernel, out, padding, per, stride }) => ({
        inputs: [
          [batch, groups * per, 8, 7],
          [groups * out, per, ...kernel]
        ],
        f: (x, weight) => Op.conv2d(x, weight, { stride, padding, groups, dilation })
      }))
  )
  agrees(
    "depthwise convolution",
    fc
      .record({ batch: batches, channels: small, h: side, w: side, stride: pair, biased: fc.boolean() })
      .map(({ batch, channels, h, w, stride, biased }) => ({
        inputs: [[batch, channels, h, w], [channels, 1, 3, 3], ...(biased ? [[channels]] : [])],
        f: (x, weight, bias) => Op.conv2d(x, weight, { stride, groups: channels, bias })
      }))
  )
  agrees(
    "max pooling",
    fc
      .record({ batch: batches, channels: small, h: side, w: side, stride: pair })
      .map(({ batch, channels, h, w, stride }) => ({
        inputs: [[batch, channels, h, w]],
        f: (x) => Op.maxPool2d(x, { kernel: [3, 3], stride })
      }))
  )
  agrees(
    "max pooling of equal elements, which gives the gradient to the first,",
    fc
      .record({ batch: fc.constantFrom(3, 16), channels: small, h: side, w: side, stride: pair })
      .map(({ batch, channels, h, w, stride }) => ({
        inputs: [[batch, channels, h, w]],
        f: (x) => Op.maxPool2d(x, { kernel: [3, 3], stride }),
        values: (n, seed) => numbers(n, seed).map(Math.round)
      }))
  )
  agrees(
    "average pooling with any kernel, stride and padding, counted or not,",
    fc
      .record({
        batch: batches,
        channels: small,
        kernel: fc.tuple(small, small),
        stride: fc.constantFrom<readonly [number, number]>([1, 1], [2, 2], [1, 2], [3, 2]),
        padding: fc.tuple(edge, edge, edge, edge),
        countPadding: fc.boolean()
      })
      .map(({ batch, channels, countPadding, kernel, padding: [top, left, bottom, right], stride }) => {
        const [v, h] = kernel
        // No window lies in the padding alone.
        const padding = [
          Math.min(top, v - 1),
          Math.min(left, h - 1),
          Math.min(bottom, v - 1),
          Math.min(right, h - 1)
        ] as const
        return {
          inputs: [[batch, channels, 5, 6]],
          f: (x) => Op.averagePool2d(x, { kernel, stride, padding, countPadding })
        }
      })
  )
  agrees(
    "resizing, to more or fewer rows and columns,",
    fc
      .record({
        batch: batches,
        channels: small,
        size: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
        mode: fc.constantFrom<Op.Interpolation>("nearest", "bilinear"),
        convolved: fc.boolean()
      })
      .map(({ batch, channels, convolved, mode, size }) => ({
        inputs: [
          [batch, channels, 4, 5],
          [channels, channels, 1, 1]
        ],
        f: (x, w) => {
          const y = Op.resize(convolved ? Op.conv2d(x, w) : x, size, { mode })
          return convolved ? Op.conv2d(y, w) : Op.mul(y, Op.sum(w))
        }
      }))
  )
  agrees(
    "rows of a table, some of them several times, some of them not there,",
    fc.record({ batch: batches, rows: small, words: small }).map(({ batch, rows, words }) => ({
      inputs: [
        [rows, 4],
        [4, 4]
      ],
      f: (table, w) => {
        const indices = Int32Array.from({ length: batch * words }, (_, i) => ((7 * i) % (rows + 2)) - 1)
        return Op.linear(Op.gather(table, Op.constant(indices, [batch, words])), w)
      }
    }))
  )
  agrees(
    "batch norms after a GELU and a depthwise convolution, and after a gate,",
    fc
      .record({ batch: fc.constantFrom(2, 3, 16), channels: fc.integer({ min: 2, max: 4 }), h: side, w: side })
      .map(({ batch, channels, h, w }) => ({
        inputs: [
          [batch, channels, h, w],
          [channels],
          [channels],
          [channels, 1, 3, 3],
          [batch, channels, 1, 1],
          [5, channels, 1, 1]
        ],
        f: (x, gamma, beta, w1, gate, w2) => {
          const y = Op.conv2d(Op.gelu(Op.batchNorm(x, gamma, beta)), w1, { groups: channels })
          const gated = Op.mul(Op.gelu(Op.batchNorm(y, gamma, beta)), gate)
          return Op.batchNorm(Op.conv2d(gated, w2), Op.fill(2, [5]), Op.fill(1, [5]))
        }
      }))
  )
  agrees(
    "batch norm between pointwise convolutions, with a residual",
    fc
      .record({ batch: fc.constantFrom(2, 3, 16), channels: fc.integer({ min: 2, max: 4 }), h: side, w: side })
      .map(({ batch, channels, h, w }) => ({
        inputs: [[batch, channels, h, w], [channels, channels, 1, 1], [channels], [channels], [5, channels, 1, 1]],
        f: (x, w1, gamma, beta, w2) => Op.conv2d(Op.add(Op.gelu(Op.batchNorm(Op.conv2d(x, w1), gamma, beta)), x), w2)
      }))
  )
  agrees(
    "batch norms without scale and bias, after and before convolutions, a GELU and a residual,",
    fc
      .record({ batch: fc.constantFrom(2, 3, 16), channels: fc.integer({ min: 2, max: 4 }), h: side, w: side })
      .map(({ batch, channels, h, w }) => ({
        inputs: [
          [batch, channels, h, w],
          [channels, channels, 1, 1],
          [channels, 1, 3, 3],
          [5, channels, 1, 1]
        ],
        f: (x, w1, depthwise, w2) => {
          const y = Op.add(Op.gelu(Op.batchNorm(Op.conv2d(x, w1))), x)
          const z = Op.batchNorm(Op.conv2d(Op.gelu(Op.batchNorm(y)), depthwise, { groups: channels }))
          return Op.add(Op.conv2d(Op.batchNorm(z), w2), Op.fill(1))
        }
      }))
  )
  agrees(
    "custom ops work without a gradient of their own, with another one and with none of their own,",
    fc.record({ batch: batches, channels: small, h: side }).map(({ batch, channels, h }) => ({
      inputs: [
        [batch, channels, h, 4],
        [channels, channels, 1, 1]
      ],
      f: (x, w) => Op.conv2d(binarise([squaredRelu([Op.conv2d(reversed([x], { strength: 0.5 }), w)])]), w)
    }))
  )
  agrees(
    "squeeze and excitation",
    fc.record({ batch: batches, channels: small, h: evenSide, w: evenSide }).map(({ batch, channels, h, w }) => ({
      inputs: [[batch, channels, h, w], [2, channels, 1, 1], [2], [channels, 2, 1, 1], [channels]],
      f: (x, w1, b1, w2, b2) => {
        const mean = Op.reshape(Op.globalAveragePool(x), [batch, channels, 1, 1])
        const squeezed = Op.relu(Op.conv2d(mean, w1, { bias: b1 }))
        return Op.mul(x, Op.hardSigmoid(Op.conv2d(squeezed, w2, { bias: b2 })))
      }
    }))
  )
  agrees(
    "a transformer block on an image",
    fc.record({ batch: batches, heads: fc.constantFrom(1, 2), h: side, w: side }).map(({ batch, heads, h, w }) => {
      const c = 4
      return {
        inputs: [[batch, c, h, w], [c], [c], [c, c], [c], [c, c], [c, c]],
        f: (x, gamma, beta, wq, bq, wk, wv) => {
          const tokens = Op.layerNorm(Op.toTokens(x), gamma, beta)
          const y = Op.attention(Op.linear(tokens, wq, bq), Op.linear(tokens, wk), Op.linear(tokens, wv), {
            heads,
            scale: 0.5
          })
          return Op.add(Op.toImage(Op.mul(y, gamma), h, w), x)
        }
      }
    })
  )
  // With a convolution in it, the images of a batch of whole blocks lie in lanes.
  agrees(
    "a layer norm before a linear layer, and a factor per feature after it,",
    fc
      .record({ batch: batches, h: side, hidden: fc.constantFrom(3, 40), gelu: fc.boolean(), biased: fc.boolean() })
      .map(({ batch, biased, gelu, h, hidden }) => ({
        inputs: [[batch, 4, h, 3], [4, 4, 1, 1], [4], [4], [hidden, 4], [hidden], [4, hidden], [4]],
        f: (x, w, gamma, beta, w1, b1, w2, scale) => {
          const tokens = Op.toTokens(Op.conv2d(x, w))
          const y = Op.linear(Op.layerNorm(tokens, gamma, beta), w1, biased ? b1 : undefined)
          const z = Op.linear(gelu ? Op.gelu(y) : y, w2, biased ? scale : undefined)
          return Op.toImage(Op.add(Op.mul(z, scale), tokens), h, 3)
        }
      }))
  )
  agrees(
    "a layer norm that something else reads",
    fc.record({ batch: batches, h: side }).map(({ batch, h }) => ({
      inputs: [[batch, 70, h, 3], [70, 70, 1, 1], [70], [70], [3, 70]],
      f: (x, w, gamma, beta, w1) => {
        const tokens = Op.layerNorm(Op.toTokens(Op.conv2d(x, w)), gamma, beta)
        return Op.mul(Op.sum(Op.linear(tokens, w1), [2], true), tokens)
      }
    }))
  )
  agrees(
    "a mixer over tokens",
    fc.record({ batch: batches, h: side }).map(({ batch, h }) => ({
      inputs: [[batch, 4, h, 3], [4, 4, 1, 1], [4], [4], [5, 3 * h], [5], [3 * h, 5], [4]],
      f: (x, w, gamma, beta, w1, b1, w2, scale) => {
        const tokens = Op.toTokens(Op.conv2d(x, w))
        const channels = Op.transpose(Op.layerNorm(tokens, gamma, beta), [0, 2, 1])
        const mixed = Op.linear(Op.gelu(Op.linear(channels, w1, b1)), w2)
        return Op.toImage(Op.add(Op.mul(Op.transpose(mixed, [0, 2, 1]), scale), tokens), h, 3)
      }
    }))
  )
  agrees(
    "attention in windows of one layer's slices",
    fc.record({ batch: batches, rows: small, columns: small }).map(({ batch, columns, rows }) => ({
      inputs: [
        [batch, 4, 2 * rows, 3 * columns],
        [4, 4, 1, 1],
        [12, 4]
      ],
      f: (x, w, qkv) => {
        const tokens = Op.linear(Op.toTokens(Op.conv2d(x, w)), qkv)
        const grid = Op.reshape(tokens, [batch, rows, 2, columns, 3, 12])
        const windows = Op.reshape(Op.transpose(grid, [0, 1, 3, 2, 4, 5]), [batch * rows * columns, 6, 12])
        const [q, k, v] = [0, 4, 8].map((start) => Op.slice(windows, 2, start, start + 4))
        const y = Op.attention(q, k, v, { heads: 2, scale: 0.7 })
        const back = Op.transpose(Op.reshape(y, [batch, rows, columns, 2, 3, 4]), [0, 1, 3, 2, 4, 5])
        return Op.toImage(Op.reshape(back, [batch, 6 * rows * columns, 4]), 2 * rows, 3 * columns)
      }
    }))
  )
  agrees(
    "a chain of movements",
    fc
      .record({
        batch: batches,
        order: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        cut: fc.constantFrom(0, 1, 2, 3),
        merged: fc.boolean()
      })
      .map(({ batch, cut, merged, order }) => ({
        inputs: [
          [batch, 4, 6, 4],
          [4, 4, 1, 1]
        ],
        f: (x, w) => {
          const moved = Op.transpose(Op.conv2d(x, w), order)
          const part = Op.slice(moved, cut, 0, Math.max(1, Math.floor(moved.shape[cut] / 2)))
          const [p, q, r, s] = part.shape
          const other = Op.reshape(part, merged ? [p * q, r * s] : [q, p, 1, s, r])
          return Op.exp(Op.transpose(other, merged ? [1, 0] : [4, 0, 2, 1, 3]))
        }
      }))
  )
  agrees(
    "slices that are put together in their order, in another, and in part",
    fc.record({ batch: batches, order: fc.shuffledSubarray([0, 1, 2], { minLength: 1 }) }).map(({ batch, order }) => ({
      inputs: [
        [batch, 2, 3, 3],
        [6, 2, 1, 1]
      ],
      f: (x, w) => {
        const y = Op.conv2d(x, w)
        const parts = order.map((i) => Op.slice(y, 1, 2 * i, 2 * i + 2))
        return parts.reduce((product, part) => Op.mul(product, part))
      }
    }))
  )
  agrees(
    "attention to many tokens",
    fc.record({ queries: fc.constantFrom(5, 130), keys: fc.constantFrom(33, 130) }).map(({ queries, keys }) => ({
      inputs: [
        [1, queries, 2],
        [1, keys, 2],
        [1, keys, 2]
      ],
      f: (q, k, v) => Op.attention(q, k, v, { heads: 1, scale: 0.7 })
    }))
  )
  agrees(
    "attention with a mask per window, of keys or of queries and keys,",
    fc
      .record({ groups: small, windows: small, queries: small, keys: small, apart: fc.boolean() })
      .map(({ apart, groups, windows, queries, keys }) => {
        const entries = [groups, ...(apart ? [queries] : []), keys]
        const mask = Op.constant(numbers(Shape.size(entries), 3), entries)
        return {
          inputs: [
            [groups * windows, queries, 4],
            [groups * windows, keys, 4],
            [groups * windows, keys, 4]
          ],
          f: (q, k, v) => Op.attention(q, k, v, { heads: 2, scale: 0.7, mask })
        }
      })
  )
})

const ones = Op.fill(1, [4])
const zeros = Op.fill(0, [4])
const kernel = (shape: Shape.Shape) =>
  Op.constant(
    Float32Array.from({ length: Shape.size(shape) }, (_, i) => 1 + (i % 5)),
    shape
  )

/** A layer norm over the channels of an image that comes out of a convolution. */
const normOfTokens = (x: Tensor.Tensor) =>
  Op.layerNorm(Op.toTokens(Op.conv2d(x, Op.constant(identity, [4, 4, 1, 1]))), ones, zeros)
const identity = Float32Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0))

/** What a network does to its activations, on images `[16, 4, 6, 6]`. */
const layers: ReadonlyArray<readonly [string, (x: Tensor.Tensor) => Tensor.Tensor]> = [
  ["GELU", (x) => Op.gelu(x)],
  ["max pooling", (x) => Op.maxPool2d(x, { kernel: [3, 3], stride: [2, 2] })],
  ["average pooling", (x) => Op.averagePool2d(x, { kernel: [3, 3], stride: [2, 2], countPadding: false })],
  ["batch norm", (x) => Op.batchNorm(x, ones, zeros)],
  ["batch norm without scale and bias", (x) => Op.batchNorm(x)],
  ["batch norm and GELU", (x) => Op.gelu(Op.batchNorm(x, ones, zeros))],
  ["depthwise convolution", (x) => Op.conv2d(x, kernel([4, 1, 3, 3]), { groups: 4 })],
  ["convolution", (x) => Op.conv2d(x, kernel([4, 4, 3, 3]))],
  ["a gate", (x) => Op.mul(x, Op.hardSigmoid(Op.reshape(Op.globalAveragePool(x), [16, 4, 1, 1])))],
  [
    "batch norms around a GELU and a depthwise convolution",
    (x) =>
      Op.batchNorm(
        Op.conv2d(Op.gelu(Op.batchNorm(x, ones, Op.fill(3, [4]))), kernel([4, 1, 3, 3]), { groups: 4 }),
        ones,
        zeros
      )
  ],
  [
    "batch norm between convolutions",
    (x) => Op.conv2d(Op.batchNorm(Op.conv2d(x, kernel([4, 4, 1, 1])), ones, zeros), kernel([4, 4, 1, 1]))
  ],
  ["layer norm", (x) => Op.toImage(normOfTokens(x), 6, 6)],
  ["layer norm before a linear layer", (x) => Op.toImage(Op.linear(normOfTokens(x), kernel([4, 4])), 6, 6)],
  [
    "attention",
    (x) => {
      const tokens = Op.toTokens(Op.conv2d(x, kernel([4, 4, 1, 1])))
      return Op.toImage(Op.attention(tokens, tokens, tokens, { heads: 2, scale: 0.1 }), 6, 6)
    }
  ]
]

const normalising = layers.filter(([name]) => name.includes("norm")).map(([, layer]) => layer)

/** What a program gives by both formulations. */
const byBoth = (program: Program.Program, values: Readonly<Record<string, Float32Array>>) =>
  Effect.forEach(["standard", "blocked"] as const, (formulation) =>
    Effect.gen(function* () {
      const { run } = yield* (yield* Runtime).compile({ program })
      return yield* run("program", values)
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu({ formulation })))
  )

/** A layer's result and input gradient by both formulations. */
const both = Effect.fnUntraced(function* (layer: (x: Tensor.Tensor) => Tensor.Tensor, x: Float32Array) {
  const input = Op.input("x", [16, 4, 6, 6])
  const y = layer(input)
  const [dx] = gradient(Op.sum(Op.mul(y, Op.constant(numbers(Shape.size(y.shape), 2), y.shape))), [input])
  const program = made({ outputs: { y, ...(dx === undefined ? {} : { dx }) } })
  const [standard, blocked] = yield* byBoth(program, { x })
  return { standard, blocked, expected: evaluate(program, { inputs: { x } }).outputs }
})

describe("attention with more scores than are worked on at once", () => {
  const masks: ReadonlyArray<{ readonly entries: Shape.Shape }> = [
    { entries: [] },
    { entries: [1, 180] },
    { entries: [4, 180] },
    { entries: [1, 150, 180] },
    { entries: [4, 150, 180] }
  ]
  it.effect.each(masks)("is that of the standard formulation, with a mask of $entries", ({ entries }) =>
    Effect.gen(function* () {
      const mask = entries.length === 0 ? undefined : Op.constant(numbers(Shape.size(entries), 3), entries)
      const { program, values } = programOf({
        inputs: [
          [16, 150, 4],
          [16, 180, 4],
          [16, 180, 4]
        ],
        f: (q, k, v) => Op.attention(q, k, v, { heads: 2, scale: 0.7, ...(mask && { mask }) })
      })
      const pieces = Lowering.lower({ block: 16 })(program).model.nodes.filter((node) => node.opType === "Split")
      assert.strictEqual(pieces.length, 4)
      const [standard, blocked] = yield* byBoth(program, values)
      for (const [name, expected] of Object.entries(standard))
        assert.isBelow(difference(blocked[name], expected), 1e-5, name)
    })
  )
})

describe("a program that runs once", () => {
  it.effect("gives what the reference interpreter does, also beside one that is to run often", () =>
    Effect.gen(function* () {
      const input = Op.input("x", [16, 4, 6, 6])
      const program = made({ outputs: Object.fromEntries(layers.map(([name, layer]) => [name, layer(input)])) })
      const x = numbers(Shape.size(input.shape), 1)
      const expected = evaluate(program, { inputs: { x } }).outputs
      const runtime = yield* Runtime
      for (const once of [true, false, true]) {
        const { run } = yield* runtime.compile({ program }, { once })
        const found = yield* run("program", { x })
        for (const [name, reference] of Object.entries(expected))
          assert.isBelow(difference(found[name], reference), 1e-4, name)
      }
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

const poolEverywhere = (x: Tensor.Tensor) => Op.maxPool2d(x, { kernel: [3, 3], stride: [1, 1] })

describe("numbers at the edge", () => {
  for (const [name, layer] of layers) {
    it.effect(`${name} gives NaN and infinity where the standard formulation does`, () =>
      Effect.gen(function* () {
        for (const bad of [Number.NaN, Infinity, -Infinity]) {
          const x = numbers(16 * 4 * 36, 1)
          x[5 * 4 * 36 + 50] = bad
          const { blocked, standard } = yield* both(layer, x)
          for (const output of ["y", "dx"])
            assert.deepStrictEqual(
              Array.from(blocked[output], Number.isFinite),
              Array.from(standard[output], Number.isFinite),
              `${output} at ${bad}`
            )
        }
      })
    )
  }

  // Which of the windows that hold a NaN show it depends on the order in which an engine compares: ONNX Runtime's kernels differ in it.
  it.effect(
    "max pooling at every element gives infinity where the standard formulation does, and does not lose a NaN",
    () =>
      Effect.gen(function* () {
        const x = numbers(16 * 4 * 36, 1)
        for (const bad of [Infinity, -Infinity]) {
          x[5 * 4 * 36 + 50] = bad
          const { blocked, standard } = yield* both(poolEverywhere, x)
          for (const output of ["y", "dx"]) assert.isBelow(differenceOfFinite(blocked[output], standard[output]), 1e-6)
        }
        x[5 * 4 * 36 + 50] = Number.NaN
        const { blocked, standard } = yield* both(poolEverywhere, x)
        for (const { dx, y } of [blocked, standard]) {
          assert.isTrue(y.some(Number.isNaN))
          assert.isTrue(dx.every(Number.isFinite))
        }
      })
  )

  it.effect.each([0, 10, 100, 1000])("a norm of mean %i and deviation 1 is exact to a thousandth", (mean) =>
    Effect.gen(function* () {
      const x = numbers(16 * 4 * 36, 1).map((v) => v + mean)
      for (const layer of normalising) {
        const { blocked, expected, standard } = yield* both(layer, x)
        for (const output of ["y", "dx"])
          for (const found of [blocked, standard]) assert.isBelow(difference(found[output], expected[output]), 1e-3)
      }
    })
  )
})

/** A variable of no other meaning than its value. */
const buffer = (name: string, shape: Shape.Shape) =>
  Op.variable({ name, role: "buffer", initialiser: { kind: "constant", value: 0 }, decay: false }, shape)

/** Counts in steps of so many. */
const counting = (step: number) => {
  const count = buffer("count", [])
  return made({ outputs: { count }, updates: [{ variable: count, value: Op.add(count, Op.fill(step)) }] })
}

describe("adding up rows", () => {
  it.effect("of a few numbers many times loses none, with several threads too", () =>
    Effect.gen(function* () {
      const count = 100_000
      const indices = Op.constant(
        Int32Array.from({ length: count }, (_, i) => i % 3),
        [count]
      )
      const program = made({ outputs: { y: Op.scatterAdd(Op.input("x", [count, 4]), indices, 3) } })
      const { run } = yield* (yield* Runtime).compile({ program })
      const x = new Float32Array(4 * count).fill(1)
      for (let i = 0; i < 5; i++) {
        const { y } = yield* run("program", { x })
        assert.deepStrictEqual(
          Array.from(y, (sum) => sum - 33_333),
          [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
        )
      }
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu({ threads: 4 })))
  )
})

describe("a graph that was compiled before", () => {
  it.effect(
    "has variables of its own when it is compiled again, and is not taken for one that differs by a number",
    () =>
      Effect.gen(function* () {
        const runtime = yield* Runtime
        const [first, again, other] = yield* Effect.forEach([counting(1), counting(1), counting(5)], (program) =>
          runtime.compile({ program })
        )
        const valueOf = ({ read }: typeof first) => Effect.map(read, (values) => values.get("count")?.[0])
        yield* first.run("program", {})
        yield* first.run("program", {})
        yield* again.run("program", {})
        yield* other.run("program", {})
        assert.deepStrictEqual(yield* Effect.forEach([first, again, other], valueOf), [2, 1, 5])
      }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

describe("a moving average", () => {
  it.effect("moves variables of any size on, and is of what was before the run where that changes in it", () =>
    Effect.gen(function* () {
      const decay = Op.input("decay", [])
      const sizes = [1, 3, 4, 9, 5000]
      const pairs = sizes.map((size) => [buffer(`average${size}`, [size]), buffer(`current${size}`, [size])] as const)
      const averages = pairs.map(([average, current]) => ({
        variable: average,
        value: Op.movingAverage(average, current, decay)
      }))
      const doubled = pairs.map(([, current]) => ({ variable: current, value: Op.add(current, current) }))
      const programs = {
        alone: made({ outputs: {}, updates: averages }),
        together: made({ outputs: {}, updates: [...averages, ...doubled] })
      }
      const { read, run, write } = yield* (yield* Runtime).compile(programs)
      const first = new Map(
        pairs.flatMap((pair) => pair.map((v, i) => [v.attributes.name, numbers(Shape.size(v.shape), i)] as const))
      )
      yield* write(first)
      let expected = new Map<string, ArrayLike<number>>(first)
      for (const name of ["alone", "together", "alone"] as const) {
        const inputs = { decay: Float32Array.of(0.8) }
        yield* run(name, inputs)
        const { updates } = evaluate(programs[name], { inputs, variables: Object.fromEntries(expected) })
        expected = new Map([...expected, ...Object.entries(updates)])
      }
      for (const [name, values] of yield* read) assert.isBelow(difference(values, expected.get(name) ?? []), 1e-6, name)
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

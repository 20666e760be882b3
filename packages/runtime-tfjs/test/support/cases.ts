/** Random programs of every op, small enough that what disagrees can be read. */
import { gradient, Op, Program, Shape, type Tensor } from "@uninet/graph"
import fc from "fast-check"
import * as Result from "effect/Result"
import { binarise, clipped, reversed, squaredRelu } from "../../../graph/test/support/composites.ts"

/** A function of tensors with the shapes of its inputs, as words: what a failure prints. */
export interface Case {
  readonly name: string
  readonly inputs: ReadonlyArray<Shape.Shape>
  readonly f: (...inputs: ReadonlyArray<Tensor.Tensor>) => Tensor.Tensor
  /** Whether the numbers have to be positive. */
  readonly positive?: boolean
  /** Whether they have to be whole, so that many are equal. */
  readonly whole?: boolean
}

/** Numbers that differ from one another, of both signs. */
export const numbers = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(seed * 7.13 + i * 1.37) * 1.5)

export const made = (ends: Parameters<typeof Program.make>[0]): Program.Program => Result.getOrThrow(Program.make(ends))

/** The case's result and, where it has them, the gradients of a weighted sum of it. */
export const programOf = ({ f, inputs: shapes }: Case, gradients = true): Program.Program => {
  const inputs = shapes.map((shape, i) => Op.input(`x${i}`, shape))
  const y = f(...inputs)
  const weights = Op.constant(numbers(Shape.size(y.shape), 99), y.shape)
  const slopes = gradients && y.dtype === "float32" ? gradient(Op.sum(Op.mul(y, weights)), inputs) : []
  return made({
    outputs: { y, ...Object.fromEntries(slopes.flatMap((g, i) => (g === undefined ? [] : [[`d${i}`, g]]))) }
  })
}

export const valuesOf = ({ inputs, positive, whole }: Case): Readonly<Record<string, Float32Array>> =>
  Object.fromEntries(
    inputs.map((shape, i) => {
      const x = numbers(Shape.size(shape), i)
      return [`x${i}`, positive === true ? x.map((v) => Math.abs(v) + 0.1) : whole === true ? x.map(Math.round) : x]
    })
  )

const length = fc.integer({ min: 1, max: 4 })
const batch = fc.constantFrom(1, 2, 3)
const side = fc.integer({ min: 1, max: 7 })
const pair = fc.constantFrom<readonly [number, number]>([1, 1], [2, 2], [1, 2], [3, 2])
const shape = (least = 0) => fc.array(length, { minLength: least, maxLength: 4 })

/** Two shapes that broadcast to one. */
const broadcasting = fc
  .tuple(shape(), fc.nat(4), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), fc.boolean())
  .map(([full, lead, ones, swap]): ReadonlyArray<Shape.Shape> => {
    const part = full.slice(Math.min(lead, full.length)).map((n, i) => (ones[i] ? 1 : n))
    return swap ? [part, full] : [full, part]
  })

const named = (name: string, cases: fc.Arbitrary<Omit<Case, "name">>): fc.Arbitrary<Case> =>
  cases.map((one) => ({ ...one, name: `${name} ${one.inputs.map(Shape.print).join(" ")}` }))

const unary = (name: string, f: (x: Tensor.Tensor) => Tensor.Tensor, positive = false) =>
  named(
    name,
    shape().map((s) => ({ inputs: [s], f, positive }))
  )
const binary = (name: string, f: (x: Tensor.Tensor, y: Tensor.Tensor) => Tensor.Tensor, positive = false) =>
  named(
    name,
    broadcasting.map((inputs) => ({ inputs, f, positive }))
  )
/** On images, which lie otherwise than other tensors. */
const image = fc.tuple(batch, length, side, side)
const onImage = (name: string, f: (x: Tensor.Tensor) => Tensor.Tensor) =>
  named(
    name,
    image.map((s) => ({ inputs: [s, [s[1], s[1], 1, 1]], f: (x, w) => f(Op.conv2d(x, w)) }))
  )

const window = fc.record({
  batch,
  h: side,
  w: side,
  k: fc.constantFrom<readonly [number, number]>([1, 1], [3, 3], [2, 2], [3, 1]),
  stride: pair,
  padded: fc.boolean()
})
/** Half the kernel around, an even one's too, or nothing where the kernel fits. */
const paddingOf = ({ h, k, padded, w }: { h: number; k: readonly [number, number]; padded: boolean; w: number }) =>
  padded || k[0] > h || k[1] > w ? ([k[0] >> 1, k[1] >> 1, k[0] >> 1, k[1] >> 1] as const) : ([0, 0, 0, 0] as const)
const fitting = ({ h, k, w }: { h: number; k: readonly [number, number]; w: number }) =>
  h + 2 * (k[0] >> 1) >= k[0] && w + 2 * (k[1] >> 1) >= k[1]

/** A window that is dilated, padded so that it fits. */
const dilated = fc.record({
  batch,
  h: side,
  w: side,
  k: fc.constantFrom<readonly [number, number]>([3, 3], [2, 2], [3, 1]),
  stride: pair,
  dilation: fc.constantFrom<readonly [number, number]>([2, 2], [1, 2], [3, 2])
})
const around = ({ dilation, k }: { dilation: readonly [number, number]; k: readonly [number, number] }) => {
  const [v, h] = Op.kernelExtent(k, dilation)
  return [v >> 1, h >> 1, v >> 1, h >> 1] as const
}

/** A family of cases for every kind of op that is computed; names are the op's. */
export const families: Readonly<Record<string, fc.Arbitrary<Case>>> = {
  unary: fc.oneof(
    unary("neg", Op.neg),
    unary("exp", Op.exp),
    unary("log", Op.log, true),
    unary("sqrt", Op.sqrt, true),
    unary("reciprocal", Op.reciprocal, true),
    unary("abs", Op.abs),
    unary("sign", Op.sign)
  ),
  binary: fc.oneof(
    binary("add", Op.add),
    binary("sub", Op.sub),
    binary("mul", Op.mul),
    binary("div", Op.div, true),
    binary("max", Op.max),
    binary("min", Op.min)
  ),
  compare: fc.oneof(
    binary("greater", Op.greater),
    binary("greaterOrEqual", Op.greaterOrEqual),
    binary("equal", (x, y) => Op.equal(Op.sign(x), Op.sign(y)))
  ),
  broadcastTo: named(
    "broadcastTo",
    broadcasting.map(([a, b]) => ({
      inputs: [a, b],
      f: (x, y) => Op.broadcastTo(x, Shape.broadcast(x.shape, y.shape) ?? x.shape)
    }))
  ),
  activation: fc.oneof(
    ...[Op.relu, Op.gelu, Op.sigmoid, Op.tanh, Op.hardSigmoid, Op.silu].flatMap((f) => {
      const wide = (x: Tensor.Tensor) => f(Op.scale(x, 4))
      return [unary("activation", wide), onImage("activation", wide)]
    })
  ),
  reduce: fc
    .tuple(
      fc.oneof(shape(1), image),
      fc.nat(15),
      fc.boolean(),
      fc.constantFrom(Op.sum, Op.mean, Op.reduceMax),
      fc.boolean()
    )
    .map(([s, mask, keep, f, last]) => {
      const axes = s.map((_, i) => i).filter((i) => (mask >> i) & 1)
      // As an image with channels last, and as it is.
      const through = last && s.length === 4
      return {
        name: `reduce ${Shape.print(s)} over ${axes.join()}${keep ? " keeping" : ""}`,
        inputs: [s, ...(through ? [[s[1], s[1], 1, 1]] : [])],
        f: (x, w) => f(through ? Op.conv2d(x, w) : x, axes, keep)
      }
    }),
  "ties in a maximum": named(
    "maximum of equals",
    fc.tuple(fc.oneof(shape(1), image), fc.integer({ min: 1, max: 15 })).map(([s, mask]) => ({
      inputs: [s],
      whole: true,
      f: (x) =>
        Op.reduceMax(
          x,
          [...s.keys()].filter((i) => (mask >> i) & 1)
        )
    }))
  ),
  softmax: fc.oneof(
    named(
      "softmax",
      shape(1).map((s) => ({ inputs: [s], f: (x) => Op.softmax(x) }))
    ),
    named(
      "logSoftmax",
      shape(1).map((s) => ({ inputs: [s], f: (x) => Op.logSoftmax(x) }))
    )
  ),
  argMax: named(
    "argMax",
    shape(1).map((s) => ({ inputs: [s], f: (x) => Op.argMax(x) }))
  ),
  oneHot: named(
    "oneHot",
    fc.tuple(shape(1), length).map(([s, depth]) => ({ inputs: [s], f: (x) => Op.oneHot(Op.argMax(x), depth) }))
  ),
  layout: fc.oneof(
    named(
      "transpose and reshape",
      fc.tuple(shape(1), fc.nat(23)).map(([s, n]) => ({
        inputs: [s],
        f: (x) => {
          const order = x.shape.map((_, i) => i).sort((a, b) => ((a * 7 + n) % 5) - ((b * 7 + n) % 5) || a - b)
          const turned = Op.transpose(x, order)
          return Op.reshape(turned, [Shape.size(turned.shape), 1])
        }
      }))
    ),
    ...[false, true].map((last) =>
      named(
        "slice, pad, concat",
        fc.tuple(image, fc.nat(3), fc.nat(3)).map(([s, axis, zeros]) => ({
          inputs: [s, [s[1], s[1], 1, 1]],
          f: (x, w) => {
            const from = last ? Op.conv2d(x, w) : x
            const cut = Op.slice(from, axis, 0, Math.max(1, x.shape[axis] - 1))
            const padded = Op.pad(
              cut,
              s.map((_, i) => (i === axis ? zeros : 0)),
              s.map((_, i) => (i === axis ? 1 : 0))
            )
            return Op.concat([padded, from], axis)
          }
        }))
      )
    )
  ),
  tokens: onImage("tokens", (x) => Op.toImage(Op.toTokens(x), x.shape[2], x.shape[3])),
  matmul: fc
    .record({
      lead: fc.array(length, { maxLength: 2 }),
      m: length,
      k: length,
      n: length,
      which: fc.nat(2),
      ta: fc.boolean(),
      tb: fc.boolean()
    })
    .map(({ k, lead, m, n, ta, tb, which }) => ({
      name: `matmul [${lead.join()}] ${m} ${k} ${n} ${which} ${ta} ${tb}`,
      inputs: [
        [...(which === 1 ? [] : lead), ...(ta ? [k, m] : [m, k])],
        [...(which === 2 ? [] : lead), ...(tb ? [n, k] : [k, n])]
      ],
      f: (x, y) => Op.matmul(x, y, { transposeA: ta, transposeB: tb })
    })),
  linear: named(
    "linear",
    fc.tuple(shape(1), length, fc.boolean()).map(([s, out, biased]) => ({
      inputs: [s, [out, s[s.length - 1]], ...(biased ? [[out]] : [])],
      f: (x, w, b) => Op.linear(x, w, b)
    }))
  ),
  conv2d: named(
    "convolution",
    fc.tuple(window.filter(fitting), length, length, length, fc.boolean()).map(([one, groups, per, out, biased]) => ({
      inputs: [
        [one.batch, groups * per, one.h, one.w],
        [groups * out, per, ...one.k],
        ...(biased ? [[groups * out]] : [])
      ],
      f: (x, w, bias) => Op.conv2d(x, w, { stride: one.stride, groups, bias, padding: paddingOf(one) })
    }))
  ),
  depthwise: named(
    "depthwise convolution",
    fc.tuple(window.filter(fitting), length, fc.boolean()).map(([one, channels, biased]) => ({
      inputs: [[one.batch, channels, one.h, one.w], [channels, 1, ...one.k], ...(biased ? [[channels]] : [])],
      f: (x, w, bias) => Op.conv2d(x, w, { stride: one.stride, groups: channels, bias, padding: paddingOf(one) })
    }))
  ),
  "dilated convolution": named(
    "dilated convolution",
    fc.tuple(dilated, length, length, length).map(([one, groups, per, out]) => ({
      inputs: [
        [one.batch, groups * per, one.h, one.w],
        [groups * out, per, ...one.k]
      ],
      f: (x, w) => Op.conv2d(x, w, { stride: one.stride, groups, dilation: one.dilation, padding: around(one) })
    }))
  ),
  "dilated depthwise convolution": named(
    "dilated depthwise convolution",
    fc.tuple(dilated, length).map(([one, channels]) => ({
      inputs: [
        [one.batch, channels, one.h, one.w],
        [channels, 1, ...one.k]
      ],
      f: (x, w) =>
        Op.conv2d(x, w, { stride: one.stride, groups: channels, dilation: one.dilation, padding: around(one) })
    }))
  ),
  maxPool2d: named(
    "max pooling",
    fc.tuple(window.filter(fitting), length).map(([one, channels]) => ({
      inputs: [[one.batch, channels, one.h, one.w]],
      f: (x) => Op.maxPool2d(x, { kernel: one.k, stride: one.stride, padding: paddingOf(one) })
    }))
  ),
  "ties in max pooling": named(
    "max pooling of equals",
    fc.tuple(window.filter(fitting), length).map(([one, channels]) => ({
      inputs: [[one.batch, channels, one.h, one.w]],
      whole: true,
      f: (x) => Op.maxPool2d(x, { kernel: one.k, stride: one.stride, padding: paddingOf(one) })
    }))
  ),
  averagePool2d: named(
    "average pooling",
    fc.tuple(window.filter(fitting), length, fc.boolean()).map(([one, channels, countPadding]) => ({
      inputs: [[one.batch, channels, one.h, one.w]],
      f: (x) => Op.averagePool2d(x, { kernel: one.k, stride: one.stride, padding: paddingOf(one), countPadding })
    }))
  ),
  resize: named(
    "resize",
    fc
      .tuple(image, side, side, fc.constantFrom<Op.Interpolation>("nearest", "bilinear"), fc.boolean())
      .map(([s, h, w, mode, last]) => ({
        inputs: [s, ...(last ? [[s[1], s[1], 1, 1]] : [])],
        f: (x, kernel) => Op.resize(last ? Op.conv2d(x, kernel) : x, [h, w], { mode })
      }))
  ),
  globalAveragePool: onImage("average", (x) => Op.globalAveragePool(x)),
  gate: onImage("gate", (x) =>
    Op.mul(x, Op.hardSigmoid(Op.reshape(Op.globalAveragePool(x), [x.shape[0], x.shape[1], 1, 1])))
  ),
  batchNorm: fc.oneof(
    named(
      "batch norm",
      fc
        .tuple(fc.integer({ min: 2, max: 4 }), length, fc.array(side, { maxLength: 3 }), fc.boolean())
        .map(([n, c, rest, affine]) => ({
          inputs: [[n, c, ...rest], ...(affine ? [[c], [c]] : [])],
          f: (x, gamma, beta) => Op.batchNorm(x, gamma, beta)
        }))
    ),
    named(
      "batch norm by given statistics",
      fc.tuple(batch, length, fc.array(side, { maxLength: 3 }), fc.boolean()).map(([n, c, rest, affine]) => ({
        inputs: [[n, c, ...rest], [c], [c], ...(affine ? [[c], [c]] : [])],
        f: (x, mean, variance, gamma, beta) =>
          Op.batchNormInference(x, gamma, beta, mean, Op.add(Op.abs(variance), Op.fill(0.5)))
      }))
    )
  ),
  layerNorm: named(
    "layer norm",
    fc.tuple(shape(1), fc.integer({ min: 3, max: 6 })).map(([lead, c]) => ({
      inputs: [[...lead, c], [c], [c]],
      f: (x, gamma, beta) => Op.layerNorm(x, gamma, beta)
    }))
  ),
  rows: fc.oneof(
    ...(["gather", "scatterAdd"] as const).map((op) =>
      named(
        op,
        fc.tuple(length, shape(), shape(1), fc.nat()).map(([rows, row, s, from]) => ({
          inputs: [[...(op === "gather" ? [rows] : s), ...row]],
          f: (x) => {
            // Some are no row's number.
            const indices = Int32Array.from({ length: Shape.size(s) }, (_, i) => ((from + 7 * i) % (rows + 2)) - 1)
            const at = Op.constant(indices, s)
            return op === "gather" ? Op.gather(x, at) : Op.scatterAdd(x, at, rows)
          }
        }))
      )
    )
  ),
  composite: fc.oneof(
    unary("custom squared ReLU", (x) => squaredRelu([x])),
    unary("straight-through sign", (x) => binarise([x])),
    unary("reversed gradient", (x) => Op.exp(reversed([Op.tanh(x)], { strength: 0.5 }))),
    unary("clipped gradient", (x) => Op.exp(clipped([x], { most: 1 }))),
    onImage("squared ReLU of an image", (x) => Op.conv2d(squaredRelu([x]), Op.fill(0.5, [2, x.shape[1], 1, 1])))
  ),
  attention: named(
    "attention",
    fc
      .record({
        groups: length,
        windows: length,
        queries: length,
        keys: length,
        heads: fc.constantFrom(1, 2),
        masked: fc.constantFrom("not at all", "by key", "by query and key")
      })
      .map(({ groups, heads, keys, masked, queries, windows }) => {
        const entries = [groups, ...(masked === "by key" ? [] : [queries]), keys]
        const mask = masked === "not at all" ? undefined : Op.constant(numbers(Shape.size(entries), 3), entries)
        return {
          inputs: [
            [groups * windows, queries, 4],
            [groups * windows, keys, 4],
            [groups * windows, keys, 4]
          ],
          f: (q, k, v) => Op.attention(q, k, v, { heads, scale: 0.7, mask })
        }
      })
  )
}

/** Moments of a batch, and what follows a step's gradients, which have no gradients. */
export const withoutGradients: fc.Arbitrary<Case> = fc.oneof(
  named(
    "moments",
    fc.tuple(fc.integer({ min: 2, max: 4 }), length, fc.array(side, { maxLength: 2 })).map(([n, c, rest]) => ({
      inputs: [[n, c, ...rest]],
      f: (x) => Op.batchMoments(x)
    }))
  ),
  named(
    "moving average",
    shape(1).map((s) => ({ inputs: [s, s], f: (average, current) => Op.movingAverage(average, current, Op.fill(0.9)) }))
  ),
  ...(["parameter", "velocity"] as const).map((of) =>
    named(
      `sgd ${of}`,
      fc.tuple(shape(1), fc.boolean(), fc.constantFrom(0, 0.05)).map(([s, nesterov, weightDecay]) => ({
        inputs: [s, s, s],
        f: (parameter, gradient, velocity) =>
          Op.sgd({ momentum: 0.9, nesterov, weightDecay }, { parameter, gradient, velocity }, Op.fill(0.1))[of]
      }))
    )
  ),
  ...(["parameter", "moment1", "moment2"] as const).map((of) =>
    named(
      `adamw ${of}`,
      shape(1).map((s) => ({
        inputs: [s, s, s, s],
        f: (parameter, gradient, moment1, moment2) =>
          Op.adamw(
            { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 },
            { parameter, gradient, moment1, moment2: Op.abs(moment2) },
            Op.fill(0.01),
            Op.fill(3)
          )[of]
      }))
    )
  )
)

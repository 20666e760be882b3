import { assert, describe, it } from "@effect/vitest"
import { Op, type Tensor } from "@uninet/graph"
import { Loops } from "@uninet/loops"
import { OnnxRuntime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { type Case, programOf, valuesOf } from "../../runtime-tfjs/test/support/cases.ts"
import { difference, run } from "../../runtime-tfjs/test/support/compare.ts"

/** Of a size at which kernels cut their work in blocks and chunks, which the small random programs do not reach. */
const cases = (batch: number): ReadonlyArray<Case> => [
  {
    name: "pointwise convolution",
    inputs: [
      [batch, 16, 7, 6],
      [30, 16, 1, 1]
    ],
    f: (x, w) => Op.conv2d(x, w)
  },
  {
    name: "convolution with a stride",
    inputs: [
      [batch, 8, 9, 7],
      [27, 8, 3, 3]
    ],
    f: (x, w) => Op.conv2d(x, w, { stride: [2, 2], padding: [1, 1, 1, 1] })
  },
  {
    name: "convolutions of two batches, of which one is several of the other",
    inputs: [
      [3 * batch, 4, 6, 5],
      [batch, 4, 6, 5],
      [4, 4, 3, 3]
    ],
    f: (x, y, w) => {
      const of = (z: Tensor.Tensor) => Op.mean(Op.tanh(Op.conv2d(z, w, { padding: [1, 1, 1, 1] })), [0])
      return Op.mul(of(x), of(y))
    }
  },
  { name: "linear", inputs: [[batch, 5, 24], [37, 24], [37]], f: (x, w, b) => Op.linear(x, w, b) },
  {
    name: "attention",
    inputs: [
      [batch, 11, 24],
      [batch, 13, 24],
      [batch, 13, 24]
    ],
    f: (q, k, v) => Op.attention(q, k, v, { heads: 3, scale: 0.4 })
  },
  {
    name: "products of matrices",
    inputs: [
      [batch, 3, 9, 10],
      [batch, 3, 7, 10]
    ],
    f: (a: Tensor.Tensor, b: Tensor.Tensor) => Op.matmul(a, b, { transposeB: true })
  }
]

describe("larger programs and their gradients agree with the reference interpreter", () => {
  for (const batch of [8, 19])
    for (const one of cases(batch))
      it.effect(`${one.name}, batch ${batch}`, () =>
        Effect.gen(function* () {
          const program = programOf(one)
          const found = yield* run(program, valuesOf(one))
          const expected = evaluate(program, { inputs: valuesOf(one) }).outputs
          for (const [name, reference] of Object.entries(expected))
            assert.isBelow(difference(found[name], reference), 1e-5, name)
        }).pipe(Effect.provide(Loops.portable({ threads: 2 })))
      )
})

/** Of so many scores that queries and keys are taken some at a time, in several entries of the batch, heads and pieces. */
const manyScores = (batch: number): Case => ({
  name: "attention of many scores",
  inputs: [
    [2 * batch, 96, 6],
    [2 * batch, 135, 6],
    [2 * batch, 135, 6]
  ],
  f: (q, k, v) => Op.attention(q, k, v, { heads: 2, scale: 0.6 })
})

describe("attention of many scores and its gradients agree with ONNX Runtime", () => {
  for (const batch of [8, 19])
    it.effect(`batch ${batch}`, () =>
      Effect.gen(function* () {
        const one = manyScores(batch)
        const found = run(programOf(one), valuesOf(one))
        const expected = yield* found.pipe(Effect.provide(OnnxRuntime.cpu()))
        for (const layer of [Loops.portable({ threads: 2 }), Loops.fast()])
          for (const [name, data] of Object.entries(yield* found.pipe(Effect.provide(layer))))
            assert.isBelow(difference(data, expected[name]), 1e-5, name)
      })
    )
})

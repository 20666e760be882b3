/** Holding gradients against central differences. */
import { assert } from "@effect/vitest"
import { gradient, Op, Program, Shape, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { anywhere, distinct, type Domain, numbers } from "./draw.ts"
import { evaluate } from "./interpreter.ts"

/** An op applied to float inputs, all of which should have a gradient. */
export interface Case {
  readonly shapes: ReadonlyArray<Shape.Shape>
  readonly apply: (xs: ReadonlyArray<Tensor.Tensor>) => Tensor.Tensor
  /** Where the numbers lie, away from kinks; `distinct`: no two of them closer than a tenth. */
  readonly values?: Domain | "distinct"
}

/** The program of some outputs, which is known to be right. */
export const programOf = (outputs: Readonly<Record<string, Tensor.Tensor>>): Program.Program =>
  Result.getOrThrow(Program.make({ outputs }))

/** df/dx by differences to both sides at two distances, whose error is of the fourth order. */
const slope = (f: (step: number) => number, h = 2e-4): number =>
  (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)

/**
 * How far `gradient` is from central differences, at worst, over every element of every input; relative to an input's largest element.
 * The scalar is the sum of the result's elements, each with a weight of its own, so that no two of them can stand in for each other.
 */
export const largestError = ({ shapes, apply, values = anywhere }: Case, seed: number): number => {
  const xs = shapes.map((shape, i) => Op.input(`x${i}`, shape))
  const y = apply(xs)
  const loss = Op.sum(Op.mul(y, Op.input("weights", y.shape)))
  const gradients = gradient(loss, xs)

  const sizes = shapes.map(Shape.size)
  const all = sizes.reduce((a, b) => a + b, 0)
  const drawn = values === "distinct" ? distinct(seed, all) : numbers(seed, all, values)
  const inputs: Record<string, Float64Array> = { weights: numbers(seed + 1, Shape.size(y.shape)) }
  let start = 0
  for (const [i, size] of sizes.entries()) inputs[`x${i}`] = drawn.slice(start, (start += size))

  const forward = programOf({ loss })
  const lossAt = (name: string, element: number) => (step: number) => {
    const moved = inputs[name].map((v, i) => (i === element ? v + step : v))
    return evaluate(forward, { inputs: { ...inputs, [name]: moved } }).outputs.loss[0]
  }
  return Math.max(
    ...gradients.map((dx, i) => {
      assert.isDefined(dx, `input ${i} has no gradient`)
      assert.deepStrictEqual(dx.shape, shapes[i])
      const actual = evaluate(programOf({ dx }), { inputs }).outputs.dx
      const expected = actual.map((_, element) => slope(lossAt(`x${i}`, element)))
      const largest = Math.max(1, ...expected.map(Math.abs))
      return Math.max(...actual.map((v, element) => Math.abs(v - expected[element]) / largest))
    })
  )
}

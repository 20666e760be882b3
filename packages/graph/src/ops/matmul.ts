/** Matrix products. */
import * as Arr from "effect/Array"
import { macs } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"
import { sum } from "./reduction.ts"

export interface Attributes {
  /** Over the last two axes; leading axes must be equal, or one side must have none. */
  readonly matmul: { readonly transposeA: boolean; readonly transposeB: boolean }
  /** Inputs `[x, weight, bias?]`: `[..., in]`, `[out, in]`, `[out]` → `[..., out]`. */
  readonly linear: {}
  /** Inputs `[dy, weight]` → the gradient for `x`. */
  readonly linearGradInput: {}
  /** Inputs `[dy, x]` → the gradient for the weight, `[out, in]`. */
  readonly linearGradWeight: {}
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly matmul: readonly [a: Tensor, b: Tensor]
  readonly linear: readonly [x: Tensor, weight: Tensor, ...bias: ReadonlyArray<Tensor>]
  readonly linearGradInput: readonly [dy: Tensor, weight: Tensor]
  readonly linearGradWeight: readonly [dy: Tensor, x: Tensor]
}

/** The length of an axis that the tensor has, counted from the end: the last is 1. */
const fromEnd = ({ shape }: Tensor, axis: number) => Arr.getUnsafe(shape, shape.length - axis)
const rows = (t: Tensor, transposed: boolean) => fromEnd(t, transposed ? 1 : 2)
const columns = (t: Tensor, transposed: boolean) => fromEnd(t, transposed ? 2 : 1)

/** The gradient of one side may have batch axes that the side itself lacks: sums them away. */
const unbatch = (g: Tensor, like: Tensor, path: string): Tensor => {
  const extra = g.shape.length - like.shape.length
  return extra <= 0
    ? g
    : sum(
        g,
        Array.from({ length: extra }, (_, i) => i),
        false,
        path
      )
}

export const definitions: Definitions<Attributes> = {
  matmul: define("matmul", {
    shape: ({ transposeA, transposeB }, [a, b]) => {
      if (a.shape.length < 2 || b.shape.length < 2) return "a matrix product needs two axes or more on both sides"
      const [la, lb] = [a.shape.slice(0, -2), b.shape.slice(0, -2)]
      if (la.length > 0 && lb.length > 0 && !Shape.equals(la, lb)) return "the leading axes must be equal"
      if (columns(a, transposeA) !== rows(b, transposeB))
        return `the left side has ${columns(a, transposeA)} columns, the right side ${rows(b, transposeB)} rows`
      return [...(la.length > 0 ? la : lb), rows(a, transposeA), columns(b, transposeB)]
    },
    cost: (y) => macs(Shape.size(y.shape) * columns(y.inputs[0], y.attributes.transposeA), "matmul"),
    gradient: (y, dy) => {
      const { path } = y
      const [a, b] = y.inputs
      const { transposeA, transposeB } = y.attributes
      const da = transposeA
        ? matmul(b, dy, { transposeA: transposeB, transposeB: true }, path)
        : matmul(dy, b, { transposeB: !transposeB }, path)
      const db = transposeB
        ? matmul(dy, a, { transposeA: true, transposeB: transposeA }, path)
        : matmul(a, dy, { transposeA: !transposeA }, path)
      return [unbatch(da, a, path), unbatch(db, b, path)]
    }
  }),
  linear: define("linear", {
    shape: (_, [x, weight, bias]) => {
      if (!Shape.hasRank(2)(weight.shape)) return "the weight must be [out×in]"
      const [out, features] = weight.shape
      if (x.shape.at(-1) !== features) return `the input's last axis must have length ${features}`
      if (bias !== undefined && !Shape.equals(bias.shape, [out])) return `the bias must be [${out}]`
      return [...x.shape.slice(0, -1), out]
    },
    cost: (y) => macs(Shape.size(y.shape) * fromEnd(y.inputs[1], 1), "linear"),
    gradient: (y, dy) => {
      const [x, weight, bias] = y.inputs
      const dx = apply(definitions.linearGradInput, {}, [dy, weight], y.path)
      const dw = apply(definitions.linearGradWeight, {}, [dy, x], y.path)
      return bias === undefined ? [dx, dw] : [dx, dw, sum(dy, dy.shape.map((_, i) => i).slice(0, -1), false, y.path)]
    }
  }),
  linearGradInput: define("linearGradInput", {
    shape: (_, [dy, weight]) => [...dy.shape.slice(0, -1), fromEnd(weight, 1)],
    cost: (y) => macs(Shape.size(y.inputs[0].shape) * fromEnd(y.inputs[1], 1)),
    gradient: "unsupported"
  }),
  linearGradWeight: define("linearGradWeight", {
    shape: (_, [dy, x]) => [fromEnd(dy, 1), fromEnd(x, 1)],
    cost: (y) => macs(Shape.size(y.inputs[0].shape) * fromEnd(y, 1)),
    gradient: "unsupported"
  })
}

/** Matrix product over the last two axes; either side can be transposed. */
export const matmul = (
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: { readonly transposeA?: boolean; readonly transposeB?: boolean } = {},
  path = a.path
): Tensor<"matmul"> => apply(definitions.matmul, { transposeA, transposeB }, [a, b], path)

/** `x·weightᵀ + bias` over the last axis: `[..., in]`, `[out, in]`, `[out]` → `[..., out]`. */
export const linear = (x: Tensor, weight: Tensor, bias?: Tensor, path = x.path): Tensor<"linear"> =>
  apply(definitions.linear, {}, bias === undefined ? [x, weight] : [x, weight, bias], path)

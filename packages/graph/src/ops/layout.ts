/** Moving elements around: reshape, transpose, slice, pad, concatenate; images to tokens and back. */
import * as Arr from "effect/Array"
import { free } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import { is, type Tensor } from "../Tensor.ts"

export interface Attributes {
  readonly reshape: { readonly shape: Shape.Shape }
  readonly transpose: { readonly permutation: ReadonlyArray<number> }
  /** Elements `start ≤ i < end` of one axis. */
  readonly slice: { readonly axis: number; readonly start: number; readonly end: number }
  /** Zeros before and after, per axis. */
  readonly pad: { readonly before: ReadonlyArray<number>; readonly after: ReadonlyArray<number> }
  readonly concat: { readonly axis: number }
  /** `[batch, channels, height, width]` → `[batch, height·width, channels]`. */
  readonly toTokens: {}
  /** `[batch, height·width, channels]` → `[batch, channels, height, width]`. */
  readonly toImage: { readonly height: number; readonly width: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly reshape: readonly [x: Tensor]
  readonly transpose: readonly [x: Tensor]
  readonly slice: readonly [x: Tensor]
  readonly pad: readonly [x: Tensor]
  readonly concat: readonly [first: Tensor, ...others: ReadonlyArray<Tensor>]
  readonly toTokens: readonly [x: Tensor]
  readonly toImage: readonly [x: Tensor]
}

/** The message about an axis that does not exist. */
const noAxis = (axis: number, { shape }: Tensor) =>
  `there is no axis ${axis}: the ${shape.length} axes are numbered from 0`

/** Moving elements works for any element type. */
const anyType = { takes: "same", dtype: "same" } as const

export const definitions: Definitions<Attributes> = {
  reshape: define("reshape", {
    ...anyType,
    shape: ({ shape }, [x]) =>
      Shape.size(shape) === Shape.size(x.shape)
        ? shape
        : `${Shape.size(x.shape)} elements cannot take the shape ${Shape.print(shape)}`,
    cost: () => free,
    gradient: (y, dy) => [reshape(dy, y.inputs[0].shape, y.path)]
  }),
  transpose: define("transpose", {
    ...anyType,
    shape: ({ permutation }, [x]) =>
      permutation.length === x.shape.length && x.shape.every((_, i) => permutation.includes(i))
        ? permutation.map((axis) => Arr.getUnsafe(x.shape, axis))
        : `[${permutation.join(", ")}] is not a permutation of the axes`,
    cost: () => free,
    gradient: (y, dy) => [
      transpose(
        dy,
        y.shape.map((_, i) => y.attributes.permutation.indexOf(i)),
        y.path
      )
    ]
  }),
  slice: define("slice", {
    ...anyType,
    shape: ({ axis, start, end }, [x]) => {
      const length = Shape.hasAxis(axis)(x.shape) ? x.shape[axis] : undefined
      if (length === undefined) return noAxis(axis, x)
      const whole = [start, end].every(Number.isSafeInteger)
      return whole && start >= 0 && start < end && end <= length
        ? x.shape.map((n, i) => (i === axis ? end - start : n))
        : `there are no elements ${start} to ${end} on axis ${axis}`
    },
    cost: () => free,
    gradient: (y, dy) => {
      const { axis, start, end } = y.attributes
      const { shape } = y.inputs[0]
      const at = (n: number) => shape.map((_, i) => (i === axis ? n : 0))
      return [pad(dy, at(start), at(Arr.getUnsafe(shape, axis) - end), y.path)]
    }
  }),
  pad: define("pad", {
    ...anyType,
    shape: ({ before, after }, [x]) =>
      [before, after].every((p) => p.length === x.shape.length && p.every((n) => Number.isSafeInteger(n) && n >= 0))
        ? x.shape.map((n, i) => n + Arr.getUnsafe(before, i) + Arr.getUnsafe(after, i))
        : "the padding before and after every axis must be a whole number of 0 or more",
    cost: () => free,
    gradient: (y, dy) => {
      const { before } = y.attributes
      const { shape } = y.inputs[0]
      return [
        shape.reduce<Tensor>((d, n, axis) => {
          const start = Arr.getUnsafe(before, axis)
          return slice(d, axis, start, start + n, y.path)
        }, dy)
      ]
    }
  }),
  concat: define("concat", {
    ...anyType,
    shape: ({ axis }, xs) => {
      const [first] = xs
      if (!Shape.hasAxis(axis)(first.shape)) return noAxis(axis, first)
      const fits = xs.every(
        (x) => x.shape.length === first.shape.length && x.shape.every((n, i) => i === axis || n === first.shape[i])
      )
      return fits
        ? first.shape.map((n, i) => (i === axis ? xs.reduce((sum, x) => sum + Arr.getUnsafe(x.shape, axis), 0) : n))
        : `the shapes must agree on every axis but ${axis}`
    },
    cost: () => free,
    gradient: (y, dy) => {
      const { axis } = y.attributes
      let start = 0
      return y.inputs.map((x) => slice(dy, axis, start, (start += Arr.getUnsafe(x.shape, axis)), y.path))
    }
  }),
  toTokens: define("toTokens", {
    ...anyType,
    shape: (_, [x]) =>
      Shape.hasRank(4)(x.shape)
        ? [x.shape[0], x.shape[2] * x.shape[3], x.shape[1]]
        : "needs an image [batch×channels×height×width]",
    cost: () => free,
    gradient: (y, dy) => {
      const [, , height, width] = Shape.ofRank(4)(y.inputs[0].shape)
      return [toImage(dy, height, width, y.path)]
    }
  }),
  toImage: define("toImage", {
    ...anyType,
    shape: ({ height, width }, [x]) =>
      Shape.hasRank(3)(x.shape) && x.shape[1] === height * width
        ? [x.shape[0], x.shape[2], height, width]
        : `needs tokens [batch×${height * width}×channels]`,
    cost: () => free,
    gradient: (y, dy) => [toTokens(dy, y.path)]
  })
}

/** The same elements in row-major order under another shape. */
export const reshape = (x: Tensor, shape: Shape.Shape, path = x.path): Tensor => {
  if (Shape.equals(x.shape, shape)) return x
  // Of two reshapes in a row only the second counts, unless the first was a mistake.
  const from = is("reshape")(x) && x.fault === undefined ? x.inputs[0] : x
  return apply(definitions.reshape, { shape }, [from], path)
}
/** Axis `i` of the result is axis `permutation[i]` of `x`. */
export const transpose = (x: Tensor, permutation: ReadonlyArray<number>, path = x.path): Tensor =>
  permutation.every((axis, i) => axis === i) && permutation.length === x.shape.length
    ? x
    : apply(definitions.transpose, { permutation }, [x], path)
/** Elements `start ≤ i < end` along one axis; `axis`, `start` and `end` count from 0. */
export const slice = (x: Tensor, axis: number, start: number, end: number, path = x.path): Tensor =>
  start === 0 && end === x.shape[axis] ? x : apply(definitions.slice, { axis, start, end }, [x], path)
/** Pads with zeros, `before` and `after` per axis. */
export const pad = (x: Tensor, before: ReadonlyArray<number>, after: ReadonlyArray<number>, path = x.path): Tensor =>
  [before, after].every((zeros) => zeros.length === x.shape.length && zeros.every((n) => n === 0))
    ? x
    : apply(definitions.pad, { before, after }, [x], path)
/** Concatenates tensors along `axis`, which counts from 0. */
export const concat = (xs: Inputs["concat"], axis: number, path = xs[0].path): Tensor =>
  xs.length === 1 && Shape.hasAxis(axis)(xs[0].shape) ? xs[0] : apply(definitions.concat, { axis }, xs, path)
/** `[batch, channels, height, width]` → `[batch, height·width, channels]`, rows first. */
export const toTokens = (x: Tensor, path = x.path): Tensor<"toTokens"> => apply(definitions.toTokens, {}, [x], path)
/** `[batch, height·width, channels]` → `[batch, channels, height, width]`. */
export const toImage = (x: Tensor, height: number, width: number, path = x.path): Tensor<"toImage"> =>
  apply(definitions.toImage, { height, width }, [x], path)

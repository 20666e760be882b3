/** Resizing images. */
import { Flops, free, Macs } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"

/**
 * How an image is resized, in the conventions of PyTorch's `interpolate` with `align_corners = false`.
 *
 * - `nearest`: element `i` of the result is element ⌊i · from / to⌋ of the image.
 * - `bilinear`: element `i` lies at (i + ½) · from / to − ½, between two elements that are mixed by distance; past the border it takes the border's value.
 */
export type Interpolation = "nearest" | "bilinear"

export interface Attributes {
  /** `[batch, channels, h, w]` → `[batch, channels, ...size]`. */
  readonly resize: { readonly size: readonly [number, number]; readonly mode: Interpolation }
  /** Inputs `[dy]` → the gradient for an input of `inputShape`. */
  readonly resizeGrad: { readonly mode: Interpolation; readonly inputShape: Shape.Shape }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly resize: readonly [x: Tensor]
  readonly resizeGrad: readonly [dy: Tensor]
}

/** Operations per element of the larger image: a bilinear mean takes four products and three sums. */
const operations = { nearest: 0, bilinear: 7 } as const

export const definitions: Definitions<Attributes> = {
  resize: define("resize", {
    shape: ({ size: [height, width] }, [x]) =>
      Shape.hasRank(4)(x.shape)
        ? [x.shape[0], x.shape[1], height, width]
        : "the input must be [batch×channels×height×width]",
    // fvcore counts one operation per element that is copied, and four per element that is interpolated.
    cost: ({ attributes: { mode }, shape }) => ({
      macs: Macs(0),
      flops: Flops(operations[mode] * Shape.size(shape)),
      fvcore:
        mode === "nearest"
          ? { operator: "upsample_nearest2d", count: Shape.size(shape) }
          : { operator: "upsample_bilinear2d", count: 4 * Shape.size(shape) }
    }),
    gradient: (y, dy) => {
      const { mode } = y.attributes
      return [apply(definitions.resizeGrad, { mode, inputShape: y.inputs[0].shape }, [dy], y.path)]
    }
  }),
  resizeGrad: define("resizeGrad", {
    shape: ({ inputShape }) => inputShape,
    cost: ({ attributes: { mode }, inputs: [dy] }) => ({
      ...free,
      flops: Flops((mode === "nearest" ? 1 : operations.bilinear) * Shape.size(dy.shape))
    }),
    gradient: "unsupported"
  })
}

/**
 * Resizes an image to another height and width, larger or smaller, as PyTorch's `interpolate` does with `align_corners = false`: `[batch, channels, h, w]` →
 * `[batch, channels, ...size]`. Default mode: `nearest`. A smaller image is sampled without smoothing first. A size that is not a positive whole number is a `ShapeError`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Op.resize(x, [32, 32], { mode: "bilinear" }).shape) // [ 8, 32, 32, 32 ]
 * ```
 */
export const resize = (
  x: Tensor,
  size: readonly [height: number, width: number],
  { mode = "nearest" }: { readonly mode?: Interpolation } = {},
  path = x.path
): Tensor =>
  x.shape.length === 4 && Shape.equals(x.shape.slice(2), size)
    ? x
    : apply(definitions.resize, { size, mode }, [x], path)

/** For every element of a resized row: the two elements that it lies between, and the weight of the second. */
export interface Taps {
  readonly first: ReadonlyArray<number>
  readonly second: ReadonlyArray<number>
  readonly share: ReadonlyArray<number>
}

/**
 * How a row of `from` elements is resized to `to` elements.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.resizeTaps("bilinear", 2, 4)) // first 0, 0, 0, 1; second 0, 1, 1, 1; shares 0, ¼, ¾, 0
 * ```
 */
export const resizeTaps = (mode: Interpolation, from: number, to: number): Taps => {
  const taps = tapsOf(mode, from, to)
  return {
    first: taps.map(({ first }) => first),
    second: taps.map(({ second }) => second),
    share: taps.map(({ share }) => share)
  }
}

const tapsOf = (mode: Interpolation, from: number, to: number) =>
  Array.from({ length: to }, (_, i) => {
    if (mode === "nearest") {
      const first = Math.floor((i * from) / to)
      return { first, second: first, share: 0 }
    }
    const at = Math.min(Math.max(((i + 0.5) * from) / to - 0.5, 0), from - 1)
    const first = Math.floor(at)
    const share = at - first
    return { first, second: share === 0 ? first : first + 1, share }
  })

/**
 * The same as a matrix `[to, from]`: it resizes a column, and its transpose carries the gradient back.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * console.log(Op.resizeMatrix("nearest", 1, 2)) // 1, 1
 * ```
 */
export const resizeMatrix = (mode: Interpolation, from: number, to: number): Float32Array => {
  const matrix = new Float32Array(to * from)
  for (const [row, { first, second, share }] of tapsOf(mode, from, to).entries()) {
    matrix[row * from + first] = 1 - share
    // The second differs from the first if it has a weight.
    if (share > 0) matrix[row * from + second] = share
  }
  return matrix
}

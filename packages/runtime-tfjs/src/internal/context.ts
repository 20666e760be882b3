/** What a rule works with. */
import { Op, type Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Builder, Value } from "./plan.ts"
import * as K from "./kernels.ts"

/**
 * The layout of a tensor in memory. `plain`: row-major in its logical shape. `last`: axis 1, the channels, moved to the end, which is the form that
 * convolution and pooling kernels work on; a pointwise convolution and a norm then work on plain rows. For tensors with fewer than three axes, both are
 * the same.
 */
export type Layout = "plain" | "last"

export interface Lowered {
  readonly layout: Layout
  readonly value: Value
}

/** What a backend's kernels are good at. */
export interface Traits {
  /** Whether there are kernels for the gradients of convolutions; otherwise these are made of convolutions and products. */
  readonly gradientKernels: boolean
  /** Whether the kernel for the gradient of a maximum is correct: WebAssembly's is wrong if a whole window is below zero. */
  readonly poolGradientKernel: boolean
  /** Whether windows can be padded by any amount; otherwise images are padded beforehand. */
  readonly explicitPadding: boolean
  /** Whether a product takes a transposed matrix as fast as any other. */
  readonly transposedProducts: boolean
  /** Whether sums over leading axes are fastest with a pooling kernel. */
  readonly pooledSums: boolean
  /** Whether the error function is faster as arithmetic with a sigmoid than with its own kernel. */
  readonly composedErf: boolean
}

export interface Context {
  readonly b: Builder
  readonly traits: Traits
  /** The layout that a tensor was made in. */
  readonly layoutOf: (tensor: Tensor.Tensor) => Layout
  readonly get: (tensor: Tensor.Tensor, layout: Layout) => Value
  readonly plain: (tensor: Tensor.Tensor) => Value
  readonly last: (tensor: Tensor.Tensor) => Value
}

export type Rules = Op.Table<[Context], Lowered>

const channelsLast = (shape: Shape.Shape): ReadonlyArray<number> => [0, ...shape.map((_, i) => i).slice(2), 1]
const channelsSecond = (shape: Shape.Shape): ReadonlyArray<number> => [
  0,
  shape.length - 1,
  ...shape.map((_, i) => i).slice(1, -1)
]

/** The shape in memory. */
export const physicalShape = (layout: Layout, shape: Shape.Shape): Shape.Shape =>
  layout === "plain" || shape.length < 3 ? shape : channelsLast(shape).map((axis) => Arr.getUnsafe(shape, axis))

/** The axis in memory that holds a logical axis. */
export const physicalAxis = (layout: Layout, rank: number, axis: number): number =>
  layout === "plain" || rank < 3 || axis === 0 ? axis : axis === 1 ? rank - 1 : axis - 1

/** Moves a value of logical `shape` from one layout to another. */
export const convert = (b: Builder, value: Value, shape: Shape.Shape, from: Layout, to: Layout): Value =>
  from === to || shape.length < 3
    ? value
    : K.transpose(b, value, to === "last" ? channelsLast(shape) : channelsSecond(shape))

export const make = (b: Builder, traits: Traits, rules: Rules, within: (tensor: Tensor.Tensor) => void): Context => {
  const lowered = new Map<Tensor.Tensor, { readonly primary: Lowered; readonly forms: Map<Layout, Value> }>()
  const entry = (tensor: Tensor.Tensor) => {
    const known = lowered.get(tensor)
    if (known !== undefined) return known
    within(tensor)
    const primary = Op.dispatch(rules, tensor, context)
    const made = { primary, forms: new Map([[primary.layout, primary.value]]) }
    lowered.set(tensor, made)
    return made
  }
  const context: Context = {
    b,
    traits,
    layoutOf: (tensor) => entry(tensor).primary.layout,
    get: (tensor, layout) => {
      const { forms, primary } = entry(tensor)
      const known = forms.get(layout)
      if (known !== undefined) return known
      const value = convert(b, primary.value, tensor.shape, primary.layout, layout)
      forms.set(layout, value)
      return value
    },
    plain: (tensor) => context.get(tensor, "plain"),
    last: (tensor) => context.get(tensor, "last")
  }
  return context
}

export const plain = (value: Value): Lowered => ({ layout: "plain", value })
export const last = (value: Value): Lowered => ({ layout: "last", value })

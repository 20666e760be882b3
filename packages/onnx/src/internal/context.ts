/** What an emission rule works with. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Form } from "../Forms.ts"
import * as Fused from "../Fused.ts"
import type * as Target from "../Target.ts"
import type { Builder, Value } from "./builder.ts"
import { column, mul, reshape } from "./emit.ts"
import { convert, laid, type Layout, lies, physicalShape, viewOf } from "./layout.ts"
import type { View } from "./view.ts"

/** A lowered tensor, in the layout that its rule found best. */
export interface Lowered {
  readonly layout: Layout
  readonly value: Value
  /** The same before its elements are moved. */
  readonly view?: View
}

export interface Context extends Target.Target {
  readonly b: Builder
  /** Whether every tensor keeps its logical order, for engines that optimise the standard's operators on images themselves. */
  readonly keepsImages: boolean
  /** The values of a variable that are fixed: it becomes part of the model. */
  readonly weight: (name: string) => Float32Array | undefined
  /** The elements of a variable that is not an input of its own. */
  readonly given: (name: string) => Value | undefined
  /** Records the form in which a node was emitted. */
  readonly chose: (tensor: Tensor.Tensor, form: Form) => void
  /** The form in which a node was emitted. */
  readonly chosen: (tensor: Tensor.Tensor) => Form
  /** The layout that a tensor was made in. */
  readonly layoutOf: (tensor: Tensor.Tensor) => Layout
  /** The tensor in a layout, converted if necessary. */
  readonly get: (tensor: Tensor.Tensor, layout: Layout) => Value
  readonly plain: (tensor: Tensor.Tensor) => Value
  /** The tensor with its elements as they were made, before any move. */
  readonly view: (tensor: Tensor.Tensor) => View
}

/** One rule per op. */
export type Rules = Op.Table<[Context], Lowered>

/** One rule per fused op. */
export type FusedRules = { readonly [N in Fused.Name]: (node: Fused.Fused<N>, ctx: Context) => Lowered }

/** A rule for any op. */
export type Rule<R> = (node: Tensor.Tensor, ctx: Context) => R

/** Emits a node in the form that was chosen for it. */
export type Emit = Rule<Lowered>

/** Rules that apply to some nodes only: `undefined` leaves a node to the standard rule. */
export type PartialRules = {
  readonly [K in keyof Rules]?: (node: Tensor.Tensor<K>, ctx: Context) => Lowered | undefined
}

/** Settings that are decided before lowering begins. */
export interface Settings {
  readonly target: Target.Target
  /** Keeps every tensor in its logical order, for engines that optimise the standard's operators themselves. */
  readonly plain: boolean
  readonly weights: ReadonlyMap<string, Float32Array>
  /** Variables that are already present, as vectors. */
  readonly given: ReadonlyMap<string, Value>
}

export const make = (b: Builder, settings: Settings, emit: Emit): Context => {
  const { target } = settings
  const { lanes } = target
  const forms = new Map<Tensor.Tensor, Form>()
  const lowered = new Map<Tensor.Tensor, { readonly primary: Lowered; readonly forms: Map<Layout, Value> }>()
  const entry = (tensor: Tensor.Tensor) => {
    const known = lowered.get(tensor)
    if (known !== undefined) return known
    const primary = b.within(tensor, () => emit(tensor, context))
    const made = { primary, forms: new Map([[primary.layout, primary.value]]) }
    lowered.set(tensor, made)
    return made
  }
  const context: Context = {
    ...target,
    b,
    keepsImages: settings.plain,
    chose: (tensor, form) => void forms.set(tensor, form),
    chosen: (tensor) => forms.get(tensor) ?? "standard",
    weight: (name) => settings.weights.get(name),
    given: (name) => settings.given.get(name),
    layoutOf: (tensor) => entry(tensor).primary.layout,
    get: (tensor, layout) => {
      const { forms } = entry(tensor)
      const known = forms.get(layout)
      if (known !== undefined) return known
      const value = laid(b, context.view(tensor), tensor.shape, lanes, layout)
      forms.set(layout, value)
      return value
    },
    plain: (tensor) => context.get(tensor, "plain"),
    view: (tensor) => {
      const { layout, value, view } = entry(tensor).primary
      return view ?? viewOf(value, tensor.shape, lanes, layout)
    }
  }
  return context
}

export const plain = (value: Value): Lowered => ({ layout: "plain", value })

/** A tensor seen through its view, in a layout that requires no move if there is one. */
export const viewed = (ctx: Context, shape: Shape.Shape, view: View): Lowered => {
  const { b, lanes } = ctx
  const possible = (["channels", "plain"] as const).filter((layout) => ctx.allows(layout, shape))
  // Every tensor can have the plain layout, so there is always one.
  const layout = possible.find((layout) => lies(view, shape, lanes, layout)) ?? Arr.getUnsafe(possible, 0)
  return { layout, value: laid(b, view, shape, lanes, layout), view }
}

/** A tensor with leading axes of length 1 added, in a layout. */
export const widened = (ctx: Context, tensor: Tensor.Tensor, rank: number, layout: Layout): Value => {
  if (tensor.shape.length === rank) return ctx.get(tensor, layout)
  const shape = [...Array.from({ length: rank - tensor.shape.length }, () => 1), ...tensor.shape]
  return convert(ctx.b, reshape(ctx.b, ctx.plain(tensor), shape), shape, ctx.lanes, "plain", layout)
}

/** Whether a tensor, with leading axes of length 1 up to `rank`, can have this layout. */
export const fits = (ctx: Context, tensor: Tensor.Tensor, rank: number, layout: Layout): boolean =>
  tensor.shape.length === rank
    ? ctx.allows(layout, tensor.shape)
    : layout === "plain" || rank - tensor.shape.length >= 1

/** The tensor with channels outermost as a matrix `[channels, rest]`. */
export const channelRows = (ctx: Context, tensor: Tensor.Tensor): Value => {
  const value = ctx.get(tensor, "channels")
  const channels = Arr.getUnsafe(value.shape, 0)
  return reshape(ctx.b, value, [channels, Shape.size(value.shape) / channels])
}

/** A matrix `[channels, rest]` as the tensor of this shape. */
export const fromChannelRows = (ctx: Context, shape: Shape.Shape, value: Value): Lowered => ({
  layout: "channels",
  value: reshape(ctx.b, value, physicalShape("channels", shape, ctx.lanes))
})

/** A matrix whose rows are multiplied by a factor, one number or one per row. */
export const scaleRows = (ctx: Context, matrix: Value, factor: Value | undefined): Value => {
  if (factor === undefined) return matrix
  return mul(ctx.b, matrix, factor.shape.length === 0 ? factor : column(ctx.b, factor))
}

/** Tokens or a matrix as `[rows, features]`. */
export const featureRows = (ctx: Context, tensor: Tensor.Tensor): Value => inFeatureRows(ctx, ctx.plain(tensor))

/** A gradient as `factor · matrix`, with one number as the factor; without a factor if it may not be applied elsewhere or the layout does not fit. */
export const scaledFeatureRows = (
  ctx: Context,
  tensor: Tensor.Tensor
): { readonly rows: Value; readonly factor: Value | undefined } => {
  const { factor, value } = Fused.scaledOf(tensor)
  return factor === undefined || factor.shape.length > 0 || ctx.layoutOf(tensor) !== "plain"
    ? { rows: featureRows(ctx, tensor), factor: undefined }
    : { rows: featureRows(ctx, value), factor: ctx.plain(factor) }
}

const inFeatureRows = (ctx: Context, value: Value): Value => {
  const features = Arr.getUnsafe(value.shape, value.shape.length - 1)
  return reshape(ctx.b, value, [Shape.size(value.shape) / features, features])
}

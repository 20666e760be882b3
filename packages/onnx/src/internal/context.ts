/** What a lowering rule works with. */
import { Op, Shape, type Tensor } from "@uninet/graph"
import type { Builder, Value } from "./builder.ts"
import { column, mul, reshape } from "./emit.ts"
import { allows, convert, laid, type Layout, lies, physicalShape, viewOf } from "./layout.ts"
import type { View } from "./view.ts"

/** A lowered tensor, in the layout that its rule found best. */
export interface Lowered {
  readonly layout: Layout
  readonly value: Value
  /** The same cheaper, up to a factor that the reader can put elsewhere, into a weight say. */
  readonly scaled?: Scaled
  /** The same before its elements were moved. */
  readonly view?: View
}

/** A tensor as `factor · value`. */
export interface Scaled {
  /** In the layout that the tensor was made in. */
  readonly value: Value
  /** One number, or one per channel `[c]`. */
  readonly factor: Value
}

export interface Context {
  readonly b: Builder
  /** Images of the batch that stand innermost in the layout `channels`. */
  readonly lanes: number
  /** Block of the processor's blocked convolution kernels (`com.microsoft.nchwc`), 0 where they may not be used. */
  readonly block: number
  /** Every tensor keeps its logical order, for engines that optimise the standard's operators on images themselves. */
  readonly keepsImages: boolean
  /** Whether a tensor of this shape may lie so. */
  readonly allows: (layout: Layout, shape: Shape.Shape) => boolean
  /** The values of a variable that are known for good: it becomes part of the model. */
  readonly weight: (name: string) => Float32Array | undefined
  /** The elements of a variable that did not come as an input of its own. */
  readonly given: (name: string) => Value | undefined
  /** Notes which family of rules a node was left to. */
  readonly chose: (tensor: Tensor.Tensor, family: Family) => void
  /** The family of rules that a node was left to. */
  readonly chosen: (tensor: Tensor.Tensor) => Family
  /** The layout a tensor was made in. */
  readonly layoutOf: (tensor: Tensor.Tensor) => Layout
  /** The tensor in a layout, converted if it has to be. */
  readonly get: (tensor: Tensor.Tensor, layout: Layout) => Value
  readonly plain: (tensor: Tensor.Tensor) => Value
  /** The tensor as its elements were made, before they were moved. */
  readonly view: (tensor: Tensor.Tensor) => View
  /** The tensor up to a factor, where it was made so in this layout. */
  readonly scaled: (tensor: Tensor.Tensor, layout: Layout) => Scaled | undefined
}

/** Where a node's rule stands; see the files of `rules`. */
export type Family = "standard" | "blocked" | "fused" | "tokens" | "views" | "patches"

export type Rules = Op.Table<[Context], Lowered>

/** Rules that apply to some nodes only: `undefined` leaves a node to the standard rule. */
export type PartialRules = {
  readonly [K in keyof Rules]?: (node: Tensor.Tensor<K>, ctx: Context) => Lowered | undefined
}

/** What is decided before lowering begins. */
export interface Settings {
  readonly lanes: number
  readonly block: number
  /** Keep every tensor in its logical order, for engines that optimise the standard's operators themselves. */
  readonly plain: boolean
  readonly weights: ReadonlyMap<string, Float32Array>
  /** Variables that are there already, as vectors. */
  readonly given: ReadonlyMap<string, Value>
}

export const make = (b: Builder, settings: Settings, rules: Rules): Context => {
  const { lanes, block } = settings
  const families = new Map<Tensor.Tensor, Family>()
  const lowered = new Map<Tensor.Tensor, { readonly primary: Lowered; readonly forms: Map<Layout, Value> }>()
  const entry = (tensor: Tensor.Tensor) => {
    const known = lowered.get(tensor)
    if (known !== undefined) return known
    const primary = b.within(tensor, () => Op.dispatch(rules, tensor, context))
    const made = { primary, forms: new Map([[primary.layout, primary.value]]) }
    lowered.set(tensor, made)
    return made
  }
  const context: Context = {
    b,
    lanes,
    block,
    keepsImages: settings.plain,
    allows: (layout, shape) => layout === "plain" || (!settings.plain && allows(layout, shape, lanes)),
    chose: (tensor, family) => void families.set(tensor, family),
    chosen: (tensor) => families.get(tensor) ?? "standard",
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
    },
    scaled: (tensor, layout) => {
      const { primary } = entry(tensor)
      return primary.layout === layout ? primary.scaled : undefined
    }
  }
  return context
}

export const plain = (value: Value): Lowered => ({ layout: "plain", value })

/** A tensor that is seen in its view, and lies in a layout that asks for no moving, if there is one. */
export const viewed = (ctx: Context, shape: Shape.Shape, view: View): Lowered => {
  const { b, lanes } = ctx
  const possible = (["channels", "plain"] as const).filter((layout) => ctx.allows(layout, shape))
  const layout = possible.find((layout) => lies(view, shape, lanes, layout)) ?? possible[0]
  return { layout, value: laid(b, view, shape, lanes, layout), view }
}

/** A tensor seen as having leading axes of length 1, in a layout. */
export const widened = (ctx: Context, tensor: Tensor.Tensor, rank: number, layout: Layout): Value => {
  if (tensor.shape.length === rank) return ctx.get(tensor, layout)
  const shape = [...Array.from({ length: rank - tensor.shape.length }, () => 1), ...tensor.shape]
  return convert(ctx.b, reshape(ctx.b, ctx.plain(tensor), shape), shape, ctx.lanes, "plain", layout)
}

/** Whether a tensor, with leading axes of length 1 up to `rank`, can lie so. */
export const fits = (ctx: Context, tensor: Tensor.Tensor, rank: number, layout: Layout): boolean =>
  tensor.shape.length === rank
    ? ctx.allows(layout, tensor.shape)
    : layout === "plain" || rank - tensor.shape.length >= 1

/** The tensor with channels outermost as a matrix `[channels, rest]`. */
export const channelRows = (ctx: Context, tensor: Tensor.Tensor): Value => {
  const value = ctx.get(tensor, "channels")
  const channels = value.shape[0]
  return reshape(ctx.b, value, [channels, Shape.size(value.shape) / channels])
}

/** A matrix `[channels, rest]` as the tensor of this shape. */
export const fromChannelRows = (ctx: Context, shape: Shape.Shape, value: Value): Lowered => ({
  layout: "channels",
  value: reshape(ctx.b, value, physicalShape("channels", shape, ctx.lanes))
})

/** The tensor with channels outermost as `factor · matrix`, the factor one number or one per channel; without one where there is none. */
export const scaledRows = (
  ctx: Context,
  tensor: Tensor.Tensor
): { readonly rows: Value; readonly factor: Value | undefined } => {
  const scaled = ctx.scaled(tensor, "channels")
  if (scaled === undefined) return { rows: channelRows(ctx, tensor), factor: undefined }
  const { factor, value } = scaled
  const channels = value.shape[0]
  return { rows: reshape(ctx.b, value, [channels, Shape.size(value.shape) / channels]), factor }
}

/** A matrix whose rows are multiplied by a factor, one number or one per row. */
export const scaleRows = (ctx: Context, matrix: Value, factor: Value | undefined): Value => {
  if (factor === undefined) return matrix
  return mul(ctx.b, matrix, factor.shape.length === 0 ? factor : column(ctx.b, factor))
}

/** Tokens or a matrix as `[rows, features]`. */
export const featureRows = (ctx: Context, tensor: Tensor.Tensor): Value => inFeatureRows(ctx, ctx.plain(tensor))

/** The same as `factor · matrix`, the factor one number; without one where there is none. */
export const scaledFeatureRows = (
  ctx: Context,
  tensor: Tensor.Tensor
): { readonly rows: Value; readonly factor: Value | undefined } => {
  const scaled = ctx.scaled(tensor, "plain")
  return scaled === undefined || scaled.factor.shape.length > 0
    ? { rows: featureRows(ctx, tensor), factor: undefined }
    : { rows: inFeatureRows(ctx, scaled.value), factor: scaled.factor }
}

const inFeatureRows = (ctx: Context, value: Value): Value => {
  const features = value.shape[value.shape.length - 1]
  return reshape(ctx.b, value, [Shape.size(value.shape) / features, features])
}

/** What a program is compiled for, and which shapes the CPU's kernels can work on in place. */
import { type Op, Shape } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as layout from "./internal/layout.ts"

/** What a program is lowered for: how wide the CPU's blocked kernels are, which layouts images may have, and which forms are disabled. */
export interface Target {
  /** How many images of the batch lie innermost, element by element, when channels lie outermost: 1, or the value of `block`. */
  readonly lanes: number
  /** How many floats the CPU's blocked convolution kernels (`com.microsoft.nchwc`) take at a time, such as 8 or 16; 0 if they may not be used. */
  readonly block: number
  /** Whether elements are only moved when something needs them in another order. With standard operators only, every op moves its own. */
  readonly views: boolean
  /** Whether a tensor of this shape may have a layout: `plain` for its logical order, `channels` for channels outermost. */
  readonly allows: (layout: layout.Layout, shape: Shape.Shape) => boolean
  /** Names of forms (`Forms.Form`) that are replaced by the standard one, to measure what each is worth. */
  readonly without: ReadonlyArray<string>
}

/** Makes a target; without options, the one for ONNX's standard operators. If `plain`, every tensor keeps its logical order, though kernels may be blocked. */
export const make = ({
  block = 0,
  lanes = 1,
  plain = false,
  without = []
}: {
  readonly block?: number
  readonly lanes?: number
  readonly plain?: boolean
  readonly without?: ReadonlyArray<string>
}): Target => ({
  lanes,
  block,
  views: block > 0 && !plain,
  without,
  allows: (wanted, shape) => wanted === "plain" || (!plain && layout.allows(wanted, shape, lanes))
})

/** Whether images of this shape can lie in whole blocks: they do already, or the engine's own reordering can arrange it. */
export const isBlocked = ({ allows, block, lanes }: Target, shape: Shape.Shape): boolean =>
  shape.length === 4 &&
  block > 1 &&
  allows("channels", shape) &&
  (lanes === block
    ? Arr.getUnsafe(shape, 0) % block === 0
    : lanes === 1 && (Arr.getUnsafe(shape, 0) * Arr.getUnsafe(shape, 1)) % block === 0)

/** Whether an image is processed in rows of whole blocks, one row per channel. */
export const imageInRows = ({ allows, block }: Target, shape: Shape.Shape): boolean =>
  shape.length === 4 &&
  allows("channels", shape) &&
  block > 1 &&
  (Shape.size(shape) / Arr.getUnsafe(shape, 1)) % block === 0

/** Whether tokens `[batch, tokens, channels]` are processed as rows of channels. */
export const tokensInRows = ({ allows, block }: Target, shape: Shape.Shape): boolean =>
  shape.length === 3 && block > 1 && allows("channels", shape)

/** Whether every channel of every image is a row of whole blocks, when images do not lie in lanes. */
export const eachInRows = ({ allows, block, lanes }: Target, shape: Shape.Shape): boolean =>
  shape.length === 4 &&
  block > 1 &&
  lanes === 1 &&
  allows("channels", shape) &&
  (Arr.getUnsafe(shape, 2) * Arr.getUnsafe(shape, 3)) % block === 0

/** Whether numbers are processed in whole blocks, whatever their layout. */
export const inBlocks = ({ block }: Target, shape: Shape.Shape): boolean => block > 1 && Shape.size(shape) % block === 0

/** Whether folding something into weights with this many features is less work than applying it to the tokens. */
export const worthFolding = (shape: Shape.Shape, features: number): boolean =>
  Arr.getUnsafe(shape, 0) * Arr.getUnsafe(shape, 1) >= 2 * features

/** A 1×1 convolution of stride 1 in one group is a matrix product over channels. */
export const isPointwise = (
  weight: Shape.Shape,
  { groups, padding, stride }: Op.Window & { readonly groups: number }
): boolean =>
  groups === 1 &&
  weight[2] === 1 &&
  weight[3] === 1 &&
  [...stride].every((s) => s === 1) &&
  padding.every((p) => p === 0)

/** Whether a convolution with a weight of this shape `[out, in / groups, …]` treats each channel separately. */
export const isDepthwise = (weight: Shape.Shape, groups: number): boolean => weight[1] === 1 && weight[0] === groups

/** Whether a full convolution of such an image can be one product over patches. */
export const hasPatches = (
  { allows, block, lanes }: Target,
  image: Shape.Shape,
  weight: Shape.Shape,
  { groups }: Op.Convolution
): boolean =>
  groups === 1 &&
  Arr.getUnsafe(weight, 2) * Arr.getUnsafe(weight, 3) > 1 &&
  block > 1 &&
  lanes === block &&
  Arr.getUnsafe(image, 0) % lanes === 0 &&
  allows("channels", image)

/** Whether `gate` is one number per channel and image of `image`. */
export const isGate = (image: Shape.Shape, gate: Shape.Shape): boolean =>
  image.length === 4 &&
  gate.length === 4 &&
  gate[2] === 1 &&
  gate[3] === 1 &&
  gate[0] === image[0] &&
  gate[1] === image[1] &&
  Arr.getUnsafe(image, 2) * Arr.getUnsafe(image, 3) > 1

/** Whether an image can be gated in one pass: by a depthwise kernel over the lanes, or row by row. */
export const gatesImages = (target: Target, shape: Shape.Shape): boolean =>
  (target.lanes === target.block && isBlocked(target, shape)) || eachInRows(target, shape)

/**
 * The UniNet family as data: architectures like any that a search finds.
 *
 * After the paper (arXiv 2207.05420) and the authors' released PyTorch code (Sense-X/UniNet); parameters and counts match exactly.
 */
import type * as Architecture from "./Architecture.ts"

interface Member {
  readonly image: number
  readonly repeats: Six
  readonly channels: Six
}
type Six = readonly [number, number, number, number, number, number]

const stages = [0, 1, 2, 3, 4, 5] as const
const expansions: Six = [1, 4, 6, 3, 2, 5]
const strides: Six = [1, 2, 2, 2, 1, 2]
const operators = ["DWConv", "DWConv", "DWConv", "DWConv", "SA", "SA"] as const
const dsms = [null, "L", "L", "L", "LG", "LG"] as const

const member = ({ channels, image, repeats }: Member): Architecture.Architecture => ({
  image: { channels: 3, height: image, width: image },
  classes: 1000,
  stem: { channels: 32, stride: 2 },
  stages: stages.map((i) => ({
    operator: operators[i],
    dsm: dsms[i],
    expansion: expansions[i],
    channels: channels[i],
    repeats: repeats[i],
    stride: strides[i]
  })),
  head: { channels: 1280 },
  headDim: 32
})

const base: Six = [24, 48, 80, 128, 128, 256]

/** The smallest member, for images of 160 pixels. */
export const B0 = member({ image: 160, repeats: [1, 2, 4, 4, 4, 8], channels: base })
/** The network found by the search; its ImageNet-1K top-1 is 80.8%. */
export const B1 = member({ image: 224, repeats: [1, 2, 4, 4, 4, 8], channels: base })
/** For images of 256 pixels. */
export const B2 = member({ image: 256, repeats: [2, 3, 6, 6, 6, 12], channels: base })
/** For images of 288 pixels. */
export const B3 = member({ image: 288, repeats: [2, 3, 7, 7, 7, 14], channels: [24, 56, 96, 160, 160, 288] })
/** For images of 320 pixels. */
export const B4 = member({ image: 320, repeats: [2, 4, 9, 9, 9, 18], channels: [32, 64, 112, 192, 192, 352] })
/** For images of 384 pixels. */
export const B5 = member({ image: 384, repeats: [3, 5, 10, 10, 10, 20], channels: [32, 64, 112, 224, 224, 448] })
/** The largest member, for images of 448 pixels. */
export const B6 = member({ image: 448, repeats: [4, 6, 12, 12, 12, 24], channels: [48, 96, 160, 256, 256, 512] })

/** The family by name. */
export const family = { B0, B1, B2, B3, B4, B5, B6 } as const

/** The name of a member of the family. */
export type Name = keyof typeof family

/** An architecture for images of another size, channel count or number of classes. */
export const withImage =
  (image: Partial<Architecture.Architecture["image"]>, classes?: number) =>
  (architecture: Architecture.Architecture): Architecture.Architecture => ({
    ...architecture,
    image: { ...architecture.image, ...image },
    classes: classes ?? architecture.classes
  })

/** What channels are multiples of where there is no attention, by image size: 8 up to 64 pixels, else 16. Our choice; it fits the released network. */
export const divisorFor = (image: { readonly height: number; readonly width: number }): number =>
  Math.max(image.height, image.width) <= smallLimit ? 8 : 16

/** The defaults for small images apply up to this height and width. */
export const smallLimit = 64

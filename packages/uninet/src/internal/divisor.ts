/** What channels away from attention are multiples of, by the size of the images: 8 up to 64 pixels, else 16. Our choice; it fits the released network. */
export const divisorFor = (image: { readonly height: number; readonly width: number }): number =>
  Math.max(image.height, image.width) <= smallLimit ? 8 : 16

/** Up to this height and width the defaults for small images hold. */
export const smallLimit = 64

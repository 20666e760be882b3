/**
 * Image files as a network takes them: what `ImageFolder` makes of its test images, for files one by one.
 */
import * as Effect from "effect/Effect"
import { FileUnavailable } from "./DataError.ts"
import type { ImageShape } from "./Dataset.ts"
import * as pixels from "./internal/pixels.ts"

export interface Options {
  /** The network's images. One channel makes colours grey; three of a grey image are the same. */
  readonly image: ImageShape
  /** Per channel, of bytes / 255. */
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
  /** The part of the resized image's edge that the centre crop keeps; 1 (the default) resizes to the size itself, whatever the aspect. */
  readonly cropRatio?: number
  /** Exchange black and white: for dark writing on a light ground where the network knows light digits on a dark one. Default false. */
  readonly invert?: boolean
}

/**
 * Decodes files (JPEG, PNG, WebP, AVIF, GIF, TIFF, SVG) to `[files, channels, height, width]`, resized bicubically, cropped and normalised. What is
 * transparent is white.
 *
 * Fails with `FileUnavailable` that names the first file that is missing or no image.
 *
 * @example
 * ```ts
 * import { ImageFile } from "@uninet/data"
 *
 * const image = { channels: 3, height: 224, width: 224 }
 * const pixels = ImageFile.read(["cat.jpg"], { image, mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] })
 * ```
 */
export const read = Effect.fn("ImageFile.read")(function* (
  paths: ReadonlyArray<string>,
  { cropRatio = 1, deviation, image, invert = false, mean }: Options
): Effect.fn.Return<Float32Array, FileUnavailable> {
  const volume = pixels.volume(image)
  const out = new SharedArrayBuffer(paths.length * volume)
  const items = paths.map((path, index) => ({ path, index, offset: index * volume }))
  // sharp loads its native library when imported: only who has a picture waits for it. `decode` says what went wrong as a value.
  const [bad] = yield* Effect.promise(async () => {
    const { decode } = await import("./internal/decode.ts")
    return decode({ items, image, cropRatio, fill: [], out })
  })
  if (bad !== undefined)
    return yield* new FileUnavailable({
      path: bad.path,
      reason: bad.reason.replace(/^E[A-Z]+: |, open '.*'$|\.$/g, ""),
      remedy: "Give image files such as JPEG, PNG or WebP"
    })
  const bytes = new Uint8Array(out)
  if (invert) for (let i = 0; i < bytes.length; i++) bytes[i] = 255 - (bytes[i] ?? 0)
  const tables = pixels.tables(mean, deviation)
  const images = new Float32Array(bytes.length)
  for (let from = 0; from < bytes.length; from += volume)
    pixels.normalise(tables, image.height * image.width, bytes, from, images, from)
  return images
})

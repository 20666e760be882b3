/** Image files in the form that a network takes: does for individual files what `ImageFolder` does for its test images. */
import * as Effect from "effect/Effect"
import { FileUnavailable } from "./DataError.ts"
import type { ImageShape } from "./Dataset.ts"
import * as optional from "./internal/optional.ts"
import * as pixels from "./internal/pixels.ts"

/** What an image is turned into: size, channels, crop, normalisation. */
export interface Options {
  /** The network's image shape. With one channel, colours become grey; with three, a greyscale image has its values three times. */
  readonly image: ImageShape
  /** Per channel, of bytes / 255. */
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
  /** The fraction of the resized image's edge that the centre crop keeps; 1 (the default) resizes to the size itself, whatever the aspect ratio. */
  readonly cropRatio?: number
  /** Swaps black and white: for dark writing on a light background where the network knows light digits on a dark one. Default false. */
  readonly invert?: boolean
}

/** The result of reading some files. */
export interface Read {
  /** `[files, channels, height, width]` of the files that could be read, in order, normalised. */
  readonly images: Float32Array
  /** The position of each image's file in the list of paths: `[files]`. */
  readonly indexes: ReadonlyArray<number>
  /** The files that are missing or are not images, each with the problem and the remedy. */
  readonly failures: ReadonlyArray<{ readonly index: number; readonly error: FileUnavailable }>
}

/**
 * Decodes files (JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM, PGM, PBM) as Pillow does: rotated upright by their EXIF data, transparency
 * dropped, colour profiles ignored; then resized bicubically, cropped and normalised. SVG, which Pillow does not read, is drawn on white.
 * Files that cannot be read are reported separately.
 *
 * @example
 * ```ts
 * import { ImageFile } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const image = { channels: 3, height: 224, width: 224 }
 * const program = ImageFile.readAll({ image, mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] })(["cat.jpg"])
 * Effect.runPromise(program).then(({ failures }) => console.log(failures.map(({ error }) => error.message)))
 * ```
 */
export const readAll = ({ cropRatio = 1, deviation, image, invert = false, mean }: Options) =>
  Effect.fn("ImageFile.readAll")(function* (paths: ReadonlyArray<string>): Effect.fn.Return<Read> {
    const volume = pixels.volume(image)
    const out = new SharedArrayBuffer(paths.length * volume)
    const items = paths.map((path, index) => ({ path, index, offset: index * volume }))
    // sharp loads its native library when it is imported, so it is imported only when there is an image. `decode` returns errors as values.
    const missing = yield* Effect.match(optional.decoder, { onFailure: (error) => error, onSuccess: () => undefined })
    if (missing !== undefined)
      return { images: new Float32Array(), indexes: [], failures: paths.map((_, index) => ({ index, error: missing })) }
    const bad = yield* Effect.promise(async () => {
      const { decode } = await import("./internal/decode.ts")
      return decode({ items, image, cropRatio, fill: [], out })
    })
    const wrong = new Set(bad.map(({ index }) => index))
    const indexes = paths.map((_, index) => index).filter((index) => !wrong.has(index))
    const bytes = new Uint8Array(out)
    if (invert) for (let i = 0; i < bytes.length; i++) bytes[i] = 255 - (bytes[i] ?? 0)
    const tables = pixels.tables(mean, deviation)
    const images = new Float32Array(indexes.length * volume)
    for (const [place, index] of indexes.entries())
      pixels.normalise(tables, image.height * image.width, bytes, index * volume, images, place * volume)
    const remedy = "Give image files such as JPEG, PNG or WebP"
    const failures = bad.map(({ index, path, reason }) => ({
      index,
      error: new FileUnavailable({ path, reason, remedy })
    }))
    return { images, indexes, failures }
  })

/**
 * Like `readAll`, for files that all have to be readable: `[files, channels, height, width]`.
 *
 * Fails with `FileUnavailable`, which names the first file that is missing or is not an image.
 *
 * @example
 * ```ts
 * import { ImageFile } from "@uninet/data"
 *
 * const image = { channels: 3, height: 224, width: 224 }
 * const pixels = ImageFile.read({ image, mean: [0.5, 0.5, 0.5], deviation: [0.25, 0.25, 0.25] })(["cat.jpg"])
 * ```
 */
export const read =
  (options: Options) =>
  (paths: ReadonlyArray<string>): Effect.Effect<Float32Array, FileUnavailable> =>
    Effect.flatMap(readAll(options)(paths), ({ failures: [failure], images }) =>
      failure === undefined ? Effect.succeed(images) : Effect.fail(failure.error)
    )

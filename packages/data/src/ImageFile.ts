/**
 * Image files as a network takes them: what `ImageFolder` makes of its test images, for files one by one.
 */
import * as Effect from "effect/Effect"
import { FileUnavailable } from "./DataError.ts"
import type { ImageShape } from "./Dataset.ts"
import * as optional from "./internal/optional.ts"
import * as pixels from "./internal/pixels.ts"

/** What a picture becomes: size, channels, crop, normalisation. */
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

/** What was read of some files. */
export interface Read {
  /** `[files, channels, height, width]` of the files that could be read, in order, normalised. */
  readonly images: Float32Array
  /** Where in the list of paths the images come from: `[files]`. */
  readonly indexes: ReadonlyArray<number>
  /** The files that are missing or no image, each with what is wrong and what to do. */
  readonly failures: ReadonlyArray<{ readonly index: number; readonly error: FileUnavailable }>
}

/**
 * Decodes files (JPEG, PNG, WebP, AVIF, GIF, TIFF, BMP, PPM, PGM, PBM) as Pillow does: turned upright by their EXIF, transparency dropped, colour
 * profiles not obeyed; then resized bicubically, cropped and normalised. SVG, which Pillow does not read, is drawn on white. Files that cannot be read
 * are told of beside the others.
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
    // sharp loads its native library when imported: only who has a picture waits for it. `decode` says what went wrong as a value.
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
 * As `readAll`, of files that all have to be read: `[files, channels, height, width]`.
 *
 * Fails with `FileUnavailable` that names the first file that is missing or no image.
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

/** A data set's content in numbers and as a picture: what `uninet data` prints and writes. */
import { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import { InvalidOption, InvalidSamples, type DataError } from "./DataError.ts"
import {
  type DatasetShape,
  type Feature,
  type ImageDataset,
  type ImageShape,
  type Split,
  type SplitName,
  splits
} from "./Dataset.ts"
import * as order from "./internal/order.ts"
import * as optional from "./internal/optional.ts"
import * as pixels from "./internal/pixels.ts"

/** A data set's figures. */
export interface Description {
  readonly name: string
  readonly inputs: Readonly<Record<string, Feature>>
  readonly targets: Feature
  readonly classes?: ReadonlyArray<string>
  readonly image?: ImageShape
  readonly mean?: ReadonlyArray<number>
  readonly deviation?: ReadonlyArray<number>
  readonly splits: ReadonlyArray<{
    readonly name: SplitName
    readonly size: number
    /** Files that were left out of a split because their names are not those of images. */
    readonly leftOut?: number
    /** If the targets are classes: how often each occurs, in the order of `classes` (images of it, or pixels of masks). */
    readonly counts?: ReadonlyArray<number>
  }>
}

/** Counts every split's classes, if the targets are classes. Reads targets only (a streamed split is run once). */
export const describe = (dataset: DatasetShape): Effect.Effect<Description, DataError> =>
  Effect.gen(function* () {
    const { classes, deviation, image, inputs, mean, name, targets } = dataset
    const counted = yield* Effect.forEach(splits(dataset), ({ leftOut, name, size, targets: read }) => {
      const about = { name, size, ...(leftOut === undefined ? {} : { leftOut }) }
      return classes === undefined || targets.dtype !== "int32"
        ? Effect.succeed(about)
        : Effect.map(read, (read) => ({ ...about, counts: order.countsOf(read, classes.length) }))
    })
    return {
      name,
      ...(classes === undefined ? {} : { classes }),
      ...(image === undefined ? {} : { image }),
      ...(mean === undefined ? {} : { mean }),
      ...(deviation === undefined ? {} : { deviation }),
      inputs,
      targets,
      splits: counted
    }
  })

/** What is drawn, and at what size. */
export interface ContactSheetOptions {
  /** The split shown. Default "train". */
  readonly split?: SplitName
  /** Samples of each class, one row per class. Default 10. */
  readonly perClass?: number
  /** How many classes are shown, from the first on. Default 50. */
  readonly classes?: number
  /** Decides which samples are shown. Default 0. */
  readonly seed?: string | number
  /** Each pixel becomes a square with this edge length. Default: large enough to make an image about 64 pixels, at least 1. */
  readonly zoom?: number
}

const gap = 2

/** This many samples of each class, drawn by seed, in the order of classes. */
const choose = (split: Split, labels: Int32Array, classes: number, perClass: number, seed: string | number) => {
  const prng = Prng.fromSeed(seed).split(`contact sheet/${split.name}`)
  return order
    .placesOf(labels, classes)
    .map((own, label) => Array.from(order.shuffled(prng.split(String(label)), own).subarray(0, perClass)))
}

/**
 * A PNG of sample images: one row per class, in the order of `classes`, on white, as the network sees them (not augmented, with the
 * normalisation undone). A class with fewer samples has a shorter row.
 *
 * Fails with `InvalidOption` on numbers below 1, with `InvalidSamples` on an empty split, and with the errors of reading the split.
 */
export const contactSheet =
  (options: ContactSheetOptions = {}) =>
  (dataset: ImageDataset): Effect.Effect<Uint8Array, DataError> =>
    Effect.gen(function* () {
      const { channels, height, width } = dataset.image
      const { perClass = 10, seed = 0 } = options
      const split = dataset[options.split ?? "train"]
      const classes = Math.min(options.classes ?? 50, dataset.classes.length)
      const zoom = options.zoom ?? Math.max(1, Math.round(64 / Math.max(height, width)))
      for (const [option, value] of Object.entries({ perClass, classes, zoom })) {
        if (!Number.isSafeInteger(value) || value < 1) {
          return yield* new InvalidOption({ option, value, expected: "a whole number of at least 1" })
        }
      }
      const rows = choose(split, yield* split.targets, classes, perClass, seed)
      const columns = Math.max(...rows.map((row) => row.length))
      if (columns === 0) {
        return yield* new InvalidSamples({
          source: dataset.name,
          split: split.name,
          reason: "there are no samples to show",
          remedy: "Choose a split that is not empty"
        })
      }
      const sheet = {
        height: classes * (height * zoom + gap) + gap,
        width: columns * (width * zoom + gap) + gap
      }
      const canvas = new Uint8Array(sheet.height * sheet.width * 3).fill(255)
      const area = height * width
      const colours = (channels === 3 ? [0, 1, 2] : [0, 0, 0]).map((channel) => ({
        channel,
        deviation: Arr.getUnsafe(dataset.deviation, channel),
        mean: Arr.getUnsafe(dataset.mean, channel)
      }))
      for (const [row, indexes] of rows.entries()) {
        // One row at a time, so that a sheet of large images holds few of them as floats.
        const { image: images } = (yield* split.read(indexes)).inputs
        for (const column of indexes.keys()) {
          const start = column * pixels.volume(dataset.image)
          for (let y = 0; y < height * zoom; y++) {
            const line =
              ((gap + row * (height * zoom + gap) + y) * sheet.width + gap + column * (width * zoom + gap)) * 3
            for (let x = 0; x < width * zoom; x++) {
              const pixel = start + Math.floor(y / zoom) * width + Math.floor(x / zoom)
              for (const [c, { channel, deviation, mean }] of colours.entries()) {
                const value = (images[pixel + channel * area] ?? Number.NaN) * deviation + mean
                canvas[line + x * 3 + c] = Math.max(0, Math.min(255, Math.round(value * 255)))
              }
            }
          }
        }
      }
      yield* optional.decoder
      const raw = { width: sheet.width, height: sheet.height, channels: 3 as const }
      // sharp loads its native library when it is imported, so it is imported only when a picture is wanted. Encoding valid pixels as PNG
      // does not fail.
      return yield* Effect.promise(async () => {
        const { default: sharp } = await import("sharp")
        return sharp(canvas, { raw }).png().toBuffer()
      })
    })

/**
 * MNIST's file format (IDX), plain or `.gz`: MNIST, Fashion-MNIST, KMNIST, EMNIST.
 *
 * The format: https://yann.lecun.com/exdb/mnist/ and https://github.com/zalandoresearch/fashion-mnist.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CorruptFile, FileUnavailable, LabelOutOfRange, type DataError } from "./DataError.ts"
import { Dataset, type ImageDataset } from "./Dataset.ts"
import * as files from "./internal/files.ts"
import { standard } from "./internal/holdout.ts"
import * as Memory from "./Memory.ts"

/** Where the files are, and how they are split. */
export interface IdxOptions {
  /** Folder with `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, each with or without `.gz`. */
  readonly folder: string
  /** Default: the folder's name. */
  readonly name?: string
  /** Class names by label. Default: 0 … 9. */
  readonly classes?: ReadonlyArray<string>
  /**
   * Samples taken from the training files for validation, and the seed that chooses them. Default: a tenth, or one per class if there are
   * fewer than ten. `size: 0` trains on everything.
   */
  readonly validation?: Partial<Memory.Holdout>
}

/** The content of an IDX file of bytes: `sizes` has one number per dimension, `data` the values, row-major. */
export interface Idx {
  readonly sizes: ReadonlyArray<number>
  readonly data: Uint8Array
}

const corrupt = (path: string, reason: string) =>
  Effect.fail(new CorruptFile({ path, reason, remedy: "Fetch the file again" }))

const hex = (value: number) => `0x${value.toString(16).padStart(8, "0")}`

/** The length in bytes of a header with this many dimensions. */
const headerLength = (dimensions: number) => 4 + 4 * dimensions

/** The header at the beginning of these bytes: one number per dimension. */
const sizesOf = (
  path: string,
  bytes: Uint8Array,
  dimensions: number
): Effect.Effect<ReadonlyArray<number>, CorruptFile> => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const header = headerLength(dimensions)
  if (bytes.length < header) return corrupt(path, `cut short: ${bytes.length} bytes, but an IDX header has ${header}`)
  const magic = view.getUint32(0)
  const expected = 0x0800 + dimensions
  return magic === expected
    ? Effect.succeed(Array.from({ length: dimensions }, (_, i) => view.getUint32(4 + 4 * i)))
    : corrupt(path, `the magic number is ${hex(magic)}, not ${hex(expected)} (bytes, ${dimensions} dimensions)`)
}

const product = (sizes: ReadonlyArray<number>) => sizes.reduce((a, b) => a * b, 1)

/**
 * Reads the content of an IDX file of unsigned bytes with this many dimensions; `path` is only used in error messages.
 *
 * Fails with `CorruptFile` on a wrong magic number, or on a length that disagrees with the header.
 *
 * @example
 * ```ts
 * import { Idx } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * // A file of two labels: the magic number 0x00000801, the count, then the labels.
 * const labels = Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 7, 3)
 * const program = Effect.gen(function* () {
 *   const { data, sizes } = yield* Idx.parse("labels.idx", 1)(labels)
 *   yield* Console.log(sizes, data) // [ 2 ] Uint8Array(2) [ 7, 3 ]
 *   // One that was cut short says so.
 *   yield* Idx.parse("labels.idx", 1)(labels.subarray(0, 9)).pipe(
 *     Effect.catchTag("CorruptFile", ({ message }) => Console.log(message))
 *   )
 * })
 * Effect.runPromise(program)
 * ```
 */
export const parse =
  (path: string, dimensions: number) =>
  (bytes: Uint8Array): Effect.Effect<Idx, CorruptFile> =>
    Effect.suspend(() =>
      Effect.flatMap(sizesOf(path, bytes, dimensions), (sizes) => {
        const header = headerLength(dimensions)
        const length = header + product(sizes)
        if (bytes.length === length) return Effect.succeed({ sizes, data: bytes.subarray(header) })
        const what = bytes.length < length ? "cut short" : "too long"
        return corrupt(path, `${what}: ${bytes.length} bytes, but the header (${sizes.join(" × ")}) needs ${length}`)
      })
    )

/** The possible names of one of the four files. */
const names = (stem: string, dimensions: number): Arr.NonEmptyReadonlyArray<string> =>
  Arr.flatMap([`${stem}-idx${dimensions}-ubyte`, `${stem}.idx${dimensions}-ubyte`], (name) => [name, `${name}.gz`])

const remedy =
  "Put the four IDX files of the data set (train-images, train-labels, t10k-images, t10k-labels) in the folder"

/** An unpacked file's size, from its header: a file of a few megabytes must not fill the memory when it is unpacked. */
const sized = (path: string, dimensions: number): files.Sized => ({
  length: headerLength(dimensions),
  sizeOf: (start) => Effect.map(sizesOf(path, start, dimensions), (sizes) => headerLength(dimensions) + product(sizes))
})

const readFile = (folder: string, stem: string, dimensions: number) =>
  files
    .find(folder, names(stem, dimensions), remedy)
    .pipe(
      Effect.flatMap((path) =>
        Effect.flatMap(files.readUnzipped(path, remedy, sized(path, dimensions)), (bytes) =>
          Effect.map(parse(path, dimensions)(bytes), (idx) => ({ ...idx, path }))
        )
      )
    )

const readSamples = Effect.fn("Idx.readSamples")(function* (folder: string, stem: string, classes: number) {
  const images = yield* readFile(folder, `${stem}-images`, 3)
  const labels = yield* readFile(folder, `${stem}-labels`, 1)
  if (images.sizes[0] !== labels.sizes[0]) {
    return yield* new CorruptFile({
      path: labels.path,
      reason: `${labels.sizes[0]} labels for the ${images.sizes[0]} images of ${images.path}`,
      remedy: "Fetch both files again"
    })
  }
  for (const [index, label] of labels.data.entries())
    if (label >= classes) return yield* new LabelOutOfRange({ source: labels.path, index, label, classes })
  return {
    path: images.path,
    height: Arr.getUnsafe(images.sizes, 1),
    width: Arr.getUnsafe(images.sizes, 2),
    samples: { images: images.data, labels: labels.data }
  }
})

/**
 * The data set in a folder of IDX files: `train-*` split into training and validation, `t10k-*` for testing.
 *
 * Fails with `FileUnavailable` (a file is missing), `CorruptFile` (wrong magic number, cut short, truncated gzip, counts that disagree),
 * `LabelOutOfRange`, or with `InvalidSamples` or `InvalidOption` if no image, or not that many, can be kept for validation.
 *
 * @example
 * ```ts
 * import { Idx } from "@uninet/data"
 * import { Console, Effect } from "effect"
 * import { mkdirSync, writeFileSync } from "node:fs"
 *
 * // Your own data in MNIST's format: 20 pictures of 2 × 2 to train on, and 2 to test by.
 * const header = (magic: number, ...sizes: ReadonlyArray<number>) => [magic, ...sizes].flatMap((n) => [0, 0, n >> 8, n & 255])
 * const pictures = (count: number) => Uint8Array.from([...header(0x0803, count, 2, 2), ...new Array(4 * count).fill(128)])
 * const labels = (count: number) => Uint8Array.from([...header(0x0801, count), ...Array.from({ length: count }, (_, i) => i % 2)])
 * mkdirSync("idx", { recursive: true })
 * for (const [name, count] of [["train", 20], ["t10k", 2]] as const) {
 *   writeFileSync(`idx/${name}-images-idx3-ubyte`, pictures(count))
 *   writeFileSync(`idx/${name}-labels-idx1-ubyte`, labels(count))
 * }
 * Idx.make({ folder: "idx", classes: ["even", "odd"] }).pipe(
 *   Effect.flatMap((data) => Console.log(data.name, data.image, data.train.size, data.validation.size)),
 *   Effect.runPromise
 * )
 * ```
 */
export const make = (options: IdxOptions): Effect.Effect<ImageDataset, DataError> =>
  Effect.gen(function* () {
    const classes = options.classes ?? Array.from({ length: 10 }, (_, label) => String(label))
    const train = yield* readSamples(options.folder, "train", classes.length)
    const test = yield* readSamples(options.folder, "t10k", classes.length)
    const { height, width } = train
    if (test.height !== height || test.width !== width) {
      return yield* new CorruptFile({
        path: test.path,
        reason: `the images are ${test.height}×${test.width}, but the training images are ${height}×${width}`,
        remedy: "Put the files of one data set in the folder"
      })
    }
    const name = options.name ?? files.nameOf(options.folder)
    const labels = Int32Array.from(train.samples.labels)
    const size = options.validation?.size ?? (yield* standard(name, labels, classes.length))
    return yield* Memory.make({
      name,
      classes,
      image: { channels: 1, height, width },
      train: train.samples,
      validation: {
        size,
        seed: options.validation?.seed ?? "validation"
      },
      test: test.samples
    })
  })

/** The layer of `make`. */
export const layer = (options: IdxOptions): Layer.Layer<Dataset, DataError> => Layer.effect(Dataset, make(options))

/** Fashion-MNIST's classes by label. */
export const fashionClasses: ReadonlyArray<string> = [
  "T-shirt/top",
  "Trouser",
  "Pullover",
  "Dress",
  "Coat",
  "Sandal",
  "Shirt",
  "Sneaker",
  "Bag",
  "Ankle boot"
]

/** Where Debian's package `dataset-fashion-mnist` puts its files. */
export const debianFashionFolder = "/usr/share/datasets/fashion-mnist"

/**
 * Fashion-MNIST (60,000 + 10,000 of 28×28) from Debian's package `dataset-fashion-mnist`, or from `folder`.
 *
 * Fails like `make`; if the package is not installed, with a `FileUnavailable` that says how to install it.
 */
export const makeFashion = (options: Partial<IdxOptions> = {}): Effect.Effect<ImageDataset, DataError> => {
  const dataset = make({
    name: "fashion-mnist",
    classes: fashionClasses,
    ...options,
    folder: options.folder ?? debianFashionFolder
  })
  return options.folder !== undefined
    ? dataset
    : Effect.catchTag(dataset, "FileUnavailable", (error) =>
        Effect.fail(
          new FileUnavailable({
            path: error.path,
            reason: error.reason,
            remedy:
              "Install it (apt-get install dataset-fashion-mnist), or give the path of a folder with the four IDX files"
          })
        )
      )
}

/** The layer of `makeFashion`. */
export const layerFashion = (options: Partial<IdxOptions> = {}): Layer.Layer<Dataset, DataError> =>
  Layer.effect(Dataset, makeFashion(options))

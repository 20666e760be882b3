/**
 * A folder of images by class (ImageNet's layout): `train/<class>/…`, `val/<class>/…` and, if there is one, `test/<class>/…`.
 *
 * Worker threads decode files as they are needed, and batches are made a few ahead; only those are in memory.
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { availableParallelism } from "node:os"
import { createHash } from "node:crypto"
import { extname, join, relative, sep } from "node:path"
import * as Content from "./Content.ts"
import { ClassMismatch, InvalidOption, InvalidSamples, UnreadableImages, type DataError } from "./DataError.ts"
import {
  Dataset,
  type ImageBatch,
  type ImageDataset,
  imageFeatures,
  type ImageShape,
  type Split,
  type SplitName
} from "./Dataset.ts"
import * as augment from "./internal/augment.ts"
import type { Bad, Item } from "./internal/decode.ts"
import * as decoders from "./internal/decoders.ts"
import * as files from "./internal/files.ts"
import { type Holdout, parts, standard } from "./internal/holdout.ts"
import * as order from "./internal/order.ts"
import * as optional from "./internal/optional.ts"
import * as pixels from "./internal/pixels.ts"
import { Prng } from "@uninet/search-space"
import * as split from "./internal/split.ts"
import * as values from "./internal/values.ts"

/** Where the images are, and what they are turned into. */
export interface ImageFolderOptions {
  /**
   * Folder with `train`, `val` (or `validation`, not both) and `test`, each with one folder of images per class. Hidden files and other
   * kinds of files are left out.
   */
  readonly folder: string
  /** Default: the folder's name. */
  readonly name?: string
  /** Edge length of the square images, in pixels, from 1 to 4096. Default 224. */
  readonly size?: number
  /** 3 (RGB, default) or 1 (greyscale). */
  readonly channels?: 1 | 3
  /**
   * The fraction of the resized image's edge that the centre crop keeps; 1 resizes to the size itself, whatever the aspect ratio. Default:
   * 224/256 below 320 pixels, 1 from there on (the paper's evaluation).
   */
  readonly cropRatio?: number
  /** Per channel, of bytes / 255. Default: ImageNet's constants (0.485, 0.456, 0.406; their mean for greyscale). */
  readonly mean?: ReadonlyArray<number>
  /** Per channel. Default: ImageNet's constants (0.229, 0.224, 0.225; their mean for greyscale). */
  readonly deviation?: ReadonlyArray<number>
  /**
   * Used if the folder lacks `val` or `test`: the samples taken from `train` for validation, and the seed that chooses them. Default: a
   * tenth, or one per class if there are fewer than ten. Whichever of `val` and `test` exists is then the test split: our choice, since
   * ImageNet's own test images have no labels.
   */
  readonly validation?: Partial<Holdout>
  /** Worker threads (each decodes up to four images at once). Default: the machine's cores minus one, from 1 to 8. */
  readonly workers?: number
  /**
   * Leaves out files that cannot be decoded; every file is then decoded once when the layer is built. Default false: the first batch with
   * such a file fails with `UnreadableImages`.
   */
  readonly skipBad?: boolean
}

interface Files {
  readonly paths: ReadonlyArray<string>
  readonly labels: Int32Array
  /** Other files next to them. */
  readonly leftOut: number
}

const extensions = new Set(
  ["jpg", "jpeg", "png", "webp", "avif", "gif", "tif", "tiff", "bmp", "ppm", "pgm", "pbm"].map((name) => `.${name}`)
)

/** Whether a file is an image, by its name. Hidden files are not, such as the `._x.png` that macOS puts next to `x.png` on other systems' disks. */
const isImage = (name: string) => !name.startsWith(".") && extensions.has(extname(name).toLowerCase())

const layout = "Put the images into train/<class>/, val/<class>/ and, if there is a test split, test/<class>/"

const classesOf = (folder: string) =>
  Effect.map(files.list(folder, layout), (entries) =>
    entries.filter((entry) => entry.folder && !entry.name.startsWith(".")).map((entry) => entry.name)
  )

/** The images of every class, ordered by class and name. Folders inside a class folder are ignored. */
const filesOf = Effect.fn("ImageFolder.filesOf")(function* (folder: string, classes: ReadonlyArray<string>) {
  const perClass = yield* Effect.forEach(classes, (name) =>
    Effect.map(files.list(join(folder, name), layout), (entries) => entries.filter((entry) => !entry.folder))
  )
  const found = perClass.map((entries) => entries.filter((entry) => isImage(entry.name)))
  const count = (of: typeof perClass) => of.reduce((sum, entries) => sum + entries.length, 0)
  return {
    paths: Arr.zip(classes, found).flatMap(([name, entries]) => entries.map((entry) => join(folder, name, entry.name))),
    labels: Int32Array.from(found.flatMap((entries, label) => entries.map(() => label))),
    leftOut: count(perClass) - count(found)
  } satisfies Files
})

/** The number of files whose size is included, and of those, the number whose bytes are. */
const [sized, hashed] = [8192, 64]

/** Identifies the files: by all names, the sizes of thousands of files and the bytes of some; none are decoded. */
const contentOf = Effect.fn("ImageFolder.contentOf")(function* (folder: string, { paths }: Pick<Files, "paths">) {
  const hash = createHash("sha256")
  for (const path of paths) hash.update(`${relative(folder, path).split(sep).join("/")}\n`)
  const some = Content.places(paths.length, sized).map((place) => Arr.getUnsafe(paths, place))
  for (const size of yield* Effect.forEach(some, files.sizeOf, { concurrency: 64 })) hash.update(`${size}\n`)
  for (const place of Content.places(paths.length, hashed))
    hash.update(yield* files.read(Arr.getUnsafe(paths, place), "Give a file that can be read"))
  return hash.digest("hex")
})

/** Some of the files. Other files next to them are counted only once, with the files they were found with. */
const select = (all: Files, indexes: Uint32Array): Files => ({
  leftOut: 0,
  paths: Array.from(indexes, (index) => Arr.getUnsafe(all.paths, index)),
  labels: values.gather(all.labels, indexes, 1)
})

interface Decoding {
  readonly folder: string
  readonly decode: decoders.Decode
  readonly image: ImageShape
  readonly cropRatio: number
  readonly mean: ReadonlyArray<number>
  readonly deviation: ReadonlyArray<number>
}

/** Files per message to a worker: a message costs a quarter of a millisecond. */
const perJob = 4

/** The items in groups of `perJob`. */
const grouped = (items: ReadonlyArray<Item>): ReadonlyArray<ReadonlyArray<Item>> =>
  Array.from({ length: Math.ceil(items.length / perJob) }, (_, i) => items.slice(i * perJob, (i + 1) * perJob))

const unreadable = (folder: string, bad: ReadonlyArray<Bad>) =>
  new UnreadableImages({ folder, files: bad.map(({ path, reason }) => ({ path, reason })) })

/** The files that cannot be decoded, in order, with the decoder's reason. */
const findBad = (decoding: Decoding, paths: ReadonlyArray<string>) => {
  const { cropRatio, decode, image } = decoding
  // The pixels are not used, so all images may be written to the same place.
  const out = new SharedArrayBuffer(pixels.volume(image))
  return Effect.forEach(
    grouped(paths.map((path, index) => ({ path, index, offset: 0 }))),
    (items) => decode({ items, image, cropRatio, fill: [], out }),
    { concurrency: 64 }
  ).pipe(Effect.map((results) => results.flat()))
}

const folderSplit = (
  decoding: Decoding,
  name: SplitName,
  { labels, paths }: Files,
  leftOut: number
): Split<ImageBatch> => {
  const { cropRatio, decode, image } = decoding
  const tables = pixels.tables(decoding.mean, decoding.deviation)
  const fill = augment.fillOf(decoding.mean)
  const size = pixels.volume(image)
  const area = image.height * image.width
  // Buffers of batches that are fetched but not yet requested; reused, so that nothing waits for the garbage collector.
  const free: Array<SharedArrayBuffer> = []
  const take = (length: number) => {
    const found = free.findIndex((buffer) => buffer.byteLength === length)
    const [buffer] = found < 0 ? [] : free.splice(found, 1)
    return buffer ?? new SharedArrayBuffer(length)
  }
  return split.make({
    name,
    size: paths.length,
    ...(leftOut === 0 ? {} : { leftOut }),
    targets: Effect.succeed(labels),
    content: contentOf(decoding.folder, { paths }),
    prefetch: 2,
    fetch: (indexes, augmenting, { floats }) =>
      Effect.gen(function* () {
        const out = take(indexes.length * size)
        const items = Array.from(indexes, (index, place) => ({
          path: Arr.getUnsafe(paths, index),
          index,
          offset: place * size
        }))
        const job = { image, cropRatio, fill, out, ...(augmenting === undefined ? {} : { augmenting }) }
        const results = yield* Effect.forEach(grouped(items), (items) => decode({ ...job, items }), {
          concurrency: "unbounded"
        })
        const bad = results.flat()
        if (bad.length > 0) return yield* unreadable(decoding.folder, bad)
        return () => {
          const bytes = new Uint8Array(out)
          const images = floats(bytes.length)
          for (const [i, index] of indexes.entries()) {
            pixels.normalise(tables, area, bytes, i * size, images, i * size)
            if (augmenting !== undefined) {
              augment.floats(augmenting.steps, augmenting.key, index, image, images, i * size)
            }
          }
          if (free.length < 4) free.push(out)
          return { image: images }
        }
      })
  })
}

const average = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

const within = (option: string, value: number, most: number) =>
  Number.isSafeInteger(value) && value >= 1 && value <= most
    ? Effect.void
    : Effect.fail(new InvalidOption({ option, value, expected: `a whole number from 1 to ${most}` }))

/** An image of this edge takes 200 MB as floats. */
const mostSize = 4096

const splitFolders = ["train", "val", "validation", "test"]

/** Common names for splits that would otherwise be ignored. */
const otherFolders = ["training", "valid", "dev", "eval", "evaluation", "testing"]

/** What is ambiguous in a folder's layout, if anything: two folders for one split, or a split's folder under another name. */
const ambiguous = (folder: string, present: ReadonlySet<string>): InvalidSamples | undefined => {
  if (present.has("val") && present.has("validation"))
    return new InvalidSamples({
      source: folder,
      split: "validation",
      reason: "the folders val and validation both exist, but only one of them can be this split",
      remedy: "Rename the one that is not used to choose between networks (to test, if it is the test split)"
    })
  const other = Array.from(present).find(
    (name) => !splitFolders.includes(name) && [...splitFolders, ...otherFolders].includes(name.toLowerCase())
  )
  if (other === undefined) return undefined
  const split = /^tr/i.test(other) ? "train" : /^te/i.test(other) ? "test" : "validation"
  return new InvalidSamples({
    source: folder,
    split,
    reason: `the folder ${other} would be ignored`,
    remedy: `Rename it to ${split === "validation" ? "val" : split} if it is this split, or move it away`
  })
}

/** ImageNet's channel means and deviations, of bytes / 255, as in timm and torchvision. */
export const imagenet = { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] } as const

/**
 * The fraction of a resized image's edge that the paper's evaluation keeps.
 *
 * @example
 * ```ts
 * import { ImageFolder } from "@uninet/data"
 *
 * // A picture is resized to 256 pixels and cut to its middle 224; large ones are taken whole.
 * console.log(ImageFolder.evaluationCropRatio(224), ImageFolder.evaluationCropRatio(384)) // 0.875 1
 * ```
 */
export const evaluationCropRatio = (size: number): number => (size < 320 ? 224 / 256 : 1)

/** Everything except the splits' files: options checked, folders listed and compared, workers started. */
const prepare = Effect.fn("ImageFolder.prepare")(function* (options: ImageFolderOptions) {
  const { channels = 3, folder, size = 224, workers = Math.min(8, Math.max(1, availableParallelism() - 1)) } = options
  yield* within("size", size, mostSize)
  yield* within("workers", workers, 256)
  const { cropRatio = evaluationCropRatio(size) } = options
  if (!(cropRatio > 0 && cropRatio <= 1)) {
    return yield* new InvalidOption({
      option: "cropRatio",
      value: cropRatio,
      expected: "a number above 0 and at most 1"
    })
  }
  const mean = options.mean ?? (channels === 3 ? imagenet.mean : [average(imagenet.mean)])
  const deviation = options.deviation ?? (channels === 3 ? imagenet.deviation : [average(imagenet.deviation)])
  if (mean.length !== channels || deviation.length !== channels || deviation.some((value) => !(value > 0))) {
    return yield* new InvalidOption({
      option: "mean and deviation",
      value: `${mean.join(" ")} and ${deviation.join(" ")}`,
      expected: `${channels} number${channels === 1 ? "" : "s"} for each, with every deviation above 0`
    })
  }
  const present = new Set(yield* classesOf(folder))
  const unclear = ambiguous(folder, present)
  if (unclear !== undefined) return yield* unclear
  const trainFolder = yield* files.find(folder, ["train"], layout)
  const evaluation = ["val", "validation", "test"].filter((name) => present.has(name))
  const classes = yield* classesOf(trainFolder)
  if (classes.length === 0 || !Arr.isReadonlyArrayNonEmpty(evaluation)) {
    return yield* new InvalidSamples({
      source: folder,
      split: classes.length === 0 ? "train" : "test",
      reason: classes.length === 0 ? "there is no class folder in train" : "there is neither a val nor a test folder",
      remedy: layout
    })
  }
  const list = (name: string) =>
    Effect.gen(function* () {
      const own = yield* classesOf(join(folder, name))
      const missing = classes.filter((className) => !own.includes(className))
      const unexpected = own.filter((className) => !classes.includes(className))
      if (missing.length + unexpected.length > 0) {
        return yield* new ClassMismatch({ source: folder, split: name, missing, unexpected })
      }
      const found = yield* filesOf(join(folder, name), classes)
      if (found.paths.length === 0) {
        return yield* new InvalidSamples({
          source: folder,
          split: name,
          reason: "its class folders hold no images",
          remedy: `Put images (${Array.from(extensions).join(", ")}) into them`
        })
      }
      return found
    })
  const train = yield* list("train")
  const others = yield* Effect.forEach(evaluation, list)
  // Otherwise its workers would die, one after the other.
  yield* optional.decoder
  const decode = yield* decoders.make(workers)
  const image: ImageShape = { channels, height: size, width: size }
  return { classes, decoding: { folder, decode, image, cropRatio, mean, deviation } satisfies Decoding, train, others }
})

/**
 * The data set in a folder. The classes are the folders in `train`; labels follow their sorted names.
 *
 * Fails with `FileUnavailable` (a folder is missing, or sharp is not installed), `ClassMismatch`, `InvalidSamples` (no images) or `InvalidOption`; its splits
 * fail with `UnreadableImages`.
 *
 * @example
 * ```ts
 * import { ImageFolder } from "@uninet/data"
 * import { Console, Effect } from "effect"
 * import { mkdirSync, writeFileSync } from "node:fs"
 *
 * // A folder for every class, and in it pictures of any size: here grey ones of one pixel, as PGM.
 * for (const [split, count] of [["train", 12], ["val", 2]] as const)
 *   for (const name of ["dark", "light"]) {
 *     mkdirSync(`pictures/${split}/${name}`, { recursive: true })
 *     for (let i = 0; i < count; i++)
 *       writeFileSync(`pictures/${split}/${name}/${i}.pgm`, `P2 1 1 255 ${(name === "light" ? 200 : 20) + i}\n`)
 *   }
 * const program = Effect.gen(function* () {
 *   const data = yield* ImageFolder.make({ folder: "pictures", size: 8 })
 *   yield* Console.log(data.classes, data.image, data.train.size, data.validation.size, data.test.size)
 *   yield* Console.log(yield* ImageFolder.check({ folder: "pictures", size: 8 })) // 28: all of them can be read
 * })
 * Effect.runPromise(Effect.scoped(program))
 * ```
 */
export const make = (options: ImageFolderOptions): Effect.Effect<ImageDataset, DataError, Scope.Scope> =>
  Effect.gen(function* () {
    const { classes, decoding, others, train: listed } = yield* prepare(options)
    const keep = (all: Files) =>
      Effect.gen(function* () {
        if (options.skipBad !== true) return all
        const bad = yield* findBad(decoding, all.paths)
        if (bad.length === 0) return all
        yield* Effect.logWarning(`${options.folder}: left out ${bad.length} unreadable images`, ...bad.slice(0, 20))
        const names = new Set(bad.map(({ path }) => path))
        const good = order.identity(all.paths.length).filter((index) => !names.has(Arr.getUnsafe(all.paths, index)))
        return { ...select(all, good), leftOut: all.leftOut }
      })
    const name = options.name ?? files.nameOf(options.folder)
    const train = yield* keep(listed)
    const [first, second] = yield* Effect.forEach(others, keep)
    const bereft = classes.find((_, label) => listed.labels.includes(label) && !train.labels.includes(label))
    if (bereft !== undefined)
      return yield* new InvalidSamples({
        source: options.folder,
        split: "train",
        reason: `no image of the class ${bereft} can be read, so the network could not learn it`,
        remedy: "Replace some of them, or remove the class's folders"
      })
    const held = Effect.gen(function* () {
      const size = options.validation?.size ?? (yield* standard(name, train.labels, classes.length))
      const random = Prng.fromSeed(options.validation?.seed ?? "validation")
      const [validation, rest] = yield* parts(random, train.labels, classes.length, [size])
      return [select(train, validation), select(train, rest)] as const
    })
    const [validation, rest] = second === undefined ? yield* held : [first, train]
    const { cropRatio, deviation, image, mean } = decoding
    return {
      name,
      classes,
      image,
      ...imageFeatures(image),
      mean,
      deviation,
      cropRatio,
      isNative: true,
      train: folderSplit(decoding, "train", rest, train.leftOut),
      validation: folderSplit(decoding, "validation", validation, validation.leftOut),
      test: folderSplit(decoding, "test", second ?? first, (second ?? first).leftOut)
    }
  })

/** The layer of `make`. */
export const layer = (options: ImageFolderOptions): Layer.Layer<Dataset, DataError> =>
  Layer.effect(Dataset, make(options))

/**
 * Decodes every file of the folder, and fails with `UnreadableImages`, which names all that cannot be decoded, or like `make`. Returns the
 * number of images.
 */
export const check = (options: ImageFolderOptions): Effect.Effect<number, DataError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { decoding, others, train } = yield* prepare(options)
      const paths = [train, ...others].flatMap((all) => all.paths)
      const bad = yield* findBad(decoding, paths)
      return bad.length === 0 ? paths.length : yield* unreadable(options.folder, bad)
    })
  )

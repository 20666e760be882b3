/**
 * CIFAR-10 and CIFAR-100 in their binary version.
 *
 * The format: https://www.cs.toronto.edu/~kriz/cifar.html. A record is one label byte (CIFAR-100: coarse, then fine) and 3,072
 * bytes of a 32×32 image, channels first.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { join } from "node:path"
import { CorruptFile, FileUnavailable, LabelOutOfRange, type DataError } from "./DataError.ts"
import { Dataset, type ImageDataset } from "./Dataset.ts"
import * as files from "./internal/files.ts"
import { standard } from "./internal/holdout.ts"
import * as Memory from "./Memory.ts"

/** Where the files are, and how they are split. */
export interface CifarOptions {
  /** Folder with `data_batch_1.bin` … `data_batch_5.bin` and `test_batch.bin` (CIFAR-10), or `train.bin` and `test.bin` (CIFAR-100). */
  readonly folder: string
  /** CIFAR-100's labels: 100 "fine" classes (default) or 20 "coarse" ones. */
  readonly labels?: "fine" | "coarse"
  /**
   * Samples taken from the training files for validation, and the seed that chooses them. Default: a tenth, or one per class if there are
   * fewer than ten. `size: 0` trains on everything.
   */
  readonly validation?: Partial<Memory.Holdout>
}

const image = { channels: 3, height: 32, width: 32 }
const pixels = 3 * 32 * 32
const remedy = "Unpack the binary version of CIFAR-10 or CIFAR-100 into the folder"
const cifar10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

interface Format {
  readonly name: string
  readonly train: ReadonlyArray<string>
  readonly test: string
  /** Label bytes of a record, and which of them is the label. */
  readonly labelBytes: number
  readonly label: number
  readonly names: string
  readonly classes: ReadonlyArray<string>
}

const numbered = (count: number) => Array.from({ length: count }, (_, label) => String(label))

const ten: Format = {
  name: "cifar-10",
  train: [1, 2, 3, 4, 5].map((part) => `data_batch_${part}.bin`),
  test: "test_batch.bin",
  labelBytes: 1,
  label: 0,
  names: "batches.meta.txt",
  classes: cifar10
}

const hundred = (labels: "fine" | "coarse"): Format => ({
  name: labels === "fine" ? "cifar-100" : "cifar-100-coarse",
  train: ["train.bin"],
  test: "test.bin",
  labelBytes: 2,
  label: labels === "fine" ? 1 : 0,
  names: `${labels}_label_names.txt`,
  classes: numbered(labels === "fine" ? 100 : 20)
})

const readRecords = Effect.fn("Cifar.readRecords")(function* (
  format: Format,
  paths: ReadonlyArray<string>,
  classes: number
) {
  const record = format.labelBytes + pixels
  const parts = yield* Effect.forEach(paths, (path) => Effect.map(files.read(path, remedy), (part) => ({ path, part })))
  const wrong = parts.find(({ part }) => part.length === 0 || part.length % record !== 0)
  if (wrong !== undefined) {
    return yield* new CorruptFile({
      path: wrong.path,
      reason: `cut short or in another format: ${wrong.part.length} bytes are not a whole number of ${record}-byte records`,
      remedy: "Fetch the file again"
    })
  }
  const size = parts.reduce((sum, { part }) => sum + part.length / record, 0)
  const images = new Uint8Array(size * pixels)
  const labels = new Uint8Array(size)
  let at = 0
  for (const { part, path } of parts) {
    for (let start = 0; start < part.length; start += record, at++) {
      const label = part.readUInt8(start + format.label)
      if (label >= classes) return yield* new LabelOutOfRange({ source: path, index: start / record, label, classes })
      labels[at] = label
      images.set(part.subarray(start + format.labelBytes, start + record), at * pixels)
    }
  }
  return { images, labels }
})

/**
 * The data set in a folder of CIFAR's binary files; the file names tell which of the two it is. Class names come from `batches.meta.txt` or
 * `fine_label_names.txt` if the folder has them.
 *
 * Fails with `FileUnavailable`, `CorruptFile`, `LabelOutOfRange`, or with `InvalidSamples` or `InvalidOption` if no image, or not that
 * many, can be kept for validation.
 *
 * @example
 * ```ts
 * import { Cifar } from "@uninet/data"
 * import { Console, Effect } from "effect"
 * import { mkdirSync, writeFileSync } from "node:fs"
 *
 * // Files of CIFAR-10's form: for each picture a byte for its class, and 3 × 32 × 32 for its pixels. Here four in each.
 * mkdirSync("cifar", { recursive: true })
 * const records = Uint8Array.from({ length: 4 * 3073 }, (_, i) => (i % 3073 === 0 ? Math.floor(i / 3073) : i % 256))
 * for (const name of ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"])
 *   writeFileSync(`cifar/${name}.bin`, records)
 * Cifar.make({ folder: "cifar", validation: { size: 2 } }).pipe(
 *   Effect.flatMap((data) => Console.log(data.name, data.classes.length, data.train.size, data.validation.size)),
 *   Effect.runPromise
 * )
 * ```
 */
export const make = (options: CifarOptions): Effect.Effect<ImageDataset, DataError> =>
  Effect.gen(function* () {
    const { folder } = options
    const present = new Set((yield* files.list(folder, remedy)).map((entry) => entry.name))
    const format = present.has("data_batch_1.bin") ? ten : hundred(options.labels ?? "fine")
    const missing = [...format.train, format.test].find((name) => !present.has(name))
    if (missing !== undefined) {
      return yield* new FileUnavailable({ path: join(folder, missing), reason: "no such file", remedy })
    }
    const names = yield* files.lines(join(folder, format.names))
    const classes = names?.length === format.classes.length ? names : format.classes
    const inFolder = (name: string) => join(folder, name)
    const train = yield* readRecords(format, format.train.map(inFolder), classes.length)
    const test = yield* readRecords(format, [inFolder(format.test)], classes.length)
    const size =
      options.validation?.size ?? (yield* standard(format.name, Int32Array.from(train.labels), classes.length))
    return yield* Memory.make({
      name: format.name,
      classes,
      image,
      train,
      validation: {
        size,
        seed: options.validation?.seed ?? "validation"
      },
      test
    })
  })

/** The layer of `make`. */
export const layer = (options: CifarOptions): Layer.Layer<Dataset, DataError> => Layer.effect(Dataset, make(options))

/** Data sets by name or path, as given on a command line. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { stat } from "node:fs/promises"
import { basename, join } from "node:path"
import * as Cifar from "./Cifar.ts"
import { DatasetNotFound, type DataError } from "./DataError.ts"
import { Dataset, type ImageDataset } from "./Dataset.ts"
import * as Idx from "./Idx.ts"
import * as ImageFolder from "./ImageFolder.ts"
import * as files from "./internal/files.ts"
import type { Holdout } from "./Memory.ts"
import * as Mnist from "./Mnist.ts"

/** Settings for any data set; each applies if it has a meaning. */
export interface Options {
  /** Edge length, in pixels, of the images made from a folder of images. Default 224. */
  readonly size?: number
  /** Leaves out unreadable images of a folder of images. Default false. */
  readonly skipBad?: boolean
  /** Samples taken from training for validation, if the data set has no validation split. Default: the data set's own default, a tenth. */
  readonly validation?: Partial<Holdout>
}

/** The data sets that have a name. */
export const names: ReadonlyArray<string> = ["mnist", "fashion-mnist"]

/** Whether there is a folder. If something is there but cannot be inspected, it is assumed to be a folder, so that reading it reports why. */
const isFolder = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    stat(path).then(
      (found) => found.isDirectory(),
      (cause: NodeJS.ErrnoException) => cause.code !== "ENOENT" && cause.code !== "ENOTDIR"
    )
  )

/** The layout of a folder, from the names in it; the subfolder of a CIFAR archive counts as the folder itself. */
const atPath = (
  folder: string,
  options: Options
): Effect.Effect<ImageDataset, DataError, Scope.Scope> | Effect.Effect<ImageDataset, DataError> =>
  Effect.gen(function* () {
    const entries = yield* files.list(folder, "Give the path of a folder that can be read")
    const has = (test: (name: string) => boolean) => entries.some((entry) => !entry.folder && test(entry.name))
    const hasFolder = (name: string) => entries.some((entry) => entry.folder && entry.name === name)
    const validation = options.validation === undefined ? {} : { validation: options.validation }
    if (has((name) => /^(train|t10k)-(images|labels)[-.]idx/.test(name))) {
      const classes = basename(folder).includes("fashion") ? { classes: Idx.fashionClasses } : {}
      return yield* Idx.make({ folder, ...classes, ...validation })
    }
    if (has((name) => /^(data_batch_\d|test_batch|train|test)\.bin$/.test(name))) {
      return yield* Cifar.make({ folder, ...validation })
    }
    const archive = ["cifar-10-batches-bin", "cifar-100-binary"].find(hasFolder)
    if (archive !== undefined) return yield* Cifar.make({ folder: join(folder, archive), ...validation })
    if (hasFolder("train")) {
      const size = options.size === undefined ? {} : { size: options.size }
      return yield* ImageFolder.make({ folder, ...size, ...validation, skipBad: options.skipBad ?? false })
    }
    return yield* new DatasetNotFound({
      name: folder,
      known: names,
      reason: "the folder holds no IDX files, no CIFAR .bin files and no train folder of images by class"
    })
  })

/**
 * The data set with a name (`names`), or in a folder of IDX files, CIFAR binary files or images by class.
 *
 * Fails with `DatasetNotFound` if it is none of these, otherwise like the data set's own `make`.
 *
 * @example
 * ```ts
 * import { Datasets } from "@uninet/data"
 * import { Console, Effect } from "effect"
 *
 * // As a command line takes it: a name, or a folder.
 * console.log(Datasets.names) // [ 'mnist', 'fashion-mnist' ]
 * Datasets.make("mnist", { validation: { size: 2000 } }).pipe(
 *   Effect.flatMap((data) => Console.log(data.name, data.train.size, data.validation.size)),
 *   Effect.scoped,
 *   Effect.runPromise
 * )
 * ```
 */
export const make = (nameOrPath: string, options: Options = {}): Effect.Effect<ImageDataset, DataError, Scope.Scope> =>
  Effect.gen(function* () {
    const validation = options.validation === undefined ? {} : { validation: options.validation }
    if (nameOrPath === "mnist") return yield* Mnist.make()
    if (nameOrPath === "fashion-mnist") return yield* Idx.makeFashion(validation)
    if (yield* isFolder(nameOrPath)) return yield* atPath(nameOrPath, options)
    return yield* new DatasetNotFound({
      name: nameOrPath,
      known: names,
      reason: "it is neither the name of a data set nor a folder"
    })
  })

/**
 * The layer of `make`, for a command line's `--dataset`.
 *
 * @example
 * ```ts
 * import { Dataset, Datasets } from "@uninet/data"
 * import { Effect } from "effect"
 *
 * const program = Dataset.Dataset.use((data) => Effect.log(data.name, data.train.size))
 * Effect.runPromise(program.pipe(Effect.provide(Datasets.byName("mnist"))))
 * ```
 */
export const byName = (nameOrPath: string, options: Options = {}): Layer.Layer<Dataset, DataError> =>
  Layer.effect(Dataset, make(nameOrPath, options))

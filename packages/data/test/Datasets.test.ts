import { assert, describe, it } from "@effect/vitest"
import { Dataset, Datasets, Report } from "@uninet/data"
import { Effect } from "effect"
import { symlink } from "node:fs/promises"
import { join } from "node:path"
import sharp from "sharp"
import { folderOf, idx, pattern, picture, small, temporaryFolder } from "./fixtures.ts"

const idxFiles = {
  "train-images-idx3-ubyte": idx([20, 2, 2], pattern(80)),
  "train-labels-idx1-ubyte": idx([20], new Uint8Array(20)),
  "t10k-images-idx3-ubyte": idx([2, 2, 2], pattern(8)),
  "t10k-labels-idx1-ubyte": idx([2], [0, 1])
}

const nameOf = (nameOrPath: string, options?: Datasets.Options) =>
  Dataset.Dataset.use(({ image, name }) => Effect.succeed([name, image?.height])).pipe(
    Effect.provide(Datasets.byName(nameOrPath, options))
  )

describe("Datasets", () => {
  it.effect("finds MNIST by its name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* nameOf("mnist"), ["mnist", 28])
    })
  )

  it.effect("tells IDX, CIFAR and image folders by what they hold", () =>
    Effect.gen(function* () {
      const idxFolder = yield* folderOf(idxFiles)
      assert.strictEqual((yield* nameOf(idxFolder))[1], 2)
      const records = new Uint8Array(3074 * 20)
      const cifar = yield* folderOf({ "cifar-100-binary/train.bin": records, "cifar-100-binary/test.bin": records })
      assert.deepStrictEqual(yield* nameOf(cifar), ["cifar-100", 32])
      assert.deepStrictEqual(yield* nameOf(join(cifar, "cifar-100-binary")), ["cifar-100", 32])
      const image = yield* Effect.promise(() => picture("png", 8, 8, { r: 1, g: 2, b: 3 }))
      const folder = yield* folderOf({ "train/x/a.png": image, "train/x/b.png": image, "val/x/a.png": image })
      assert.strictEqual((yield* nameOf(folder, { size: 24 }))[1], 24)
    })
  )

  it.effect("lists the names it knows where it finds nothing", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(nameOf("minst"))
      assert.strictEqual(unknown._tag, "DatasetNotFound")
      assert.strictEqual(
        unknown.message,
        'Data set "minst": it is neither the name of a data set nor a folder. Use one of mnist, fashion-mnist, or the path of a folder of IDX files, of CIFAR binary files or of images by class.'
      )
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => symlink("loop", join(folder, "loop")))
      const loop = yield* Effect.flip(nameOf(join(folder, "loop")))
      assert.strictEqual(
        loop.message.replace(folder, "…"),
        "…/loop: a link that leads back to itself. Give the path of a folder that can be read."
      )
      const empty = yield* Effect.flip(nameOf(yield* folderOf({ "readme.txt": "" })))
      assert.include(empty.message, "holds no IDX files, no CIFAR .bin files and no train folder")
    })
  )
})

describe("Report", () => {
  it.effect("describe counts every split's classes", () =>
    Effect.gen(function* () {
      const dataset = yield* small
      const description = yield* Report.describe(dataset)
      assert.deepStrictEqual(description.splits, [
        { name: "train", size: 30, counts: [10, 10, 10] },
        { name: "validation", size: 9, counts: [3, 3, 3] },
        { name: "test", size: 7, counts: [3, 2, 2] }
      ])
      assert.deepStrictEqual([description.mean, description.deviation], [dataset.mean, dataset.deviation])
    })
  )

  it.effect("contactSheet shows samples of each class in its row, in the data set's own colours", () =>
    Effect.gen(function* () {
      const colours = [
        { r: 250, g: 0, b: 0 },
        { r: 0, g: 0, b: 250 }
      ]
      const [red, blue] = yield* Effect.promise(() =>
        Promise.all(colours.map((colour) => picture("png", 8, 8, colour)))
      )
      const folder = yield* folderOf({
        "train/blue/a.png": blue!,
        "train/red/a.png": red!,
        "train/red/b.png": red!,
        "val/blue/a.png": blue!,
        "val/red/a.png": red!,
        "test/blue/a.png": blue!,
        "test/red/a.png": red!
      })
      const dataset = yield* Datasets.make(folder, { size: 8 })
      const png = yield* Report.contactSheet({ perClass: 3, zoom: 2 })(dataset)
      const { data, info } = yield* Effect.promise(() => sharp(png).raw().toBuffer({ resolveWithObject: true }))
      // Two rows of up to two images of 16 pixels, with a gap of 2.
      assert.deepStrictEqual([info.width, info.height], [38, 38])
      const at = (x: number, y: number) => Array.from(data.subarray((y * 38 + x) * 3, (y * 38 + x) * 3 + 3))
      assert.deepStrictEqual(at(10, 10), [0, 0, 250])
      assert.deepStrictEqual(at(28, 10), [255, 255, 255])
      assert.deepStrictEqual(at(10, 28), [250, 0, 0])
      assert.deepStrictEqual(at(28, 28), [250, 0, 0])
    })
  )

  it.effect("contactSheet refuses numbers below 1 and an empty split", () =>
    Effect.gen(function* () {
      const dataset = yield* small
      const zero = yield* Effect.flip(Report.contactSheet({ perClass: 0 })(dataset))
      assert.include(zero.message, "perClass is 0")
      const none = yield* Datasets.make(yield* folderOf(idxFiles), { validation: { size: 0 } })
      const empty = yield* Effect.flip(Report.contactSheet({ split: "validation" })(none))
      assert.include(empty.message, "there are no samples to show")
    })
  )
})

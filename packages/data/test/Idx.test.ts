import { assert, describe, it } from "@effect/vitest"
import { Idx } from "@uninet/data"
import { Effect } from "effect"
import { gzipSync } from "node:zlib"
import { folderOf, idx, pattern } from "./fixtures.ts"

const labels = (size: number) => Array.from({ length: size }, (_, i) => i % 10)

const good = {
  "train-images-idx3-ubyte": idx([40, 3, 5], pattern(600)),
  "train-labels-idx1-ubyte": idx([40], labels(40)),
  "t10k-images-idx3-ubyte": idx([10, 3, 5], pattern(150, 7)),
  "t10k-labels-idx1-ubyte": idx([10], labels(10))
}

const failure = (files: Record<string, Uint8Array | undefined>) =>
  Effect.gen(function* () {
    const present = Object.entries({ ...good, ...files }).flatMap(([name, bytes]) => (bytes ? [[name, bytes]] : []))
    const folder = yield* folderOf(Object.fromEntries(present))
    const error = yield* Effect.flip(Idx.make({ folder }))
    return { tag: error._tag, message: error.message.replaceAll(folder, "…") }
  })

/** The valid folder with these training labels. */
const few = (labels: ReadonlyArray<number>) => ({
  ...good,
  "train-images-idx3-ubyte": idx([labels.length, 3, 5], pattern(15 * labels.length)),
  "train-labels-idx1-ubyte": idx([labels.length], labels)
})

describe("Idx", () => {
  it.effect("reads the four files, plain or gzipped, and keeps a tenth of training for validation", () =>
    Effect.gen(function* () {
      const plain = yield* Idx.make({ folder: yield* folderOf(good), name: "x" })
      const packed = Object.entries(good).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)] as const)
      const gzipped = yield* Idx.make({ folder: yield* folderOf(Object.fromEntries(packed)), name: "x" })
      assert.deepStrictEqual(plain.image, { channels: 1, height: 3, width: 5 })
      assert.deepStrictEqual([plain.train.size, plain.validation.size, plain.test.size], [36, 4, 10])
      assert.deepStrictEqual(yield* gzipped.train.all, yield* plain.train.all)
      const { inputs, targets } = yield* plain.test.all
      assert.deepStrictEqual(Array.from(targets), labels(10))
      const bytes = Array.from(inputs.image, (value) =>
        Math.round((value * plain.deviation[0]! + plain.mean[0]!) * 255)
      )
      assert.deepStrictEqual(bytes, Array.from(pattern(150, 7)))
    })
  )

  it.effect("trains on everything where validation's size is 0", () =>
    Effect.gen(function* () {
      const dataset = yield* Idx.make({ folder: yield* folderOf(good), validation: { size: 0 } })
      assert.deepStrictEqual([dataset.train.size, dataset.validation.size], [40, 0])
      assert.strictEqual((yield* dataset.validation.all).size, 0)
    })
  )

  it.effect("names a file cut short, with both lengths", () =>
    Effect.gen(function* () {
      const cut = good["train-images-idx3-ubyte"].subarray(0, 500)
      assert.deepStrictEqual(yield* failure({ "train-images-idx3-ubyte": cut }), {
        tag: "CorruptFile",
        message:
          "…/train-images-idx3-ubyte: cut short: 500 bytes, but the header (40 × 3 × 5) needs 616. Fetch the file again."
      })
      const { message } = yield* failure({ "t10k-labels-idx1-ubyte": new Uint8Array(3) })
      assert.include(message, "cut short: 3 bytes, but an IDX header has 8")
    })
  )

  it.effect("names a file with another magic number", () =>
    Effect.gen(function* () {
      const { message, tag } = yield* failure({ "t10k-labels-idx1-ubyte": good["t10k-images-idx3-ubyte"] })
      assert.strictEqual(tag, "CorruptFile")
      assert.include(message, "the magic number is 0x00000803, not 0x00000801")
    })
  )

  it.effect("unpacks no more than a file's own header says: a gigabyte of nothing stays packed", () =>
    Effect.gen(function* () {
      const name = "train-images-idx3-ubyte"
      const nothing = gzipSync(new Uint8Array(2 ** 24))
      const bomb = Buffer.concat([gzipSync(good[name]), ...Array.from({ length: 64 }, () => nothing)])
      assert.deepStrictEqual(yield* failure({ [name]: undefined, [`${name}.gz`]: bomb }), {
        tag: "CorruptFile",
        message: `…/${name}.gz: the gzip stream unpacks to more than its own header says, or to more than 2 GiB. Fetch the file again.`
      })
      const other = yield* failure({ [name]: undefined, [`${name}.gz`]: nothing })
      assert.include(other.message, "the magic number is 0x00000000")
      // Less than 2 GiB of labels that do not exist.
      const labels = "train-labels-idx1-ubyte"
      const claims = yield* failure({ [labels]: undefined, [`${labels}.gz`]: gzipSync(idx([2 ** 32 - 1], [])) })
      assert.include(claims.message, "cut short: 8 bytes, but the header (4294967295) needs 4294967303")
    })
  )

  it.effect("keeps an image a class for validation of fewer than ten, and says where there are too few", () =>
    Effect.gen(function* () {
      const data = yield* Idx.make({ folder: yield* folderOf(few([0, 0, 0, 0, 1, 1, 2])) })
      assert.deepStrictEqual([data.train.size, Array.from(yield* data.validation.targets).sort()], [5, [0, 1]])
      const none = yield* failure(few([0, 1, 2]))
      assert.strictEqual(none.tag, "InvalidSamples")
      assert.include(none.message, "Give at least two training images of some class")
    })
  )

  it.effect("names a gzip stream cut short, and one that is none", () =>
    Effect.gen(function* () {
      const name = "train-labels-idx1-ubyte"
      const packed = gzipSync(good[name])
      const cut = yield* failure({ [name]: undefined, [`${name}.gz`]: packed.subarray(0, packed.length - 9) })
      assert.include(cut.message, `…/${name}.gz: the gzip stream is cut short`)
      const none = yield* failure({ [name]: undefined, [`${name}.gz`]: good[name] })
      assert.include(none.message, "not a valid gzip stream")
      assert.deepStrictEqual([cut.tag, none.tag], ["CorruptFile", "CorruptFile"])
    })
  )

  it.effect("names the sample whose label is no class", () =>
    Effect.gen(function* () {
      const wrong = labels(40)
      wrong[33] = 10
      assert.deepStrictEqual(yield* failure({ "train-labels-idx1-ubyte": idx([40], wrong) }), {
        tag: "LabelOutOfRange",
        message:
          "…/train-labels-idx1-ubyte: sample 33 has label 10, outside 0…9. Correct the label, or give the data set its true list of classes."
      })
    })
  )

  it.effect("refuses counts and image sizes that disagree, and names a missing file", () =>
    Effect.gen(function* () {
      const fewer = yield* failure({ "train-labels-idx1-ubyte": idx([39], labels(39)) })
      assert.include(fewer.message, "39 labels for the 40 images")
      const other = yield* failure({ "t10k-images-idx3-ubyte": idx([10, 5, 3], pattern(150)) })
      assert.include(other.message, "the images are 5×3, but the training images are 3×5")
      const missing = yield* failure({ "t10k-labels-idx1-ubyte": undefined })
      assert.strictEqual(missing.tag, "FileUnavailable")
      assert.include(missing.message, "t10k-labels-idx1-ubyte: no such file. Put the four IDX files")
    })
  )

  it.effect("says how to install Fashion-MNIST, unless a folder was given", () =>
    Effect.gen(function* () {
      const folder = yield* folderOf({})
      const given = yield* Effect.flip(Idx.makeFashion({ folder }))
      assert.notInclude(given.message, "apt-get")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, ImageFolder, Joined, Report } from "@uninet/data"
import { Effect, Stream } from "effect"
import { mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Worker } from "node:worker_threads"
import { crc32 } from "node:zlib"
import sharp from "sharp"
import type { Request } from "../src/internal/decodeWorker.js"
import { folderOf, picture, temporaryFolder } from "./fixtures.ts"

const red = { r: 200, g: 20, b: 10 }
const blue = { r: 10, g: 30, b: 220 }

/** `counts` images of each class and split: cats are red, dogs blue; sizes and formats differ. */
const animals = (counts: Record<string, number>) =>
  Effect.tap(temporaryFolder, (folder) =>
    Effect.promise(async () => {
      for (const [split, count] of Object.entries(counts)) {
        for (const [name, colour] of [
          ["cat", red],
          ["dog", blue]
        ] as const) {
          await mkdir(join(folder, split, name), { recursive: true })
          for (let i = 0; i < count; i++) {
            const format = i % 2 === 0 ? "jpeg" : "png"
            const bytes = await picture(format, 40 + 7 * i, 30 + 5 * (i % 3), colour)
            await writeFile(join(folder, split, name, `${i}.${format}`), bytes)
          }
        }
      }
    })
  )

const settings = { size: 16, workers: 1 }

/** The first image of a batch as bytes, channels first. */
const bytesOf = (dataset: Dataset.ImageDataset, batch: Dataset.ImageBatch, place = 0) => {
  const { channels, height, width } = dataset.image
  const area = height * width
  const images = batch.inputs.image.subarray(place * channels * area, (place + 1) * channels * area)
  return Uint8Array.from(images, (value, i) => {
    const channel = Math.floor(i / area)
    return Math.round((value * dataset.deviation[channel]! + dataset.mean[channel]!) * 255)
  })
}

/** Two files that are no longer images, and one that never was. */
const damage = (folder: string) =>
  Effect.promise(async () => {
    await truncate(join(folder, "train/cat/0.jpeg"), 260)
    await writeFile(join(folder, "train/dog/1.png"), "no picture")
    await writeFile(join(folder, "train/dog/notes.txt"), "not looked at")
  })

const failure = (folder: string, options = {}) =>
  Effect.map(Effect.flip(ImageFolder.make({ folder, ...settings, ...options })), (e) =>
    e.message.replaceAll(folder, "…")
  )

/** Runs with every message to a thread passing through `change`. */
const withMessages = <A, E, R>(
  change: (worker: Worker, message: Request) => boolean,
  effect: Effect.Effect<A, E, R>
) => {
  const post = Worker.prototype.postMessage
  return Effect.acquireUseRelease(
    Effect.sync(() => {
      Worker.prototype.postMessage = function (message: Request) {
        if (change(this, message)) post.call(this, message)
        else void this.terminate()
      }
    }),
    () => effect,
    () => Effect.sync(() => (Worker.prototype.postMessage = post))
  )
}

describe("ImageFolder", () => {
  it.effect("takes classes and labels from the folders, and decodes, resizes and crops to the size asked", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 5, val: 2, test: 1 })
      const dataset = yield* ImageFolder.make({ folder, ...settings })
      assert.deepStrictEqual(dataset.classes, ["cat", "dog"])
      assert.deepStrictEqual(dataset.image, { channels: 3, height: 16, width: 16 })
      assert.deepStrictEqual(
        Dataset.splits(dataset).map(({ name, size }) => [name, size]),
        [
          ["train", 10],
          ["validation", 4],
          ["test", 2]
        ]
      )
      const batch = yield* dataset.test.all
      assert.deepStrictEqual(Array.from(batch.targets), [0, 1])
      for (const [place, colour] of [red, blue].entries()) {
        const bytes = bytesOf(dataset, batch, place)
        for (const [channel, value] of [colour.r, colour.g, colour.b].entries()) {
          // JPEG preserves a plain colour to within a few levels.
          for (const byte of bytes.subarray(channel * 256, (channel + 1) * 256)) assert.closeTo(byte, value, 4)
        }
      }
    })
  )

  it.effect(
    "evaluates on the centre: 224/256 of the shorter edge below 320 pixels, the whole image from there on",
    () =>
      Effect.gen(function* () {
        // Left third black, middle white, right black.
        const stripes = yield* Effect.promise(() =>
          sharp(
            Uint8Array.from({ length: 96 * 32 * 3 }, (_, i) => (Math.floor(((i / 3) % 96) / 32) === 1 ? 255 : 0)),
            { raw: { width: 96, height: 32, channels: 3 } }
          )
            .png()
            .toBuffer()
        )
        const files = { "train/x/a.png": stripes, "val/x/a.png": stripes, "test/x/a.png": stripes }
        const folder = yield* folderOf(files)
        const centre = yield* ImageFolder.make({ folder, size: 28, workers: 1 })
        assert.deepStrictEqual(new Set(bytesOf(centre, yield* centre.test.all)), new Set([255]))
        const whole = yield* ImageFolder.make({ folder, size: 48, cropRatio: 1, workers: 1 })
        const row = bytesOf(whole, yield* whole.test.all).subarray(0, 48)
        assert.deepStrictEqual([row[3], row[24], row[44]], [0, 255, 0])
      })
  )

  it.effect("reads grey images as RGB, drops transparency as Pillow does, and gives grey where asked", () =>
    Effect.gen(function* () {
      const grey = yield* Effect.promise(() =>
        sharp(new Uint8Array(400).fill(99), { raw: { width: 20, height: 20, channels: 1 } })
          .toColourspace("b-w")
          .png()
          .toBuffer()
      )
      const clear = yield* Effect.promise(() =>
        sharp({ create: { width: 20, height: 20, channels: 4, background: { r: 100, g: 0, b: 255, alpha: 0.5 } } })
          .png()
          .toBuffer()
      )
      const folder = yield* folderOf({
        "train/x/a.png": grey,
        "train/x/b.png": clear,
        "val/x/a.png": grey,
        "test/x/a.png": grey
      })
      const colour = yield* ImageFolder.make({ folder, ...settings })
      const batch = yield* colour.train.all
      assert.deepStrictEqual(new Set(bytesOf(colour, batch, 0)), new Set([99]))
      const opaque = bytesOf(colour, batch, 1)
      assert.deepStrictEqual(
        [0, 1, 2].map((channel) => opaque[channel * 256]),
        [100, 0, 255]
      )
      const single = yield* ImageFolder.make({ folder, ...settings, channels: 1 })
      assert.deepStrictEqual(single.mean.length, 1)
      assert.deepStrictEqual(new Set(bytesOf(single, yield* single.train.read([0]))), new Set([99]))
    })
  )

  it.effect("gives the same epoch whatever the workers and the prefetching, and resumes it", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 8, val: 1, test: 1 })
      const augment = [
        Augmentation.randomResizedCrop(),
        Augmentation.horizontalFlip(),
        Augmentation.randAugment({ probability: 1 }),
        Augmentation.randomErasing({ probability: 1 })
      ]
      const epoch = (workers: number, options: Partial<Dataset.BatchOptions>) =>
        Effect.scoped(
          Effect.gen(function* () {
            const { train } = yield* ImageFolder.make({ folder, size: 16, workers })
            return yield* Stream.runCollect(
              train.batches({ batch: 3, shuffle: { seed: "s", epoch: 1 }, augment, ...options })
            )
          })
        )
      const whole = yield* epoch(1, { prefetch: 0 })
      assert.strictEqual(whole.length, 6)
      assert.deepStrictEqual(yield* epoch(2, {}), whole)
      assert.deepStrictEqual(yield* epoch(2, { prefetch: 5, startAt: 2 }), whole.slice(2))
    })
  )

  it.effect("keeps validation from train where there is only val, which is then the test split", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 10, val: 3 })
      const dataset = yield* ImageFolder.make({ folder, ...settings })
      assert.deepStrictEqual(
        Dataset.splits(dataset).map((split) => split.size),
        [18, 2, 6]
      )
      assert.deepStrictEqual(Array.from(yield* dataset.validation.targets).sort(), [0, 1])
    })
  )

  it.effect("keeps one image a class for validation where a tenth is none, and says where there is not even that", () =>
    Effect.gen(function* () {
      const few = yield* ImageFolder.make({ folder: yield* animals({ train: 3, val: 1 }), ...settings })
      assert.deepStrictEqual(
        Dataset.splits(few).map((split) => split.size),
        [4, 2, 2]
      )
      assert.deepStrictEqual(Array.from(yield* few.validation.targets).sort(), [0, 1])
      const single = yield* animals({ train: 1, val: 1 })
      assert.match(
        yield* failure(single),
        /validation split: none of the 2 training images in 2 classes can be held out .*Give at least two training images of some class, or a separate validation split\.$/
      )
      const all = yield* ImageFolder.make({ folder: single, ...settings, validation: { size: 0 } })
      assert.deepStrictEqual([all.train.size, all.validation.size], [2, 0])
    })
  )

  it.effect("refuses a layout that would mean something else than it says", () =>
    Effect.gen(function* () {
      const message = (counts: Record<string, number>) => Effect.flatMap(animals(counts), (folder) => failure(folder))
      const both =
        "the folders val and validation both exist, but only one of them can be this split. Rename the one that is not"
      assert.include(yield* message({ train: 2, val: 1, validation: 1, test: 1 }), both)
      assert.include(yield* message({ train: 2, val: 1, validation: 1 }), both)
      assert.include(
        yield* message({ train: 2, valid: 1, test: 1 }),
        "the folder valid would be ignored. Rename it to val if it is this split, or move it away."
      )
      assert.include(
        yield* message({ train: 2, val: 1, Test: 1 }),
        "the folder Test would be ignored. Rename it to test"
      )
      const plain = yield* ImageFolder.make({
        folder: yield* animals({ train: 2, validation: 1, test: 2 }),
        ...settings
      })
      assert.deepStrictEqual(
        Dataset.splits(plain).map((split) => split.size),
        [4, 2, 4]
      )
    })
  )

  it.effect("leaves out files that are no images by their names, and says how many", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 10, val: 1 })
      for (const name of ["train/cat/._0.jpeg", "train/dog/.DS_Store", "train/dog/Thumbs.db", "val/cat/notes.txt"])
        yield* Effect.promise(() => writeFile(join(folder, name), "no picture"))
      const data = yield* ImageFolder.make({ folder, ...settings })
      assert.deepStrictEqual(
        Dataset.splits(data).map(({ leftOut, size }) => [size, leftOut]),
        [
          [18, 3],
          [2, undefined],
          [2, 1]
        ]
      )
      yield* data.train.all
      assert.deepStrictEqual(
        (yield* Report.describe(data)).splits.map(({ leftOut }) => leftOut),
        [3, undefined, 1]
      )
      assert.strictEqual(Joined.withValidation(data).train.leftOut, 3)
    })
  )

  it.effect("refuses an image of more pixels than any picture has, before it takes memory for them", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 1, val: 1, test: 1 })
      // The headers of a 50,000 × 50,000 image, and nothing else.
      const png = yield* Effect.promise(() => picture("png", 1, 1, red))
      png.writeUInt32BE(50_000, 16)
      png.writeUInt32BE(50_000, 20)
      png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
      const files = { "train/cat/big.png": png, "train/cat/big.ppm": "P6 50000 50000 255\n", "train/cat/bad.bmp": "BM" }
      for (const [name, bytes] of Object.entries(files))
        yield* Effect.promise(() => writeFile(join(folder, name), bytes))
      const { train } = yield* ImageFolder.make({ folder, ...settings })
      const error = yield* Effect.flip(train.all)
      assert.deepStrictEqual(
        error._tag === "UnreadableImages"
          ? error.files.map(({ path, reason }) => [path.replace(folder, "…"), reason])
          : error,
        [
          ["…/train/cat/bad.bmp", "cut short"],
          ["…/train/cat/big.png", "it has more than 178,956,970 pixels"],
          ["…/train/cat/big.ppm", "50000×50000 pixels are more than the limit of 178,956,970"]
        ]
      )
    })
  )

  it.effect("goes on when a decoder's thread dies, with every image", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 12, val: 1, test: 1 })
      const expected = yield* Effect.flatMap(ImageFolder.make({ folder, ...settings }), ({ train }) => train.all)
      const threads = new Set<Worker>()
      let messages = 0
      yield* withMessages(
        (worker) => {
          threads.add(worker)
          messages++
          return messages !== 4 && messages !== 9
        },
        Effect.gen(function* () {
          const { train } = yield* ImageFolder.make({ folder, ...settings })
          const batches = yield* Stream.runCollect(train.batches({ batch: 2, prefetch: 1 }))
          const same = batches.every(({ index, inputs }) =>
            inputs.image.every((value, i) => value === expected.inputs.image[index * inputs.image.length + i])
          )
          assert.deepStrictEqual([same, batches.length], [true, 12])
          assert.isAtLeast(threads.size, 3)
        })
      )
    })
  )

  it.effect("names the file that decoders die of, and reads those beside it", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 4, val: 1, test: 1 })
      const deadly = join(folder, "train/cat/2.jpeg")
      yield* withMessages(
        (_, { job }) => job.items.every(({ path }) => path !== deadly),
        Effect.gen(function* () {
          const { train } = yield* ImageFolder.make({ folder, ...settings })
          const result = yield* Effect.result(train.all)
          if (result._tag === "Success") return assert.fail("nothing failed")
          assert.deepStrictEqual(
            result.failure._tag === "UnreadableImages" ? result.failure.files.map(({ path }) => path) : [],
            [deadly]
          )
          assert.include(result.failure.message, "decoding it crashes the decoder")
          assert.strictEqual((yield* train.read([0, 1, 3, 4])).size, 4)
        })
      )
    })
  )

  it.effect("fails at the first batch with unreadable images, naming them", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 3, val: 1, test: 1 })
      yield* damage(folder)
      const dataset = yield* ImageFolder.make({ folder, ...settings })
      assert.strictEqual(dataset.train.size, 6)
      assert.strictEqual((yield* dataset.train.read([1, 2, 3])).size, 3)
      const error = yield* Effect.flip(Stream.runDrain(dataset.train.batches({ batch: 6 })))
      assert.deepStrictEqual(error._tag === "UnreadableImages" ? error.files.map((file) => file.path) : error, [
        join(folder, "train/cat/0.jpeg"),
        join(folder, "train/dog/1.png")
      ])
      assert.match(error.message, /2 unreadable images: .*0\.jpeg \(.+\), .*1\.png \(.+\)\. .*--skip-bad/)
    })
  )

  it.effect("a good batch before a bad one arrives, however far ahead batches are made", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 3, val: 1, test: 1 })
      yield* damage(folder)
      const { train } = yield* ImageFolder.make({ folder, ...settings })
      const seen: Array<number> = []
      const error = yield* train.batches({ batch: 1, startAt: 1, prefetch: 4 }).pipe(
        Stream.runForEach((batch) => Effect.sync(() => seen.push(batch.index))),
        Effect.flip
      )
      assert.strictEqual(error._tag, "UnreadableImages")
      assert.deepStrictEqual(seen, [1, 2, 3])
    })
  )

  it.effect("leaves unreadable images out when told to, and counts without them", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 3, val: 1, test: 1 })
      yield* damage(folder)
      const { train } = yield* ImageFolder.make({ folder, ...settings, skipBad: true })
      assert.deepStrictEqual(Array.from((yield* train.all).targets), [0, 0, 1, 1])
    })
  )

  it.effect("does not leave out all that there is to learn of a class", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 1, val: 1, test: 1 })
      yield* Effect.promise(() => writeFile(join(folder, "train/dog/0.jpeg"), "no picture"))
      assert.strictEqual(
        yield* failure(folder, { skipBad: true }),
        "…, train split: no image of the class dog can be read, so the network could not learn it. Replace some of them, or remove the class's folders."
      )
    })
  )

  it.effect("check names every unreadable image of all splits, or counts the images", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 3, val: 1, test: 1 })
      assert.strictEqual(yield* ImageFolder.check({ folder, ...settings }), 10)
      yield* damage(folder)
      yield* Effect.promise(() => truncate(join(folder, "test/cat/0.jpeg"), 0))
      const error = yield* Effect.flip(ImageFolder.check({ folder, ...settings }))
      assert.strictEqual(error._tag === "UnreadableImages" ? error.files.length : error._tag, 3)
    })
  )

  it.effect("names the classes that differ between splits", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 1, val: 1, test: 1 })
      yield* Effect.promise(async () => {
        await rm(join(folder, "val/dog"), { recursive: true })
        await mkdir(join(folder, "val/cow"))
      })
      const error = yield* Effect.flip(ImageFolder.make({ folder, ...settings }))
      assert.include(
        error.message,
        "the val split's classes differ from the training split's: it lacks dog; it also has cow. Give every split the same class folders."
      )
    })
  )

  it.effect("says what a folder lacks", () =>
    Effect.gen(function* () {
      assert.include(yield* failure("does/not/exist"), "no such file or folder")
      assert.include(yield* failure(yield* folderOf({ "val/x/a.jpg": "" })), "…/train: no such file")
      assert.include(
        yield* failure(yield* folderOf({ "train/x/a.jpg": "" })),
        "there is neither a val nor a test folder"
      )
      const empty = yield* folderOf({ "train/x/a.jpg": "", "val/x/a.txt": "" })
      assert.include(yield* failure(empty), "val split: its class folders hold no images")
      const fine = yield* animals({ train: 1, val: 1 })
      assert.include(yield* failure(fine, { size: 0 }), "size is 0")
      // An image of that size would have more bytes than there are addresses.
      assert.include(yield* failure(fine, { size: 1e9 }), "size is 1000000000. Give it a whole number from 1 to 4096.")
      assert.include(yield* failure(fine, { workers: 1.5 }), "workers is 1.5")
      assert.include(yield* failure(fine, { cropRatio: 0 }), "cropRatio is 0")
      assert.include(yield* failure(fine, { mean: [0] }), "3 numbers for each")
      assert.include(
        yield* failure(fine, { validation: { size: 2 } }),
        "from 0 to 0 of the 2 training samples, so that every class keeps one"
      )
    })
  )

  it.effect("reads nothing into the folder", () =>
    Effect.gen(function* () {
      const folder = yield* animals({ train: 1, val: 1, test: 1 })
      const before = yield* Effect.promise(() => readdir(folder, { recursive: true }))
      yield* Effect.scoped(Effect.flatMap(ImageFolder.make({ folder, ...settings }), ({ train }) => train.all))
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(folder, { recursive: true })), before)
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Dataset, ImageFolder } from "@uninet/data"
import { Effect, Stream } from "effect"
import { mkdir, readdir, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import sharp from "sharp"
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

/** Two files that are no images any more, and one that never was. */
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
          // JPEG keeps a plain colour to within a few levels.
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

  it.effect("reads grey images as RGB, puts transparent ones on white, and gives grey where asked", () =>
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
      const onWhite = bytesOf(colour, batch, 1)
      for (const [channel, value] of [178, 128, 255].entries()) assert.closeTo(onWhite[channel * 256]!, value, 1)
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
        "the val split's classes differ from the training split's: it lacks dog; has besides cow. Give every split the same class folders."
      )
    })
  )

  it.effect("says what a folder lacks", () =>
    Effect.gen(function* () {
      assert.include(yield* failure("does/not/exist"), "no such file or folder")
      assert.include(yield* failure(yield* folderOf({ "val/x/a.jpg": "" })), "…/train: no such file")
      assert.include(yield* failure(yield* folderOf({ "train/x/a.jpg": "" })), "there is neither val nor test")
      const empty = yield* folderOf({ "train/x/a.jpg": "", "val/x/a.txt": "" })
      assert.include(yield* failure(empty), "val split: its class folders hold no images")
      const fine = yield* animals({ train: 1, val: 1 })
      assert.include(yield* failure(fine, { size: 0 }), "size is 0")
      assert.include(yield* failure(fine, { workers: 1.5 }), "workers is 1.5")
      assert.include(yield* failure(fine, { cropRatio: 0 }), "cropRatio is 0")
      assert.include(yield* failure(fine, { mean: [0] }), "3 numbers each")
      assert.include(yield* failure(fine, { validation: { size: 2 } }), "from 0 to 1 of the 2 training images")
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

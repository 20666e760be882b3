/** A data set's content is recognised wherever its files are, and distinguished from any other. */
import { assert, describe, it } from "@effect/vitest"
import { Content, Dataset, Examples, ImageFolder, Memory, StreamedExamples } from "@uninet/data"
import { Effect, Stream } from "effect"
import { cp, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { folderOf, picture, temporaryFolder } from "./fixtures.ts"

const images = Uint8Array.from({ length: 4 * 4 }, (_, i) => (i * 37) % 256)
const squares = (change: Partial<Memory.MemoryOptions> = {}) =>
  Memory.make({
    name: "squares",
    classes: ["a", "b"],
    image: { channels: 1, height: 2, width: 2 },
    train: { images, labels: [0, 1, 0, 1] },
    validation: { images: new Uint8Array(4), labels: [0] },
    test: { images: new Uint8Array(4), labels: [1] },
    ...change
  })
const contentOf = <E, R>(data: Effect.Effect<Dataset.DatasetShape, E, R>) => Effect.flatMap(data, Content.of)

const rows = (last: number) => {
  const row = [1, 2, 3, 4, 5, 6, 7, last]
  const train = { inputs: { row }, targets: [3, 7, 11, 16] }
  return Examples.make({
    name: "sums",
    inputs: { row: Dataset.float32(2) },
    targets: Dataset.float32(),
    train,
    validation: train,
    test: train
  })
}

const streamed = (phase: number, seen: (i: number) => void = () => {}) => {
  const samples = (size: number) => ({
    size,
    samples: Stream.range(0, size - 1).pipe(
      Stream.rechunk(1),
      Stream.map((i) => {
        seen(i)
        return { inputs: { row: [Math.sin(i + phase)] }, target: i }
      })
    )
  })
  return StreamedExamples.make({
    name: "waves",
    inputs: { row: Dataset.float32(1) },
    targets: Dataset.float32(),
    train: samples(100_000),
    validation: samples(10),
    test: samples(10)
  })
}

const contentAt = (path: string) => contentOf(ImageFolder.make({ folder: path, size: 8, workers: 1 }))

describe("the content of a data set", () => {
  it.effect("in memory is of its labels, their order, the classes and the bytes, and not of its name", () =>
    Effect.gen(function* () {
      const content = yield* contentOf(squares())
      assert.match(content, /^[0-9a-f]{16}$/)
      assert.strictEqual(yield* contentOf(squares({ name: "others" })), content)
      const other = images.slice()
      other[9] ^= 1
      const changed = [
        { train: { images, labels: [1, 0, 1, 0] } },
        { train: { images, labels: [1, 1, 0, 0] } },
        { train: { images: other, labels: [0, 1, 0, 1] } },
        { train: { images: images.slice(0, 12), labels: [0, 1, 0] } },
        { classes: ["b", "a"] },
        { test: { images: new Uint8Array(4), labels: [0] } }
      ]
      const contents = yield* Effect.forEach(changed, (change) => contentOf(squares(change)))
      assert.strictEqual(new Set([content, ...contents]).size, changed.length + 1)
    })
  )

  it.effect("of rows and of streams is of their numbers, a stream's of its first ones", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* contentOf(rows(8)), yield* contentOf(rows(8)))
      assert.notStrictEqual(yield* contentOf(rows(8)), yield* contentOf(rows(9)))
      let most = 0
      const content = yield* contentOf(streamed(0, (i) => (most = Math.max(most, i))))
      assert.isBelow(most, 1000)
      assert.strictEqual(yield* contentOf(streamed(0)), content)
      assert.notStrictEqual(yield* contentOf(streamed(1)), content)
    })
  )

  it.effect("of a folder is of names, sizes and bytes, wherever it lies, and no image need be decoded for it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const bytes = yield* Effect.promise(() => picture("png", 8, 8, { r: 1, g: 2, b: 3 }))
        const layout: Record<string, Uint8Array> = {}
        for (const split of ["train", "val", "test"])
          for (const name of ["cat", "dog"]) for (const i of [0, 1]) layout[`${split}/${name}/${i}.png`] = bytes
        const here = yield* folderOf(layout)
        const before = yield* contentAt(here)
        const there = join(yield* temporaryFolder, "there")
        yield* Effect.promise(() => cp(here, there, { recursive: true }))
        assert.strictEqual(yield* contentAt(there), before)
        const changes: ReadonlyArray<() => Promise<void>> = [
          // A label: an image of one class is in the other's folder.
          () => rename(join(there, "train/cat/1.png"), join(there, "train/dog/2.png")),
          () => writeFile(join(there, "train/dog/0.png"), Buffer.concat([bytes, Buffer.of(0)])),
          () =>
            writeFile(
              join(there, "val/dog/0.png"),
              bytes.map((byte) => byte ^ 1)
            ),
          () => rm(join(there, "test/dog/1.png"))
        ]
        const seen = new Set([before])
        for (const [i, change] of changes.entries()) {
          yield* Effect.promise(change)
          seen.add(yield* contentAt(there))
          assert.strictEqual(seen.size, i + 2)
        }
      })
    )
  )
})

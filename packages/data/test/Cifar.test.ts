import { assert, describe, it } from "@effect/vitest"
import { Cifar } from "@uninet/data"
import { Effect } from "effect"
import { folderOf, pattern } from "./fixtures.ts"

const record = (labels: ReadonlyArray<number>, offset: number) =>
  Buffer.concat([Uint8Array.from(labels), pattern(3072, offset)])

const ten = (size: number, offset: number) =>
  Buffer.concat(Array.from({ length: size }, (_, i) => record([i % 10], offset + i)))

const cifar10 = {
  ...Object.fromEntries([1, 2, 3, 4, 5].map((part) => [`data_batch_${part}.bin`, ten(10, part * 100)])),
  "test_batch.bin": ten(10, 900)
}

const hundred = (size: number) =>
  Buffer.concat(Array.from({ length: size }, (_, i) => record([i % 20, (199 - i) % 100], i)))

const failure = (files: Record<string, Uint8Array>) =>
  Effect.gen(function* () {
    const folder = yield* folderOf(files)
    const error = yield* Effect.flip(Cifar.make({ folder }))
    return `${error._tag} ${error.message.replaceAll(folder, "…")}`
  })

describe("Cifar", () => {
  it.effect("reads CIFAR-10's files, image and label from each record", () =>
    Effect.gen(function* () {
      const dataset = yield* Cifar.make({ folder: yield* folderOf(cifar10) })
      assert.strictEqual(dataset.name, "cifar-10")
      assert.strictEqual(dataset.classes[9], "truck")
      assert.deepStrictEqual(dataset.image, { channels: 3, height: 32, width: 32 })
      assert.deepStrictEqual([dataset.train.size, dataset.validation.size, dataset.test.size], [45, 5, 10])
      const { inputs, targets } = yield* dataset.test.read([3])
      assert.deepStrictEqual(Array.from(targets), [3])
      const bytes = Uint8Array.from(inputs.image, (value, i) => {
        const channel = Math.floor(i / 1024)
        return Math.round((value * dataset.deviation[channel]! + dataset.mean[channel]!) * 255)
      })
      assert.deepStrictEqual(bytes, pattern(3072, 903))
    })
  )

  it.effect("reads CIFAR-100's fine labels, or its coarse ones, and the names beside them", () =>
    Effect.gen(function* () {
      const names = Array.from({ length: 100 }, (_, i) => `fine ${i}`)
      const folder = yield* folderOf({
        "train.bin": hundred(200),
        "test.bin": hundred(100),
        "fine_label_names.txt": `${names.join("\n")}\n\n`
      })
      const fine = yield* Cifar.make({ folder })
      assert.deepStrictEqual(fine.classes, names)
      assert.deepStrictEqual(Array.from((yield* fine.test.targets).subarray(0, 3)), [99, 98, 97])
      const coarse = yield* Cifar.make({ folder, labels: "coarse" })
      assert.strictEqual(coarse.classes.length, 20)
      assert.deepStrictEqual(Array.from((yield* coarse.test.targets).subarray(18, 22)), [18, 19, 0, 1])
    })
  )

  it.effect("names a file cut short, a label that is no class and a missing file", () =>
    Effect.gen(function* () {
      const cut = yield* failure({ ...cifar10, "data_batch_3.bin": ten(10, 0).subarray(0, 30000) })
      assert.include(cut, "CorruptFile …/data_batch_3.bin: cut short or in another format: 30000 bytes")
      const label = yield* failure({ ...cifar10, "test_batch.bin": record([11], 0) })
      assert.include(label, "LabelOutOfRange …/test_batch.bin: sample 0 has label 11, outside 0…9")
      const missing = yield* failure({ "data_batch_1.bin": ten(1, 0) })
      assert.include(missing, "FileUnavailable …/data_batch_2.bin: no such file")
    })
  )
})

import { assert, describe, it } from "@effect/vitest"
import { ImageFile, ImageFolder, Raster } from "@uninet/data"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inflateSync } from "node:zlib"
import { folderOf } from "./fixtures.ts"

/** Files of every kind, and Pillow's pixels for each: `pillow/make.py` makes both. */
const folder = fileURLToPath(new URL("pillow", import.meta.url))

interface Expected {
  readonly width: number
  readonly height: number
  readonly L: string
  readonly RGB: string
}
const { files }: { readonly files: Readonly<Record<string, Expected>> } = JSON.parse(
  readFileSync(join(folder, "expected.json"), "utf8")
)

const bytesOf = (packed: string): Uint8Array => inflateSync(Buffer.from(packed, "base64"))

/** The pixels of a file at its own size, interleaved like Pillow's. */
const read = (path: string, channels: 1 | 3, { height, width }: Expected) =>
  Effect.map(
    ImageFile.read({ image: { channels, height, width }, mean: [0, 0, 0], deviation: [1, 1, 1] })([path]),
    (planes) => {
      const area = height * width
      return Uint8Array.from({ length: channels * area }, (_, i) =>
        Math.round(255 * planes[(i % channels) * area + Math.floor(i / channels)]!)
      )
    }
  )

describe("a picture has the pixels that Pillow reads", () => {
  it.effect.each(Object.entries(files))("%s", ([name, expected]) =>
    Effect.gen(function* () {
      for (const [mode, channels] of [
        ["L", 1],
        ["RGB", 3]
      ] as const)
        // To the byte: sharp uses the same decoders as Pillow.
        assert.deepStrictEqual(yield* read(join(folder, name), channels, expected), bytesOf(expected[mode]), mode)
    })
  )

  it.effect("in a folder's worker threads as one by one, whatever its kind, resized and cropped", () =>
    Effect.gen(function* () {
      const all = Object.keys(files)
      const entries = all.map((name) => [name, readFileSync(join(folder, name))] as const)
      const path = yield* folderOf({
        ...Object.fromEntries(entries.map(([name, bytes]) => [`train/x/${name}`, bytes])),
        ...Object.fromEntries(
          ["val", "test"].map((split) => [`${split}/x/a.png`, entries.find(([name]) => name === "rgb8.png")![1]])
        )
      })
      for (const channels of [1, 3] as const) {
        const data = yield* ImageFolder.make({ folder: path, size: 16, channels, workers: 1 })
        const { inputs } = yield* data.train.all
        const paths = all.toSorted().map((name) => join(path, "train/x", name))
        assert.deepStrictEqual(inputs.image, yield* ImageFile.read(data)(paths))
      }
    })
  )
})

describe("Raster.decode", () => {
  const own = Object.entries(files).filter(([name]) => /\.(png|bmp|gif|p.m)$/.test(name))

  it.effect.each(own)("reads %s as Pillow does, without Node or sharp", ([name, expected]) =>
    Effect.gen(function* () {
      const raster = yield* Effect.promise(() => Raster.decode(readFileSync(join(folder, name))))
      if ("reason" in raster) return assert.fail(raster.reason)
      assert.deepStrictEqual([raster.width, raster.height], [expected.width, expected.height])
      assert.deepStrictEqual(Raster.withChannels(1)(raster).bytes, new Uint8Array(bytesOf(expected.L)))
      assert.deepStrictEqual(Raster.withChannels(3)(raster).bytes, new Uint8Array(bytesOf(expected.RGB)))
    })
  )

  it.effect.each(own)("says why there are no pixels where %s is cut short or damaged, and throws nothing", ([name]) =>
    Effect.gen(function* () {
      const bytes = readFileSync(join(folder, name))
      for (let length = 0; length < bytes.length - 20; length += Math.max(1, Math.floor(bytes.length / 40))) {
        const cut = yield* Effect.promise(() => Raster.decode(bytes.subarray(0, length)))
        assert.isTrue("reason" in cut, `the first ${length} bytes`)
      }
      // Any byte may be wrong: the result is pixels or a reason.
      for (let at = 2; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 60)))
        for (const value of [0, 0x7f, 0xff]) {
          const changed = Uint8Array.from(bytes)
          changed[at] = value
          yield* Effect.promise(() => Raster.decode(changed))
        }
    })
  )
})

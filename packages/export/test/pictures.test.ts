import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import { ImageFile } from "@uninet/data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inflateSync } from "node:zlib"
import { serve } from "../browser/serve.ts"

/** Files of every kind, and Pillow's pixels for each: the test images of `@uninet/data`. */
const folder = fileURLToPath(new URL("../../data/test/pillow", import.meta.url))

interface Expected {
  readonly width: number
  readonly height: number
  readonly L: string
  readonly RGB: string
}
const all: { readonly files: Readonly<Record<string, Expected>> } = JSON.parse(
  readFileSync(join(folder, "expected.json"), "utf8")
)
/** No browser reads TIFF. */
const files = Object.entries(all.files).filter(([name]) => !name.endsWith(".tiff"))

const farthest = (found: ArrayLike<number>, expected: ArrayLike<number>): number =>
  found.length === expected.length
    ? Array.from(found).reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? 256))), 0)
    : 256

/** The page, open in Chromium, with a folder's files. */
const page = Effect.fnUntraced(function* (executable: string, of = folder) {
  const server = yield* Effect.acquireRelease(
    Effect.promise(() => serve(of, 0)),
    (made) => Effect.sync(() => made.close())
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return yield* Browser.open(executable, `http://127.0.0.1:${port}/`, "document.body.dataset.ready === 'yes'")
})

const base64 =
  "(bytes) => { let text = ''; for (const byte of bytes) text += String.fromCharCode(byte); return btoa(text) }"

describe("a picture in the page", () => {
  it.live(
    "has the pixels that Pillow reads, whatever its kind",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const { evaluate } = yield* page(Browser.executable)
        const found: Record<string, number> = {}
        for (const [name, expected] of files) {
          const answer = yield* evaluate(`(async () => {
          const { rasterOf } = await import("./uninet.js")
          const { withChannels } = await import("./data/Raster.ts")
          const raster = await rasterOf(await (await fetch("files/${name}")).blob())
          const packed = (channels) => (${base64})(withChannels(channels)(raster).bytes)
          return { width: raster.width, height: raster.height, L: packed(1), RGB: packed(3) }
        })()`)
          const { L, RGB, height, width } = answer as Expected // the expression says so
          assert.deepStrictEqual([width, height], [expected.width, expected.height], name)
          for (const [mode, bytes] of [
            ["L", L],
            ["RGB", RGB]
          ] as const) {
            const pillow = inflateSync(Buffer.from(expected[mode], "base64"))
            found[`${name} ${mode}`] = farthest(Buffer.from(bytes, "base64"), pillow)
          }
        }
        // Browsers round CMYK differently, and without textures they lose the colours of transparent pixels in a WebP; everything else is
        // the same to the byte.
        const textures = yield* evaluate(`new OffscreenCanvas(1, 1).getContext("webgl2") !== null`)
        const may = (name: string) =>
          name.startsWith("cmyk") ? 1 : name.startsWith("transparent.webp") && !textures ? 255 : 0
        assert.deepStrictEqual(
          Object.entries(found).filter(([name, most]) => most > may(name)),
          []
        )
      }).pipe(Effect.scoped),
    Browser.testTimeout
  )

  it.live(
    "says in a sentence why a file is none",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const { evaluate } = yield* page(Browser.executable)
        const said = (blob: string) =>
          evaluate(
            `import("./uninet.js").then(async ({ rasterOf }) => rasterOf(await ${blob})).catch(({ message }) => message)`
          )
        const remedy = "Give a file such as a JPEG or a PNG."
        assert.strictEqual(yield* said(`new Blob(["no picture"])`), `That is not an image. ${remedy}`)
        assert.strictEqual(
          yield* said(`fetch("files/rgb8.png").then((r) => r.blob()).then((b) => b.slice(0, 99))`),
          `That is not an image: cut short. ${remedy}`
        )
        assert.strictEqual(
          yield* said(`new Blob(["P6 50000 50000 255 "])`),
          `That is not an image: 50000×50000 pixels are more than the limit of 178,956,970. ${remedy}`
        )
      }).pipe(Effect.scoped),
    Browser.testTimeout
  )

  it.live(
    "is the network's input that it is in Node, but for what bicubic resizing of two kinds differs",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const fs = yield* FileSystem.FileSystem
        const pictures = yield* fs.makeTempDirectoryScoped()
        const [wide, tall] = [100, 61]
        const pixels = Uint8Array.from({ length: 3 * wide * tall }, (_, i) => {
          const [x, y, c] = [Math.floor(i / 3) % wide, Math.floor(i / 3 / wide), i % 3]
          return 128 + 60 * Math.sin((x / wide) * (7 + c)) + 60 * Math.cos((y / tall) * (9 - 2 * c))
        })
        const head = new TextEncoder().encode(`P6 ${wide} ${tall} 255\n`)
        yield* fs.writeFile(join(pictures, "waves.ppm"), Uint8Array.from([...head, ...pixels]))
        yield* fs.copyFile(join(folder, "1x20000.png"), join(pictures, "narrow.png"))
        const { evaluate } = yield* page(Browser.executable, pictures)
        const colours = { mean: [0, 0, 0], deviation: [1, 1, 1] }
        for (const { file = "waves.ppm", ...card } of [
          {
            file: "narrow.png",
            image: { channels: 1, height: 28, width: 28 },
            mean: [0],
            deviation: [1],
            cropRatio: 0.875
          },
          { image: { channels: 1, height: 28, width: 28 }, mean: [0.2], deviation: [0.5], cropRatio: 0.875 },
          { image: { channels: 3, height: 32, width: 24 }, ...colours, cropRatio: 1 },
          { image: { channels: 3, height: 20, width: 30 }, ...colours, cropRatio: 0.5 },
          { image: { channels: 3, height: tall, width: wide }, ...colours, cropRatio: 1 }
        ]) {
          const there = yield* evaluate(`(async () => {
          const { inputOf, rasterOf } = await import("./uninet.js")
          const raster = await rasterOf(await (await fetch("files/${file}")).blob())
          return [...inputOf(${JSON.stringify(card)}, raster)]
        })()`)
          const here = yield* ImageFile.read(card)([join(pictures, file)])
          const apart = farthest(there as ReadonlyArray<number>, here) // the expression returns numbers
          const most = card.image.height === tall ? 1e-6 : 4 / 255 / (card.deviation[0] ?? 1)
          assert.isBelow(apart, most, JSON.stringify(card))
        }
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    Browser.testTimeout
  )
})

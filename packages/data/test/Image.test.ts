import { assert, describe, it } from "@effect/vitest"
import { Image } from "@uninet/data"
import { readFileSync } from "node:fs"

interface Stored {
  readonly channels: number
  readonly height: number
  readonly width: number
  readonly bytes: string
}

/** Results of Pillow's own operations, base64 of `[channels, height, width]`. */
const pillow = JSON.parse(readFileSync(new URL("pillow.json", import.meta.url), "utf8")) as {
  readonly images: Record<string, Stored>
  readonly results: ReadonlyArray<Omit<Stored, "channels"> & { readonly image: string; readonly operation: string }>
}

const decode = (text: string) => new Uint8Array(Buffer.from(text, "base64"))

const fillOf = (image: Image.Image) => (image.channels === 3 ? [10, 20, 30] : [10])

/** The operation and arguments that `test/pillow.json` was made with, by Pillow, from the same images. */
const operations: Record<string, (image: Image.Image) => Image.Image> = {
  flip: Image.flip,
  crop: (image) => Image.crop(image, 3, -2, 9, 9),
  resizeUp: (image) => Image.resize(image, 23, 29),
  resizeDown: (image) => Image.resize(image, 5, 6),
  rotate: (image) => Image.rotate(image, 17.5, fillOf(image)),
  shearX: (image) => Image.shearX(image, 0.27, fillOf(image)),
  shearY: (image) => Image.shearY(image, -0.27, fillOf(image)),
  translate: (image) => Image.translate(image, 3.3, -1.6, fillOf(image)),
  autoContrast: Image.autoContrast,
  equalize: Image.equalize,
  invert: Image.invert,
  posterize: (image) => Image.posterize(image, 3),
  solarize: (image) => Image.solarize(image, 100),
  solarizeAdd: (image) => Image.solarizeAdd(image, 99),
  brightness: (image) => Image.brightness(image, 1.72),
  brightnessDown: (image) => Image.brightness(image, 0.37),
  contrast: (image) => Image.contrast(image, 1.72),
  contrastDown: (image) => Image.contrast(image, 0.37),
  saturation: (image) => Image.saturation(image, 1.72),
  saturationDown: (image) => Image.saturation(image, 0.37),
  sharpness: (image) => Image.sharpness(image, 1.72),
  sharpnessDown: (image) => Image.sharpness(image, 0.37)
}

const images = Object.fromEntries(
  Object.entries(pillow.images).map(([name, image]) => [name, { ...image, bytes: decode(image.bytes) }])
)

describe("Image", () => {
  it.each(pillow.results)("$operation of the $image image is Pillow's, byte for byte", (expected) => {
    const operation = operations[expected.operation]!
    const result = operation(images[expected.image]!)
    assert.strictEqual(result.height, expected.height)
    assert.strictEqual(result.width, expected.width)
    assert.deepStrictEqual(result.bytes, decode(expected.bytes))
  })

  it("turns red to green to blue by thirds of the colour circle, and greys not at all", () => {
    const image: Image.Image = { channels: 3, height: 1, width: 2, bytes: Uint8Array.of(200, 90, 40, 90, 40, 90) }
    assert.deepStrictEqual(Array.from(Image.hue(image, 1 / 3).bytes), [40, 90, 200, 90, 40, 90])
    assert.deepStrictEqual(Array.from(Image.hue(image, -1 / 3).bytes), [40, 90, 40, 90, 200, 90])
  })

  it("leaves its argument as it was", () => {
    for (const [name, operation] of Object.entries(operations)) {
      const image = images["rgb"]!
      const before = image.bytes.slice()
      operation(image)
      assert.deepStrictEqual(image.bytes, before, name)
    }
  })
})

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

/** The operations and arguments with which Pillow made `test/pillow.json` from the same images. */
const operations: Record<string, (image: Image.Image) => Image.Image> = {
  flip: Image.flip,
  crop: Image.crop(3, -2, 9, 9),
  resizeUp: Image.resize(23, 29),
  resizeDown: Image.resize(5, 6),
  rotate: (image) => Image.rotate(17.5, fillOf(image))(image),
  shearX: (image) => Image.shearX(0.27, fillOf(image))(image),
  shearY: (image) => Image.shearY(-0.27, fillOf(image))(image),
  translate: (image) => Image.translate(3.3, -1.6, fillOf(image))(image),
  autoContrast: Image.autoContrast,
  equalize: Image.equalize,
  invert: Image.invert,
  posterize: Image.posterize(3),
  solarize: Image.solarize(100),
  solarizeAdd: Image.solarizeAdd(99),
  brightness: Image.brightness(1.72),
  brightnessDown: Image.brightness(0.37),
  contrast: Image.contrast(1.72),
  contrastDown: Image.contrast(0.37),
  saturation: Image.saturation(1.72),
  saturationDown: Image.saturation(0.37),
  sharpness: Image.sharpness(1.72),
  sharpnessDown: Image.sharpness(0.37)
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
    assert.deepStrictEqual(Array.from(Image.hue(1 / 3)(image).bytes), [40, 90, 200, 90, 40, 90])
    assert.deepStrictEqual(Array.from(Image.hue(-1 / 3)(image).bytes), [40, 90, 40, 90, 200, 90])
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

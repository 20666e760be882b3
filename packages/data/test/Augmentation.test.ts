import { assert, describe, it } from "@effect/vitest"
import { Augmentation, Image, Memory } from "@uninet/data"
import { Effect, Schema, Stream } from "effect"
import fc from "fast-check"
import { pattern } from "./fixtures.ts"

const edge = 12
const count = 400

/** Grey images without any 0 byte, so that black can be recognised as padding. */
const bytes = pattern(count * edge * edge).map((byte) => Math.max(1, byte))

const dataset = Memory.make({
  name: "augmented",
  classes: ["only"],
  image: { channels: 1, height: edge, width: edge },
  train: { images: bytes, labels: new Uint8Array(count) },
  validation: { images: bytes.subarray(0, edge * edge), labels: [0] },
  test: { images: bytes.subarray(0, edge * edge), labels: [0] }
})

/** Every image after these steps: normalised, and converted back to bytes. */
const augmented = (augment: Augmentation.Augmentation, epoch = 0) =>
  Effect.gen(function* () {
    const { deviation, mean, train } = yield* dataset
    const [batch] = yield* Stream.runCollect(
      train.batches({ batch: count, augment, shuffle: { seed: "augmentation", epoch } })
    )
    const { indexes, inputs } = batch!
    return Array.from(indexes, (index, place) => {
      const values = inputs.image.subarray(place * edge * edge, (place + 1) * edge * edge)
      return {
        original: {
          channels: 1,
          height: edge,
          width: edge,
          bytes: bytes.slice(index * edge * edge, (index + 1) * edge * edge)
        },
        values,
        bytes: Uint8Array.from(values, (value) => Math.round((value * deviation[0]! + mean[0]!) * 255))
      }
    })
  })

const equal = (a: Uint8Array, b: Uint8Array) => a.every((byte, i) => byte === b[i])

const flips = (probability: number) =>
  Effect.map(
    augmented([Augmentation.horizontalFlip(probability)]),
    (all) =>
      all.filter(({ bytes, original }) => {
        const flipped = equal(Image.flip(original).bytes, bytes)
        assert.isTrue(flipped || equal(original.bytes, bytes))
        return flipped
      }).length
  )

/** Which images are mirrored in an epoch, by their indexes in the data set. */
const mirrored = (epoch: number) =>
  Effect.map(augmented([Augmentation.alternatingFlip()], epoch), (all) => {
    const found = new Set<string>()
    for (const { bytes, original } of all) {
      const flipped = equal(Image.flip(original).bytes, bytes)
      assert.isTrue(flipped || equal(original.bytes, bytes))
      if (flipped) found.add(String(original.bytes))
    }
    return found
  })

const changed = (options: Parameters<typeof Augmentation.randAugment>[0]) =>
  Effect.map(
    augmented([Augmentation.randAugment(options)]),
    (all) => all.filter(({ bytes, original }) => !equal(bytes, original.bytes)).length
  )

describe("Augmentation", () => {
  it.effect("an alternating flip mirrors half of the images in one epoch, the others in the next, and so on", () =>
    Effect.gen(function* () {
      const [first, second, third] = [yield* mirrored(0), yield* mirrored(1), yield* mirrored(2)]
      assert.isTrue(first.size > 150 && first.size < 250, String(first.size))
      assert.strictEqual(first.size + second.size, count)
      assert.isFalse([...first].some((image) => second.has(image)))
      assert.deepStrictEqual(third, first)
    })
  )

  it.effect("is data: decodes with the documented defaults and survives JSON", () =>
    Effect.gen(function* () {
      const codec = Schema.toCodecJson(Augmentation.Augmentation)
      const decoded = yield* Schema.decodeUnknownEffect(codec)([
        { _tag: "RandomCrop" },
        { _tag: "RandomResizedCrop" },
        { _tag: "HorizontalFlip" },
        { _tag: "ColorJitter" },
        { _tag: "RandAugment" },
        { _tag: "RandomErasing" }
      ])
      assert.deepStrictEqual(decoded, [
        { _tag: "RandomCrop", padding: 4 },
        { _tag: "RandomResizedCrop", scale: [0.08, 1], ratio: [3 / 4, 4 / 3] },
        { _tag: "HorizontalFlip", probability: 0.5 },
        { _tag: "ColorJitter", brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0 },
        { _tag: "RandAugment", operations: 2, magnitude: 9, deviation: 0.5, probability: 0.5, increasing: false },
        { _tag: "RandomErasing", probability: 0.25, area: [0.02, 1 / 3], ratio: [0.3, 1 / 0.3], fill: "mean" }
      ])
      const text = JSON.stringify(yield* Schema.encodeEffect(codec)(decoded))
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(codec)(JSON.parse(text)), decoded)
      assert.deepStrictEqual(decoded[4], Augmentation.randAugment())
    })
  )

  it.effect("refuses values outside their range", () =>
    Effect.gen(function* () {
      const decode = Schema.decodeUnknownEffect(Augmentation.Augmentation)
      for (const step of [
        { _tag: "RandomCrop", padding: -1 },
        { _tag: "HorizontalFlip", probability: 1.1 },
        { _tag: "RandAugment", magnitude: 11 },
        { _tag: "RandomErasing", area: [0.5, 0.2] },
        { _tag: "Cutout" }
      ]) {
        assert.strictEqual((yield* Effect.flip(decode([step])))._tag, "SchemaError")
      }
    })
  )

  it.effect("a random crop is the image moved by at most the padding, every move as likely as another", () =>
    Effect.gen(function* () {
      const moves = new Map<string, number>()
      for (const { bytes, original } of yield* augmented([Augmentation.randomCrop(1)])) {
        const found = [-1, 0, 1]
          .flatMap((top) => [-1, 0, 1].map((left) => [top, left] as const))
          .filter(([top, left]) => equal(Image.crop(top, left, edge, edge)(original).bytes, bytes))
        assert.strictEqual(found.length, 1)
        moves.set(found.join(), (moves.get(found.join()) ?? 0) + 1)
      }
      assert.strictEqual(moves.size, 9)
      // 400 / 9 = 44 expected, standard deviation 6.3.
      for (const times of moves.values()) assert.closeTo(times, count / 9, 25)
    })
  )

  it.effect("a flip happens with its probability", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* flips(0), 0)
      assert.strictEqual(yield* flips(1), count)
      assert.closeTo(yield* flips(0.5), count / 2, 50)
    })
  )

  it.effect("erasing zeroes one rectangle of an area and aspect within bounds", () =>
    Effect.gen(function* () {
      const step = Augmentation.randomErasing({ probability: 1, area: [0.1, 0.3], ratio: [0.5, 2] })
      for (const { bytes, original, values } of yield* augmented([step])) {
        const erased = Array.from(values.keys()).filter((i) => values[i] === 0)
        const rows = erased.map((i) => Math.floor(i / edge))
        const columns = erased.map((i) => i % edge)
        const height = Math.max(...rows) - Math.min(...rows) + 1
        const width = Math.max(...columns) - Math.min(...columns) + 1
        assert.strictEqual(erased.length, height * width)
        // The edges are rounded to whole pixels.
        assert.isAtLeast((height + 0.5) * (width + 0.5), 0.1 * edge * edge)
        assert.isAtMost((height - 0.5) * (width - 0.5), 0.3 * edge * edge)
        assert.isTrue((height + 0.5) / (width - 0.5) >= 0.5 && (height - 0.5) / (width + 0.5) <= 2)
        for (const i of bytes.keys()) if (values[i] !== 0) assert.strictEqual(bytes[i], original.bytes[i])
      }
    })
  )

  it.effect("erasing with noise writes numbers of mean 0 and deviation 1", () =>
    Effect.gen(function* () {
      const step = Augmentation.randomErasing({ probability: 1, area: [0.3, 0.5], fill: "noise" })
      const all = yield* augmented([step])
      const { deviation, mean } = yield* dataset
      const noise = all.flatMap(({ original, values }) =>
        Array.from(values).filter(
          (value, i) => value !== Math.fround((original.bytes[i]! / 255 - mean[0]!) / deviation[0]!)
        )
      )
      assert.isAbove(noise.length, 10000)
      const average = noise.reduce((a, b) => a + b, 0) / noise.length
      assert.closeTo(average, 0, 0.03)
      assert.closeTo(noise.reduce((a, b) => a + (b - average) ** 2, 0) / noise.length, 1, 0.04)
    })
  )

  it.effect("a resized crop of the whole image is the image, and of a part has only values of its range", () =>
    Effect.gen(function* () {
      for (const { bytes, original } of yield* augmented([
        Augmentation.randomResizedCrop({ scale: [1, 1], ratio: [1, 1] })
      ])) {
        assert.deepStrictEqual(bytes, original.bytes)
      }
      const parts = yield* augmented([Augmentation.randomResizedCrop()])
      assert.isAbove(parts.filter(({ bytes, original }) => !equal(bytes, original.bytes)).length, count * 0.9)
    })
  )

  it.effect("colour jitter of nothing changes nothing; of brightness alone, scales it within bounds", () =>
    Effect.gen(function* () {
      const off = { brightness: 0, contrast: 0, saturation: 0 }
      for (const { bytes, original } of yield* augmented([Augmentation.colorJitter(off)])) {
        assert.deepStrictEqual(bytes, original.bytes)
      }
      for (const { bytes, original } of yield* augmented([Augmentation.colorJitter({ ...off, brightness: 0.4 })])) {
        for (const [i, byte] of original.bytes.entries()) {
          assert.isAtLeast(bytes[i]!, Math.floor(0.6 * byte) - 1)
          assert.isAtMost(bytes[i]!, Math.min(255, Math.ceil(1.4 * byte)))
        }
      }
    })
  )

  it.effect("RandAugment applies its operations with their probability, and none of them at probability 0", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* changed({ probability: 0 }), 0)
      assert.strictEqual(yield* changed({ operations: 0, probability: 1 }), 0)
      // One of the 15 operations (colour) cannot change a grey image, and auto-contrast hardly changes these: about 13 in 15 do.
      assert.closeTo((yield* changed({ operations: 1, probability: 1 })) / count, 13 / 15, 0.07)
      assert.closeTo((yield* changed({ operations: 1, probability: 0.5 })) / count, 13 / 30, 0.08)
    })
  )

  it.effect(
    "an increasing RandAugment of magnitude 0 changes nothing but by inversion and the histogram operations",
    () =>
      Effect.gen(function* () {
        const step = Augmentation.randAugment({
          operations: 1,
          probability: 1,
          magnitude: 0,
          deviation: 0,
          increasing: true
        })
        for (const { bytes, original } of yield* augmented([step])) {
          const possible = [
            original,
            Image.invert(original),
            Image.equalize(original),
            Image.autoContrast(original),
            // timm's PosterizeIncreasing starts at four bits.
            Image.posterize(4)(original)
          ]
          assert.isTrue(possible.some((image) => equal(image.bytes, bytes)))
        }
      })
  )

  it("any steps give the same pixels twice", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.constantFrom(
            Augmentation.randomCrop(2),
            Augmentation.horizontalFlip(),
            Augmentation.colorJitter({ hue: 0.1 }),
            Augmentation.randAugment({ increasing: true }),
            Augmentation.randomResizedCrop(),
            Augmentation.randomErasing({ fill: "noise" })
          ),
          { maxLength: 4 }
        ),
        fc.nat(3),
        async (steps, epoch) => {
          const [first, second] = await Effect.runPromise(
            Effect.all([augmented(steps, epoch), augmented(steps, epoch)])
          )
          assert.isTrue(first.every(({ bytes }, i) => equal(bytes, second[i]!.bytes)))
        }
      ),
      { numRuns: 10 }
    ))
})

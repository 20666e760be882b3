/**
 * Mixup, cutmix and label smoothing: what mixes the samples of a batch, and with them their targets.
 *
 * Zhang et al. 2018 (mixup), Yun et al. 2019 (cutmix), and timm's `Mixup` in its batch mode: one λ for the batch, every sample
 * mixed with the one at the same place from the end.
 */
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Batch, ImageShape } from "./Dataset.ts"

const alpha = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
  Schema.withDecodingDefaultKey(Effect.succeed(0)),
  Schema.withConstructorDefault(Effect.succeed(0))
)

const fraction = (standard: number) =>
  Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(standard)),
    Schema.withConstructorDefault(Effect.succeed(standard))
  )

/** How to mix; `none` is every default. */
export const Options = Schema.Struct({
  /** α of mixup's Beta(α, α); 0 (default) for no mixup. */
  mixup: alpha,
  /** α of cutmix's Beta(α, α); 0 (default) for no cutmix. */
  cutmix: alpha,
  /** The probability that a batch is mixed at all. Default 1. */
  probability: fraction(1),
  /** The probability of cutmix where both are on. Default 0.5. */
  switchProbability: fraction(0.5),
  /** The part of a target spread evenly over all classes, 0…1. Default 0. */
  labelSmoothing: fraction(0)
})
export type Options = typeof Options.Type

/** No mixing, no smoothing. */
export const none: Options = Options.make({})

/** The paper's recipe: mixup 0.8, cutmix 1.0, switched by 0.5, label smoothing 0.1. */
export const paper: Options = Options.make({ mixup: 0.8, cutmix: 1, labelSmoothing: 0.1 })

/** A batch with a distribution over the classes for every sample: `targets` is `[size, classes]`, rows adding up to 1. */
export interface Mixed extends Batch {
  readonly targets: Float32Array
  /** The weight of a sample's own label; its partner's is 1 − λ. */
  readonly lambda: number
}

/** Marsaglia and Tsang 2000. */
const gamma = (prng: Prng.Prng, shape: number): number => {
  if (shape < 1) return gamma(prng, shape + 1) * (1 - prng.nextFloat()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const x = prng.nextNormal()
    const v = (1 + c * x) ** 3
    if (v > 0 && Math.log(1 - prng.nextFloat()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
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
  for (let i = 0; i < labels.length; i++) {
    const partner = labels[labels.length - 1 - i]!
    out[i * classes + labels[i]!]! += on * lambda
    if (lambda !== 1) out[i * classes + partner]! += on * (1 - lambda)
  }
  return out
}

/** λ·x + (1 − λ)·reversed x, a batch of values. */
const blend = (images: Float32Array, size: number, lambda: number): Float32Array => {
  const volume = images.length / size
  const out = new Float32Array(images.length)
  for (let i = 0; i < size; i++) {
    const own = i * volume
    const partner = (size - 1 - i) * volume
    for (let k = 0; k < volume; k++) out[own + k] = lambda * images[own + k]! + (1 - lambda) * images[partner + k]!
  }
  return out
}

/** Pastes one rectangle of the reversed batch; λ becomes the area left of the own image. */
const paste = (prng: Prng.Prng, images: Float32Array, size: number, shape: ImageShape, drawn: number) => {
  const { channels, height, width } = shape
  const ratio = Math.sqrt(1 - drawn)
  const middleY = prng.nextInt(height)
  const middleX = prng.nextInt(width)
  const halfY = Math.trunc(height * ratio) >> 1
  const halfX = Math.trunc(width * ratio) >> 1
  const top = Math.max(0, middleY - halfY)
  const bottom = Math.min(height, middleY + halfY)
  const left = Math.max(0, middleX - halfX)
  const right = Math.min(width, middleX + halfX)
  const out = images.slice()
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < channels; c++) {
      for (let y = top; y < bottom; y++) {
        const own = ((i * channels + c) * height + y) * width
        const partner = (((size - 1 - i) * channels + c) * height + y) * width
        out.set(images.subarray(partner + left, partner + right), own + left)
      }
    }
  }
  return { images: out, lambda: 1 - ((bottom - top) * (right - left)) / (height * width) }
}

/**
 * Mixes a batch of `classes` classes and makes its targets; the batch given stays as it is.
 *
 * Draws from `prng` only, so a generator of the run's seed, epoch and batch (`prng.split`) makes the same mix again on a resume.
 *
 * @example
 * ```ts
 * import { Dataset, Mix } from "@uninet/data"
 * import { Prng } from "@uninet/search-space"
 *
 * const mix = (data: Dataset.DatasetShape, batch: Dataset.Batch) =>
 *   Mix.apply(Prng.fromSeed("run").split(`mix/${batch.index}`), Mix.paper, data.image, data.classes.length)(batch).targets
 * ```
 */
export const apply =
  (prng: Prng.Prng, options: Options, image: ImageShape, classes: number) =>
  (batch: Batch): Mixed => {
    const { cutmix, labelSmoothing, mixup, probability, switchProbability } = options
    const mixes = (mixup > 0 || cutmix > 0) && prng.nextFloat() < probability
    const cuts = mixes && cutmix > 0 && (mixup === 0 || prng.nextFloat() < switchProbability)
    const drawn = mixes ? beta(prng, cuts ? cutmix : mixup) : 1
    const { images, lambda } = !mixes
      ? { images: batch.images, lambda: 1 }
      : cuts
        ? paste(prng, batch.images, batch.size, image, drawn)
        : { images: blend(batch.images, batch.size, drawn), lambda: drawn }
    return { ...batch, images, targets: targets(batch.labels, classes, labelSmoothing, lambda), lambda }
  }

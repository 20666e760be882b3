/**
 * Augmentations as data: a recipe contains them, a journal records them, and equal values with equal seeds give equal pixels.
 *
 * Steps run in order on the 8-bit image, except for `RandomErasing`, which runs on the normalised image wherever it is in the list. The
 * operations and their order of draws follow timm (`timm/data/auto_augment.py`, `random_erasing.py`), torchvision (`RandomCrop`,
 * `RandomResizedCrop`, `ColorJitter`) and Pillow's pixel arithmetic.
 *
 * @example
 * ```ts
 * import type * as Augmentation from "@uninet/data/augmentation"
 * import { alternatingFlip, colorJitter, horizontalFlip, randAugment, randomCrop, randomErasing, randomResizedCrop } from "@uninet/data/augmentation"
 *
 * // Plain data, so that a recipe can be journalled; steps are applied first to last.
 * const photographs = [
 *   randomResizedCrop({ scale: [0.25, 1] }),
 *   horizontalFlip(),
 *   randAugment(),
 *   colorJitter({ hue: 0.1 }),
 *   randomErasing()
 * ]
 * const cifar: Augmentation.Augmentation = [randomCrop(4), alternatingFlip()]
 * console.log(photographs.map(({ _tag }) => _tag), cifar)
 * ```
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const probability = (standard: number) =>
  Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(standard)),
    Schema.withConstructorDefault(Effect.succeed(standard))
  )

const atLeastZero = (standard: number) =>
  Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(standard)),
    Schema.withConstructorDefault(Effect.succeed(standard))
  )

const range = (low: number, high: number) =>
  Schema.Tuple([Schema.Finite.check(Schema.isGreaterThan(0)), Schema.Finite.check(Schema.isGreaterThan(0))])
    .check(Schema.makeFilter(([a, b]: readonly [number, number]) => a <= b || "the first bound is above the second"))
    .pipe(
      Schema.withDecodingDefaultKey(Effect.succeed([low, high] as const)),
      Schema.withConstructorDefault(Effect.succeed([low, high] as const))
    )

/** One step. The default of every field is given in its description. */
export const Step = Schema.TaggedUnion({
  /** Pads every side by `padding` pixels (default 4) of black, then crops the original size at a random position. */
  RandomCrop: {
    padding: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(4)),
      Schema.withConstructorDefault(Effect.succeed(4))
    )
  },
  /** Takes a random part of the image, with `scale` of its area (default 0.08…1) and aspect `ratio` (default 3/4…4/3), and resizes it (bicubic). */
  RandomResizedCrop: { scale: range(0.08, 1), ratio: range(3 / 4, 4 / 3) },
  /**
   * Mirrors left to right with this probability (default 0.5). With `alternating`, every image is mirrored in every second epoch instead,
   * half of them in the even ones, so that no image looks the same in two consecutive epochs (Jordan 2024).
   */
  HorizontalFlip: { probability: probability(0.5), alternating: Schema.optionalKey(Schema.Literal(true)) },
  /** Changes brightness, contrast and saturation by factors from 1 ± the value (default 0.4), and hue by ± the value in turns (default 0), in random order. */
  ColorJitter: {
    brightness: atLeastZero(0.4),
    contrast: atLeastZero(0.4),
    saturation: atLeastZero(0.4),
    hue: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.5 })).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(0)),
      Schema.withConstructorDefault(Effect.succeed(0))
    )
  },
  /**
   * Applies `operations` (default 2) of RandAugment's 15 (Cubuk et al. 2020), each with `probability` (default 0.5, timm's) at a magnitude
   * drawn from N(`magnitude`, `deviation`) (default 9, 0.5) and clipped to 0…10. `increasing` (default false) is timm's `inc1`: a higher
   * magnitude always changes the image more.
   */
  RandAugment: {
    operations: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 })).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(2)),
      Schema.withConstructorDefault(Effect.succeed(2))
    ),
    magnitude: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 10 })).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(9)),
      Schema.withConstructorDefault(Effect.succeed(9))
    ),
    deviation: atLeastZero(0.5),
    probability: probability(0.5),
    increasing: Schema.Boolean.pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(false)),
      Schema.withConstructorDefault(Effect.succeed(false))
    )
  },
  /**
   * With this probability (default 0.25), overwrites a rectangle of `area` of the image (default 0.02…1/3) and aspect ratio `ratio`
   * (default 0.3…1/0.3): with zeros, which are the data set's mean (`fill: "mean"`, the default), or with N(0, 1) per value ("noise").
   */
  RandomErasing: {
    probability: probability(0.25),
    area: range(0.02, 1 / 3),
    ratio: range(0.3, 1 / 0.3),
    fill: Schema.Literals(["mean", "noise"]).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed("mean" as const)),
      Schema.withConstructorDefault(Effect.succeed("mean" as const))
    )
  }
})
export type Step = typeof Step.Type

/** Steps, first to last. */
export const Augmentation = Schema.Array(Step)
export type Augmentation = typeof Augmentation.Type

/** No augmentation. */
export const none: Augmentation = []

/** `RandomCrop` with this padding in pixels. */
export const randomCrop = (padding = 4): Step => Step.cases.RandomCrop.make({ padding })

/** `HorizontalFlip` with this probability. */
export const horizontalFlip = (probability = 0.5): Step => Step.cases.HorizontalFlip.make({ probability })

/** `HorizontalFlip` that mirrors every image in every second epoch. */
export const alternatingFlip = (): Step => Step.cases.HorizontalFlip.make({ alternating: true })

type Options<Tag extends Step["_tag"]> = Partial<Omit<Extract<Step, { readonly _tag: Tag }>, "_tag">>

/** `RandomResizedCrop`, the first step of ImageNet training. On a folder of images it crops the file's own pixels. */
export const randomResizedCrop = (options: Options<"RandomResizedCrop"> = {}): Step =>
  Step.cases.RandomResizedCrop.make(options)

/** `ColorJitter`; the paper's recipe uses 0.4. */
export const colorJitter = (options: Options<"ColorJitter"> = {}): Step => Step.cases.ColorJitter.make(options)

/** `RandAugment`; the defaults are the paper's `m9 mstd0.5`. */
export const randAugment = (options: Options<"RandAugment"> = {}): Step => Step.cases.RandAugment.make(options)

/** `RandomErasing`. */
export const randomErasing = (options: Options<"RandomErasing"> = {}): Step => Step.cases.RandomErasing.make(options)

/**
 * The paper's recipe for ImageNet: random resized crop, flip, RandAugment m9 mstd0.5. Its colour jitter of 0.4 is left out, because timm,
 * which the authors train with, drops it wherever RandAugment is on; add `colorJitter()` to have both.
 */
export const paper: Augmentation = [randomResizedCrop(), horizontalFlip(), randAugment()]

/**
 * How a network is trained, as data that can be journalled, compared and replayed.
 *
 * @example
 * ```ts
 * import { Optimiser, Recipe } from "@uninet/model-space"
 *
 * const mine = Recipe.Recipe.make({ ...Recipe.quick, epochs: 3, optimiser: Optimiser.sgd({ momentum: 0.9 }) })
 * console.log(mine.epochs, mine.optimiser._tag, mine.learningRate) // 3 Sgd 0.003
 * ```
 */
import * as Augmentation from "@uninet/data/augmentation"
import * as Mix from "@uninet/data/mix"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { Average } from "./Average.ts"
import { Distillation } from "./Distillation.ts"
import { Count, LearningRate, or, Positive, Rate, Share } from "./internal/schema.ts"
import { Lookahead } from "./Lookahead.ts"
import * as Optimiser from "./Optimiser.ts"
import { Progressive } from "./Progressive.ts"
import { Schedule } from "./Schedule.ts"
import type { Task } from "./Task.ts"
import { Views } from "./Views.ts"

/** Mixup and cutmix; label smoothing is an option of the recipe itself. */
export const Mixing = Mix.Options.mapFields(Struct.omit(["labelSmoothing"]))
export type Mixing = typeof Mixing.Type

/** Stops training when the deciding measure on the validation split has not improved by more than `improvement` for `patience` epochs. */
export const EarlyStopping = Schema.Struct({ patience: Count, improvement: or(Rate, 0) })
export type EarlyStopping = typeof EarlyStopping.Type

/** The first convolution whitens patches of `examples` training images (default 2,000) and is not trained; `epsilon` (default 5e-4) keeps directions of low variance from being blown up. */
export const Whitening = Schema.Struct({ examples: or(Count, 2000), epsilon: or(Positive, 5e-4) })
export type Whitening = typeof Whitening.Type

/** How a network is trained, as data. */
export const Recipe = Schema.Struct({
  /** Passes over the training split. */
  epochs: Count,
  /** Examples per step. */
  batch: Count,
  /** Training examples per epoch, different ones each time: a short epoch is a cheap look at a large training split. If absent, or larger than the split: all of them. */
  examples: Schema.optionalKey(Count),
  /** The peak of the schedule. */
  learningRate: LearningRate,
  schedule: Schedule,
  /** Default: AdamW with the paper's constants. */
  optimiser: or(Optimiser.Optimiser, Optimiser.adamw()),
  /** Parameters with their own learning rates and weight decays. Default: none. */
  groups: or(Schema.Array(Optimiser.Group), []),
  /** How much faster biases and the offsets of norms train than the rest (Jordan 2024). If absent: just as fast. */
  biasRate: Schema.optionalKey(Positive.check(Schema.isLessThanOrEqualTo(1e6))),
  /** The largest global norm of the gradients; `null` (default) for no limit. */
  gradientClip: or(Schema.NullOr(Positive), null),
  /** The share of the target that is spread over all classes. Default 0. */
  labelSmoothing: or(Share, 0),
  /** Default: neither mixup nor cutmix. */
  mix: or(Mixing, Mixing.make({})),
  /** Augmentation of every training image. Default: none. */
  augmentation: or(Augmentation.Augmentation, []),
  /**
   * Edge in pixels to which images are resized, larger or smaller, if the network takes square images of that size. `null` (default) takes them as they are, or enlarges
   * them if the network requires larger ones.
   */
  imageSize: or(Schema.NullOr(Count), null),
  /** Smaller images in the first epochs. If absent: the network's own size from the start. */
  progressive: Schema.optionalKey(Progressive),
  /** Stochastic depth of the last block; rises linearly from 0 at the first. Default 0. */
  stochasticDepth: or(Share, 0),
  /** Dropout before the classifier. Default 0. */
  dropout: or(Share, 0),
  /** The weights' exponential moving average, evaluated alongside them; `null` (default) for none. */
  average: or(Schema.NullOr(Average), null),
  /** Learning from a teacher's logits; the teacher itself is passed to `Trainer.fit`. If absent: only the examples' own targets count. */
  distillation: Schema.optionalKey(Distillation),
  /** A first convolution that whitens patches of the training images and is not trained. If absent: it is initialised and trained like all others. */
  whitening: Schema.optionalKey(Whitening),
  /** Slow weights to which the weights are set back every few steps. If absent: none. */
  lookahead: Schema.optionalKey(Lookahead),
  /**
   * Views of an image whose mean counts on the validation and test splits. If absent: only the image itself. Files of the network do not include the views, so they score lower than the figures with views.
   */
  views: Schema.optionalKey(Views),
  /** `null` (default) trains all epochs. */
  earlyStopping: or(Schema.NullOr(EarlyStopping), null)
})
export type Recipe = typeof Recipe.Type

/**
 * The recipe of the UniNet paper (Liu et al. 2022): 300 epochs with batch 1,024. Colour jitter is not among the augmentations, because timm, which the
 * authors train with, disables it whenever RandAugment is on. For another batch size, `withBatch` keeps the paper's 5e-4 × batch / 512.
 */
export const paper: Recipe = Recipe.make({
  epochs: 300,
  batch: 1024,
  learningRate: 1e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 5, from: 1e-6, to: 1e-5 }),
  labelSmoothing: 0.1,
  mix: Mixing.make({ mixup: 0.8, cutmix: 1 }),
  augmentation: Augmentation.paper,
  average: { decay: 0.99996, warmup: false }
})

/** For the trials of a search; our choice: a few epochs on a small data set, with a high learning rate early that falls to nothing at the end. */
export const proxy: Recipe = Recipe.make({
  epochs: 1,
  batch: 64,
  learningRate: 3e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 0.1, from: 1e-4, to: 1e-5 }),
  labelSmoothing: 0.1
})

/**
 * For a good small-image network in minutes on a CPU; our choice: shifts by up to two pixels, averaged weights. No mirroring, since mirrored
 * digits are not digits; your own recipe can add `Augmentation.horizontalFlip()`.
 */
export const quick: Recipe = Recipe.make({
  epochs: 10,
  batch: 64,
  learningRate: 3e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 0.5, from: 1e-4, to: 1e-5 }),
  labelSmoothing: 0.1,
  gradientClip: 5,
  augmentation: [Augmentation.randomCrop(2)],
  average: { decay: 0.998, warmup: true }
})

/** The named recipes. */
export const presets = { paper, proxy, quick } as const
/** The name of a recipe: `proxy`, `quick`, `paper`. */
export type PresetName = keyof typeof presets

/**
 * The recipe for another batch size, with learning rates in proportion (Goyal et al. 2017).
 *
 * @example
 * ```ts
 * import { Recipe } from "@uninet/model-space"
 *
 * console.log(Recipe.withBatch(512)(Recipe.paper).learningRate)
 * ```
 */
export const withBatch =
  (batch: number) =>
  (recipe: Recipe): Recipe => {
    const factor = batch / recipe.batch
    const { schedule } = recipe
    return {
      ...recipe,
      batch,
      learningRate: recipe.learningRate * factor,
      schedule:
        schedule._tag === "Cosine" ? { ...schedule, from: schedule.from * factor, to: schedule.to * factor } : schedule
    }
  }

/**
 * Training examples in an epoch, given how many are available.
 *
 * @example
 * ```ts
 * import { Recipe } from "@uninet/model-space"
 *
 * console.log(Recipe.examplesOf(60_000)({ ...Recipe.proxy, examples: 15_000 }), Recipe.examplesOf(60_000)(Recipe.proxy)) // 15000 60000
 * ```
 */
export const examplesOf =
  (available: number) =>
  ({ examples = Infinity }: Pick<Recipe, "examples">): number =>
    Math.min(examples, available)

/** Augmentation steps that leave every part of an image where it was. */
const keepPlaces: ReadonlyArray<Augmentation.Step["_tag"]> = ["ColorJitter", "RandomErasing"]

/** Whether a task's targets are still correct after a step of the augmentation. */
export const isAllowed =
  ({ allows: { augmentation } }: Task) =>
  ({ _tag }: Augmentation.Step): boolean =>
    augmentation === "all" || (augmentation === "values" && keepPlaces.includes(_tag))

/**
 * The recipe without what makes no sense for the task: label smoothing of numbers, mixed examples whose targets cannot be mixed, moved images under fixed targets.
 * The named recipes are made for classes; a trainer rejects options that it was given but cannot apply.
 *
 * @example
 * ```ts
 * import { Recipe, Regression } from "@uninet/model-space"
 *
 * console.log(Recipe.forTask(Regression.make())(Recipe.proxy).labelSmoothing) // 0
 * ```
 */
export const forTask =
  (task: Task) =>
  (recipe: Recipe): Recipe => ({
    ...recipe,
    labelSmoothing: task.allows.labelSmoothing ? recipe.labelSmoothing : 0,
    mix: task.mixed === null ? { ...recipe.mix, mixup: 0, cutmix: 0 } : recipe.mix,
    augmentation: recipe.augmentation.filter((step) => isAllowed(task)(step))
  })

const Json = Schema.fromJsonString(Schema.Json)

/** The recipe as plain JSON, for a journal. */
export const toJson = (recipe: Recipe): Schema.Json =>
  Schema.decodeSync(Json)(JSON.stringify(Schema.encodeSync(Recipe)(recipe)))

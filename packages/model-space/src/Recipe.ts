/**
 * How a network is trained: data, so that it can be journalled, compared and replayed.
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

/** Mixup and cutmix; their label smoothing is the recipe's. */
export const Mixing = Mix.Options.mapFields(Struct.omit(["labelSmoothing"]))
export type Mixing = typeof Mixing.Type

/** Ends a training when the measure that decides has not got better by more than `improvement` on the validation split for `patience` epochs. */
export const EarlyStopping = Schema.Struct({ patience: Count, improvement: or(Rate, 0) })
export type EarlyStopping = typeof EarlyStopping.Type

/** The first convolution whitens patches of so many training pictures (default 2,000) and stays so; `epsilon` (default 5e-4) keeps directions of little variance from being blown up. */
export const Whitening = Schema.Struct({ examples: or(Count, 2000), epsilon: or(Positive, 5e-4) })
export type Whitening = typeof Whitening.Type

/** How a network is trained, as data. */
export const Recipe = Schema.Struct({
  /** Passes over the training split. */
  epochs: Count,
  /** Examples per step. */
  batch: Count,
  /** Training examples in an epoch, different ones each time: a short epoch is a cheap look at a large training split. Absent, or more than there are: all of them. */
  examples: Schema.optionalKey(Count),
  /** The schedule's peak. */
  learningRate: LearningRate,
  schedule: Schedule,
  /** Default: AdamW with the paper's constants. */
  optimiser: or(Optimiser.Optimiser, Optimiser.adamw()),
  /** Parameters with learning rates and weight decays of their own. Default: none. */
  groups: or(Schema.Array(Optimiser.Group), []),
  /** By how much faster than the rest biases and the offsets of norms are trained (Jordan 2024). Absent: as fast. */
  biasRate: Schema.optionalKey(Positive.check(Schema.isLessThanOrEqualTo(1e6))),
  /** The gradients' greatest global norm; `null` (default) for any. */
  gradientClip: or(Schema.NullOr(Positive), null),
  /** Share of the target that is spread over all classes. Default 0. */
  labelSmoothing: or(Share, 0),
  /** Default: neither mixup nor cutmix. */
  mix: or(Mixing, Mixing.make({})),
  /** Of every training picture. Default: none. */
  augmentation: or(Augmentation.Augmentation, []),
  /**
   * Edge in pixels to which pictures are resized, larger or smaller, where the network takes square ones of it; `null` (default) takes them as they are, or enlarges
   * them where the network wants larger ones.
   */
  imageSize: or(Schema.NullOr(Count), null),
  /** Smaller pictures in the first epochs. Absent: the network's own from the first. */
  progressive: Schema.optionalKey(Progressive),
  /** Of the last block; it rises linearly from 0 at the first. Default 0. */
  stochasticDepth: or(Share, 0),
  /** Before the classifier. Default 0. */
  dropout: or(Share, 0),
  /** The weights' exponential moving average, evaluated beside them; `null` (default) for none. */
  average: or(Schema.NullOr(Average), null),
  /** Learning from a teacher's logits; the teacher itself is given to `Trainer.fit`. Absent: the examples' own targets alone. */
  distillation: Schema.optionalKey(Distillation),
  /** A first convolution that whitens patches of the training pictures and is not trained. Absent: it is drawn and trained as all others. */
  whitening: Schema.optionalKey(Whitening),
  /** Slow weights to which the weights are set back every few steps. Absent: none. */
  lookahead: Schema.optionalKey(Lookahead),
  /**
   * Views of a picture whose mean is what counts on the validation and test splits. Absent: the picture alone. Files of the network have it without them, and so reach less than the figures by views.
   */
  views: Schema.optionalKey(Views),
  /** `null` (default) trains all epochs. */
  earlyStopping: or(Schema.NullOr(EarlyStopping), null)
})
export type Recipe = typeof Recipe.Type

/**
 * The recipe of the UniNet paper (Liu et al. 2022): 300 epochs of batch 1,024. Colour jitter is not among the augmentations, because timm, which the
 * authors train with, leaves it out wherever RandAugment is on. For another batch, `withBatch` keeps the paper's 5e-4 × batch / 512.
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

/** For a search's trials, our choice: a few epochs on a small data set, a high rate early, down to nothing at the end. */
export const proxy: Recipe = Recipe.make({
  epochs: 1,
  batch: 64,
  learningRate: 3e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 0.1, from: 1e-4, to: 1e-5 }),
  labelSmoothing: 0.1
})

/**
 * For a good network of small images in minutes on a processor, our choice: shifts by up to two pixels, averaged weights. No mirror images, which
 * digits do not have; a recipe of one's own may add `Augmentation.horizontalFlip()`.
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

/** The recipes with a name. */
export const presets = { paper, proxy, quick } as const
/** A recipe that is there already: `proxy`, `quick`, `paper`. */
export type PresetName = keyof typeof presets

/**
 * The recipe for another batch, with learning rates in proportion (Goyal et al. 2017).
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
 * Training examples in an epoch, where so many are available.
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

/** Steps of an augmentation after which every place of a picture is where it was. */
const keepPlaces: ReadonlyArray<Augmentation.Step["_tag"]> = ["ColorJitter", "RandomErasing"]

/** Whether a task's targets are still right after a step of the augmentation. */
export const isAllowed =
  ({ allows: { augmentation } }: Task) =>
  ({ _tag }: Augmentation.Step): boolean =>
    augmentation === "all" || (augmentation === "values" && keepPlaces.includes(_tag))

/**
 * The recipe without what the task has no use for: label smoothing of numbers, mixed examples whose targets cannot be mixed, pictures turned under targets that stay.
 * The named recipes are made for classes; a trainer refuses what is asked for and cannot be done.
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

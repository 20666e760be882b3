/**
 * What the parts of a recipe cost in a step, and what loading and augmenting cost compared with using the same batch every time:
 * Fashion-MNIST with the network and the recipe of bench/fashion-mnist, one thread for the engine. Variants run in turn, for several
 * rounds; figures are medians.
 *
 *     node bench/trainer.ts [steps] [rounds]        (default: 40 steps, 5 rounds; needs Debian's dataset-fashion-mnist)
 */
import { Dataset, type DataError, Idx } from "@uninet/data"
import { ModelSpace } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Average, Recipe, Trainer } from "@uninet/trainer"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"

const read = (file: string) => readFileSync(new URL(`fashion-mnist/${file}`, import.meta.url), "utf8")
const architecture = Schema.decodeSync(Schema.fromJsonString(Architecture.Architecture))(read("architecture.json"))
const space = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
const network = Result.getOrThrow(ModelSpace.trainable(architecture)(space))
const full = Schema.decodeSync(Schema.fromJsonString(Recipe.Recipe))(read("recipe.json"))

const steps = Number(process.argv[2] ?? 40)
const rounds = Number(process.argv[3] ?? 5)

/** The data set with one batch repeated over and over instead of its training split. */
const fixed = (data: Dataset.DatasetShape): Dataset.DatasetShape => ({
  ...data,
  train: {
    ...data.train,
    batches: (options) =>
      Stream.unwrap(
        Effect.map(data.train.read(Array.from({ length: options.batch }, (_, i) => i)), (batch) =>
          Stream.range(0, Dataset.batchCount(options)(data.train) - 1).pipe(
            Stream.map((index): Dataset.Batch => ({ ...batch, index }))
          )
        )
      )
  }
})

const bare: Recipe.Recipe = {
  ...full,
  augmentation: [],
  gradientClip: null,
  average: null,
  stochasticDepth: 0,
  dropout: 0
}

interface Variant {
  readonly name: string
  readonly recipe: Recipe.Recipe
  readonly fixed?: boolean
  readonly gradientNorm?: boolean
}

const variants: ReadonlyArray<Variant> = [
  { name: "one batch over and over, bare recipe", recipe: bare, fixed: true },
  { name: "loading", recipe: bare },
  { name: "loading, crop, flip and erasing", recipe: { ...bare, augmentation: full.augmentation } },
  { name: "one batch, gradient norm", recipe: bare, fixed: true, gradientNorm: true },
  { name: "one batch, clipping", recipe: { ...bare, gradientClip: 1 }, fixed: true },
  {
    name: "one batch, averages",
    recipe: { ...bare, average: Average.Average.make({ decay: 0.998 }) },
    fixed: true
  },
  { name: "one batch, stochastic depth 0.1", recipe: { ...bare, stochasticDepth: 0.1 }, fixed: true },
  {
    name: "one batch, mixup and cutmix",
    recipe: { ...bare, mix: Recipe.Mixing.make({ mixup: 0.8, cutmix: 1 }) },
    fixed: true
  },
  { name: "the whole recipe", recipe: full, gradientNorm: true }
]

/** Milliseconds per step: the median of the steps after the first few. */
const measure = Effect.fnUntraced(function* ({ gradientNorm = false, recipe }: Variant) {
  const trainer = yield* Trainer
  const times = yield* trainer.fit(network, { recipe, seed: "bench", gradientNorm }).pipe(
    Stream.take(steps + 5),
    Stream.map((event) => (event._tag === "Step" ? (1000 * recipe.batch) / event.examplesPerSecond : Number.NaN)),
    Stream.drop(5),
    Stream.runCollect
  )
  return median(times)
})

const median = (xs: ReadonlyArray<number>) => xs.toSorted((a, b) => a - b)[xs.length >> 1]

const trainerOn = (variant: Variant, data: Dataset.DatasetShape): Layer.Layer<Trainer, DataError.DataError> =>
  Trainer.layer.pipe(
    Layer.provide([
      Layer.succeed(Dataset.Dataset, variant.fixed === true ? fixed(data) : data),
      OnnxRuntime.cpu({ threads: 1 })
    ])
  )

const program = Effect.gen(function* () {
  const data = yield* Dataset.Dataset
  const times = variants.map((): Array<number> => [])
  for (let round = 0; round < rounds; round++)
    for (const [i, variant] of variants.entries())
      times[i].push(yield* measure(variant).pipe(Effect.provide(trainerOn(variant, data), { local: true })))
  const [base] = times.map(median)
  yield* Console.log(`| step of ${full.batch} images | ms | against one batch |\n| --- | ---: | ---: |`)
  for (const [i, { name }] of variants.entries()) {
    const ms = median(times[i])
    yield* Console.log(`| ${name} | ${ms.toFixed(1)} | ${((100 * ms) / base - 100).toFixed(1)}% |`)
  }
})

Effect.runPromise(program.pipe(Effect.provide(Idx.layerFashion())))

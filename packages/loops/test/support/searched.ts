/** A small search with everything in it whose numbers JavaScript might leave to the engine, and what its journal holds. */
import { Ppo } from "@uninet/controller"
import { Memory } from "@uninet/data"
import * as Augmentation from "@uninet/data/augmentation"
import { Op } from "@uninet/graph"
import { Classification, ModelSpace, Optimiser, Recipe, Schedule } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Loops } from "@uninet/loops"
import { Evaluator, Journal, Reward, Search, Trial } from "@uninet/search"
import { Choice, Prng, Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"

const image = { channels: 3, height: 10, width: 8 }
const classes = 3

const space = ModelSpace.make({
  name: "small",
  space: Result.getOrThrow(
    Space.make(
      Choice.struct({
        width: Choice.ordered([4, 8, 12]),
        learningRate: Choice.logUniform({ min: 1e-3, max: 3e-2 }),
        dropout: Choice.uniform({ min: 0, max: 0.3 })
      })
    )
  ),
  task: Classification.make({ classes }),
  model: ({ dropout, width }) =>
    Model.make({
      inputs: { image: Model.input([image.channels, image.height, image.width]) },
      forward: (scope, { image: pixels }) => {
        const features = Nn.convolution(Scope.at("stem")(scope), { out: width, kernel: 3, stride: 2 })(pixels)
        const hidden = Nn.dropout(scope, dropout)(Op.globalAveragePool(Nn.gelu(scope)(features)))
        return { logits: Nn.linear(Scope.at("classifier")(scope), { out: classes })(hidden) }
      }
    }),
  recipe: ({ learningRate }) => ({ learningRate })
})

const recipe = Recipe.Recipe.make({
  epochs: 2,
  batch: 16,
  learningRate: 1e-2,
  schedule: Schedule.Schedule.cases.Cosine.make({ warmup: 0.5, from: 1e-4, to: 1e-5 }),
  optimiser: Optimiser.adamw(),
  gradientClip: 1,
  labelSmoothing: 0.1,
  mix: { mixup: 0.8, cutmix: 1, probability: 1, switchProbability: 0.5 },
  augmentation: [...Augmentation.paper, Augmentation.colorJitter(), Augmentation.randomErasing({ probability: 0.5 })],
  average: { decay: 0.9, warmup: true }
})

const examples = (prng: Prng.Prng, count: number) => ({
  images: Uint8Array.from({ length: count * image.channels * image.height * image.width }, () => prng.nextInt(256)),
  labels: Array.from({ length: count }, (_, i) => i % classes)
})

const data = Layer.unwrap(
  Effect.sync(() => {
    const prng = Prng.fromSeed("pictures")
    return Memory.layer({
      name: "noise",
      classes: ["a", "b", "c"],
      image,
      train: examples(prng, 48),
      validation: examples(prng, 21),
      test: examples(prng, 3)
    })
  })
)

/** FNV-1a over a text of plain characters. */
const digestOf = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, "0")
}

/** Trains every trial, and gives its best measures. */
const training = Layer.effect(
  Evaluator.Evaluator,
  Effect.map(Trainer, (trainer) =>
    Evaluator.Evaluator.of({
      concurrency: 1,
      evaluate: (trial) =>
        Effect.gen(function* () {
          const point = yield* Evaluator.pointOf(trial)(space)
          const network = yield* Effect.fromResult(ModelSpace.trainable(point)(space))
          const own = yield* Effect.fromResult(ModelSpace.recipeOf(point)(space))
          const events = trainer.fit(network, { recipe: { ...recipe, ...own }, seed: trial.seed })
          const last = yield* Stream.runLast(events)
          const isDone = Option.isSome(last) && last.value._tag === "Finished"
          return { measures: isDone ? last.value.best.validation.measures : {}, epochs: recipe.epochs }
        }).pipe(
          Effect.mapError(
            ({ message }) => new Trial.TrialFailed({ trial: trial.index, reason: "Failed", detail: message })
          )
        )
    })
  )
).pipe(Layer.provide(Trainer.layer))

/** The digest of all entries, and the rewards. */
export const searched: Effect.Effect<
  { readonly digest: string; readonly rewards: ReadonlyArray<number | null> },
  { readonly message: string }
> = Effect.gen(function* () {
  const found = yield* Search.run(space, {
    trials: 5,
    ahead: 2,
    seed: "bits",
    reward: Reward.mnas({ target: 20_000 })
  })
  const entries = yield* (yield* Journal.Journal).entries
  return {
    digest: digestOf(JSON.stringify(entries.map(({ entry }) => entry))),
    rewards: found.records.map(({ outcome }) => (outcome._tag === "Scored" ? outcome.reward : null))
  }
}).pipe(
  Effect.provide([
    Layer.provide(Ppo.layer({ batch: 2, replay: 2, epochs: 2 }), Loops.portable()),
    training,
    Journal.memory
  ]),
  Effect.provide([data, Loops.portable()])
)

/** What comes of it wherever it runs: recorded on an x86-64 processor with AVX-512. Another version of a strategy, a recipe or a space's identity gives another, another machine never. */
export const expected = {
  digest: "984171b2",
  rewards: [0.3179448305368257, 0.3893773252672506, 0.44500265744828643, 0.44500265744828643, 0.11125066436207161]
}

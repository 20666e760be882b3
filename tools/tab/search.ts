/**
 * `uninet search --device portable` on digits, where there is neither a command line nor a disk: the same trials, and a journal that the
 * command line can continue.
 */
import { Strategies } from "@uninet/controller"
import { Dataset, Memory } from "@uninet/data"
import { Loops } from "@uninet/loops"
import { Facts, Recipe } from "@uninet/model-space"
import { Journal, Reward, Search, TrainingEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Surroundings, Trainer } from "@uninet/trainer"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

export interface Options {
  readonly trials: number
  readonly strategy: Strategies.Name
  readonly seed: string
}

/** The strategies offered in a page. */
export const strategies = ["ppo", "evolution", "tpe", "gp", "random"] as const satisfies ReadonlyArray<Strategies.Name>

/** The messages to a page. */
export type Told =
  | { readonly tag: "Progress"; readonly trial: number; readonly done: number }
  | {
      readonly tag: "Finished"
      readonly trial: number
      readonly line: string
      readonly accuracy: number
      readonly macs: number
      readonly reward: number
      readonly seconds: number
    }
  | { readonly tag: "Failed"; readonly trial: number; readonly why: string }
  /** The statements that create the journal's current file. */
  | { readonly tag: "Journal"; readonly statements: ReadonlyArray<Journal.Statement> }
  | { readonly tag: "Done" }
  | { readonly tag: "Broken"; readonly why: string }

const side = 28

/** A data set of packed digits (their labels, then their pixels, one byte each), a tenth of them for validation and a tenth for testing. */
const digits = (packed: Uint8Array) => {
  const count = packed.length / (1 + side * side)
  const holdout = { size: count / 10, seed: "mnist" }
  return Memory.layer({
    name: "mnist",
    classes: Array.from({ length: 10 }, (_, digit) => String(digit)),
    image: { channels: 1, height: side, width: side },
    train: { images: packed.subarray(count), labels: packed.subarray(0, count) },
    validation: holdout,
    test: holdout
  })
}

/** A journal in memory that reports, whenever a trial has ended, the statements that create its file. */
const telling = (tell: (told: Told) => void) =>
  Layer.effect(
    Journal.Journal,
    Effect.map(Journal.Journal, (kept) => {
      let identity: Journal.Identity | undefined
      const all = Effect.gen(function* () {
        if (identity === undefined) return
        const trained = yield* kept.trainings?.() ?? Effect.succeed([])
        tell({ tag: "Journal", statements: Journal.statements(identity, yield* kept.entries, trained) })
      })
      return Journal.Journal.of({
        ...kept,
        open: (given) => {
          identity = given
          return Effect.tap(kept.open(given), () => all)
        },
        append: (entry, training) =>
          Effect.tap(kept.append(entry, training), () => (entry._tag === "Proposed" ? Effect.void : all))
      })
    })
  ).pipe(Layer.provide(Journal.memory))

/** Searches, and reports what happens. The search is exactly what the command line searches without further flags, as the journal's header shows. */
export const search = (
  packed: Uint8Array,
  { seed, strategy, trials }: Options,
  tell: (told: Told) => void
): Effect.Effect<void, { readonly message: string }> =>
  Effect.gen(function* () {
    const of = yield* Effect.fromResult(UniNetSpace.forData()(Facts.of(yield* Dataset.Dataset)))
    const target = of.costs.macs(Space.seedPoint(of.space))
    const recipe = Recipe.forTask(of.task)({ ...Recipe.proxy, learningRate: 0.01 })
    const within = { macs: { max: Math.round(1.5 * target) } }
    const { decides, measures, shares } = of.task
    yield* Search.run(of, {
      trials,
      seed,
      reward: Reward.mnas({ target }),
      within,
      surroundings: yield* Surroundings.here,
      settings: { dataset: "mnist", recipe: Recipe.toJson(recipe), within, own: [], code: null },
      notes: {
        trials,
        finalists: 3,
        finalEpochs: 4 * recipe.epochs,
        trialTime: null,
        trialMemory: null,
        maxTotalMacs: null,
        config: null,
        space: { _tag: "Named", name: "uninet" },
        task: { decides, measures, shares }
      },
      onEvent: (event) =>
        Effect.sync(() => {
          if (event._tag === "Progress")
            tell({ tag: "Progress", trial: event.candidate.trial, done: event.progress.done })
          if (event._tag === "Failed") tell({ tag: "Failed", trial: event.candidate.trial, why: event.failure.message })
          if (event._tag !== "Finished") return
          const { costs, line, outcome, trial } = event.record
          const { accuracy } = outcome.evaluation.measures
          tell({
            tag: "Finished",
            trial,
            line,
            accuracy,
            macs: costs.macs,
            reward: outcome.reward,
            seconds: event.seconds
          })
        })
    }).pipe(Effect.provide(Layer.provide(TrainingEvaluator.layer(of, { recipe }), Trainer.layer)))
    tell({ tag: "Done" })
  }).pipe(
    Effect.provide(Layer.mergeAll(Layer.provide(Strategies.layer(strategy), Loops.portable()), telling(tell))),
    Effect.provide([digits(packed), Loops.portable()])
  )

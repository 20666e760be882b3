/** A run's folder as a search leaves it, made without a search: in no time, with the results that a test needs. */
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Journal, type Training } from "@uninet/search"
import { Prng, Space } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { join } from "node:path"

/** The space of its trials. */
export const of = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

const fingerprint = ModelSpace.fingerprint(of)

export interface Made {
  readonly seed?: string
  readonly strategy?: string
  /** The accuracies of its trials; `null` for one that failed. */
  readonly accuracies: ReadonlyArray<number | null>
  /** Trials that were stopped after their first epoch, at half of their accuracy. */
  readonly stopped?: ReadonlyArray<number>
}

/** Each trial's curve has two epochs. */
export const training = (trial: number, accuracy: number): Training.Training => ({
  place: { host: "rack-3", process: 40 + (trial % 2), engine: "onnxruntime 1.30.0 cpu", device: "cpu" },
  begun: 1_700_000_000_000 + 1000 * trial,
  ended: 1_700_000_000_900 + 1000 * trial,
  curve: {
    epochs: [1, 2],
    loss: [2, 1],
    measures: { accuracy: [accuracy / 2, accuracy], loss: [1.5, 0.5] }
  }
})

/** The points of its trials. */
export const points = ({ accuracies, seed = "0" }: Made) => {
  const prng = Prng.fromSeed(seed)
  return accuracies.map(() => Space.sample(prng)(of.space))
}

/** Creates the folder inside another one and returns its path. */
export const made = (below: string, name: string, given: Made): Effect.Effect<string> => {
  const { accuracies, seed = "0", stopped = [], strategy = "random" } = given
  const folder = join(below, name)
  const identity: Journal.Identity = {
    space: fingerprint,
    seed,
    settings: {
      dataset: "mnist",
      recipe: Recipe.toJson(Recipe.proxy),
      within: {},
      own: [],
      code: null,
      strategy,
      fidelity: { _tag: "Full" },
      objectives: [],
      reward: { _tag: "Measure" },
      ahead: 8,
      constraints: []
    },
    notes: {
      trials: accuracies.length,
      finalists: 3,
      finalEpochs: 4,
      trialTime: null,
      trialMemory: null,
      maxTotalMacs: null,
      config: null,
      space: { _tag: "Named", name: "uninet" },
      task: {
        decides: "accuracy",
        measures: { accuracy: "higher", top5: "higher", loss: "lower", calibrationError: "lower" },
        shares: ["accuracy", "top5", "calibrationError"]
      }
    }
  }
  const all = points(given)
  return Journal.Journal.use((journal) =>
    Effect.gen(function* () {
      yield* journal.open(identity)
      for (const [trial, accuracy] of accuracies.entries()) {
        const point = all[trial]
        if (point === undefined) continue
        const isWhole = !stopped.includes(trial)
        yield* journal.append({
          _tag: "Proposed",
          trial,
          hash: Space.hash(point)(of.space),
          point: ModelSpace.write(point)(of),
          line: of.line(point),
          costs: { macs: 1e6 + trial, parameters: 1e5 },
          seed: `${seed}/trial/${trial}`
        })
        if (accuracy === null) {
          yield* journal.append({ _tag: "Failed", trial, reason: "Diverged", detail: "the loss was NaN" })
          continue
        }
        const reward = isWhole ? accuracy : accuracy / 2
        yield* journal.append(
          {
            _tag: "Finished",
            trial,
            evaluation: {
              measures: { accuracy: reward, top5: 1, loss: 1 - reward, calibrationError: 0 },
              epochs: isWhole ? 2 : 1
            },
            reward
          },
          training(trial, accuracy)
        )
      }
      return folder
    })
  ).pipe(
    Effect.provide(Layer.fresh(Journal.sqlite(join(folder, "journal.db"), { durability: "process" })), { local: true }),
    Effect.orDie
  )
}

/** A search over UniNet's small space whose evaluator is a closed formula. */
import { Random } from "@uninet/controller"
import type { Classification, ModelSpace } from "@uninet/model-space"
import { Evaluator, type Search } from "@uninet/search"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

export const uninet: ModelSpace.ModelSpace<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure> =
  Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

/** The options of a search on this space. */
export type Options = Search.Options<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>

/** An accuracy that distinguishes architectures. */
export const accuracyOf = ({ stages }: Architecture.Architecture): number =>
  stages.reduce((sum, { channels, expansion, repeats }) => sum + channels * expansion + repeats, 0) / 10_000

/** The measures of a classifier with this accuracy. */
export const measuresOf = (accuracy: number, loss = 1) => ({ accuracy, top5: 1, loss, calibrationError: 0 })

/** Takes longer for some than for others, so that trials overtake each other. */
export const formula = (concurrency = 4) =>
  Evaluator.fromFunction(
    uninet,
    (architecture, trial) =>
      Effect.as(Effect.sleep((trial.index * 7) % 5), measuresOf(accuracyOf(architecture), trial.seed.length)),
    { concurrency }
  )

/** Random search. */
export const setting = Random.layer()

/** A search over UniNet's small space whose evaluator is a closed formula. */
import { Random, type SearchStrategy } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import { Operators } from "@uninet/operators"
import { Evaluator } from "@uninet/search"
import { type Architecture, type SearchSpace, type SpaceError, UniNetSpace } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** An accuracy that tells architectures apart. */
export const accuracyOf = ({ stages }: Architecture.Architecture): number =>
  stages.reduce((sum, { channels, expansion, repeats }) => sum + channels * expansion + repeats, 0) / 10_000

/** Takes longer for some than for others, so that trials overtake one another. */
export const formula = (concurrency = 4) =>
  Evaluator.fromFunction(
    (architecture, trial) =>
      Effect.as(Effect.sleep((trial.index * 7) % 5), {
        accuracy: accuracyOf(architecture),
        metrics: { seed: trial.seed.length }
      }),
    { concurrency }
  )

export const space: Layer.Layer<SearchSpace, SpaceError.InvalidSpace> = UniNetSpace.layer({
  image: 28,
  channels: 1,
  classes: 10
})

/** Space, operators, modules and random search. */
export const setting: Layer.Layer<SearchSpace | SearchStrategy | Operators | Dsms, SpaceError.InvalidSpace> =
  Layer.mergeAll(Random.layer(), space, Operators.standard, Dsms.standard)

/** `uninet experiment --dry-run`: what would be trained, and about how long it would take, estimated from a few training steps of every arm. */
import { Dataset } from "@uninet/data"
import type { Experiment } from "@uninet/search"
import { Constrained, Space } from "@uninet/search-space"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { availableParallelism } from "node:os"
import * as dry from "./dry.ts"
import type { Arm, Machine } from "./experiment.ts"
import * as format from "./format.ts"

/** The trials of a search, as far as its budget tells: for MACs, by those of the space's seed point. */
const trialsOf = ({ budget = {} }: Experiment.Experiment, { domain }: Arm, seconds: number): number => {
  if (budget.trials !== undefined) return budget.trials
  if (budget.seconds !== undefined) return Math.ceil(budget.seconds / seconds)
  const { macsOf, of } = domain
  const macs = macsOf({ macs: of.costs["macs"]?.(Space.seedPoint(of.space)) ?? 0 })
  return Math.ceil((budget.macs ?? 0) / Math.max(1, macs))
}

/** Prints it, and writes nothing. */
export const run = Effect.fnUntraced(function* (
  experiment: Experiment.Experiment,
  arms: ReadonlyArray<Arm>,
  { workers }: Machine,
  json: boolean
) {
  const dataset = yield* Dataset.Dataset
  const { retrain, seeds } = experiment
  // More workers than cores do not help.
  const beside = Math.min(workers, availableParallelism())
  yield* Console.error("timing a few training steps of every arm …")
  const timed = yield* Effect.forEach(arms, (arm) =>
    Effect.gen(function* () {
      const { constrained, of, strategyName } = arm.domain
      const isSearch = Option.isNone(arm.point)
      const timed = yield* dry.calibrate(isSearch ? arm.plan : arm.again, of, (prng) =>
        Option.match(arm.point, {
          onSome: Effect.succeed,
          onNone: () => Effect.fromResult(Constrained.sampleWithin(prng)(constrained))
        })
      )
      const trial = timed.compile + timed.epochBy(arm.plan.recipe) * experiment.epochs
      const trials = isSearch ? trialsOf(experiment, arm, trial) : 0
      const again = timed.compile + timed.epochBy(arm.again.recipe) * retrain.epochs
      return {
        arm: arm.name,
        strategy: isSearch ? strategyName : null,
        networks: isSearch ? Space.showCount(Space.distinct(of.space)) : null,
        trials,
        seconds: { trial, again },
        whole: (seeds.length * (trials * trial + retrain.seeds * again)) / beside
      }
    })
  )
  const trials = seeds.length * timed.reduce((sum, { trials }) => sum + trials, 0)
  const again = seeds.length * arms.length * retrain.seeds
  const seconds = timed.reduce((sum, { whole }) => sum + whole, 0)
  return yield* Console.log(
    json
      ? JSON.stringify({ dataset: dataset.name, trials, again, seconds, arms: timed }, undefined, 2)
      : [
          [
            `Would train ${format.plural(trials + again, "network")} on ${dataset.name} with ${format.plural(workers, "worker")}: `,
            trials === 0 ? "" : `${format.plural(trials, "trial")} of ${format.lengthOf(experiment)}, and `,
            `${format.plural(again, "training")} of ${format.plural(retrain.epochs, "epoch")} from fresh weights, each tested once`
          ].join(""),
          ...timed.map(({ arm, networks, seconds, strategy, trials }) =>
            format.fitted(
              `  ${arm}: ${strategy === null ? "a given network" : `${format.plural(trials, "trial")} by ${strategy} in ${networks} networks, ${format.time(seconds.trial)} each`}; ${format.time(seconds.again)} per retraining${seeds.length > 1 ? `; ${seeds.length} times` : ""}`
            )
          ),
          `Time: about ${format.time(seconds)}`,
          "Nothing was written."
        ].join("\n")
  )
}, Effect.scoped)

/** `uninet search --dry-run`: what would be searched, and about how long it would take, estimated from a few training steps. */
import { Dataset } from "@uninet/data"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Fidelity } from "@uninet/search"
import { Constrained, Prng, Space } from "@uninet/search-space"
import { Trainer, type TrainEvent } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { availableParallelism } from "node:os"
import * as domain from "./domain.ts"
import * as format from "./format.ts"
import * as machines from "./machines.ts"
import type { Plan } from "./plan.ts"
import * as teachers from "./teachers.ts"

/** How many networks are timed, and the steps of each after the first, which includes compilation. */
const networks = 3
const steps = 12

const median = (numbers: ReadonlyArray<number>): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

/** The training time in seconds of some networks within the bounds, on one worker: until the first step, and per epoch for a recipe. */
export const calibrate = Effect.fnUntraced(function* (
  { recipe, seed, teacher: named }: Pick<Plan, "recipe" | "seed" | "teacher">,
  of: ModelSpace.Any,
  sample: (prng: Prng.Prng) => Effect.Effect<unknown, { readonly message: string }>
) {
  const trainer = yield* Trainer
  const { train, validation } = yield* Dataset.Dataset
  const prng = Prng.fromSeed(seed).split("dry run")
  // Without the logits, which do not exist yet.
  const teacher = named === undefined ? {} : { teacher: yield* teachers.network(named.file, "the teacher") }
  const trainings: Array<{ readonly compile: number; readonly example: number }> = []
  for (let i = 0; i < networks; i++) {
    const point = yield* sample(prng)
    const network = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
    const said = yield* Effect.fromResult(ModelSpace.recipeOf(point)(of))
    const own = { ...recipe, ...said, epochs: recipe.epochs }
    const began = performance.now()
    const at: Array<number> = []
    // Timed when each step ends, because the stream passes on several at once.
    const onEvent = ({ _tag }: TrainEvent.TrainEvent) =>
      Effect.sync(() => {
        if (_tag === "Step") at.push(performance.now())
      })
    yield* trainer.fit(network, { recipe: own, seed: `${seed}/dry/${i}`, onEvent, ...teacher }).pipe(
      Stream.filter(({ _tag }) => _tag === "Step"),
      Stream.take(steps + 1),
      Stream.runDrain
    )
    const each = at.slice(1).map((now, j) => (now - (at[j] ?? now)) / 1000)
    const step = median(each)
    trainings.push({
      compile: ((at[0] ?? began) - began) / 1000,
      example: step / own.batch
    })
  }
  const mean = (of: (training: (typeof trainings)[number]) => number) =>
    trainings.reduce((sum, training) => sum + of(training), 0) / networks
  const example = mean(({ example }) => example)
  return {
    compile: mean(({ compile }) => compile),
    /** Validation is forward only: a third of a step's work. */
    epochBy: (recipe: Pick<Plan["recipe"], "examples">) =>
      example * (Recipe.examplesOf(train.size)(recipe) + validation.size / 3)
  }
})

/** A share, and its uncertainty if that is visible: `0.3%`, `12.5% ± 0.4%`, `2.1e-4% ± 3.0e-5%`. */
const percent = (share: number, off: number) => {
  const shown = (value: number) => (share >= 0.001 ? format.percent(value, 1) : `${(100 * value).toExponential(1)}%`)
  return off === 0 || (share >= 0.001 && off < 0.0005) ? shown(share) : `${shown(share)} ± ${shown(off)}`
}

/** Prints it, and writes nothing. */
export const run = Effect.fnUntraced(function* (plan: Plan, json: boolean) {
  const { fidelity, finalEpochs, finalists, recipe, trials } = plan
  const dataset = yield* Dataset.Dataset
  const { bounds, constrained, of, strategyName, target, within } = yield* domain.make(plan)
  const { space } = of
  const feasible = yield* Effect.fromResult(
    Constrained.feasibleShare(Prng.fromSeed(plan.seed).split("share"))(constrained)
  )
  const workers = Math.min(plan.workers, trials, plan.ahead)
  // More workers than cores do not help.
  const beside = Math.min(workers, availableParallelism())
  for (const line of machines.idle(Math.min(plan.workers, trials), plan.ahead)) yield* Console.error(`note: ${line}`)
  if (!plan.own.includes("evaluator")) yield* Console.error("timing a few training steps …")
  const timed = plan.own.includes("evaluator")
    ? undefined
    : yield* calibrate(plan, of, (prng) => Effect.fromResult(Constrained.sampleWithin(prng)(constrained)))
  const epoch = timed?.epochBy(recipe) ?? 0
  const whole = Fidelity.expected(trials)(fidelity)
  const rungs = Fidelity.rungsOf(fidelity)
  const seconds =
    timed === undefined
      ? undefined
      : {
          trial: timed.compile + epoch * recipe.epochs,
          trials: (trials * timed.compile + whole * recipe.epochs * epoch) / beside,
          finals: (Math.ceil(finalists / beside) + 1) * (timed.compile + epoch * finalEpochs)
        }
  if (json)
    return yield* Console.log(
      JSON.stringify(
        {
          strategy: strategyName,
          trials,
          epochs: recipe.epochs,
          rungs: fidelity._tag === "Full" ? [recipe.epochs] : rungs,
          dataset: dataset.name,
          workers,
          targetMacs: target ?? null,
          within,
          space: {
            name: of.name,
            size: Space.showCount(Space.size(space)),
            distinct: Space.showCount(Space.distinct(space))
          },
          feasible,
          seconds: seconds ?? null
        },
        null,
        2
      )
    )
  return yield* Console.log(
    [
      `Would search ${format.plural(trials, "trial")} by ${strategyName} on ${dataset.name} (${Recipe.examplesOf(dataset.train.size)(recipe)} training examples, batch ${recipe.batch}), seed ${plan.seed}, ${format.plural(workers, "worker")}`,
      fidelity._tag === "Full"
        ? `  each trained for ${format.plural(recipe.epochs, "epoch")}`
        : `  by ${fidelity._tag.toLowerCase()}: results after ${rungs.join(", ")} epochs, together about ${format.plural(Math.round(whole), "training")} of ${recipe.epochs} epochs`,
      `Space: ${of.name}, ${Space.showCount(Space.size(space))} choices, ${Space.showCount(Space.distinct(space))} networks`,
      ...(bounds.length === 0
        ? []
        : [`  of these ${percent(feasible.share, 1.96 * feasible.error)} have ${bounds.join(", ")}`]),
      ...constrained.mismatches.map(
        ({ cost }) => `  the chain of ${cost} does not fit this space: bounds on it are met by drawing and rejecting`
      ),
      ...(target === undefined ? [] : [`  the reward's target is ${format.cost("macs", target)}`]),
      seconds === undefined
        ? "Time: not known, since the evaluator comes from the config"
        : `Time: about ${format.time(seconds.trials)} for the trials (${format.time(seconds.trial)} for one on one worker), ${format.time(seconds.finals)} for the finals: ${format.plural(finalists, "training")} of ${format.plural(finalEpochs, "epoch")} and one of the best`,
      "Nothing was written."
    ].join("\n")
  )
}, Effect.scoped)

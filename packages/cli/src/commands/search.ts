/** `uninet search`: searches, then compares, tests and exports the best network. */
import { SearchStrategy, Strategies } from "@uninet/controller"
import { Dataset, Datasets } from "@uninet/data"
import { Dsms } from "@uninet/dsm"
import { NetworkCosts } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { Finals, Journal, NothingFound, Reward, Search, WorkerEvaluator } from "@uninet/search"
import { Architecture, Constrained, Constraint, Prng, SearchSpace, Space, UniNetSpace } from "@uninet/search-space"
import { Recipe } from "@uninet/trainer"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import * as best from "../internal/best.ts"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as progress from "../internal/progress.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as training from "../internal/training.ts"

/** What decides the results of trials, as the journal keeps it. */
const Settings = Schema.Struct({
  strategy: Schema.String,
  dataset: Schema.String,
  recipe: Recipe.Recipe,
  target: Schema.Finite,
  most: Schema.Finite
})

/** What does not. */
const Notes = Schema.Struct({ trials: Schema.Int, finalists: Schema.Int, finalEpochs: Schema.Int })

/** Everything that a search is told. */
interface Plan {
  readonly folder: string
  readonly resume: boolean
  readonly strategy: Strategies.Name
  readonly dataset: string
  readonly seed: string
  readonly recipe: Recipe.Recipe
  /** `undefined` until the space is known: then its seed network's. */
  readonly target: number | undefined
  readonly most: number | undefined
  readonly trials: number
  readonly finalists: number
  readonly finalEpochs: number
  readonly workers: number
  readonly device: Device.Chosen
}

const config = {
  trials: flags.whole("trials").pipe(Flag.optional, Flag.withDescription("Architectures to train (default 32)")),
  epochs: flags.whole("epochs").pipe(Flag.optional, Flag.withDescription("Epochs of each trial (default 1)")),
  batch: flags.whole("batch").pipe(Flag.optional, Flag.withDescription("Images per training step (default 64)")),
  strategy: Flag.String("strategy").pipe(
    Flag.withMetavar("name"),
    Flag.optional,
    Flag.withDescription(`Who proposes: ${Strategies.names.join(", ")} (default ppo)`)
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Decides everything random; the same seed gives the same search (default 0)")
  ),
  targetMacs: flags
    .macs("target-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription("T of the reward ACC · (MACs / T)^-0.07, such as 1.5M (default: the space's seed network's)")
    ),
  maxMacs: flags
    .macs("max-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription("Architectures above this are never trained (default: 1.5 times the target)")
    ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(`${Datasets.names.join(", ")}, or a folder of images (default mnist)`)
  ),
  out: Flag.Path("out").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("A new folder for the journal and the best network (default: a new one in runs/)")
  ),
  resume: Flag.Path("resume").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("Go on with the search in this folder; --trials may be raised")
  ),
  workers: flags
    .whole("workers")
    .pipe(Flag.optional, Flag.withDescription("Training processes of one thread each (default: one for each core)")),
  finalists: flags
    .whole("finalists")
    .pipe(Flag.optional, Flag.withDescription("How many of the best are trained again and compared (default 3)")),
  finalEpochs: flags
    .whole("final-epochs")
    .pipe(Flag.optional, Flag.withDescription("Epochs of these trainings (default: four times those of a trial)")),
  device: flags.device.pipe(Flag.withDefault(Device.standard)),
  json: flags.json
}
type Flags = Command.Command.Config.Infer<typeof config>

const or = <A>(flag: Option.Option<A>, other: A): A => Option.getOrElse(flag, () => other)

const strategyNamed = (name: string) =>
  Strategies.isName(name)
    ? Effect.succeed(name)
    : Effect.fail(usage(`--strategy is "${name}". Give one of ${Strategies.names.join(", ")}.`))

/** A folder is the same data set from wherever it is named. */
const datasetNamed = Effect.fnUntraced(function* (name: string) {
  const path = yield* Path.Path
  return Datasets.names.includes(name) ? name : path.resolve(name)
})

const planNew = Effect.fnUntraced(function* (given: Flags) {
  const strategy = yield* strategyNamed(or(given.strategy, "ppo"))
  const epochs = or(given.epochs, 1)
  return {
    folder: Option.isSome(given.out) ? given.out.value : yield* runFolder.fresh(strategy),
    resume: false,
    strategy,
    dataset: yield* datasetNamed(or(given.dataset, "mnist")),
    seed: or(given.seed, "0"),
    // A high rate, found on MNIST: what counts is how far one short epoch comes [ours].
    recipe: { ...Recipe.proxy, learningRate: 0.01, epochs, batch: or(given.batch, 64) },
    target: Option.getOrUndefined(given.targetMacs),
    most: Option.getOrUndefined(given.maxMacs),
    trials: or(given.trials, 32),
    finalists: or(given.finalists, 3),
    finalEpochs: or(given.finalEpochs, 4 * epochs),
    workers: or(given.workers, availableParallelism()),
    device: yield* Device.choose(given.device)
  } satisfies Plan
})

/** Flags that a resumed search takes from its journal. */
const fixed = ["epochs", "batch", "strategy", "seed", "targetMacs", "maxMacs", "dataset", "out"] as const

const planResumed = Effect.fnUntraced(function* (folder: string, given: Flags) {
  const path = yield* Path.Path
  const name = yield* runFolder.shown(folder)
  const extra = fixed.find((flag) => given[flag]._tag === "Some")
  if (extra !== undefined) {
    const flag = `--${extra.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`
    return yield* usage(`${flag} cannot be given with --resume, which takes it from the journal. Leave ${flag} out.`)
  }
  const { identity } = yield* Effect.mapError(
    Journal.read(path.join(folder, runFolder.files.journal)),
    at(`--resume ${name}`)
  )
  const foreign = () =>
    fault(`--resume ${name}: its journal was not written by uninet search. Give the folder of a search.`)
  const settings = yield* Effect.mapError(Schema.decodeUnknownEffect(Settings)(identity.settings), foreign)
  const notes = yield* Effect.mapError(Schema.decodeUnknownEffect(Notes)(identity.notes), foreign)
  return {
    ...settings,
    folder,
    resume: true,
    strategy: yield* strategyNamed(settings.strategy),
    seed: identity.seed,
    trials: or(given.trials, notes.trials),
    finalists: or(given.finalists, notes.finalists),
    finalEpochs: or(given.finalEpochs, notes.finalEpochs),
    workers: or(given.workers, availableParallelism()),
    device: yield* Device.choose(given.device)
  } satisfies Plan
})

/** The space for a data set, and the budget, checked before anything is trained. */
const spaceFor = Effect.fnUntraced(function* (plan: Plan, dataset: Dataset.DatasetShape) {
  const { channels, height, width } = dataset.image
  const space = yield* Effect.mapError(
    Effect.fromResult(UniNetSpace.make({ image: { height, width }, channels, classes: dataset.classes.length })),
    at("--dataset")
  )
  const cost = NetworkCosts.forSpace()
  const within = (most: number) => Constrained.make(space, Constraint.bounds(cost, { macs: { max: most } }))
  const target = plan.target ?? cost.of(UniNetSpace.seedPoint(space)).macs
  const most = plan.most ?? Math.round(1.5 * target)
  for (const [flag, value] of [
    ["--target-macs", target],
    ["--max-macs", most]
  ] as const) {
    const met = within(value)
    if (Result.isFailure(met)) {
      const least = met.failure.quantities[0]?.value ?? Number.NaN
      return yield* fault(
        `${flag} ${value} is less than any network of the space has: the smallest has ${least} MACs. Give at least that.`
      )
    }
  }
  return { space, target, most, constraints: Constraint.bounds(cost, { macs: { max: most } }) }
})

const strategyLayer = (
  { seed, strategy }: Plan,
  space: Space.Space<Architecture.Architecture>,
  constraints: ReadonlyArray<Constraint.Constraint<Architecture.Architecture>>
) =>
  Layer.effect(
    SearchStrategy,
    Effect.gen(function* () {
      const domain = yield* Effect.fromResult(Constrained.make(space, constraints))
      return yield* Strategies.all[strategy](domain, Prng.fromSeed(seed).split("strategy"))
    })
    // A policy is so small that no other device is faster, and the same search proposes the same on all of them.
  ).pipe(Layer.provide(OnnxRuntime.cpu()))

const stages = "stages 1 – 5: module, operator, expansion, channels × repeats, / stride"

/** The best trials, best first; their networks with them where the terminal has room. */
const table = (records: ReadonlyArray<Search.Record>): string => {
  const wide = (process.stdout.columns ?? Number.POSITIVE_INFINITY) >= 160
  const out = new Table({
    head: ["trial", "validation", "MACs", "parameters", "reward", ...(wide ? [stages] : [])],
    colAligns: ["right", "right", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true }
  })
  for (const { architecture, costs, outcome, trial } of Search.ranking(records).slice(0, 10))
    out.push([
      trial,
      format.percent(outcome.evaluation.accuracy),
      format.count(costs.macs),
      format.count(costs.parameters),
      outcome.reward.toFixed(4),
      ...(wide ? [searched(architecture)] : [])
    ])
  return out.toString()
}

/** The stages that are searched, in a line. */
const searched = (architecture: Architecture.Architecture) =>
  Architecture.line({ ...architecture, stages: architecture.stages.slice(1) })

/** What has become of the trials, in words. */
const tally = ({ exhausted, records }: Search.Found): string => {
  const of = (tag: Search.Outcome["_tag"]) => records.filter(({ outcome }) => outcome._tag === tag).length
  const [failed, refused] = [of("Failed"), of("Refused")]
  return [
    `${format.plural(of("Scored"), "architecture")} trained`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(refused > 0 ? [`${refused} refused before training`] : []),
    ...(exhausted ? ["the space has no more"] : [])
  ].join(", ")
}

const summary = (found: best.Best, name: string): string =>
  [
    `Best: trial ${found.trial}, ${format.count(found.costs.macs)} MACs, ${format.count(found.costs.parameters)} parameters, trained again for ${format.plural(found.metrics.epochs, "epoch")}:`,
    `  ${searched(found.architecture)}`,
    `  ${format.percent(found.metrics.validationAccuracy, 2)} on the validation split, by which it was chosen`,
    `  ${format.percent(found.metrics.testAccuracy, 2)} on the test split, which nothing was chosen by`,
    `${name}/ has ${Object.values(runFolder.files).join(", ")}`
  ].join("\n")

const execute = Effect.fnUntraced(function* (plan: Plan, json: boolean) {
  const path = yield* Path.Path
  const began = performance.now()
  const name = yield* runFolder.shown(plan.folder)
  const dataset = yield* Dataset.Dataset
  if (plan.recipe.batch > dataset.train.size)
    return yield* fault(
      `--batch ${plan.recipe.batch} is more than the ${dataset.train.size} training images of ${plan.dataset}. Give at most that.`
    )
  const { constraints, most, space, target } = yield* spaceFor(plan, dataset)
  const { dataset: datasetName, finalEpochs, finalists, recipe, seed, trials } = plan
  const reward = Reward.mnas({ target })

  const strategy = yield* Effect.mapError(
    Layer.build(strategyLayer(plan, space, constraints)),
    at(`--strategy ${plan.strategy}`)
  )
  if (!plan.resume) yield* runFolder.create(plan.folder)
  const services = yield* Layer.build(
    Layer.mergeAll(
      Journal.sqlite(path.join(plan.folder, runFolder.files.journal), { existing: plan.resume ? "resume" : "refuse" }),
      WorkerEvaluator.layer({
        module: new URL(
          import.meta.url.endsWith(".ts") ? "../internal/training.ts" : "../internal/training.js",
          import.meta.url
        ),
        options: { dataset: datasetName, recipe, device: plan.device } satisfies training.Options,
        workers: Math.min(plan.workers, trials, Search.defaultAhead)
      }),
      Layer.succeed(SearchSpace, space),
      Operators.standard,
      Dsms.standard
    )
  )

  const interrupted = Effect.suspend(() =>
    Console.error(`\nStopped. The trials so far are kept in ${name}; go on with: uninet search --resume ${name}`)
  )
  return yield* Effect.gen(function* () {
    const display = yield* progress.make(trials)
    const found = yield* Search.run({
      trials,
      seed,
      reward,
      constraints,
      settings: { dataset: datasetName, recipe: { ...recipe, schedule: { ...recipe.schedule } }, target, most },
      notes: { trials, finalists, finalEpochs },
      onEvent: display.onEvent
    })
    yield* display.stop
    const candidates = Search.ranking(found.records).slice(0, finalists)
    const searchSeconds = (performance.now() - began) / 1000
    if (!json) yield* Console.log(`\n${tally(found)} in ${format.time(searchSeconds)}\n${table(found.records)}\n`)
    if (candidates.length === 0) {
      const last = found.records.findLast(({ outcome }) => outcome._tag === "Failed")?.outcome
      return yield* new NothingFound({
        trials: found.records.length,
        last: last?._tag === "Failed" ? last.detail : "it was refused"
      })
    }
    const finished = yield* Finals.run({ candidates, epochs: finalEpochs, seed, reward, onProgress: display.onFinal })
    yield* display.stop
    const before = candidates.find(({ trial }) => trial === finished.winner.trial)
    const written = yield* best.write(plan.folder, finished, {
      dataset,
      datasetName,
      seed,
      searchAccuracy: before?.outcome.evaluation.accuracy ?? 0
    })
    const seconds = (performance.now() - began) / 1000
    const count = (tag: Search.Outcome["_tag"]) => found.records.filter(({ outcome }) => outcome._tag === tag).length
    yield* json
      ? Console.log(
          JSON.stringify(
            {
              out: plan.folder,
              trials: { scored: count("Scored"), failed: count("Failed"), refused: count("Refused") },
              seconds,
              best: written
            },
            null,
            2
          )
        )
      : Console.log(`${summary(written, name)}\n${format.time(seconds)} in all`)
  }).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.provide(strategy),
    Effect.onInterrupt(() => interrupted)
  )
}, Effect.scoped)

export const search = Command.make(
  "search",
  config,
  Effect.fnUntraced(function* (given) {
    if (Option.isSome(given.resume) && Option.isSome(given.out))
      return yield* usage("--out cannot be given with --resume, whose folder is used. Leave one of them out.")
    const plan = Option.isSome(given.resume) ? yield* planResumed(given.resume.value, given) : yield* planNew(given)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const trainer = yield* Effect.mapError(
          Layer.build(training.trainer(plan.dataset, plan.device)),
          Device.orElse(at("--dataset"))
        )
        yield* Effect.provide(execute(plan, given.json), trainer)
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Search architectures by training them, and export the best one"),
  Command.withExamples([
    { command: "uninet search", description: "32 trials on MNIST with PPO, into a new folder in runs/" },
    {
      command: "uninet search --strategy evolution --trials 100 --seed 7 --out runs/evolution",
      description: "Another strategy"
    },
    { command: "uninet search --target-macs 800K --epochs 2", description: "Smaller networks, trained for longer" },
    { command: "uninet search --resume runs/evolution --trials 200", description: "Go on, with more trials" }
  ])
)

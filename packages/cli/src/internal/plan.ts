/** Everything that a search is told: by its flags, by `uninet.config.ts`, or, resumed, by its journal. */
import { Strategies } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { Config, Fidelity, Journal, Search } from "@uninet/search"
import { Recipe } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, fault, said, usage } from "./CliFault.ts"
import * as Device from "./device.ts"
import * as flags from "./flags.ts"
import * as machines from "./machines.ts"
import * as runFolder from "./runFolder.ts"
import type * as Training from "./training.ts"

/** Fields of a config whose layers decide results. */
const Own = Schema.Literals(Config.deciding)

/** What decides the results of trials, as the journal keeps it beside what `Search` adds. */
export const Settings = Schema.Struct({
  /** `null` for the config module's own. */
  dataset: Schema.NullOr(Schema.String),
  recipe: Recipe.Recipe,
  target: Schema.Finite,
  most: Schema.Finite,
  /** The fields for which the config module has layers of its own, and the version of its code; `null` where there are none. */
  own: Schema.Array(Own),
  code: Schema.NullOr(Schema.String)
})

/** What `Search` adds to it. */
const Added = Schema.Struct({
  strategy: Schema.String,
  fidelity: Fidelity.Fidelity,
  objectives: Schema.Array(Schema.Literals(Search.objectives))
})

/** What does not. */
export const Notes = Schema.Struct({
  trials: Schema.Int,
  finalists: Schema.Int,
  finalEpochs: Schema.Int,
  /** Limits of one trial and of all of them; `null` for none. */
  trialTime: Schema.NullOr(Schema.Finite),
  trialMemory: Schema.NullOr(Schema.Finite),
  maxTotalMacs: Schema.NullOr(Schema.Finite),
  /** The config module's file. */
  config: Schema.NullOr(Schema.String)
})

/** Everything that a search is told. */
export interface Plan {
  readonly folder: string
  readonly resume: boolean
  /** The config module, where layers of it are used. */
  readonly config: Config.Loaded | undefined
  readonly own: (typeof Settings.Type)["own"]
  /** `null` for the config's own, as for the data set. */
  readonly strategy: Strategies.Name | null
  readonly dataset: string | null
  readonly seed: string
  readonly recipe: Recipe.Recipe
  /** `undefined` until the space is known: then its seed network's. */
  readonly target: number | undefined
  readonly most: number | undefined
  readonly fidelity: Fidelity.Fidelity
  readonly objectives: ReadonlyArray<Search.Objective>
  readonly trials: number
  readonly finalists: number
  readonly finalEpochs: number
  /** Limits, in seconds, bytes and multiply-accumulates; `null` for none. */
  readonly trialTime: number | null
  readonly trialMemory: number | null
  readonly maxTime: number | null
  readonly maxTotalMacs: number | null
  readonly workers: number
  readonly device: Device.Chosen
}

/** The flags, which are the config's plain fields; they have no defaults here, so that the config's can be told from them. */
export const config = {
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
  config: Flag.Path("config").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription(
      "A module that describes the search (default: uninet.config.ts here); flags go before its fields"
    )
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
  database: machines.database.pipe(
    Flag.withDescription(
      `Train on the machines on which uninet worker runs with this PostgreSQL database (default: the environment's ${machines.variable}, else on this machine)`
    )
  ),
  fidelity: Flag.Literals("fidelity", Fidelity.names).pipe(
    Flag.optional,
    Flag.withDescription(
      "full trains every trial for all --epochs; halving, asha and median only the better ones, on rungs (default full)"
    )
  ),
  minEpochs: flags
    .whole("min-epochs")
    .pipe(Flag.optional, Flag.withDescription("Epochs of the first rung (default 1)")),
  rungFactor: flags
    .whole("rung-factor", 2)
    .pipe(Flag.optional, Flag.withDescription("One in so many goes on to the next rung (default 3)")),
  objectives: Flag.String("objectives").pipe(
    Flag.withMetavar("a,b"),
    Flag.optional,
    Flag.withDescription(
      `Two or more of ${Search.objectives.join(", ")}: a search for a Pareto front, best with nsga2 (default: the reward)`
    )
  ),
  trialTime: flags
    .seconds("trial-time")
    .pipe(Flag.optional, Flag.withDescription("Longest time for one trial, such as 10min (default: any)")),
  trialMemory: flags
    .bytes("trial-memory")
    .pipe(Flag.optional, Flag.withDescription("Most memory of a worker, such as 2G (default: any)")),
  maxTime: flags
    .seconds("max-time")
    .pipe(Flag.optional, Flag.withDescription("Begin no more trials after this time, such as 2h (default: any)")),
  maxTotalMacs: flags
    .totalMacs("max-total-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription(
        "Begin no more trials after trainings of so many multiply-accumulates, such as 20T (default: any)"
      )
    ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Say what would be searched, and about how long it takes; nothing is written")
  ),
  device: flags.device.pipe(Flag.withDefault(Device.standard)),
  json: flags.json
}
export type Flags = Command.Command.Config.Infer<typeof config>

const strategyNamed = (name: string) =>
  Strategies.isName(name)
    ? Effect.succeed(name)
    : Effect.fail(usage(`--strategy is "${name}". Give one of ${Strategies.names.join(", ")}.`))

/** `accuracy,macs`. */
const objectivesNamed = Effect.fnUntraced(function* (text: string) {
  const given = text.split(",").map((name) => name.trim())
  const known = given.flatMap((name) => Search.objectives.filter((objective) => objective === name))
  return known.length === given.length && known.length > 1
    ? known
    : yield* usage(`--objectives is "${text}". Give two or more of ${Search.objectives.join(", ")}, with commas.`)
})

/** A folder is the same data set from wherever it is named. */
export const datasetNamed = Effect.fnUntraced(function* (name: string, from: string) {
  const path = yield* Path.Path
  return Datasets.names.includes(name) ? name : path.resolve(from, name)
})

/** The config that is asked for, or that lies here. */
const configFor = (flag: Option.Option<string>) =>
  Option.match(flag, {
    onNone: () => {
      const here = Config.find(process.cwd())
      return here === undefined ? Effect.succeed(undefined) : Effect.mapError(Config.load(here), said)
    },
    onSome: (file) => Effect.mapError(Config.load(file), at("--config"))
  })

/** The layers of a config's own that are used: flags go before its fields. */
const ownOf = (loaded: Config.Loaded | undefined, given: Flags): Plan["own"] =>
  loaded === undefined
    ? []
    : Config.ownLayers(loaded.config).filter(
        (field) => !((field === "dataset" || field === "strategy") && Option.isSome(given[field]))
      )

/** A high rate, found on MNIST: what counts is how far one short epoch comes [ours]. */
export const recipe: Recipe.Recipe = { ...Recipe.proxy, learningRate: 0.01 }

const or = <A, B = A>(flag: Option.Option<A>, field: A | undefined, other: B): A | B =>
  Option.getOrElse(flag, () => field ?? other)

/** The plan of a new search. */
export const fresh = Effect.fnUntraced(function* (given: Flags) {
  const path = yield* Path.Path
  const loaded = yield* configFor(given.config)
  const fields = loaded?.config ?? {}
  const beside = loaded === undefined ? process.cwd() : path.dirname(loaded.path)
  const own = ownOf(loaded, given)

  const strategy = own.includes("strategy")
    ? null
    : Option.isSome(given.strategy)
      ? yield* strategyNamed(given.strategy.value)
      : typeof fields.strategy === "string"
        ? fields.strategy
        : "ppo"
  const dataset = own.includes("dataset")
    ? null
    : Option.isSome(given.dataset)
      ? yield* datasetNamed(given.dataset.value, process.cwd())
      : yield* datasetNamed(typeof fields.dataset === "string" ? fields.dataset : "mnist", beside)
  const epochs = or(given.epochs, fields.epochs, fields.recipe?.epochs ?? 1)
  const base = fields.recipe ?? recipe
  const from = or(given.minEpochs, fields.minEpochs, 1)
  if (from > epochs)
    return yield* usage(`--min-epochs ${from} is more than the ${epochs} of --epochs. Give at most that.`)
  const fidelity = Fidelity.named(or(given.fidelity, fields.fidelity, "full"), {
    epochs,
    from,
    factor: or(given.rungFactor, fields.rungFactor, 3)
  })
  return {
    folder: Option.isSome(given.out)
      ? given.out.value
      : fields.out === undefined
        ? yield* runFolder.fresh(strategy ?? "own")
        : path.resolve(beside, fields.out),
    resume: false,
    config: own.length > 0 ? loaded : undefined,
    own,
    strategy,
    dataset,
    seed: or(given.seed, fields.seed === undefined ? undefined : String(fields.seed), "0"),
    recipe: { ...base, epochs, batch: or(given.batch, fields.batch, base.batch) },
    target: Option.getOrElse(given.targetMacs, () => fields.targetMacs),
    most: Option.getOrElse(given.maxMacs, () => fields.maxMacs),
    fidelity,
    objectives: Option.isSome(given.objectives)
      ? yield* objectivesNamed(given.objectives.value)
      : (fields.objectives ?? []),
    trialTime: or(given.trialTime, fields.trialTime, null),
    trialMemory: or(given.trialMemory, fields.trialMemory, null),
    maxTime: or(given.maxTime, fields.maxTime, null),
    maxTotalMacs: or(given.maxTotalMacs, fields.maxTotalMacs, null),
    trials: or(given.trials, fields.trials, 32),
    finalists: or(given.finalists, fields.finalists, 3),
    finalEpochs: or(given.finalEpochs, fields.finalEpochs, 4 * epochs),
    workers: or(given.workers, fields.workers, availableParallelism()),
    device: yield* Device.choose(given.device)
  } satisfies Plan
})

/** Flags that a resumed search takes from its journal. */
const fixed = [
  "epochs",
  "batch",
  "strategy",
  "seed",
  "targetMacs",
  "maxMacs",
  "dataset",
  "out",
  "fidelity",
  "minEpochs",
  "rungFactor",
  "objectives"
] as const

/** What a folder's journal says of its search, given as `flag`. */
export const recorded = Effect.fnUntraced(function* (folder: string, flag: string) {
  const path = yield* Path.Path
  const name = yield* runFolder.shown(folder)
  const { entries, identity } = yield* Effect.mapError(
    Journal.read(path.join(folder, runFolder.files.journal)),
    at(`${flag}${name}`)
  )
  const foreign = () =>
    fault(`${flag}${name}: its journal was not written by uninet search. Give the folder of a search.`)
  const settings = yield* Effect.mapError(Schema.decodeUnknownEffect(Settings)(identity.settings), foreign)
  const notes = yield* Effect.mapError(Schema.decodeUnknownEffect(Notes)(identity.notes), foreign)
  const added = yield* Effect.mapError(Schema.decodeUnknownEffect(Added)(identity.settings), foreign)
  return { entries, settings, notes, ...added, seed: identity.seed }
})
export type Recorded = Effect.Success<ReturnType<typeof recorded>>

/** The plan of the search in a folder. */
export const ofRun = Effect.fnUntraced(function* (
  folder: string,
  { fidelity, notes, objectives, seed, settings, strategy }: Recorded,
  file: Option.Option<string>
) {
  const wanted = Option.getOrElse(file, () => (settings.own.length > 0 ? (notes.config ?? undefined) : undefined))
  const loaded = wanted === undefined ? undefined : yield* Effect.mapError(Config.load(wanted), at("--config"))
  return {
    folder,
    resume: true,
    config: settings.own.length > 0 ? loaded : undefined,
    own: settings.own,
    strategy: settings.own.includes("strategy") ? null : yield* strategyNamed(strategy),
    dataset: settings.dataset,
    seed,
    recipe: settings.recipe,
    target: settings.target,
    most: settings.most,
    fidelity,
    objectives,
    trialTime: notes.trialTime,
    trialMemory: notes.trialMemory,
    maxTime: null,
    maxTotalMacs: notes.maxTotalMacs,
    trials: notes.trials,
    finalists: notes.finalists,
    finalEpochs: notes.finalEpochs,
    workers: availableParallelism(),
    device: Device.standard
  } satisfies Plan
})

/** The plan of a search that is gone on with. */
export const resumed = Effect.fnUntraced(function* (folder: string, given: Flags) {
  const extra = fixed.find((flag) => given[flag]._tag === "Some")
  if (extra !== undefined) {
    const flag = `--${extra.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    return yield* usage(`${flag} cannot be given with --resume, which takes it from the journal. Leave ${flag} out.`)
  }
  const plan = yield* ofRun(folder, yield* recorded(folder, "--resume "), given.config)
  return {
    ...plan,
    trialTime: or(given.trialTime, undefined, plan.trialTime),
    trialMemory: or(given.trialMemory, undefined, plan.trialMemory),
    maxTime: or(given.maxTime, undefined, plan.maxTime),
    maxTotalMacs: or(given.maxTotalMacs, undefined, plan.maxTotalMacs),
    trials: Option.getOrElse(given.trials, () => plan.trials),
    finalists: Option.getOrElse(given.finalists, () => plan.finalists),
    finalEpochs: Option.getOrElse(given.finalEpochs, () => plan.finalEpochs),
    workers: Option.getOrElse(given.workers, () => plan.workers),
    device: yield* Device.choose(given.device)
  } satisfies Plan
})

/** What the journal is told beside what decides the results. */
export const notesOf = (plan: Plan): typeof Notes.Type => ({
  trials: plan.trials,
  finalists: plan.finalists,
  finalEpochs: plan.finalEpochs,
  trialTime: plan.trialTime,
  trialMemory: plan.trialMemory,
  maxTotalMacs: plan.maxTotalMacs,
  config: plan.config?.path ?? null
})

/** What an evaluator is told, here or in a worker; with a folder for trainings that are gone on with. */
export const training = (plan: Plan, checkpoints?: string): Training.Options => ({
  device: plan.device,
  setup: {
    config: plan.config === undefined ? null : { url: plan.config.url, version: plan.config.version },
    dataset: plan.dataset,
    recipe: plan.recipe,
    ...(checkpoints === undefined ? {} : { checkpoints })
  }
})

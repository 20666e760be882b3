/** Everything that a search is told: by its flags, by `uninet.config.ts`, or, when resumed, by its journal. */
import { type Lesson, Strategies } from "@uninet/controller"
import { Datasets } from "@uninet/data"
import { Measures } from "@uninet/latency"
import { Recipe, Task } from "@uninet/model-space"
import { Proxies } from "@uninet/predictor"
import { Config, Fidelity, Journal, Reward, Search, SpaceSource, Units } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import { Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, type CliFault, fault, said, usage } from "./CliFault.ts"
import * as command from "./command.ts"
import * as Device from "./device.ts"
import * as flags from "./flags.ts"
import * as machines from "./machines.ts"
import * as paths from "./paths.ts"
import * as runFolder from "./runFolder.ts"
import * as spaces from "./spaces.ts"
import * as teachers from "./teachers.ts"
import type * as Training from "./training.ts"

/** `macs<=2M,parameters>=10K`: any name, any number. */
const within = Effect.fnUntraced(function* (text: string) {
  const found: Record<string, { min?: number; max?: number }> = {}
  for (const part of text.split(",")) {
    const [, name = "", sign, amount = ""] = /^\s*(.*?)\s*(<=|>=)\s*(.*?)\s*$/.exec(part) ?? []
    const value = Units.parseBound(amount)
    if (name === "" || Option.isNone(value))
      return yield* usage(
        `--within has "${part.trim()}". Give bounds on costs, such as parameters<=200K or macs>=1M,macs<=2M.`
      )
    const side = sign === "<=" ? "max" : "min"
    const bound = Object.hasOwn(found, name) ? (found[name] ?? {}) : {}
    if (bound[side] !== undefined)
      return yield* usage(`--within bounds ${name} by ${sign} twice. Give the tighter one alone.`)
    const { max = Infinity, min = -Infinity } = (found[name] = { ...bound, [side]: value.value })
    if (min > max)
      return yield* usage(
        `--within asks for ${name} of ${min} or more and ${max} or less. Give bounds that a number meets.`
      )
  }
  return found
})

/** Fields of a config whose code decides results. */
const Own = Schema.Literals(Config.deciding)

const Window = Schema.Struct({ min: Schema.optionalKey(Schema.Finite), max: Schema.optionalKey(Schema.Finite) })
const Within = Schema.Record(Schema.String, Window)

/** What decides the results of trials, as the journal stores it in addition to what `Search` adds. The space is identified by its fingerprint. */
export const Settings = Schema.Struct({
  /** `null` for the config module's own. */
  dataset: Schema.NullOr(Schema.String),
  recipe: Recipe.Recipe,
  within: Within,
  /** Whether images that cannot be read are left out; absent if they are not. */
  skipBad: Schema.optionalKey(Schema.Boolean),
  /** The fields for which the config module has its own code, and its version; `null` if there are none. */
  own: Schema.Array(Own),
  code: Schema.NullOr(Schema.String),
  /** Networks to try first. Absent if there are none. */
  startWith: Schema.optionalKey(Schema.Array(Schema.Json))
})

/** What `Search` adds to it. */
const Added = Schema.Struct({
  strategy: Schema.String,
  fidelity: Fidelity.Fidelity,
  objectives: Schema.Array(Schema.Struct({ name: Schema.String, direction: Task.Direction })),
  /** Data, or a mark that it is the config's own. */
  reward: Schema.Union([Reward.Reward, Schema.Struct({ _tag: Schema.Literal("Own") })]),
  ahead: Schema.Int,
  /** Absent if every proposal is trained. */
  screen: Schema.optionalKey(Schema.Finite),
  /** Proxies by name. Absent if its predictor only knows choices and costs. */
  screenBy: Schema.optionalKey(Schema.String)
})

/** What does not decide the results. */
export const Notes = Schema.Struct({
  trials: Schema.Int,
  finalists: Schema.Int,
  finalEpochs: Schema.Int,
  /** Limits of one trial and of all trials; `null` for none. */
  trialTime: Schema.NullOr(Schema.Finite),
  trialMemory: Schema.NullOr(Schema.Finite),
  maxTotalMacs: Schema.NullOr(Schema.Finite),
  /** Whether workers on other machines were not checked for their surroundings. */
  mixed: Schema.optionalKey(Schema.Boolean),
  /** The config module's file. */
  config: Schema.NullOr(Schema.String),
  /** The device file from which its networks have a latency; absent if there is none. Its content is part of the space's fingerprint. */
  deviceFile: Schema.optionalKey(Schema.String),
  /** The teacher of its networks; absent if there is none. */
  teacher: Schema.optionalKey(teachers.Named),
  space: SpaceSource.SpaceSource,
  /** The search's measures, for readers that only have the journal. */
  task: Schema.Struct({
    decides: Schema.String,
    measures: Schema.Record(Schema.String, Task.Direction),
    shares: Schema.Array(Schema.String)
  })
})

/** What a search takes from others: from flags, or from its journal. */
export interface Given {
  /** A file of networks, or a run. */
  readonly startWith: string | undefined
  /** Folders of runs. */
  readonly learnFrom: ReadonlyArray<string>
  readonly points: ReadonlyArray<Schema.Json>
  readonly lessons: ReadonlyArray<Lesson.Lesson>
  readonly retryFailed: boolean
}

/** Everything that a search is told. */
export interface Plan extends runFolder.Place {
  readonly resume: boolean
  /** The config module, if layers from it are used. */
  readonly config: Config.Loaded | undefined
  readonly own: (typeof Settings.Type)["own"]
  readonly space: SpaceSource.SpaceSource
  /** `null` for the config's own, as with the data set. */
  readonly strategy: Strategies.Name | null
  readonly dataset: string | null
  readonly skipBad: boolean
  /** The device file from which networks have a latency. */
  readonly deviceFile: string | undefined
  /** The teacher of the networks; absent if there is none. */
  readonly teacher?: teachers.Named
  readonly seed: string
  readonly recipe: Recipe.Recipe
  /** Whether only such parts of the recipe were asked for as any task allows: then the recipe is adapted to the task. */
  readonly recipeFits: boolean
  /** `undefined` for the default, which depends on the space. */
  readonly reward: Reward.Reward | Reward.Own<unknown, string> | undefined
  /** The measure that the default reward uses; `undefined` for the deciding one. */
  readonly rewarded: string | undefined
  /** Measures besides the task's, for custom rewards. */
  readonly also: ReadonlyArray<string>
  /** Multiply-accumulates; `undefined` for the default. */
  readonly target: number | undefined
  readonly most: number | undefined
  readonly within: typeof Within.Type
  readonly fidelity: Fidelity.Fidelity
  readonly objectives: ReadonlyArray<Search.Objective<unknown>>
  readonly ahead: number
  /** The share of proposals that is trained; absent if all are. */
  readonly screen?: number
  /** Proxies by name, separated by commas, that its predictor also uses. */
  readonly screenBy?: string
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
  /** Whether trials may have different data, software, engines and machines, and whether some may have had. */
  readonly allowMixed: boolean
  readonly isMixed: boolean
  readonly given: Given
  /** Whether another strategy than its journal's continues it. */
  readonly isReplaced: boolean
}

/** The flags, which are the config's plain fields. They have no defaults here, so that the config's can be told from them. */
export const config = {
  space: Flag.String("space").pipe(
    Flag.withMetavar("name|file"),
    Flag.optional,
    Flag.withDescription(
      `Space to search: ${spaces.names.join(", ")}, or a module with your own ModelSpace (default uninet)`
    )
  ),
  trials: flags
    .whole("trials", 1, 10_000_000)
    .pipe(Flag.optional, Flag.withDescription("Networks to train (default 32)")),
  epochs: flags
    .whole("epochs", 1, 1_000_000)
    .pipe(Flag.optional, Flag.withDescription("Epochs of each trial (default 1)")),
  batch: flags.batch.pipe(Flag.optional, Flag.withDescription("Examples per training step (default 64)")),
  strategy: Flag.String("strategy").pipe(
    Flag.withMetavar("name"),
    Flag.optional,
    Flag.withDescription(`What proposes networks: ${Strategies.names.join(", ")} (default ppo)`)
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Decides everything random; the same seed gives the same search (default 0)")
  ),
  reward: Flag.String("reward").pipe(
    Flag.withMetavar("measure"),
    Flag.optional,
    Flag.withDescription(
      "Measure to reward, such as int8Accuracy, the accuracy in eight bits (default: the deciding measure)"
    )
  ),
  targetMacs: flags
    .macs("target-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription(
        "T of the reward: the measure · (MACs / T)^-0.07, such as 1.5M (default for uninet: its seed network's; else no penalty)"
      )
    ),
  maxMacs: flags
    .macs("max-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription("Networks above this are never trained (default: 1.5 times the target, if there is one)")
    ),
  within: Flag.String("within").pipe(
    Flag.withMetavar("bounds"),
    Flag.optional,
    Flag.withDescription(
      "Bounds on any costs of the space, such as parameters<=200K; on peakMemory and fileSize, in bytes; and, with --device-file, on latency, such as latency<=2ms, or on int8Latency if the file is for eight bits (default: none)"
    )
  ),
  deviceFile: Flag.Path("device-file").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription(
      "A device file from uninet profile: every network then has its latency on that device, for --within, --objectives and rewards"
    )
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      `${Datasets.names.join(", ")}, a folder of images, or a module with a data set (default mnist)`
    )
  ),
  config: Flag.Path("config").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription(
      "A module that describes the search (default: uninet.config.ts in the current folder); flags take precedence over its fields"
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
    Flag.withDescription("Continue the search in this folder; --trials may be raised")
  ),
  workers: flags.workers.pipe(
    Flag.optional,
    Flag.withDescription("Training processes of one thread each (default: one for each core)")
  ),
  finalists: flags
    .whole("finalists")
    .pipe(Flag.optional, Flag.withDescription("How many of the best are trained again and compared (default 3)")),
  finalEpochs: flags
    .whole("final-epochs", 1, 1_000_000)
    .pipe(Flag.optional, Flag.withDescription("Epochs of these trainings (default: four times those of a trial)")),
  database: machines.database.pipe(
    Flag.withDescription(
      `Train on the machines that run uninet worker with this PostgreSQL database (default: the environment's ${machines.variable}, else on this machine)`
    )
  ),
  fidelity: Flag.Literals("fidelity", Fidelity.names).pipe(
    Flag.optional,
    Flag.withDescription(
      "full trains every trial for all --epochs; halving, asha and median only the better ones, on rungs (default full)"
    )
  ),
  minEpochs: flags
    .whole("min-epochs", 1, 1_000_000)
    .pipe(Flag.optional, Flag.withDescription("Epochs of the first rung (default 1)")),
  rungFactor: flags
    .whole("rung-factor", 2)
    .pipe(Flag.optional, Flag.withDescription("One in this many continues to the next rung (default 3)")),
  objectives: Flag.String("objectives").pipe(
    Flag.withMetavar("a,b"),
    Flag.optional,
    Flag.withDescription(
      "Two or more measures or costs, such as accuracy,macs: a search for a Pareto front, best with nsga2 (default: the reward)"
    )
  ),
  ahead: flags
    .whole("ahead", 1, 100_000)
    .pipe(
      Flag.optional,
      Flag.withDescription(
        "Proposals that may be pending at a time, and so networks in training at a time on all machines together: more keep more workers busy, fewer learn sooner (default 8)"
      )
    ),
  screen: flags
    .share("screen")
    .pipe(
      Flag.optional,
      Flag.withDescription(
        "Train only this share of the proposals, such as 0.25: the best by a predictor fitted to the results so far, once it is shown to know more than MACs alone (default: all)"
      )
    ),
  screenBy: Flag.String("screen-by").pipe(
    Flag.withMetavar("a,b"),
    Flag.optional,
    Flag.withDescription(
      "With --screen: proxies that its predictor uses in addition to choices and costs, such as naswot,synflow, computed for every proposed network (default: none)"
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
    .pipe(
      Flag.optional,
      Flag.withDescription("Start no more trials after this time, such as 2h; the finals follow (default: any)")
    ),
  maxTotalMacs: flags
    .totalMacs("max-total-macs")
    .pipe(
      Flag.optional,
      Flag.withDescription(
        "Start no more trials once trainings have used this many multiply-accumulates, such as 20T (default: any)"
      )
    ),
  startWith: Flag.Path("start-with").pipe(
    Flag.withMetavar("file|run"),
    Flag.optional,
    Flag.withDescription(
      "Networks to try first: a file with points of the space, a best.json, or a search's folder, whose ten best are taken"
    )
  ),
  learnFrom: Flag.Path("learn-from").pipe(
    Flag.withMetavar("run"),
    Flag.atLeast(0),
    Flag.withDescription(
      "A search's folder whose results tell the strategy where to look, of this space or one with choices in common, of this data set or another; may be given several times"
    )
  ),
  retryFailed: Flag.Boolean("retry-failed").pipe(
    Flag.withDefault(false),
    Flag.withDescription("With --resume: try failed trials once more, with other seeds")
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Show what would be searched and about how long it takes; nothing is written")
  ),
  device: flags.device.pipe(Flag.withDefault(Device.standard)),
  skipBad: flags.skipBad,
  allowMixed: flags.allowMixed,
  json: flags.json
}
export type Flags = Command.Command.Config.Infer<typeof config>

const strategyNamed = (name: string) =>
  Strategies.isName(name)
    ? Effect.succeed(name)
    : Effect.fail(usage(`--strategy is "${name}". Give one of ${Strategies.names.join(", ")}.`))

/** `accuracy,macs`: which ones exist is known once the space is. */
const objectivesNamed = Effect.fnUntraced(function* (text: string) {
  const names = text.split(",").map((name) => name.trim())
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) return yield* usage(`--objectives has ${twice} twice. Give every objective once.`)
  return names.length > 1 && names.every((name) => name !== "")
    ? names
    : yield* usage(`--objectives is "${text}". Give two or more measures or costs, such as accuracy,macs.`)
})

/** A folder is the same data set wherever it is named from. */
export const datasetNamed = Effect.fnUntraced(function* (name: string, from: string) {
  const path = yield* Path.Path
  return Datasets.names.includes(name) ? name : path.resolve(from, name)
})

/** The config's space, or the named one. */
const spaceOf = Effect.fnUntraced(function* (flag: Option.Option<string>, loaded: Config.Loaded | undefined) {
  if (Option.isSome(flag)) return yield* spaces.named(flag.value)
  const given = loaded?.config.space
  if (loaded === undefined || given === undefined) return spaces.standard
  return typeof given === "string"
    ? yield* spaces.named(given)
    : SpaceSource.SpaceSource.cases.Module.make({ path: loaded.path, version: loaded.version })
})

/** Fields of the previous version whose values are now parts of UniNet's kit. */
const moved = ["operators", "dsms"]

/** The message for a config that cannot be used. */
const unusable = (error: Config.LoadError, otherwise: (error: Config.LoadError) => CliFault): CliFault =>
  error._tag === "ConfigInvalid" && moved.includes(error.field)
    ? fault(
        `${error.path}: the field ${error.field} no longer exists. Give space: UniNetSpace.forData({ kit: Kit.make({ ${error.field}: … }) }) of @uninet/uninet.`
      )
    : otherwise(error)

/** The requested config, or the one in this folder. */
const configFor = (flag: Option.Option<string>) =>
  Option.match(flag, {
    onNone: () => {
      const here = Config.find(process.cwd())
      return here === undefined
        ? Effect.succeed(undefined)
        : Effect.mapError(Config.load(here), (error) => unusable(error, said))
    },
    onSome: (file) => Effect.mapError(Config.load(file), (error) => unusable(error, at("--config")))
  })

/** The config's own layers that are used: flags override its fields. */
const ownOf = (loaded: Config.Loaded | undefined, given: Flags): Plan["own"] =>
  loaded === undefined
    ? []
    : Config.ownLayers(loaded.config).filter(
        (field) =>
          !(
            (field === "dataset" || field === "strategy" || field === "space" || field === "objectives") &&
            Option.isSome(given[field])
          )
      )

/** A high learning rate, our choice, found on MNIST: what counts is how far one short epoch gets. */
export const recipe: Recipe.Recipe = { ...Recipe.proxy, learningRate: 0.01 }

const or = <A, B = A>(flag: Option.Option<A>, field: A | undefined, other: B): A | B =>
  Option.getOrElse(flag, () => field ?? other)

/** A config's functions of points, which receive points of the space that is searched. */
function ofOwnPoints(given: Config.Config["reward"]): Plan["reward"]
function ofOwnPoints(given: Config.Config["objectives"]): Plan["objectives"] | undefined
function ofOwnPoints(given: unknown) {
  // The config's author knows the type of the points; it is not known here.
  return given
}

const screenOf = (screen: number | undefined, by: string | undefined) => ({
  ...(screen === undefined ? {} : { screen }),
  ...(by === undefined ? {} : { screenBy: by })
})

/** Names of proxies, separated by commas. */
const proxiesNamed = Effect.fnUntraced(function* (text: string) {
  const names = text.split(",").map((name) => name.trim())
  const unknown = names.find((name) => !Proxies.isName(name))
  if (unknown !== undefined)
    return yield* usage(`--screen-by has "${unknown}". Give some of ${Object.keys(Proxies.all).join(", ")}.`)
  return [...new Set(names)].join(",")
})

/** The plan of a new search. */
export const fresh = Effect.fnUntraced(function* (given: Flags) {
  const path = yield* Path.Path
  const loaded = yield* configFor(given.config)
  const fields = loaded?.config ?? {}
  const beside = loaded === undefined ? process.cwd() : path.dirname(loaded.path)
  const own = ownOf(loaded, given)

  if (given.retryFailed) return yield* usage("--retry-failed is for a resumed search. Give its folder with --resume.")
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
  const objectives = Option.isSome(given.objectives)
    ? yield* objectivesNamed(given.objectives.value)
    : (ofOwnPoints(fields.objectives) ?? [])
  const screen = Option.getOrElse(given.screen, () => fields.screen)
  if (screen !== undefined && objectives.length > 1)
    return yield* usage(
      "--screen cannot be given with --objectives: its predictor predicts one reward. Leave one of them out."
    )
  const by = Option.getOrElse(given.screenBy, () => fields.screenBy)
  const screenBy = by === undefined ? undefined : yield* proxiesNamed(by)
  if (screenBy !== undefined && screen === undefined)
    return yield* usage("--screen-by is for the predictor of --screen. Give --screen 0.25 as well.")
  return {
    ...(Option.isSome(given.out)
      ? runFolder.asked(given.out.value)
      : fields.out === undefined
        ? yield* runFolder.fresh(strategy ?? "own")
        : runFolder.asked(path.resolve(beside, fields.out))),
    resume: false,
    config: own.length > 0 ? loaded : undefined,
    own,
    space: yield* spaceOf(given.space, loaded),
    strategy,
    dataset,
    skipBad: given.skipBad,
    deviceFile: Option.match(given.deviceFile, {
      onSome: (file) => path.resolve(file),
      onNone: () => (fields.deviceFile === undefined ? undefined : path.resolve(beside, fields.deviceFile))
    }),
    seed: or(given.seed, fields.seed === undefined ? undefined : String(fields.seed), "0"),
    recipe: { ...base, epochs, batch: or(given.batch, fields.batch, base.batch) },
    recipeFits: fields.recipe === undefined,
    reward: Option.isSome(given.targetMacs) || Option.isSome(given.reward) ? undefined : ofOwnPoints(fields.reward),
    rewarded: Option.getOrUndefined(given.reward),
    also: fields.also ?? [],
    target: Option.getOrElse(given.targetMacs, () => fields.targetMacs),
    most: Option.getOrElse(given.maxMacs, () => fields.maxMacs),
    within: { ...fields.within, ...(Option.isSome(given.within) ? yield* within(given.within.value) : {}) },
    ahead: or(given.ahead, fields.ahead, Search.defaultAhead),
    ...screenOf(screen, screenBy),
    fidelity,
    objectives,
    trialTime: or(given.trialTime, fields.trialTime, null),
    trialMemory: or(given.trialMemory, fields.trialMemory, null),
    maxTime: or(given.maxTime, fields.maxTime, null),
    maxTotalMacs: or(given.maxTotalMacs, fields.maxTotalMacs, null),
    trials: or(given.trials, fields.trials, 32),
    finalists: or(given.finalists, fields.finalists, 3),
    finalEpochs: or(given.finalEpochs, fields.finalEpochs, 4 * epochs),
    workers: or(given.workers, fields.workers, availableParallelism()),
    device: yield* Device.choose(given.device),
    allowMixed: given.allowMixed,
    isMixed: given.allowMixed && Option.isSome(given.database),
    given: {
      startWith: Option.getOrUndefined(given.startWith),
      learnFrom: given.learnFrom,
      points: [],
      lessons: [],
      retryFailed: false
    },
    isReplaced: false
  } satisfies Plan
})

/** Flags that a resumed search takes from its journal. */
const fixed = [
  "epochs",
  "batch",
  "seed",
  "reward",
  "targetMacs",
  "maxMacs",
  "within",
  "deviceFile",
  "ahead",
  "space",
  "dataset",
  "out",
  "fidelity",
  "minEpochs",
  "rungFactor",
  "objectives",
  "screen",
  "screenBy",
  "startWith"
] as const

/** What a folder's journal says about its search, given as `flag`. */
export const recorded = Effect.fnUntraced(function* (folder: string, flag: string) {
  const path = yield* Path.Path
  const name = yield* runFolder.shown(folder)
  const { entries, identity, isCut } = yield* Effect.mapError(
    Journal.read(path.join(folder, runFolder.files.journal)),
    at(`${flag}${name}`)
  )
  const foreign = () =>
    fault(`${flag}${name}: its journal was not written by this version's uninet search. Give the folder of a search.`)
  const settings = yield* Effect.mapError(Schema.decodeUnknownEffect(Settings)(identity.settings), foreign)
  const notes = yield* Effect.mapError(Schema.decodeUnknownEffect(Notes)(identity.notes), foreign)
  const added = yield* Effect.mapError(Schema.decodeUnknownEffect(Added)(identity.settings), foreign)
  const { lessons = [], seed, surroundings = [] } = identity
  const last = entries.findLast(({ entry }) => entry._tag === "HandedOver")?.entry
  const strategy = last?._tag === "HandedOver" ? last.strategy : added.strategy
  return {
    entries,
    isCut,
    settings,
    notes,
    ...added,
    strategy,
    /** Whether a named strategy has taken over from the config's own. */
    isHandedOver: last !== undefined,
    seed,
    surroundings,
    lessons
  }
})
export type Recorded = Effect.Success<ReturnType<typeof recorded>>

/** The plan of the search in a folder. */
export const ofRun = Effect.fnUntraced(function* (
  folder: string,
  {
    ahead,
    fidelity,
    isHandedOver,
    lessons,
    notes,
    objectives,
    reward,
    screen,
    screenBy,
    seed,
    settings,
    strategy
  }: Recorded,
  file: Option.Option<string>
) {
  const name = yield* runFolder.shown(folder)
  /** A module where it was recorded, relative to here or to a folder above the run; or the one that is given. */
  const found = (path: string) =>
    Option.match(file, {
      onSome: Effect.succeed,
      onNone: () =>
        Effect.flatMap(paths.find(path, folder), (there) =>
          there === undefined
            ? fault(`${name} was begun with the module ${path}, which no longer exists. Give it with --config.`)
            : Effect.succeed(there)
        )
    })
  const foundFile = Effect.fnUntraced(function* (what: string, file: string) {
    const there = yield* paths.find(file, folder)
    return there ?? (yield* fault(`${name} was begun with the ${what} ${file}, which no longer exists. Put it back.`))
  })
  const foundTeacher = Effect.fnUntraced(function* ({ file, logits }: teachers.Named) {
    return {
      file: yield* foundFile("teacher", file),
      ...(logits === undefined ? {} : { logits: yield* foundFile("teacher's logits", logits) })
    }
  })
  const wanted = settings.own.length > 0 && notes.config !== null ? yield* found(notes.config) : undefined
  const loaded = wanted === undefined ? undefined : yield* Effect.mapError(Config.load(wanted), at("--config"))
  const own = objectives.length > 0 && settings.own.includes("objectives") ? loaded?.config.objectives : undefined
  return {
    ...runFolder.asked(folder),
    resume: true,
    config: settings.own.length > 0 ? loaded : undefined,
    own: settings.own,
    space:
      notes.space._tag === "Named"
        ? notes.space
        : {
            ...notes.space,
            ...(yield* Effect.mapError(SpaceSource.ofModule(yield* found(notes.space.path)), at("--config")))
          },
    strategy: settings.own.includes("strategy") && !isHandedOver ? null : yield* strategyNamed(strategy),
    dataset: settings.dataset,
    skipBad: settings.skipBad === true,
    deviceFile: notes.deviceFile === undefined ? undefined : yield* foundFile("device file", notes.deviceFile),
    ...(notes.teacher === undefined ? {} : { teacher: yield* foundTeacher(notes.teacher) }),
    seed,
    recipe: settings.recipe,
    recipeFits: false,
    reward: reward._tag === "Own" ? ofOwnPoints(loaded?.config.reward) : reward,
    rewarded: undefined,
    also: settings.own.length > 0 ? (loaded?.config.also ?? []) : [],
    target: undefined,
    most: undefined,
    within: settings.within,
    fidelity,
    objectives: ofOwnPoints(own) ?? objectives.map(({ name }) => name),
    ahead,
    ...screenOf(screen, screenBy),
    trialTime: notes.trialTime,
    trialMemory: notes.trialMemory,
    maxTime: null,
    maxTotalMacs: notes.maxTotalMacs,
    trials: notes.trials,
    finalists: notes.finalists,
    finalEpochs: notes.finalEpochs,
    workers: availableParallelism(),
    device: Device.standard,
    allowMixed: false,
    isMixed: notes.mixed === true,
    given: { startWith: undefined, learnFrom: [], points: settings.startWith ?? [], lessons, retryFailed: false },
    isReplaced: false
  } satisfies Plan
})

/**
 * What may be changed in a search that is resumed. Trained trials stay and count, so that the best is chosen among all of them. Finals that
 * have begun keep their epochs: choosing others once the test figure is known would mean choosing by the test split.
 */
const allowed = Effect.fnUntraced(function* ({ finalEpochs, trials }: Flags, { entries, notes }: Recorded) {
  const begun = Search.begunIn(entries)
  if (Option.isSome(trials) && trials.value < begun)
    return yield* usage(
      `--trials ${trials.value} is fewer than the ${begun} that the journal has, which are kept and count. Give ${begun} or more; with ${begun} the search ends with what there is.`
    )
  const compared = entries.some(({ entry }) => entry._tag === "Compared")
  if (Option.isSome(finalEpochs) && compared && finalEpochs.value !== notes.finalEpochs)
    return yield* usage(
      `--final-epochs ${finalEpochs.value} can no longer be given: the finals have begun with ${notes.finalEpochs}, and any other number would now be chosen by their outcome. Leave --final-epochs out.`
    )
})

/** The plan of a search that is resumed. */
export const resumed = Effect.fnUntraced(function* (folder: string, given: Flags) {
  const extra = fixed.find((flag) => given[flag]._tag === "Some")
  if (extra !== undefined) {
    const flag = `--${extra.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    return yield* usage(`${flag} cannot be given with --resume, which takes it from the journal. Leave ${flag} out.`)
  }
  if (given.learnFrom.length > 0)
    return yield* usage(
      "--learn-from cannot be given with --resume: what a search learns from is in its journal from the start. Leave --learn-from out."
    )
  if (given.skipBad)
    return yield* usage(
      "--skip-bad cannot be given with --resume, which takes it from the journal. Leave --skip-bad out."
    )
  const journal = yield* recorded(folder, "--resume ")
  yield* allowed(given, journal)
  if (journal.isCut)
    yield* Console.error(
      `note: ${yield* runFolder.shown(folder)} lacks its ${runFolder.files.journal}-wal, and its last trials may be missing with it: they are trained again`
    )
  const plan = yield* ofRun(folder, journal, given.config)
  const strategy = Option.isSome(given.strategy) ? yield* strategyNamed(given.strategy.value) : plan.strategy
  return {
    ...plan,
    strategy,
    isReplaced: strategy !== plan.strategy,
    given: { ...plan.given, retryFailed: given.retryFailed },
    trialTime: or(given.trialTime, undefined, plan.trialTime),
    trialMemory: or(given.trialMemory, undefined, plan.trialMemory),
    maxTime: or(given.maxTime, undefined, plan.maxTime),
    maxTotalMacs: or(given.maxTotalMacs, undefined, plan.maxTotalMacs),
    trials: Option.getOrElse(given.trials, () => plan.trials),
    finalists: Option.getOrElse(given.finalists, () => plan.finalists),
    finalEpochs: Option.getOrElse(given.finalEpochs, () => plan.finalEpochs),
    workers: Option.getOrElse(given.workers, () => plan.workers),
    device: yield* Device.choose(given.device),
    allowMixed: given.allowMixed,
    isMixed: plan.isMixed || (given.allowMixed && Option.isSome(given.database))
  } satisfies Plan
})

/** The command that resumes a search, including the given flags that its journal does not store. A password is not among them. */
export const resumeCommand = Effect.fnUntraced(function* (
  folder: string,
  given: Pick<Flags, "allowMixed" | "config" | "database" | "device" | "maxTime" | "workers">
) {
  const { allowMixed, config, device, maxTime, workers } = given
  const named = machines.withoutPassword(given.database)
  return command.uninet(
    "search",
    "--resume",
    yield* runFolder.shown(folder),
    ...(Option.isSome(config) ? ["--config", config.value] : []),
    ...(named === undefined ? [] : ["--database", named]),
    ...(Option.isSome(workers) ? ["--workers", String(workers.value)] : []),
    ...(device === Device.standard ? [] : ["--device", device]),
    ...(Option.isSome(maxTime) ? ["--max-time", `${maxTime.value}s`] : []),
    ...(allowMixed ? ["--allow-mixed"] : [])
  )
})

/** What the journal stores in addition to what decides the results. */
export const notesOf = (plan: Plan, task: Task.Task): typeof Notes.Type => ({
  trials: plan.trials,
  finalists: plan.finalists,
  finalEpochs: plan.finalEpochs,
  trialTime: plan.trialTime,
  trialMemory: plan.trialMemory,
  maxTotalMacs: plan.maxTotalMacs,
  ...(plan.isMixed ? { mixed: true } : {}),
  config: plan.config === undefined ? null : paths.portable(plan.config.path),
  ...(plan.deviceFile === undefined ? {} : { deviceFile: paths.portable(plan.deviceFile) }),
  ...(plan.teacher === undefined ? {} : { teacher: teachers.portable(plan.teacher) }),
  space: plan.space._tag === "Named" ? plan.space : { ...plan.space, path: paths.portable(plan.space.path) },
  task: { decides: task.decides, measures: Task.directions(task), shares: task.shares }
})

/** The costs and measures that a plan names. */
export const namesIn = ({ also, objectives, reward, rewarded, within }: Plan): ReadonlyArray<string> => [
  ...Object.keys(within),
  ...objectives.filter((objective) => typeof objective === "string"),
  ...(typeof reward === "object" && reward._tag !== "Measure" ? [reward.cost] : []),
  ...(typeof reward === "object" && reward.measure !== undefined ? [reward.measure] : []),
  ...(rewarded === undefined ? [] : [rewarded]),
  ...also
]

/** Whether networks are to be measured in eight bits after their training. */
export const isInEightBits = (plan: Plan): boolean =>
  namesIn(plan).some((name) => /^int8[A-Z]/.test(name) && !Measures.isName(name))

/** What an evaluator is told, here or in a worker, with a folder for trainings that are continued, and the surroundings it has to have. */
export const training = (
  plan: Plan,
  more: Pick<Training.Options["setup"], "checkpoints" | "surroundings"> = {}
): Training.Options => ({
  device: plan.device,
  ...(isInEightBits(plan) ? { int8: true } : {}),
  ...(plan.teacher === undefined ? {} : { teacher: plan.teacher }),
  setup: {
    config: plan.config === undefined ? null : { url: plan.config.url, version: plan.config.version },
    space: plan.space,
    dataset: plan.dataset,
    recipe: plan.recipe,
    ...(plan.skipBad ? { skipBad: true } : {}),
    ...more
  }
})

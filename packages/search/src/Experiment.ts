/**
 * An experiment as data: arms (each a search, or a given network) under equal budgets. The best network of each arm is retrained from fresh
 * weights and tested once.
 *
 * Only what distinguishes an arm is written in the arm. What is equal for all arms is written once, so that it cannot differ.
 *
 * @example
 * ```ts
 * import { defineExperiment } from "@uninet/search"
 *
 * export default defineExperiment({
 *   dataset: "fashion-mnist",
 *   budget: { trials: 48 },
 *   within: { macs: { max: 3e6 } },
 *   retrain: { seeds: 5, epochs: 8 },
 *   arms: { joint: {}, convolution: { only: { operators: ["Conv", "DWConv"] } }, chance: { strategy: "random" } }
 * })
 * ```
 */
import { Strategies } from "@uninet/controller"
import { Recipe } from "@uninet/model-space"
import { TrainingProgram } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { existsSync, readFileSync } from "node:fs"
import * as Config from "./Config.ts"
import { type ConfigError, ConfigUnreadable } from "./ConfigError.ts"
import { detailOf } from "./internal/detail.ts"
import * as Reward from "./Reward.ts"
import { Only } from "./SpaceSource.ts"
import * as Units from "./Units.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

const Window = Schema.Struct({ min: Schema.optionalKey(Schema.Finite), max: Schema.optionalKey(Schema.Finite) })
const Within = Schema.Record(Schema.String, Window)

/** Changes to a recipe: its fields, and `preset` for the named recipe to start from. */
export const RecipeFields = Schema.Record(Schema.String, Schema.Json)
export type RecipeFields = typeof RecipeFields.Type

/** What each search may use up: exactly one of the three. */
export const Budget = Schema.Struct({
  /** Networks trained. */
  trials: Schema.optionalKey(Count),
  /** Multiply-accumulates of all trainings together, 3 × MACs × examples × epochs each: a number, or text such as `20T`. */
  macs: Schema.optionalKey(Units.TotalMacs),
  /** Seconds of training, added up over all workers, so that neither their number nor a pause counts: a number, or text such as `2h`. */
  seconds: Schema.optionalKey(Units.Seconds)
}).check(
  Schema.makeFilter((given: object) => Object.keys(given).length === 1 || "give one of trials, macs and seconds")
)
export type Budget = typeof Budget.Type

/** The fields of one arm. */
export const Arm = Schema.Struct({
  /** A name, or the path of a module relative to the experiment's file. Default: the experiment's. */
  space: Schema.optionalKey(Schema.String),
  /** The only candidates to keep in the space: `{ "operators": ["Conv", "DWConv"] }`. Default: all. */
  only: Schema.optionalKey(Only),
  /** Default: the experiment's. */
  strategy: Schema.optionalKey(Schema.Literals(Strategies.names)),
  /** Default: the experiment's. */
  reward: Schema.optionalKey(Reward.Reward),
  /** A file with a network that is trained instead of a search's best; nothing is searched then. */
  network: Schema.optionalKey(Schema.String),
  /** Changes to the recipe, for the trials and for the retraining. Not its epochs, which are the budget. */
  recipe: Schema.optionalKey(RecipeFields),
  /**
   * A trained network that the arm's trials and retraining also learn from, as `uninet train --teacher` takes it: a run's folder, or a file
   * of weights. Uses the recipe's `distillation`, or its defaults.
   */
  teacher: Schema.optionalKey(Schema.String),
  /** Bounds on costs in addition to the experiment's; the tighter one applies. */
  within: Schema.optionalKey(Within),
  /** Default: the experiment's. An arm with a different space needs its own. */
  deviceFile: Schema.optionalKey(Schema.String),
  /** Present only to be refused with an explanation: arms on other data do not belong to the same experiment. */
  dataset: Schema.optionalKey(Schema.String)
})
export type Arm = typeof Arm.Type

/** An arm's name is also the name of a folder. */
const isName = (text: string) => /^[a-z0-9][\w.-]*$/i.test(text)

const defaulted = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)))

const fields = {
  /** A data set's name, or a folder or module relative to the file. Default `mnist`. */
  dataset: defaulted(Schema.String, "mnist"),
  space: defaulted(Schema.String, "uninet"),
  strategy: defaulted(Schema.Literals(Strategies.names), "ppo"),
  /**
   * What a search maximises and chooses its best by: a `Reward` as data, such as `Reward.mnas({ cost: "latency", target: 0.4 })`. Default:
   * the deciding measure.
   */
  reward: Schema.optionalKey(Reward.Reward),
  /** The seeds of the searches: every arm is searched once with each. Default: one, `0`. */
  seeds: defaulted(Schema.Array(Schema.String).check(Schema.isMinLength(1)), ["0"]),
  /** The budget of each search. Required if an arm searches. */
  budget: Schema.optionalKey(Budget),
  /** Epochs of a trial. Default 1. */
  epochs: defaulted(Count, 1),
  /** Training examples per epoch of a trial; retraining uses all. Default: all. */
  examples: Schema.optionalKey(Count),
  /** Proposals that may be pending at the same time in a search. Default 8. */
  ahead: defaulted(Count, 8),
  /** Changes to the recipe of `uninet search`, or to a `preset`. */
  recipe: defaulted(RecipeFields, {}),
  /** Bounds on costs for every arm. */
  within: defaulted(Within, {}),
  /** A device file from `uninet profile`, relative to the file. With it, `latency` in milliseconds is a cost of every network. */
  deviceFile: Schema.optionalKey(Schema.String),
  /**
   * How the best networks are retrained: from how many fresh initialisations, and for how many epochs. Its `teacher` is used for the
   * retraining only, in every arm without its own.
   */
  retrain: Schema.Struct({
    seeds: Count,
    epochs: Count,
    recipe: defaulted(RecipeFields, {}),
    teacher: Schema.optionalKey(Schema.String)
  }),
  /** The reference arm that all others are compared with. Default: the first. */
  against: Schema.optionalKey(Schema.String),
  arms: Schema.Record(Schema.String, Arm)
}

/** The schema of an experiment's file. */
export const Experiment = Schema.Struct(fields)
/** An experiment with all defaults filled in. */
export interface Experiment extends Schema.Schema.Type<typeof Experiment> {}
/** As it is written. */
export interface Input extends Schema.Codec.Encoded<typeof Experiment> {}

/** Describes an experiment. Returns its argument unchanged: it is there so that the fields are type-checked as you write them. */
export const defineExperiment = (experiment: Input): Input => experiment

/** A field of an experiment is invalid, or its arms cannot be compared. */
export class ExperimentInvalid extends Schema.TaggedError<ExperimentInvalid>()("ExperimentInvalid", {
  path: Schema.String,
  /** Such as `arms.joint.only`. Empty for the file as a whole. */
  field: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.field === "" ? "it" : this.field} is wrong: ${this.problem}. Correct it.`
  }
}

/** The file has changed since the experiment began. */
export class ExperimentChanged extends Schema.TaggedError<ExperimentChanged>()("ExperimentChanged", {
  path: Schema.String,
  field: Schema.String,
  was: Schema.String,
  is: Schema.String
}) {
  override get message() {
    return `${this.path} has been changed since its experiment started: ${this.field} was ${this.was} and is now ${this.is}. Restore it, or start another experiment with --out and a new folder.`
  }
}

/** An experiment that has been read. */
export interface Loaded {
  readonly experiment: Experiment
  /** The file. */
  readonly path: string
}

const issues = SchemaIssue.makeFormatterStandardSchemaV1()

const decode = Schema.decodeUnknownEffect(Experiment)
const encode = Schema.encodeSync(Schema.fromJsonString(Experiment))

/** The experiment as JSON text with every default written out: the input of `difference`, and readable by people. */
export const print = (experiment: Experiment): string =>
  `${JSON.stringify(JSON.parse(encode(experiment)), undefined, 2)}\n`

/** The first reason why these arms cannot form one experiment, with the field. */
const faultOf = ({ against, arms, budget, seeds }: Experiment): readonly [string, string] | undefined => {
  const names = Object.keys(arms)
  if (names.length === 0) return ["arms", "there are none; give at least one"]
  const odd = names.find((name) => !isName(name))
  if (odd !== undefined)
    return [`arms.${odd}`, "an arm's name must be a valid folder name: letters, digits, dots, dashes and underscores"]
  if (against !== undefined && !Object.hasOwn(arms, against))
    return ["against", `there is no arm ${against}; the arms are ${names.join(", ")}`]
  const wrong = seeds.find((seed, i) => !isName(seed) || seeds.indexOf(seed) !== i)
  if (wrong !== undefined) return ["seeds", `"${wrong}" occurs twice, or is not a valid folder name`]
  for (const [name, { dataset, network, only, recipe, reward, strategy }] of Object.entries(arms)) {
    if (network === undefined && budget === undefined)
      return ["budget", `there is none, but the arm ${name} searches; give trials, macs or seconds`]
    if (network !== undefined && [only, reward, strategy].some((own) => own !== undefined))
      return [`arms.${name}`, "it has a network, so nothing is searched; leave only, reward and strategy out"]
    const spent = ["epochs", "examples"].find((field) => recipe !== undefined && Object.hasOwn(recipe, field))
    if (spent !== undefined)
      return [
        `arms.${name}.recipe.${spent}`,
        `${spent} belong to the budget, which is equal for all arms; leave them out`
      ]
    if (dataset !== undefined)
      return [
        `arms.${name}.dataset`,
        `it is ${dataset}, but all arms of an experiment have the same data; make one experiment per data set`
      ]
  }
  return undefined
}

const invalidAt = (path: string) => (field: string, problem: string) => new ExperimentInvalid({ path, field, problem })

/**
 * Reads an experiment from a file's content. Fails with `ExperimentInvalid`, which names the field.
 *
 * @example
 * ```ts
 * import { defineExperiment, Experiment } from "@uninet/search"
 * import { Console, Effect } from "effect"
 *
 * // What stands in the file: two spaces against each other, four searches of each.
 * const written = defineExperiment({
 *   dataset: "mnist",
 *   arms: { all: {}, "no-attention": { only: { operators: ["Conv", "DWConv", "MLP"] } } },
 *   seeds: ["1", "2", "3", "4"],
 *   budget: { trials: 32 },
 *   retrain: { seeds: 3, epochs: 10 }
 * })
 * const program = Effect.gen(function* () {
 *   const experiment = yield* Experiment.read("experiment.json")(written)
 *   yield* Console.log(Experiment.recipeOf("all", "search")(experiment), Experiment.withinOf("all")(experiment))
 *   // What was begun goes on only as what it was.
 *   const changed = yield* Experiment.read("experiment.json")({ ...written, seeds: ["1", "2"] })
 *   yield* Console.log(Experiment.difference(Experiment.print(experiment), Experiment.print(changed)))
 * })
 * Effect.runPromise(program)
 * ```
 */
export const read =
  (path: string) =>
  (given: unknown): Effect.Effect<Experiment, ExperimentInvalid> =>
    Effect.gen(function* () {
      const invalid = invalidAt(path)
      const unknown = Predicate.isObject(given) ? Object.keys(given).find((key) => !(key in fields)) : undefined
      if (unknown !== undefined)
        return yield* invalid(unknown, `there is no such field; the fields are ${Object.keys(fields).join(", ")}`)
      const experiment = yield* Effect.mapError(decode(given, { onExcessProperty: "error" }), ({ issue }) => {
        const [first] = issues(issue).issues
        const field = (first?.path ?? []).map((key) => String(Predicate.isObject(key) ? key.key : key)).join(".")
        return invalid(field, (first?.message ?? "it is wrong").split("\n").join(" "))
      })
      const fault = faultOf(experiment)
      if (fault !== undefined) return yield* invalid(...fault)
      for (const [name, { network }] of Object.entries(experiment.arms))
        for (const phase of network === undefined ? (["search", "retrain"] as const) : (["retrain"] as const)) {
          const recipe = yield* Effect.mapError(Effect.fromResult(recipeOf(name, phase)(experiment)), ({ message }) =>
            invalid(`arms.${name}`, message.replace(/\s+/g, " ").replace(/; correct it$/, ""))
          )
          if (recipe.distillation !== undefined && teacherOf(name, phase)(experiment) === undefined)
            return yield* invalid(
              `arms.${name}`,
              `${phase === "search" ? "the recipe of its trials" : "the recipe of its retraining"} has distillation, but there is no teacher; name a trained network as teacher, or leave distillation out`
            )
        }
      return experiment
    })

/**
 * Reads an experiment from a JSON file, or from a module's default export.
 *
 * Fails with `ExperimentInvalid`, or with `ConfigUnreadable` if the file is missing or a module cannot be imported.
 */
export const load = Effect.fnUntraced(function* (
  path: string
): Effect.fn.Return<Loaded, ExperimentInvalid | ConfigError> {
  const given: unknown = /\.[cm]?[jt]s$/.test(path)
    ? (yield* Config.importModule(path)).exported
    : yield* Effect.flatMap(
        Effect.try({
          try: () => readFileSync(path, "utf8"),
          catch: (cause) =>
            new ConfigUnreadable({
              path,
              problem: existsSync(path) ? `cannot be read (${detailOf(cause)})` : "does not exist",
              remedy: "Give a JSON file, or a module with defineExperiment({ … })"
            })
        }),
        (text) =>
          Effect.try({
            try: (): unknown => JSON.parse(text),
            catch: (cause) => new ExperimentInvalid({ path, field: "", problem: detailOf(cause) })
          })
      )
  return { experiment: yield* read(path)(given), path }
})

/** Our choice for one short epoch, the same as in `uninet search`: a high learning rate, found on MNIST. */
const usual: Recipe.Recipe = { ...Recipe.proxy, learningRate: 0.01 }

/** A recipe from its fields, on top of a preset's if they name one. */
const changed = (base: Schema.Json, { preset, ...own }: RecipeFields): unknown => ({
  ...(typeof preset === "string" && Object.hasOwn(Recipe.presets, preset)
    ? (Recipe.toJson(Recipe.presets[preset as Recipe.PresetName]) as object) // it is one of the names
    : (base as object)), // a recipe's JSON is an object
  ...own,
  // For the schema to refuse.
  ...(preset === undefined || (typeof preset === "string" && Object.hasOwn(Recipe.presets, preset)) ? {} : { preset })
})

/** The two trainings of an arm: its trials, and the retraining afterwards. */
type Phase = "search" | "retrain"

/** The teacher of an arm's networks; `undefined` for none. */
export const teacherOf =
  (name: string, phase: Phase) =>
  ({ arms, retrain }: Experiment): string | undefined =>
    arms[name]?.teacher ?? (phase === "retrain" ? retrain.teacher : undefined)

/**
 * The recipe of an arm: for its trials (`search`), or for the retraining afterwards (`retrain`). Fails with a sentence if its fields do not
 * make a recipe.
 */
export const recipeOf =
  (name: string, phase: Phase) =>
  (experiment: Experiment): Result.Result<Recipe.Recipe, { readonly message: string }> => {
    const { arms, epochs, examples, recipe, retrain } = experiment
    const layers = [recipe, ...(phase === "retrain" ? [retrain.recipe] : []), arms[name]?.recipe ?? {}]
    let json: unknown = Recipe.toJson(usual)
    for (const layer of layers) json = changed(json as Schema.Json, layer) // what was changed is JSON
    return Result.flatMap(
      Schema.decodeUnknownResult(Recipe.Recipe)(
        {
          // A network with a teacher learns from it.
          ...(teacherOf(name, phase)(experiment) === undefined ? {} : { distillation: {} }),
          ...(json as object),
          epochs: phase === "search" ? epochs : retrain.epochs,
          ...(phase === "search" && examples !== undefined ? { examples } : {})
        },
        { onExcessProperty: "error" }
      ),
      (made): Result.Result<Recipe.Recipe, { readonly message: string }> => TrainingProgram.checkRecipe(made)
    )
  }

/** The bounds on an arm's costs, by name: the tighter of the experiment's and its own. */
export const withinOf =
  (name: string) =>
  ({ arms, within }: Experiment): typeof Within.Type => {
    const own = arms[name]?.within ?? {}
    return Object.fromEntries(
      [...new Set([...Object.keys(within), ...Object.keys(own)])].map((cost) => {
        const [a = {}, b = {}] = [within[cost], own[cost]]
        const min = Math.max(a.min ?? -Infinity, b.min ?? -Infinity)
        const max = Math.min(a.max ?? Infinity, b.max ?? Infinity)
        return [cost, { ...(Number.isFinite(min) ? { min } : {}), ...(Number.isFinite(max) ? { max } : {}) }]
      })
    )
  }

const inWords = (value: unknown) => (value === undefined ? "missing" : JSON.stringify(value))

/** The first field in which two JSON values differ, and both. */
const firstOf = (
  was: unknown,
  is: unknown,
  field: string
): { readonly field: string; readonly was: string; readonly is: string } | undefined => {
  if (Equal.equals(was, is)) return undefined
  if (Predicate.isObject(was) && Predicate.isObject(is) && !Array.isArray(was) && !Array.isArray(is))
    for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
      const [a, b] = [was, is].map((side) => (side as Readonly<Record<string, unknown>>)[key]) // both are objects
      const found = firstOf(a, b, field === "" ? key : `${field}.${key}`)
      if (found !== undefined) return found
    }
  return { field: field === "" ? "the order of its arms" : field, was: inWords(was), is: inWords(is) }
}

/** The first field in which an experiment differs from the one that was started, both as text (`print`); `undefined` if they are the same. */
export const difference = (
  begun: string,
  now: string
): { readonly field: string; readonly was: string; readonly is: string } | undefined => {
  const parsed = Result.try((): unknown => JSON.parse(begun))
  if (Result.isFailure(parsed)) return { field: "its copy in the folder", was: "not JSON", is: "an experiment" }
  const [was, is] = [parsed.success, JSON.parse(now) as unknown]
  const found = firstOf(was, is, "")
  if (found !== undefined) return found
  // The first arm is the reference arm.
  const orders = [was, is].map((side) =>
    Predicate.hasProperty(side, "arms") && Predicate.isObject(side.arms) ? Object.keys(side.arms).join(", ") : ""
  )
  return orders[0] === orders[1]
    ? undefined
    : { field: "the order of its arms", was: String(orders[0]), is: String(orders[1]) }
}

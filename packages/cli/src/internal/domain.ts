/** What a plan searches: the space within its bounds, the strategy, how the journal identifies them, and the trainer. */
import { SearchStrategy, Strategies, type Strategy } from "@uninet/controller"
import { Dataset } from "@uninet/data"
import { Int8 } from "@uninet/export"
import { Device as Machine, Measures } from "@uninet/latency"
import { ModelSpace, Recipe, Task } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { ConfigLayerFailed, Reward, Setup } from "@uninet/search"
import { Constrained, Prng, Space } from "@uninet/search-space"
import { Fitting, Teacher, TrainingProgram } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { at, fault, said, usage, usageAt } from "./CliFault.ts"
import * as Device from "./device.ts"
import * as format from "./format.ts"
import { isInEightBits, namesIn, type Plan } from "./plan.ts"
import * as runFolder from "./runFolder.ts"
import * as spaces from "./spaces.ts"
import * as teachers from "./teachers.ts"

/** The data set, engine and trainer of a plan. */
export const training = (plan: Plan) =>
  Effect.mapError(
    Layer.build(Setup.training(plan.config, plan.dataset, Device.layer(plan.device), { skipBad: plan.skipBad })),
    Device.orElse((error) => (error instanceof ConfigLayerFailed ? said(error) : at("--dataset")(error)))
  )

/**
 * The plan's strategy: a named one, or the config's own. It is started here once, so that one that cannot search the domain reports this
 * before anything is written.
 */
const strategyOf = Effect.fnUntraced(function* (
  { config, device, seed, strategy }: Plan,
  domain: Strategy.Domain<unknown>
) {
  const begun = (service: SearchStrategy["Service"]) =>
    Effect.as(Effect.scoped(service.start(domain, Prng.fromSeed(seed).split("strategy"))), service)
  // A policy is so small that no other device is faster, and with the CPU the same search makes the same proposals on every device. If
  // results are to be the same on every machine, the proposals have to be, too.
  const engine = device === "portable" ? Device.layer(device) : OnnxRuntime.cpu()
  if (strategy !== null) {
    const services = yield* Layer.build(Layer.provide(Strategies.layer(strategy), engine))
    return yield* Effect.mapError(begun(Context.get(services, SearchStrategy)), (error) =>
      (error._tag === "NotEnumerable" ? usageAt : at)("--strategy")(error)
    )
  }
  const own = config?.config.strategy
  if (config === undefined || own === undefined || typeof own === "string")
    return yield* fault("the search's strategy comes from its config module. Give the module with --config.")
  return yield* Layer.build(Layer.provide(own, engine)).pipe(
    Effect.flatMap((services) => begun(Context.get(services, SearchStrategy))),
    Effect.catchCause((cause) => {
      const failure = Cause.squash(cause)
      const detail = failure instanceof Error ? failure.message : String(failure)
      return Effect.fail(said(new ConfigLayerFailed({ path: config.path, field: "strategy", detail })))
    })
  )
})

/** If no network meets a MACs bound, the message gives the MACs of the smallest one. */
const reachable = Effect.fnUntraced(function* (of: ModelSpace.Any, flag: string, most: number) {
  const met = Constrained.make(of.space, ModelSpace.within<string>({ macs: { max: most } })(of))
  if (Result.isSuccess(met)) return
  if (met.failure._tag === "CostFailed") return yield* fault(met.failure.message)
  const least = met.failure.quantities[0]?.value ?? Number.NaN
  return yield* fault(
    `${flag} ${most} is less than any network of the space has: the smallest has ${least} MACs. Give at least that.`
  )
})

/**
 * What is maximised, and the bound that goes with it. UniNet's space has a penalty on MACs by default, with its seed network's MACs as the
 * target; other spaces use the measure alone.
 */
const rewardOf = Effect.fnUntraced(function* (plan: Plan, of: ModelSpace.Any) {
  const { config, most, reward, rewarded } = plan
  const by = rewarded === undefined ? <A>(own: A) => own : Reward.by(rewarded)
  if (reward !== undefined) return { reward, most, target: undefined }
  if (plan.resume)
    return yield* fault(
      `the search's reward comes from its config module, but ${config?.path ?? "it"} no longer has one. Put it back, or give the module with --config.`
    )
  const target = plan.target ?? (of.name === "uninet" ? of.costs["macs"]?.(Space.seedPoint(of.space)) : undefined)
  if (target === undefined) return { reward: by(Reward.measure), most, target }
  yield* reachable(of, "--target-macs", target)
  const limit = most ?? Math.round(1.5 * target)
  yield* reachable(of, "--max-macs", limit)
  return { reward: by(Reward.mnas({ target })), most: limit, target }
})

/** Fails on a bound, an objective or a budget with a cost that the space does not have. */
const known = (of: ModelSpace.Any, flag: string, names: ReadonlyArray<string>, also: ReadonlyArray<string> = []) => {
  const all = [...ModelSpace.costNames(of), ...also]
  const wrong = names.find((name) => !all.includes(name))
  return wrong === undefined
    ? Effect.void
    : usage(`${flag}: the space ${of.name} has no ${wrong}. Give one of ${all.join(", ")}.`)
}

/** The content of a device file, which has to be for this space. */
const deviceOf = Effect.fnUntraced(function* ({ deviceFile }: Pick<Plan, "deviceFile">, of: ModelSpace.Any) {
  if (deviceFile === undefined) return undefined
  const name = yield* runFolder.shown(deviceFile)
  const failed = at(`--device-file ${name}`)
  const text = yield* Effect.mapError((yield* FileSystem.FileSystem).readFileString(deviceFile), (error) =>
    fault(`--device-file ${name} cannot be read: ${runFolder.reasonOf(error)}. Give one that uninet profile wrote.`)
  )
  const device = yield* Effect.mapError(Effect.fromResult(Machine.parse(text)), failed)
  yield* Effect.mapError(Effect.fromResult(Machine.fits(of)(device)), failed)
  return device
})

/** The space with the latencies from a device file, if one is given. */
export const measured = Effect.fnUntraced(function* (of: ModelSpace.Any, deviceFile: string | undefined) {
  const device = yield* deviceOf({ deviceFile }, of)
  return device === undefined ? of : Measures.add(of, [Machine.costOf(device)], device)
})

/** The space of a plan, with the costs that the plan names and that are measured on a device; and that device. */
const spaceOf = Effect.fnUntraced(function* (plan: Plan) {
  const own = yield* Effect.mapError(Setup.space(spaces.known)(plan.space), at("--space"))
  const device = yield* deviceOf(plan, own)
  const wanted = namesIn(plan)
    .filter(Measures.isName)
    .filter((name) => !Object.hasOwn(own.costs, name))
  for (const [name, flag] of [
    ["latency", ""],
    ["int8Latency", " --int8"]
  ] as const)
    if (wanted.includes(name) && (device === undefined || Machine.costOf(device) !== name))
      return yield* usage(
        device === undefined
          ? `${name} is asked for, but no device is known. Give --device-file with a file that uninet profile${flag} wrote.`
          : `${name} is asked for, but the device file has ${Machine.costOf(device)}. Ask for that, or give a file that uninet profile${flag} wrote.`
      )
  const of = Measures.add(own, wanted, device)
  return { of: isInEightBits(plan) ? ModelSpace.withTask(Int8.beside(of.task))(of) : of, device }
})

/** The plan with a recipe that suits its space's task, if none was asked for. */
export const fitted = Effect.fnUntraced(function* (plan: Plan) {
  if (!plan.recipeFits) return plan
  const { task } = (yield* spaceOf(plan)).of
  return { ...plan, recipe: Recipe.forTask(task)(plan.recipe) }
})

/**
 * Checks that a network can be trained on this data with a plan's recipe, so that this is not reported by every training, and returns its
 * teacher's digest. `whose`: the recipe, in words.
 */
export const trainable = Effect.fnUntraced(function* (of: ModelSpace.Any, point: unknown, plan: Plan, whose: string) {
  const dataset = yield* Dataset.Dataset
  if (plan.recipe.batch > dataset.train.size)
    return yield* fault(
      `--batch ${plan.recipe.batch} is more than the ${dataset.train.size} training examples of ${plan.dataset ?? dataset.name}. Give at most that.`
    )
  if (plan.recipe.distillation !== undefined && plan.teacher === undefined)
    return yield* fault(
      `${whose} has distillation, but there is no teacher here. Leave it out, and give the network a teacher with uninet train --teacher.`
    )
  if (!of.isTrainable) return undefined
  const network = yield* Effect.mapError(Effect.fromResult(ModelSpace.trainable(point)(of)), at("--space"))
  const own = yield* Effect.mapError(Effect.fromResult(ModelSpace.recipeOf(point)(of)), at("--space"))
  const recipe = { ...plan.recipe, ...own }
  yield* Effect.mapError(Fitting.of(network, dataset, recipe.imageSize), at("--dataset"))
  const step = Result.flatMap(TrainingProgram.checkRecipe(recipe), () =>
    TrainingProgram.all(network.model, of.task, recipe)
  )
  yield* Effect.mapError(Effect.fromResult(step), (error) => at(error._tag === "LossFailed" ? "--space" : whose)(error))
  if (plan.teacher === undefined) return undefined
  const teacher = yield* teachers.network(plan.teacher.file, "the teacher")
  const checked = Teacher.check(network, recipe, teacher)
  return (yield* Effect.mapError(Effect.fromResult(checked), at(`the teacher ${teacher.name}`)))?.digest
})

/** Checks the plan against the space and the data set before anything is trained. `given`: the one network to train, if nothing is searched. */
export const make = Effect.fnUntraced(function* (plan: Plan, given: Option.Option<unknown> = Option.none()) {
  const dataset = yield* Dataset.Dataset
  const { device, of } = yield* spaceOf(plan)
  const { space, task } = of
  const seedPoint = Space.seedPoint(space)
  yield* Effect.mapError(Effect.fromResult(ModelSpace.costsOf(seedPoint)(of)), at("--space"))
  const seen = Option.getOrElse(given, () => seedPoint)
  const taughtBy = yield* trainable(of, seen, plan, Option.isNone(given) ? "the search's recipe" : "its recipe")
  if (of.isTrainable) {
    if (dataset.validation.size === 0 && !plan.own.includes("evaluator"))
      return yield* fault(
        `--dataset: ${dataset.name} has no validation examples, and networks are chosen by them. Give it a validation split.`
      )
  } else if (!plan.own.includes("evaluator"))
    return yield* fault(`the networks of ${of.name} cannot be trained. Give your own evaluator with --config.`)
  const measures = Object.keys(Task.directions(task))
  const measurable = [...new Set([...measures, Int8.measureOf(task)])]
  const late = Object.keys(plan.within).find((name) => measures.includes(name))
  if (late !== undefined)
    return yield* usage(
      `--within bounds ${late}, which is known only once a network has been trained. Give it as an objective, or with --reward.`
    )
  yield* known(of, "--within", Object.keys(plan.within))
  const rewarded = plan.rewarded ?? (typeof plan.reward === "object" ? plan.reward.measure : undefined)
  if (rewarded !== undefined && !measures.includes(rewarded))
    return yield* usage(`--reward: there is no measure ${rewarded}. Give one of ${measurable.join(", ")}.`)
  if (typeof plan.reward === "object" && plan.reward._tag !== "Measure")
    yield* known(of, "--reward", [plan.reward.cost])
  const odd = plan.also.find((name) => !measurable.includes(name))
  if (odd !== undefined)
    return yield* usage(`the config's also: there is no measure ${odd}. Give one of ${measurable.join(", ")}.`)
  const names = plan.objectives.flatMap((objective) => (typeof objective === "string" ? [objective] : []))
  yield* known(of, "--objectives", names, measurable)
  if (plan.most !== undefined) yield* known(of, "--max-macs", ["macs"])
  if (plan.target !== undefined) yield* known(of, "--target-macs", ["macs"])
  if (plan.maxTotalMacs !== null) yield* known(of, "--max-total-macs", ["macs"])

  const { most, reward, target } = yield* rewardOf(plan, of)
  const { macs: own } = plan.within
  // If a bound is given twice, the tighter one applies.
  const bound = most === undefined ? own : { ...own, max: Math.min(most, own?.max ?? Number.POSITIVE_INFINITY) }
  const within = { ...plan.within, ...(bound === undefined ? {} : { macs: bound }) }
  const constraints = ModelSpace.within<string>(within)(of)
  const constrained = yield* Effect.mapError(Effect.fromResult(Constrained.make(space, constraints)), at("--within"))
  const strategy = yield* strategyOf(plan, constrained)
  const services = Context.make(SearchStrategy, strategy)
  const settings = {
    dataset: plan.dataset,
    recipe: Recipe.toJson(plan.recipe),
    within: Schema.decodeUnknownSync(Schema.Json)(within),
    own: plan.own,
    ...(plan.skipBad ? { skipBad: true } : {}),
    ...(taughtBy === undefined ? {} : { teacher: taughtBy }),
    code: plan.config?.version ?? null
  }
  /** For a complete training: the backward pass takes twice as long as the forward pass. */
  const macsOf = ({ macs = 0 }: Readonly<Record<string, number>>) =>
    3 * macs * Recipe.examplesOf(dataset.train.size)(plan.recipe) * plan.recipe.epochs
  /** The bounds in words. */
  const bounds = Object.entries(within).map(([name, { max, min }]) =>
    [
      ...(min === undefined ? [] : [`at least ${format.cost(name, min)}`]),
      ...(max === undefined ? [] : [`at most ${format.cost(name, max)}`])
    ].join(" and ")
  )
  return {
    of,
    device,
    constrained,
    macsOf,
    strategyName: strategy.name,
    within,
    bounds,
    reward,
    target,
    /** The digest of the teacher of its networks; `undefined` for none. */
    taughtBy,
    settings,
    services
  }
})

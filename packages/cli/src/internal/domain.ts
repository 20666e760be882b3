/** What a plan searches: the space within its budget, the strategy, what the journal knows them by; and what trains. */
import { SearchStrategy, Strategies, type Strategy } from "@uninet/controller"
import { Dataset } from "@uninet/data"
import { Dsms } from "@uninet/dsm"
import { NetworkCosts } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { ConfigLayerFailed, Reward, Setup } from "@uninet/search"
import { type Architecture, Constrained, Constraint, Prng, SearchSpace, Space } from "@uninet/search-space"
import { Recipe } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { at, fault, said } from "./CliFault.ts"
import * as Device from "./device.ts"
import type { Plan } from "./plan.ts"

/** Operators, modules, data set, engine and trainer of a plan. */
export const training = (plan: Plan) =>
  Effect.mapError(
    Layer.build(Setup.training(plan.config, plan.dataset, Device.layer(plan.device))),
    Device.orElse((error) => (error instanceof ConfigLayerFailed ? said(error) : at("--dataset")(error)))
  )

/** The plan's strategy: a named one, or the config's own. It is begun here once, so that one that cannot search the domain says so before anything is written. */
const strategyOf = Effect.fnUntraced(function* (
  { config, seed, strategy }: Plan,
  domain: Strategy.Domain<Architecture.Architecture>
) {
  const begun = (service: SearchStrategy["Service"]) =>
    Effect.as(Effect.scoped(service.start(domain, Prng.fromSeed(seed).split("strategy"))), service)
  // A policy is so small that no other device is faster, and the same search proposes the same on all of them.
  const engine = OnnxRuntime.cpu()
  if (strategy !== null) {
    const services = yield* Layer.build(Layer.provide(Strategies.layer(strategy), engine))
    return yield* Effect.mapError(begun(Context.get(services, SearchStrategy)), at(`--strategy ${strategy}`))
  }
  const own = config?.config.strategy
  if (config === undefined || own === undefined || typeof own === "string")
    return yield* fault("the search's strategy is its config module's own. Give the module by --config.")
  return yield* Layer.build(Layer.provide(own, engine)).pipe(
    Effect.flatMap((services) => begun(Context.get(services, SearchStrategy))),
    Effect.catchCause((cause) => {
      const failure = Cause.squash(cause)
      const detail = failure instanceof Error ? failure.message : String(failure)
      return Effect.fail(said(new ConfigLayerFailed({ path: config.path, field: "strategy", detail })))
    })
  )
})

/** Checks the plan against the space and the data set before anything is trained. */
export const make = Effect.fnUntraced(function* (plan: Plan) {
  const dataset = yield* Effect.mapError(Dataset.images(yield* Dataset.Dataset), at("--dataset"))
  const { channels, height, width } = dataset.image
  if (plan.recipe.batch > dataset.train.size)
    return yield* fault(
      `--batch ${plan.recipe.batch} is more than the ${dataset.train.size} training images of ${plan.dataset ?? dataset.name}. Give at most that.`
    )
  const space = yield* Layer.build(Setup.space(plan.config)).pipe(
    Effect.mapError((error) => (error instanceof ConfigLayerFailed ? said(error) : at("--dataset")(error))),
    Effect.map(Context.get(SearchSpace))
  )
  const seedNetwork = Space.seedPoint(space)
  const { image } = seedNetwork
  if (image.channels !== channels || image.height !== height || image.width !== width)
    return yield* fault(
      `the space is for images of ${image.channels}×${image.height}×${image.width}, but ${dataset.name} has ${channels}×${height}×${width}. Give one for the other.`
    )
  const sets = { operators: yield* Operators, dsms: yield* Dsms }
  const cost = NetworkCosts.forSpace(sets)
  const within = (most: number) => Constrained.make(space, Constraint.bounds(cost, { macs: { max: most } }))
  const target = plan.target ?? cost.of(seedNetwork).macs
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
  const constraints = Constraint.bounds(cost, { macs: { max: most } })
  const strategy = yield* strategyOf(plan, yield* Effect.fromResult(Constrained.make(space, constraints)))
  const services = Context.make(SearchSpace, space).pipe(
    Context.add(SearchStrategy, strategy),
    Context.add(Operators, sets.operators),
    Context.add(Dsms, sets.dsms)
  )
  const settings = {
    dataset: plan.dataset,
    recipe: Recipe.toJson(plan.recipe),
    target,
    most,
    own: plan.own,
    code: plan.config?.version ?? null
  }
  /** Of a whole training: the backward pass takes twice the forward's. */
  const macsOf = ({ macs }: { readonly macs: number }) => 3 * macs * dataset.train.size * plan.recipe.epochs
  return {
    space,
    macsOf,
    strategyName: strategy.name,
    constraints,
    reward: Reward.mnas({ target }),
    settings,
    services
  }
})

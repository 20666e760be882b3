/**
 * Finds coefficients by a small grid search at φ = 1 (Tan & Le 2019, section 3.3): every candidate's network has twice the baseline's multiply-accumulates, and the one that an
 * evaluator finds most accurate decides how to scale.
 *
 * It is a `Search` over the networks of a grid: it works with any `Evaluator` and any concurrency, is kept in the `Journal`, and resumes
 * from it without training anything twice. Coefficients that round to the same network share one training.
 */
import { Grid } from "@uninet/controller"
import { ModelSpace } from "@uninet/model-space"
import { type Evaluator, type Journal, Search } from "@uninet/search"
import { Choice, Elementary, Space, type SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Coefficients from "./Coefficients.ts"
import * as Compound from "./Compound.ts"
import { chainOf } from "./internal/anatomy.ts"
import type { ScaleError } from "./ScaleError.ts"

/** What to scale, with which coefficients, within which bounds. */
export interface Options<A, C extends string, M extends string>
  extends
    Omit<Compound.Options, "coefficients">,
    Pick<Search.Options<A, C, M>, "seed" | "settings" | "notes" | "surroundings" | "onEvent"> {
  readonly baseline: A
  /** Default: `Coefficients.grid()`; if the image is fixed, or there is none, the grid without resolution. */
  readonly grid?: ReadonlyArray<Coefficients.Coefficients>
  /** An upper bound on every network's multiply-accumulates for one example. Default: twice the baseline's, plus the tolerance. */
  readonly maxMacs?: number
}

/** A network of the grid. */
export interface Candidate<A, C extends string> {
  /** Of the coefficients that round to this network, those nearest to it. */
  readonly coefficients: Coefficients.Coefficients
  /** The network at φ = 1. */
  readonly member: Compound.Member<A, C>
}

/** No coefficients in the grid give a network within the budget. */
export class NoCandidate extends Schema.TaggedError<NoCandidate>()("NoCandidate", {
  coefficients: Schema.Finite,
  maxMacs: Schema.Finite,
  /** The fewest multiply-accumulates that any coefficients gave. */
  least: Schema.NullOr(Schema.Finite),
  /** Why the last coefficients that gave no network failed. */
  why: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const fewest = this.least === null ? "" : ` (the fewest they give is ${this.least.toLocaleString("en")})`
    const why = this.why === null ? "" : `: ${this.why}`
    return `none of ${this.coefficients} coefficients gives a network at φ = 1 of at most ${this.maxMacs.toLocaleString("en")} MACs${fewest}${why}; give a larger budget or other coefficients`
  }
}

/** The best candidate, and all the evaluated ones. */
export interface Found<A, C extends string, M extends string> extends Candidate<A, C> {
  /** All networks of the grid, in the order of the trials, with the measure that decides; `null` if the evaluation failed. */
  readonly candidates: ReadonlyArray<Candidate<A, C> & { readonly measure: number | null }>
  readonly search: Search.Found<A, C, M>
}

/** Every error that `run` can fail with. */
export type CoefficientSearchError = ScaleError | NoCandidate | SpaceError.InvalidSpace | Search.SearchError

/** The distance of a network from its ideal under its coefficients. */
const distance = ({ coefficients, member }: Candidate<unknown, never>): number =>
  (["depth", "width", "resolution"] as const).reduce((sum, key) => {
    const off = Elementary.log(member.factors[key] / coefficients[key])
    return sum + off * off
  }, 0)

/** The distinct networks of a grid, in its order. Coefficients that give no network are left out. */
export const candidates = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Omit<Options<A, C, M>, "seed">
): Result.Result<ReadonlyArray<Candidate<A, C>>, ScaleError | NoCandidate> =>
  Result.gen(function* () {
    const { baseline, fixedImage = false } = options
    const { resolution } = yield* chainOf(of, baseline, undefined)
    const grid =
      options.grid ?? Coefficients.grid(Coefficients.defaultGrid, { resolution: !fixedImage && resolution.step > 0 })
    const scaling = (coefficients: Coefficients.Coefficients): Compound.Options => ({ ...options, coefficients })
    const own = yield* Compound.member(of, baseline, 0, scaling(Coefficients.efficientNet))
    const maxMacs = options.maxMacs ?? 2 * own.macs * (1 + (options.tolerance ?? Compound.defaultTolerance))
    const byHash = new Map<string, Candidate<A, C>>()
    let least: number | null = null
    let why: string | null = null
    for (const coefficients of grid) {
      const made = Compound.member(of, baseline, 1, scaling(coefficients))
      if (Result.isFailure(made)) {
        why = made.failure.message
        continue
      }
      const candidate = { coefficients, member: made.success }
      const { macs, point } = made.success
      if (least === null || macs < least) least = macs
      if (macs > maxMacs) continue
      const hash = Space.hash(point)(of.space)
      const known = byHash.get(hash)
      if (known === undefined || distance(candidate) < distance(known)) byHash.set(hash, candidate)
    }
    if (byHash.size === 0)
      return yield* Result.fail(new NoCandidate({ coefficients: grid.length, maxMacs, least, why }))
    return [...byHash.values()]
  })

/** The networks as a space with one choice, in which they keep the JSON and hashes of their own space. */
const gridOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  networks: ReadonlyArray<A>
): Result.Result<ModelSpace.ModelSpace<A, C, M>, SpaceError.InvalidSpace> => {
  const hashOf = (network: A) => Space.hash(network)(of.space)
  const places = new Map(networks.map((network, i) => [hashOf(network), i]))
  return Result.map(
    Space.make(
      Choice.integer({ min: 0, max: networks.length - 1 }).pipe(
        Choice.map({
          schema: Space.valueSchema(of.space),
          to: (i) => Arr.getUnsafe(networks, i),
          from: (network) => {
            const place = places.get(hashOf(network))
            return place === undefined
              ? Result.fail({ path: [], value: of.line(network), expected: "a network of the grid" })
              : Result.succeed(place)
          }
        })
      )
    ),
    (space) => ({ ...of, space, chain: null })
  )
}

/**
 * Evaluates the networks of the grid, or continues the search in the journal, and returns the coefficients of the best network. The evaluator must be for the baseline's space.
 *
 * Fails with `NoCandidate`, `NothingFound` (no evaluation gave a result), a `ScaleError` of the baseline, or an error of the search.
 *
 * @example
 * ```ts
 * import { Coefficients, CoefficientSearch } from "@uninet/scaler"
 * import { Evaluator, Journal } from "@uninet/search"
 * import { Space } from "@uninet/search-space"
 * import { MobileNet } from "@uninet/spaces"
 * import { Console, Effect, Result } from "effect"
 *
 * const models = Result.getOrThrow(MobileNet.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * // In place of training: what is wider is better.
 * const evaluator = Evaluator.fromFunction(models, (point) => {
 *   const accuracy = 1 - 1 / models.costs.parameters(point)
 *   return Effect.succeed({ accuracy, top5: 1, loss: 1, calibrationError: 0 })
 * })
 * const program = CoefficientSearch.run(models, {
 *   baseline: Space.seedPoint(models.space),
 *   seed: "demo",
 *   grid: Coefficients.grid({ depth: [1, 1.3], width: [1, 1.2] })
 * }).pipe(
 *   Effect.flatMap(({ coefficients }) => Console.log(coefficients)),
 *   Effect.provide([evaluator, Journal.memory])
 * )
 * Effect.runPromise(program)
 * ```
 */
export const run = Effect.fnUntraced(function* <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  options: Options<A, C, M>
): Effect.fn.Return<Found<A, C, M>, CoefficientSearchError, Evaluator.Evaluator | Journal.Journal> {
  const { baseline, seed, settings = {}, notes, surroundings, onEvent } = options
  const found = yield* Effect.fromResult(candidates(of, options))
  const networks = found.map(({ member }) => member.point)
  const grid = yield* Effect.fromResult(gridOf(of, networks))
  const hashOf = (network: A) => Space.hash(network)(of.space)
  const search = yield* Search.run(grid, {
    trials: networks.length,
    seed,
    settings: {
      ...settings,
      baseline: hashOf(baseline),
      // All networks are known beforehand, and they identify the search.
      networks: networks.map(hashOf)
    },
    ...(notes === undefined ? {} : { notes }),
    ...(surroundings === undefined ? {} : { surroundings }),
    ...(onEvent === undefined ? {} : { onEvent })
  }).pipe(Effect.provide(Grid.layer()), Effect.scoped)

  const byHash = new Map(search.records.map((record) => [record.hash, record] as const))
  const evaluated = found.map((candidate) => {
    const outcome = byHash.get(hashOf(candidate.member.point))?.outcome
    return { ...candidate, measure: outcome?._tag === "Scored" ? outcome.evaluation.measures[of.task.decides] : null }
  })
  const best = found.find(({ member }) => hashOf(member.point) === search.best.hash)
  // What the search found is one of the networks that it was given.
  return { ...(best ?? Arr.getUnsafe(found, 0)), candidates: evaluated, search }
})

/**
 * Coefficients by a small grid search at φ = 1 (Tan & Le 2019, section 3.3): every candidate's network has twice the baseline's multiply-accumulates, and the one that an
 * evaluator finds the most accurate says how to scale.
 *
 * It is a `Search` over the networks of a grid: any `Evaluator`, any number at a time, kept in the `Journal`, and resumed from it without
 * training anything twice. Coefficients that round to the same network share its one training.
 */
import { Grid } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import type { Network } from "@uninet/network"
import { Operators } from "@uninet/operators"
import { type Evaluator, type Journal, NothingFound, Search } from "@uninet/search"
import { Architecture, Choice, SearchSpace, Space, type SpaceError } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Coefficients from "./Coefficients.ts"
import * as Compound from "./Compound.ts"
import type { ScaleError } from "./ScaleError.ts"

export interface Options
  extends
    Omit<Compound.Options, "coefficients" | "sets">,
    Pick<Search.Options, "seed" | "settings" | "notes" | "onEvent"> {
  readonly baseline: Architecture.Architecture
  /** Default: `Coefficients.grid()`, with a fixed image the one without resolution. */
  readonly grid?: ReadonlyArray<Coefficients.Coefficients>
  /** No network has more multiply-accumulates for one image. Default: twice the baseline's and the tolerance. */
  readonly maxMacs?: number
}

/** A network of the grid. */
export interface Candidate {
  /** Of those that round to this network, the ones that are nearest to it. */
  readonly coefficients: Coefficients.Coefficients
  /** At φ = 1. */
  readonly member: Compound.Member
}

/** No coefficients of the grid give a network within the budget. */
export class NoCandidate extends Schema.TaggedError<NoCandidate>()("NoCandidate", {
  coefficients: Schema.Finite,
  maxMacs: Schema.Finite,
  /** The fewest multiply-accumulates that any of them gave. */
  least: Schema.NullOr(Schema.Finite),
  /** Why the last of those failed that gave no network. */
  why: Schema.NullOr(Schema.String)
}) {
  override get message() {
    const fewest = this.least === null ? "" : ` (the fewest they give is ${this.least.toLocaleString("en")})`
    const why = this.why === null ? "" : `: ${this.why}`
    return `none of ${this.coefficients} coefficients gives a network at φ = 1 of at most ${this.maxMacs.toLocaleString("en")} MACs${fewest}${why}; give a larger budget or other coefficients`
  }
}

export interface Found extends Candidate {
  /** All networks of the grid in the order of the trials, with their accuracy; `null` where the evaluation failed. */
  readonly candidates: ReadonlyArray<Candidate & { readonly accuracy: number | null }>
  readonly search: Search.Found
}

export type CoefficientSearchError =
  | ScaleError
  | NoCandidate
  | NothingFound
  | SpaceError.InvalidSpace
  | Search.SearchError

/** How far a network is from what its coefficients wanted. */
const distance = ({ coefficients, member }: Candidate): number =>
  (["depth", "width", "resolution"] as const).reduce(
    (sum, key) => sum + Math.log(member.factors[key] / coefficients[key]) ** 2,
    0
  )

/** The distinct networks of a grid, in its order. Coefficients that give none are left out. */
export const candidates = (
  options: Omit<Options, "seed">,
  sets?: Network.Sets
): Result.Result<ReadonlyArray<Candidate>, ScaleError | NoCandidate> =>
  Result.gen(function* () {
    const { baseline, fixedImage = false } = options
    const grid = options.grid ?? Coefficients.grid(Coefficients.defaultGrid, { resolution: !fixedImage })
    const scaling = (coefficients: Coefficients.Coefficients): Compound.Options => ({
      ...options,
      coefficients,
      ...(sets === undefined ? {} : { sets })
    })
    const [own] = yield* Compound.family(baseline, [0], scaling(grid[0] ?? Coefficients.efficientNet))
    const maxMacs = options.maxMacs ?? 2 * own.costs.macs * (1 + (options.tolerance ?? Compound.defaultTolerance))
    const byHash = new Map<string, Candidate>()
    let least: number | null = null
    let why: string | null = null
    for (const coefficients of grid) {
      const made = Compound.member(baseline, 1, scaling(coefficients))
      if (Result.isFailure(made)) {
        why = made.failure.message
        continue
      }
      const candidate = { coefficients, member: made.success }
      const { macs } = made.success.costs
      if (least === null || macs < least) least = macs
      if (macs > maxMacs) continue
      const hash = Architecture.hash(made.success.architecture)
      const known = byHash.get(hash)
      if (known === undefined || distance(candidate) < distance(known)) byHash.set(hash, candidate)
    }
    if (byHash.size === 0)
      return yield* Result.fail(new NoCandidate({ coefficients: grid.length, maxMacs, least, why }))
    return [...byHash.values()]
  })

/** The networks as a space with one choice. */
const spaceOf = (networks: ReadonlyArray<Architecture.Architecture>) => {
  const places = new Map(networks.map((network, i) => [Architecture.hash(network), i]))
  return Space.make(
    Choice.integer({ min: 0, max: networks.length - 1 }).pipe(
      Choice.map({
        schema: Architecture.Architecture,
        to: (i) => networks[i],
        from: (network) => {
          const place = places.get(Architecture.hash(network))
          return place === undefined
            ? Result.fail({ path: [], value: Architecture.line(network), expected: "a network of the grid" })
            : Result.succeed(place)
        }
      })
    )
  )
}

/**
 * Evaluates the networks of the grid, or goes on with the search in the journal, and gives the coefficients of the most accurate one.
 *
 * Fails with `NoCandidate`, `NothingFound` (no evaluation gave a result), a `ScaleError` of the baseline, or an error of the search.
 *
 * @example
 * CoefficientSearch.run({ baseline, seed: "demo" }).pipe(
 *   Effect.provide([evaluator, Journal.sqlite("runs/scale/journal.db"), Operators.standard, Dsms.standard])
 * )
 */
export const run = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Found, CoefficientSearchError, Evaluator.Evaluator | Journal.Journal | Operators | Dsms> {
  const { baseline, seed, settings = {}, notes, onEvent } = options
  const sets: Network.Sets = { operators: yield* Operators, dsms: yield* Dsms }
  const found = yield* Effect.fromResult(candidates(options, sets))
  const networks = found.map(({ member }) => member.architecture)
  const space = Layer.effect(SearchSpace, Effect.fromResult(spaceOf(networks)))
  const search = yield* Search.run({
    trials: networks.length,
    seed,
    settings: {
      ...settings,
      baseline: Architecture.hash(baseline),
      // All networks are known beforehand, and with them what is searched.
      networks: networks.map(Architecture.hash)
    },
    ...(notes === undefined ? {} : { notes }),
    ...(onEvent === undefined ? {} : { onEvent })
  }).pipe(Effect.provide(Layer.provideMerge(Grid.layer(), space)), Effect.scoped)

  const byHash = new Map(search.records.map((record) => [record.hash, record] as const))
  const accuracies = found.map((candidate) => {
    const outcome = byHash.get(Architecture.hash(candidate.member.architecture))?.outcome
    return { ...candidate, accuracy: outcome?._tag === "Scored" ? outcome.evaluation.accuracy : null }
  })
  const best = found.find(({ member }) => Architecture.hash(member.architecture) === search.best?.hash)
  if (best === undefined) {
    const last = search.records.findLast(({ outcome }) => outcome._tag === "Failed")?.outcome
    return yield* new NothingFound({
      trials: search.records.length,
      last: last?._tag === "Failed" ? last.detail : "it was refused"
    })
  }
  return { ...best, candidates: accuracies, search }
})

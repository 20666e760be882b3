/**
 * NSGA-II: evolution for several objectives (Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002). Parents win a binary tournament
 * by front; within a front, they win by what they add to the hypervolume (as in SMS-EMOA, Beume et al. 2007) or by crowding, as in the original. With one
 * objective it is an elitist genetic algorithm.
 *
 * Tell results with `objectives`; larger is better in each. Without them, the reward is the only objective.
 */
import type { Prng } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { layerOf } from "./internal/layer.ts"
import * as Pareto from "./Pareto.ts"
import * as Kit from "./Kit.ts"
import type { Domain, SearchStrategy } from "./Strategy.ts"
import { InvalidOption } from "./StrategyError.ts"

const name = "nsga2"

/** How many survive, how children are made, and how survivors are ranked within a front. */
export interface Options {
  /** Survivors, and children, per generation. Default 30. */
  readonly population?: number
  /** The probability that a child has two parents. Default 0.5. */
  readonly crossover?: number
  /** The ranking within a front: `hypervolume` (the default) or `crowding`. */
  readonly ranking?: "hypervolume" | "crowding"
}

/** The defaults of all options. */
export const defaults = { population: 30, crossover: 0.5, ranking: "hypervolume" } satisfies Options

interface Member {
  readonly observation: Kit.Observation
  /** The front that it is on (`rank`), and its value within that front (`worth`). */
  readonly rank: number
  readonly worth: number
}

/**
 * NSGA-II over a space, with or without constraints.
 *
 * @example
 * ```ts
 * import { Nsga2, Pareto, Told } from "@uninet/controller"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * const space = Result.getOrThrow(
 *   Space.make(Choice.struct({ width: Choice.integer({ min: 1, max: 64 }), depth: Choice.integer({ min: 1, max: 16 }) }))
 * )
 * // Instead of training: width pays only with depth, and both cost.
 * const objectives = ({ depth, width }: { readonly depth: number; readonly width: number }) =>
 *   [Math.min(width / 4, depth), -width * depth] as const
 *
 * const program = Effect.gen(function* () {
 *   const strategy = yield* Nsga2.make(space, { population: 10 }, Prng.fromSeed("demo"))
 *   const found: Array<ReadonlyArray<number>> = []
 *   for (let generation = 0; generation < 10; generation++) {
 *     const proposals = yield* strategy.ask(10)
 *     found.push(...proposals.map(({ value }) => objectives(value)))
 *     yield* strategy.tell(
 *       proposals.map(({ trial, value }) => {
 *         const all = objectives(value)
 *         // The first is what the search calls its reward; the front is of both, and larger is better in each.
 *         return Told.scored(trial, all[0], all)
 *       })
 *     )
 *   }
 *   const front = found.filter((_, i) => Pareto.ranks(found)[i] === 0)
 *   yield* Console.log(`${front.length} networks than which none is better in both`)
 * })
 * Effect.runPromise(program)
 * ```
 */
export const make = Effect.fnUntraced(function* <A>(domain: Domain<A>, options: Options, prng: Prng.Prng) {
  const settings = { ...defaults, ...options }
  const { crossover, population, ranking } = settings
  const rules = { population: Kit.positiveInteger, crossover: Kit.chance }
  const wrong = Kit.check(name, settings, rules)
  if (wrong !== undefined) return yield* wrong
  if (ranking !== "hypervolume" && ranking !== "crowding") {
    const expected = '"hypervolume" or "crowding"'
    return yield* new InvalidOption({ strategy: name, option: "ranking", given: String(ranking), expected })
  }
  return yield* Kit.make(name, domain, prng, (bench) => {
    let parents: ReadonlyArray<Member> = []
    let children: Array<Kit.Observation> = []

    const tournament = (): Member => {
      const random = bench.prng()
      const drawn = () => Arr.getUnsafe(parents, random.nextInt(parents.length))
      const [one, other] = [drawn(), drawn()]
      return before(other, one) < 0 ? other : one
    }
    const next = () => {
      if (bench.asked() < population || parents.length === 0) return bench.random()
      const random = bench.prng()
      const mother = tournament().observation.point
      const father = random.nextFloat() < crossover ? tournament().observation.point : mother
      if (father.key !== mother.key) {
        // a child that differs from both parents needs no mutation
        const crossed = bench.points.crossed(mother, father, random)
        return random.nextInt(2) === 0 && bench.claim(crossed) ? crossed : bench.child(crossed)
      }
      return bench.child(mother)
    }
    const observe = (observation: Kit.Observation) => {
      if (observation.objectives.length > 0) children.push(observation)
      if (children.length < population) return
      parents = survivors([...parents.map((member) => member.observation), ...children], population, ranking)
      children = []
    }
    return {
      next,
      observe,
      reset: () => {
        parents = []
        children = []
      }
    }
  })
})

const before = (a: Member, b: Member) =>
  a.rank - b.rank || (a.worth === b.worth ? 0 : b.worth - a.worth) || a.observation.trial - b.observation.trial

/** The best `count` by front, and within a front by worth. */
const survivors = (
  all: ReadonlyArray<Kit.Observation>,
  count: number,
  ranking: "hypervolume" | "crowding"
): ReadonlyArray<Member> => {
  const points = all.map(({ objectives }) => objectives)
  const reference = (points[0] ?? []).map((_, m) => {
    const reached = points.map((point) => point[m] ?? Number.NaN)
    const low = Math.min(...reached)
    // a tenth of the range below the worst, so that the ends of a front also add something
    return low - 0.1 * (Math.max(...reached) - low) - 1e-12
  })
  const fronts: Array<Array<Kit.Observation>> = []
  for (const [observation, rank] of Arr.zip(all, Pareto.ranks(points))) {
    const front = (fronts[rank] ??= [])
    front.push(observation)
  }
  const members: Array<Member> = []
  for (const [rank, front] of fronts.entries()) {
    const objectives = front.map((observation) => observation.objectives)
    const worths = ranking === "crowding" ? Pareto.crowding(objectives) : Pareto.contributions(reference)(objectives)
    for (const [observation, worth] of Arr.zip(front, worths)) members.push({ observation, rank, worth })
  }
  return members.sort(before).slice(0, count)
}

/** Provides `SearchStrategy`: the search calls `make` with these options on its space. */
export const layer = (options: Options = {}): Layer.Layer<SearchStrategy> =>
  layerOf(name, (domain, prng) => make(domain, options, prng))

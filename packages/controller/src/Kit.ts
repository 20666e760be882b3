/**
 * Everything you need to write a strategy. The kit numbers the trials, checks the results, never proposes a point twice, detects exhaustion, checks feasibility, varies points and takes snapshots; your
 * algorithm only decides what to propose and what to learn. The strategies of this package are made with it.
 *
 * Every strategy made with the kit has these properties: proposals meet the constraints and differ from one another, results may be told in any order and are checked, and `ask` and `tell` do not
 * overlap. A restored strategy continues as if nothing had happened, provided that the algorithm
 *
 * - draws from `bench.prng()` only in `next` (or `propose`): when a snapshot is restored, results are told again, which must not advance the generator;
 * - keeps only state that its results reproduce, or declares the rest by `state` (or `save` and `load`).
 *
 * @example
 * ```ts
 * import { Kit, SearchStrategy, type Strategy } from "@uninet/controller"
 * import type { Prng } from "@uninet/search-space"
 * import { Layer } from "effect"
 *
 * // a hill climber: a change of the best there is
 * const climb = <A>(domain: Strategy.Domain<A>, prng: Prng.Prng) =>
 *   Kit.make("climb", domain, prng, (bench) => {
 *     let best: Kit.Observation | undefined
 *     return {
 *       next: () => (best === undefined ? bench.random() : bench.child(best.point)),
 *       observe: (found) => {
 *         if (best === undefined || found.reward > best.reward) best = found
 *       },
 *       reset: () => {
 *         best = undefined
 *       }
 *     }
 *   })
 * const layer = Layer.succeed(SearchStrategy, { name: "climb", start: climb })
 * ```
 */
import { Prng, Space } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Effects from "./internal/effects.ts"
import * as Points from "./internal/points.ts"
import { Lesson } from "./Lesson.ts"
import type { Believed, Domain, Proposal, Snapshot, Strategy } from "./Strategy.ts"
import {
  AlreadyTold,
  Exhausted,
  InvalidOption,
  InvalidReward,
  InvalidSnapshot,
  type StrategyError,
  UnknownTrial
} from "./StrategyError.ts"
import type { Told } from "./Told.ts"

export {
  chance,
  check,
  naturalNumber,
  nonNegative,
  positive,
  positiveInteger,
  type Rule,
  share
} from "./internal/options.ts"
export type { Point, Points } from "./internal/points.ts"

/** A trial with its result. */
export interface Observation {
  /** The number of its proposal, from 0. */
  readonly trial: number
  readonly point: Points.Point
  /** −Infinity for a failed trial. */
  readonly reward: number
  /** Only the reward if no objectives were told; empty for a failed trial. */
  readonly objectives: ReadonlyArray<number>
}

/** The tools that an algorithm works with. */
export interface Bench<A> {
  /** The strategy's name. */
  readonly name: string
  readonly points: Points.Points<A>
  /** The generator. `restore` replaces it, so call this at every use. */
  readonly prng: () => Prng.Prng
  /** Whether a point has not been proposed yet. */
  readonly isNew: (point: Points.Point) => boolean
  /** Marks a point as proposed; false if it was already proposed or is infeasible. An algorithm has to claim every point before it proposes it. */
  readonly claim: (point: Points.Point) => boolean
  /**
   * Claims a random point; all new points are equally likely. If there are lessons, the first random points are ones that the lessons rate highly. `undefined` if none is left or none was
   * found; then there is nothing to propose.
   */
  readonly random: () => Points.Point | undefined
  /** A new feasible point near another, not claimed: one mutation away or, if no such point was found, several mutations away. `undefined` if none was found. */
  readonly variant: (parent: Points.Point) => Points.Point | undefined
  /** A new point near another (`variant`), claimed; a random point if none was found. */
  readonly child: (parent: Points.Point) => Points.Point | undefined
  /** How many trials were proposed before this `ask`. */
  readonly asked: () => number
  /** All results, in the order in which they were told. */
  readonly history: ReadonlyArray<Observation>
  /** Points that were proposed but have no result yet, in the order of their trials. */
  readonly pending: () => ReadonlyArray<Points.Point>
  /** The earlier searches given to `Strategy.learn`, those with results. */
  readonly lessons: () => ReadonlyArray<Lesson>
}

/** State of an algorithm that replaying the results would not reproduce. Made by `state`. */
export interface State {
  readonly save: Effect.Effect<Schema.Json, Schema.SchemaError>
  readonly load: (json: Schema.Json) => Effect.Effect<void, Schema.SchemaError>
}

/**
 * Declares an algorithm's state by its schema. With it, nothing is replayed when a snapshot is restored. Instead, once `bench.history` is the snapshot's, `load` is called with what
 * `save` returned; a damaged snapshot is refused before that.
 */
export const state = <S>(
  schema: Schema.Codec<S, unknown>,
  { load, save }: { readonly save: () => S; readonly load: (state: S) => void }
): State => {
  const json = Schema.toCodecJson(schema)
  return {
    save: Effect.suspend(() => Schema.encodeEffect(json)(save())),
    load: (given) => Effect.map(Schema.decodeUnknownEffect(json)(given), load)
  }
}

/** An algorithm without Effects. */
export interface Algorithm {
  /** The next point, claimed; `undefined` if there is none. */
  readonly next: () => Points.Point | undefined
  /** Learns from one result, which is already in `history`. Must not draw random numbers. Default: does nothing. */
  readonly observe?: (observation: Observation) => void
  /** Forgets everything; called before the results are told again. Default: does nothing. */
  readonly reset?: () => void
  /** State beyond the results. Default: none, replaying the results reproduces everything. */
  readonly state?: State
  /** The same as `Strategy.believed`. */
  readonly believed?: () => ReadonlyArray<Believed>
  /** Whether the algorithm can use lessons. Default true: its first random points are then ones that the lessons rate highly. */
  readonly learns?: boolean
}

/** An algorithm with Effects, for example one that runs programs, or that proposes several points at once. */
export interface AlgorithmEffect {
  /** Up to `count` points, each claimed. An empty list means that there is nothing left to propose. */
  readonly propose: (count: number) => Effect.Effect<ReadonlyArray<Points.Point>, StrategyError>
  /** Learns from one result, which is already in `history`. */
  readonly observe?: (observation: Observation) => Effect.Effect<void, StrategyError>
  /** Forgets everything. */
  readonly reset: Effect.Effect<void, StrategyError>
  /** State that replaying the results would not restore, or only at a high cost. */
  readonly save?: Effect.Effect<Schema.Json, StrategyError>
  /** Called in place of `reset` and the replay of the results, when `history` is already the snapshot's. If it fails, it must not have changed the algorithm's state. */
  readonly load?: (state: Schema.Json) => Effect.Effect<void, StrategyError>
  readonly probabilities?: Strategy<unknown>["probabilities"]
  readonly believed?: Strategy<unknown>["believed"]
  /** As in `Algorithm`. */
  readonly learns?: boolean
}

/** Converts an algorithm without Effects to one with Effects. */
const effectful = (strategy: string, { believed, learns, next, observe, reset, state }: Algorithm): AlgorithmEffect => {
  const invalid = (error: { readonly message: string }) => new InvalidSnapshot({ strategy, problem: error.message })
  return {
    propose: (count) =>
      Effect.sync(() => {
        const out: Array<Points.Point> = []
        while (out.length < count) {
          const point = next()
          if (point === undefined) break
          out.push(point)
        }
        return out
      }),
    ...(observe === undefined ? {} : { observe: (observation) => Effect.sync(() => observe(observation)) }),
    reset: reset === undefined ? Effect.void : Effect.sync(reset),
    ...(learns === undefined ? {} : { learns }),
    ...(believed === undefined ? {} : { believed: Effect.sync(believed) }),
    ...(state === undefined
      ? {}
      : {
          save: Effect.mapError(state.save, invalid),
          load: (given) => Effect.mapError(state.load(given), invalid)
        })
  }
}

/** Spaces up to this size are enumerated to find the last points. */
const listable = 2 ** 20
/** The number of failed draws before a small space is enumerated (`fewDraws`), and before the search of a large one is given up (`manyDraws`). */
const fewDraws = 64
const manyDraws = 20_000

/** Among the first proposals, up to this number, every random one is guided by the lessons: it is … */
const guided = 30
/** … the best of this many draws. */
const guidedDraws = 16

const State = Schema.Struct({
  prng: Prng.State,
  asked: Schema.Array(Schema.Array(Schema.Int)),
  /** Trial, reward (`null`: failed) and objectives, in the order in which they were told. */
  told: Schema.Array(Schema.Tuple([Schema.Int, Schema.NullOr(Schema.Finite), Schema.Array(Schema.Finite)])),
  listed: Schema.Boolean,
  /** The earlier searches that it was given. Absent if there were none. */
  lessons: Schema.optionalKey(Schema.Array(Lesson)),
  algorithm: Schema.Json
})

/** As plain JSON. */
const copied = ({ results }: Lesson) => ({
  results: results.map(({ reward, vector }) => ({ vector: [...vector], reward }))
})

/** A proposal whose value and hash are computed when first read: the strategy itself needs neither. */
class OfPoint<A> implements Proposal<A> {
  readonly trial: number
  readonly tokens: Space.Tokens
  readonly #points: Points.Points<A>
  readonly #point: Points.Point
  #value: { readonly of: A } | undefined
  #hash: string | undefined
  constructor(points: Points.Points<A>, point: Points.Point, trial: number) {
    this.trial = trial
    this.tokens = point.tokens
    this.#points = points
    this.#point = point
  }
  get value(): A {
    return (this.#value ??= { of: this.#points.value(this.#point) }).of
  }
  get hash(): string {
    return (this.#hash ??= Space.hash<A>(this.value)(this.#points.space))
  }
}

/**
 * Makes a strategy from an algorithm. `build` is called once, with the algorithm's tools; it must not draw or claim anything yet.
 *
 * @param name the strategy's name in snapshots, journals and errors.
 */
export const make = <A>(
  name: string,
  domain: Domain<A>,
  prng: Prng.Prng,
  build: (bench: Bench<A>) => Algorithm
): Effect.Effect<Strategy<A>> =>
  makeEffect(name, domain, prng, (bench) => Effect.sync(() => effectful(name, build(bench))))

/**
 * Like `make`, for an algorithm with Effects, whose `build` may require services.
 *
 * @example
 * ```ts
 * import { Kit } from "@uninet/controller"
 * import { Choice, Prng, Space } from "@uninet/search-space"
 * import { Console, Effect, Ref, Result } from "effect"
 *
 * const space = Result.getOrThrow(Space.make(Choice.integer({ min: 0, max: 99 })))
 * // An algorithm that has to be built, and that proposes by an Effect: this one counts, another runs a model.
 * const asking = Kit.makeEffect("asking", space, Prng.fromSeed("demo"), ({ random }) =>
 *   Effect.map(Ref.make(0), (asked) => ({
 *     propose: (count) =>
 *       Effect.gen(function* () {
 *         yield* Ref.update(asked, (n) => n + count)
 *         return Array.from({ length: count }, random).filter((point) => point !== undefined)
 *       }),
 *     reset: Ref.set(asked, 0),
 *     learns: false
 *   }))
 * )
 * asking.pipe(
 *   Effect.flatMap((strategy) => strategy.ask(3)),
 *   Effect.flatMap((proposals) => Console.log(proposals.map(({ value }) => value))),
 *   Effect.runPromise
 * )
 * ```
 */
export const makeEffect = Effect.fnUntraced(function* <A, E, R>(
  name: string,
  domain: Domain<A>,
  generator: Prng.Prng,
  build: (bench: Bench<A>) => Effect.Effect<AlgorithmEffect, E, R>
) {
  const points = Points.make(domain)
  const { space } = points
  let prng = generator
  let asked: Array<Points.Point> = []
  let told: Array<boolean> = []
  /** Trials without a result. */
  let open = new Map<number, Points.Point>()
  /** The number of objectives of every result; `undefined` before the first. */
  let width: number | undefined
  let seen = new Set<string>()
  const history: Array<Observation> = []
  /** Indices of the points not proposed yet, in ascending order, once few are left. */
  let left: Uint32Array | undefined
  let end: StrategyError | undefined
  let lessons: ReadonlyArray<Lesson> = []
  let effects: Effects.Effects | undefined
  const taught = (given: ReadonlyArray<Lesson>) => {
    lessons = given
    effects = given.length === 0 ? undefined : Effects.make(points.sites, given)
  }

  const exhausted = (proven: boolean) => new Exhausted({ strategy: name, proposed: seen.size, proven })

  const list = () => {
    const indices: Array<number> = []
    for (let i = 0; i < points.distinct; i++) {
      const point = points.at(i)
      if (!seen.has(point.key) && points.feasible(point)) indices.push(i)
    }
    left = Uint32Array.from(indices)
  }
  const strike = (index: number) => {
    if (left === undefined) return
    let low = 0
    let high = left.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const here = left[middle]
      if (here !== undefined && here < index) low = middle + 1
      else high = middle
    }
    if (left[low] !== index) return
    left.copyWithin(low, low + 1)
    left = left.subarray(0, left.length - 1)
  }
  const isNew = (point: Points.Point) => !seen.has(point.key)
  const take = (point: Points.Point) => {
    seen.add(point.key)
    if (left !== undefined) strike(points.index(point))
  }
  const claim = (point: Points.Point) => {
    if (seen.has(point.key) || !points.feasible(point)) return false
    take(point)
    return true
  }
  /** The one of several draws that the lessons rate highest; `undefined` if none is new. */
  const promising = ({ total }: Effects.Effects): Points.Point | undefined => {
    let best: Points.Point | undefined
    let most = -Infinity
    for (let i = 0; i < guidedDraws; i++) {
      const drawn = points.draw(prng)
      if (Result.isFailure(drawn) || !isNew(drawn.success)) continue
      const worth = total(drawn.success.vector)
      if (worth <= most) continue
      most = worth
      best = drawn.success
    }
    return best
  }
  const random = (): Points.Point | undefined => {
    if (effects !== undefined && asked.length < guided && left === undefined) {
      const found = promising(effects)
      if (found !== undefined) {
        take(found)
        return found
      }
    }
    if (seen.size >= points.distinct) {
      end = exhausted(true)
      return undefined
    }
    const draws = left !== undefined ? 0 : points.distinct <= listable ? fewDraws : manyDraws
    for (let i = 0; i < draws; i++) {
      const drawn = points.draw(prng)
      if (Result.isFailure(drawn)) {
        end = seen.size === 0 || drawn.failure._tag === "CostFailed" ? drawn.failure : exhausted(false)
        return undefined
      }
      if (isNew(drawn.success)) {
        take(drawn.success)
        return drawn.success
      }
    }
    if (left === undefined && points.distinct <= listable) list()
    const index = left === undefined || left.length === 0 ? undefined : left[prng.nextInt(left.length)]
    if (index === undefined) {
      end = exhausted(left !== undefined)
      return undefined
    }
    const point = points.at(index)
    take(point)
    return point
  }

  const variant = (parent: Points.Point): Points.Point | undefined => {
    for (let distance = 1; distance <= 4; distance++) {
      for (let attempt = 0; attempt < 8; attempt++) {
        let point = parent
        for (let step = 0; step < distance; step++) point = points.mutated(point, prng)
        if (isNew(point) && points.feasible(point)) return point
      }
    }
    return undefined
  }
  const child = (parent: Points.Point): Points.Point | undefined => {
    const point = variant(parent)
    return point !== undefined && claim(point) ? point : random()
  }

  const algorithm = yield* build({
    name,
    points,
    prng: () => prng,
    claim,
    isNew,
    random,
    variant,
    child,
    asked: () => asked.length,
    history,
    pending: () => [...open.values()],
    lessons: () => lessons
  })
  // calls run one after the other, and none is interrupted half-way
  const turn = yield* Semaphore.make(1)
  const inTurn = <B, E2>(effect: Effect.Effect<B, E2>) => turn.withPermits(1)(Effect.uninterruptible(effect))

  const ask = (count: number): Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError> => {
    if (!(Number.isSafeInteger(count) && count >= 1)) {
      const given = String(count)
      return Effect.fail(
        new InvalidOption({ strategy: name, option: "count", given, expected: "an integer of 1 or more" })
      )
    }
    return inTurn(
      Effect.flatMap(
        Effect.suspend(() => {
          end = undefined
          return algorithm.propose(count)
        }),
        (found) => {
          // if the points found before a CostFailed were returned, the search would end as if the space were exhausted
          if (found.length === 0 || end?._tag === "CostFailed") return Effect.fail(end ?? exhausted(false))
          const first = asked.length
          for (const point of found) {
            open.set(asked.length, point)
            asked.push(point)
            told.push(false)
          }
          return Effect.succeed(found.map((point, i) => new OfPoint(points, point, first + i)))
        }
      )
    )
  }

  /** What is wrong with the results, if anything. */
  const refused = (results: ReadonlyArray<Told>): StrategyError | undefined => {
    const here = new Set<number>()
    let expected = width
    for (const result of results) {
      const { trial } = result
      if (!(Number.isSafeInteger(trial) && trial >= 0 && trial < asked.length)) {
        return new UnknownTrial({ strategy: name, trial, asked: asked.length })
      }
      if (told[trial] === true || here.has(trial)) return new AlreadyTold({ strategy: name, trial })
      here.add(trial)
      if (result._tag === "Failed") continue
      const { objectives, reward } = result
      const invalid = (problem: string) => new InvalidReward({ strategy: name, trial, problem })
      if (!Number.isFinite(reward)) return invalid(`the reward is ${reward}`)
      const wrong = objectives?.findIndex((objective) => !Number.isFinite(objective)) ?? -1
      if (wrong >= 0) return invalid(`objective ${wrong} is ${objectives?.[wrong]}`)
      const given = objectives?.length ?? 1
      if (given === 0) return invalid("the list of objectives is empty")
      expected ??= given
      if (given !== expected) return invalid(`it has ${given} objectives, but earlier trials have ${expected}`)
    }
    return undefined
  }

  const record = (result: Told): Observation => {
    told[result.trial] = true
    open.delete(result.trial)
    const observation: Observation = {
      trial: result.trial,
      point: Arr.getUnsafe(asked, result.trial),
      reward: result._tag === "Scored" ? result.reward : -Infinity,
      objectives: result._tag === "Scored" ? (result.objectives ?? [result.reward]) : []
    }
    history.push(observation)
    if (observation.objectives.length > 0) width ??= observation.objectives.length
    return observation
  }

  const tell = (results: ReadonlyArray<Told>): Effect.Effect<void, StrategyError> =>
    inTurn(
      Effect.suspend((): Effect.Effect<void, StrategyError> => {
        const error = refused(results)
        if (error !== undefined) return Effect.fail(error)
        const inOrder = results.length === 1 ? results : [...results].sort((a, b) => a.trial - b.trial)
        const { observe } = algorithm
        if (observe === undefined) {
          for (const result of inOrder) record(result)
          return Effect.void
        }
        return Effect.forEach(inOrder, (result) => Effect.suspend(() => observe(record(result))), { discard: true })
      })
    )

  const fingerprint = () => Space.fingerprint(space)
  const snapshot: Effect.Effect<Snapshot, StrategyError> = inTurn(
    Effect.map(
      Effect.suspend(() => algorithm.save ?? Effect.succeed(null)),
      (extra) => ({
        strategy: name,
        space: fingerprint(),
        version: 1,
        state: {
          prng: { ...prng.state, words: [...prng.state.words] },
          asked: asked.map(({ tokens }) => [...tokens]),
          told: history.map(({ objectives, reward, trial }) => [
            trial,
            reward === -Infinity ? null : reward,
            [...objectives]
          ]),
          listed: left !== undefined,
          ...(lessons.length === 0 ? {} : { lessons: lessons.map(copied) }),
          algorithm: extra
        }
      })
    )
  )

  const restore = (given: Snapshot): Effect.Effect<void, StrategyError> =>
    inTurn(
      Effect.gen(function* () {
        const invalid = (problem: string) => new InvalidSnapshot({ strategy: name, problem })
        if (given.strategy !== name) return yield* invalid(`it comes from the strategy ${given.strategy}`)
        if (given.space !== fingerprint()) return yield* invalid("it comes from another space")
        const state = yield* Schema.decodeUnknownEffect(State)(given.state).pipe(
          Effect.mapError((error) => invalid(error.message))
        )
        const nextPrng = yield* Effect.mapError(Effect.fromResult(Prng.fromState(state.prng)), (e) =>
          invalid(e.message)
        )
        const nextAsked: Array<Points.Point> = []
        for (const tokens of state.asked) {
          nextAsked.push(yield* Effect.mapError(Effect.fromResult(points.of(tokens)), (e) => invalid(e.message)))
        }
        const trials = new Set(state.told.map(([trial]) => trial))
        if (trials.size !== state.told.length || state.told.some(([trial]) => nextAsked[trial] === undefined)) {
          return yield* invalid("it has results for trials that were never asked for")
        }
        const before = { prng, asked, told, open, width, seen, left, lessons, history: [...history] }
        taught(state.lessons ?? [])
        prng = nextPrng
        asked = nextAsked
        told = nextAsked.map(() => false)
        open = new Map(nextAsked.entries())
        width = undefined
        seen = new Set(nextAsked.map(({ key }) => key))
        history.length = 0
        left = undefined
        if (state.listed) list()
        const { load, observe } = algorithm
        if (load === undefined) yield* algorithm.reset
        for (const [trial, reward, objectives] of state.told) {
          const observation = record(
            reward === null ? { _tag: "Failed", trial } : { _tag: "Scored", trial, reward, objectives }
          )
          if (load === undefined && observe !== undefined) yield* observe(observation)
        }
        if (load === undefined) return
        yield* load(state.algorithm).pipe(
          Effect.tapError(() =>
            Effect.sync(() => {
              ;({ prng, asked, told, open, width, seen, left } = before)
              taught(before.lessons)
              history.length = 0
              for (const observation of before.history) history.push(observation)
            })
          )
        )
      })
    )

  const adopt = (given: ReadonlyArray<Space.Tokens>): Effect.Effect<ReadonlyArray<Proposal<A>>, StrategyError> =>
    inTurn(
      Effect.suspend(() => {
        const found: Array<Points.Point> = []
        for (const tokens of given) {
          const point = points.of(tokens)
          if (Result.isFailure(point))
            return Effect.fail(
              new InvalidOption({
                strategy: name,
                option: "tokens",
                given: `[${tokens.join(", ")}]`,
                expected: `tokens of the space (${point.failure.message})`
              })
            )
          found.push(point.success)
        }
        const first = asked.length
        for (const point of found) {
          // It is up to the search to refuse points that were proposed before or are outside the constraints.
          if (isNew(point)) take(point)
          open.set(asked.length, point)
          asked.push(point)
          told.push(false)
        }
        return Effect.succeed(found.map((point, i) => new OfPoint(points, point, first + i)))
      })
    )

  const learn = (given: ReadonlyArray<Lesson>): Effect.Effect<void, StrategyError> =>
    inTurn(
      Effect.suspend(() => {
        const wrong = given
          .flatMap(({ results }) => results)
          .find(({ vector }) => vector.length !== points.sites.length)
        if (wrong !== undefined)
          return Effect.fail(
            new InvalidOption({
              strategy: name,
              option: "lessons",
              given: `a result with ${wrong.vector.length} choices`,
              expected: `results with ${points.sites.length} choices, each a token or Site.absent`
            })
          )
        taught(given.filter(({ results }) => results.length > 0))
        return Effect.void
      })
    )

  const { believed, probabilities } = algorithm
  const strategy: Strategy<A> = {
    name,
    ask,
    tell,
    snapshot,
    restore,
    adopt,
    ...(algorithm.learns === false ? {} : { learn }),
    ...(believed === undefined ? {} : { believed: inTurn(believed) }),
    ...(probabilities === undefined ? {} : { probabilities: (tokens: Space.Tokens) => inTurn(probabilities(tokens)) })
  }
  return strategy
})

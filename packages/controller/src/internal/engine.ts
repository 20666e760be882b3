/**
 * What all strategies have in common: numbering, the check of what is told, the promise never to propose a point twice, exhaustion, and snapshots. An
 * `Algorithm` adds what it proposes and what it learns.
 */
import { Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type { Domain, Proposal, Snapshot, Strategy } from "../Strategy.ts"
import {
  AlreadyTold,
  Exhausted,
  InvalidOption,
  InvalidReward,
  InvalidSnapshot,
  type StrategyError,
  UnknownTrial
} from "../StrategyError.ts"
import type { Told } from "../Told.ts"
import * as Points from "./points.ts"

/** A trial with its result. */
export interface Observation {
  readonly trial: number
  readonly point: Points.Point
  /** −Infinity for a failed trial. */
  readonly reward: number
  /** The reward alone where none were told; empty for a failed trial. */
  readonly objectives: ReadonlyArray<number>
}

/** What an algorithm works with. */
export interface Bench<A> {
  readonly name: string
  readonly points: Points.Points<A>
  /** The generator; `restore` replaces it, so it is asked for at every use. */
  readonly prng: () => Prng.Prng
  /** Marks a point as proposed; false where it was already, or is infeasible. */
  readonly claim: (point: Points.Point) => boolean
  readonly isNew: (point: Points.Point) => boolean
  /** Claims a random point; undefined where there is none left, or none was found. */
  readonly random: () => Points.Point | undefined
  /** Trials proposed, and told. */
  readonly asked: () => number
  /** Everything told, in the order of telling. */
  readonly history: ReadonlyArray<Observation>
  /** Points proposed and not told yet. */
  readonly pending: () => ReadonlyArray<Points.Point>
}

export interface Algorithm {
  /** Up to `count` points, each claimed. None means that there are none. */
  readonly propose: (count: number) => Effect.Effect<ReadonlyArray<Points.Point>, StrategyError>
  /** Learns from one result, which `history` already holds. */
  readonly observe?: (observation: Observation) => Effect.Effect<void, StrategyError>
  /** Forgets everything. */
  readonly reset: Effect.Effect<void, StrategyError>
  /** What replaying the results would not restore, or only dearly. */
  readonly save?: Effect.Effect<Schema.Json, StrategyError>
  /** Replaces `reset` and the replay of the results. Fails before it changes anything. */
  readonly load?: (state: Schema.Json) => Effect.Effect<void, StrategyError>
  readonly probabilities?: Strategy<unknown>["probabilities"]
}

/** An algorithm that finds its points one after the other. */
export const oneByOne =
  (next: () => Points.Point | undefined): Algorithm["propose"] =>
  (count) =>
    Effect.sync(() => {
      const out: Array<Points.Point> = []
      while (out.length < count) {
        const point = next()
        if (point === undefined) break
        out.push(point)
      }
      return out
    })

/** An algorithm without Effects: `observe` and `reset` do nothing where they are left out. */
export const plain = (parts: {
  readonly next: () => Points.Point | undefined
  readonly observe?: (observation: Observation) => void
  readonly reset?: () => void
}): Algorithm => ({
  propose: oneByOne(parts.next),
  ...(parts.observe === undefined
    ? {}
    : { observe: (observation: Observation) => Effect.sync(() => parts.observe?.(observation)) }),
  reset: parts.reset === undefined ? Effect.void : Effect.sync(parts.reset)
})

/** Spaces up to this size are gone through to find the last points. */
const listable = 2 ** 20
/** Draws in vain before a small space is gone through, and before a large one is given up. */
const fewDraws = 64
const manyDraws = 20_000

const State = Schema.Struct({
  prng: Prng.State,
  asked: Schema.Array(Schema.Array(Schema.Int)),
  /** Trial, reward (`null`: failed) and objectives, in the order of telling. */
  told: Schema.Array(Schema.Tuple([Schema.Int, Schema.NullOr(Schema.Finite), Schema.Array(Schema.Finite)])),
  listed: Schema.Boolean,
  algorithm: Schema.Json
})

/** A proposal whose value and hash are worked out when first read: a strategy's own work needs neither. */
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

export const make = Effect.fnUntraced(function* <A, E, R>(
  name: string,
  domain: Domain<A>,
  generator: Prng.Prng,
  build: (bench: Bench<A>) => Effect.Effect<Algorithm, E, R>
) {
  const points = Points.make(domain)
  const { space } = points
  let prng = generator
  let asked: Array<Points.Point> = []
  let told: Array<boolean> = []
  let seen = new Set<string>()
  const history: Array<Observation> = []
  /** Indices of the points not proposed yet, in order, once few are left. */
  let left: Uint32Array | undefined
  let end: StrategyError | undefined

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
      if (left[middle]! < index) low = middle + 1
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
  const random = (): Points.Point | undefined => {
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
    if (left === undefined || left.length === 0) {
      end = exhausted(left !== undefined)
      return undefined
    }
    const point = points.at(left[prng.nextInt(left.length)]!)
    take(point)
    return point
  }

  const algorithm = yield* build({
    name,
    points,
    prng: () => prng,
    claim,
    isNew,
    random,
    asked: () => asked.length,
    history,
    pending: () => asked.filter((_, trial) => told[trial] === false)
  })
  // proposals and results follow one another, and none is taken by half
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
          // a search that goes on with what was found would end as if there were no more
          if (found.length === 0 || end?._tag === "CostFailed") return Effect.fail(end ?? exhausted(false))
          const first = asked.length
          for (const point of found) {
            asked.push(point)
            told.push(false)
          }
          return Effect.succeed(found.map((point, i) => new OfPoint(points, point, first + i)))
        }
      )
    )
  }

  /** What is wrong with the results, if anything is. */
  const refused = (results: ReadonlyArray<Told>): StrategyError | undefined => {
    const here = new Set<number>()
    let width = history.find(({ objectives }) => objectives.length > 0)?.objectives.length
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
      width ??= given
      if (given !== width) return invalid(`it has ${given} objectives where the trials before have ${width}`)
    }
    return undefined
  }

  const record = (result: Told): Observation => {
    told[result.trial] = true
    const observation: Observation = {
      trial: result.trial,
      point: asked[result.trial]!,
      reward: result._tag === "Scored" ? result.reward : -Infinity,
      objectives: result._tag === "Scored" ? (result.objectives ?? [result.reward]) : []
    }
    history.push(observation)
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
          algorithm: extra
        }
      })
    )
  )

  const restore = (given: Snapshot): Effect.Effect<void, StrategyError> =>
    inTurn(
      Effect.gen(function* () {
        const invalid = (problem: string) => new InvalidSnapshot({ strategy: name, problem })
        if (given.strategy !== name) return yield* invalid(`it is of the strategy ${given.strategy}`)
        if (given.space !== fingerprint()) return yield* invalid("it is of another space")
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
          return yield* invalid("it has results of trials it never asked for")
        }
        const replay = algorithm.load === undefined
        if (algorithm.load !== undefined) yield* algorithm.load(state.algorithm)
        prng = nextPrng
        asked = nextAsked
        told = nextAsked.map(() => false)
        seen = new Set(nextAsked.map(({ key }) => key))
        history.length = 0
        left = undefined
        if (state.listed) list()
        if (replay) yield* algorithm.reset
        for (const [trial, reward, objectives] of state.told) {
          const observation = record(
            reward === null ? { _tag: "Failed", trial } : { _tag: "Scored", trial, reward, objectives }
          )
          if (replay && algorithm.observe !== undefined) yield* algorithm.observe(observation)
        }
      })
    )

  const { probabilities } = algorithm
  const strategy: Strategy<A> = {
    name,
    ask,
    tell,
    snapshot,
    restore,
    ...(probabilities === undefined ? {} : { probabilities: (tokens: Space.Tokens) => inTurn(probabilities(tokens)) })
  }
  return strategy
})

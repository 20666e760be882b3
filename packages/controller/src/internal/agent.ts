/** The part that PPO and REINFORCE share: a policy that is sampled, and updated after every batch of results. */
import { type Prng, Site, Space } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Kit from "../Kit.ts"
import type { Domain, Step } from "../Strategy.ts"
import { InvalidOption, InvalidSnapshot } from "../StrategyError.ts"
import * as Normal from "./normal.ts"
import * as Policy from "./policy.ts"

export interface Settings extends Omit<Policy.Settings, "rows" | "most"> {
  readonly batch: number
  readonly replay: number
  readonly epochs: number
  readonly learningRate: number
  readonly entropy: number
  readonly entropyEnd: number
  readonly entropyOver: number
  readonly window: number
}

/** A sequence and its reward. */
interface Episode {
  readonly sampled: Policy.Sampled
  readonly reward: number
}

const Sampled = Schema.Struct({
  actions: Schema.Array(Schema.Int),
  logProbability: Schema.NullOr(Schema.Finite),
  mask: Schema.NullOr(Schema.Array(Schema.Finite))
})
const Scored = Schema.Struct({ sampled: Sampled, reward: Schema.NullOr(Schema.Finite) })
const State = Schema.Struct({
  policy: Schema.Json,
  queue: Schema.Array(Sampled),
  proposed: Schema.Record(Schema.String, Sampled),
  batch: Schema.Array(Scored),
  elite: Schema.Array(Scored),
  recent: Schema.Array(Schema.NullOr(Schema.Finite)),
  results: Schema.Int
})

const toJson = ({ actions, logProbability, mask }: Policy.Sampled) => ({
  actions: [...actions],
  logProbability: logProbability ?? null,
  mask: mask === undefined ? null : [...mask]
})
const fromJson = ({ actions, logProbability, mask }: typeof Sampled.Type): Policy.Sampled => ({
  actions: Int32Array.from(actions),
  logProbability: logProbability ?? undefined,
  mask: mask === null ? undefined : Float32Array.from(mask)
})
const orNull = (reward: number) => (reward === -Infinity ? null : reward)
const orWorst = (reward: number | null) => reward ?? -Infinity

const scoredToJson = ({ reward, sampled }: Episode) => ({ sampled: toJson(sampled), reward: orNull(reward) })
const scoredFromJson = ({ reward, sampled }: typeof Scored.Type): Episode => ({
  sampled: fromJson(sampled),
  reward: orWorst(reward)
})

export const make = Effect.fnUntraced(function* <A>(
  name: string,
  domain: Domain<A>,
  settings: Settings,
  prng: Prng.Prng
) {
  const { batch, clip, entropy, entropyEnd, entropyOver, epochs, learningRate, replay, window } = settings
  const wrong = Kit.check(
    name,
    { ...settings, clip: clip ?? 1 },
    {
      hidden: Kit.positiveInteger,
      batch: Kit.positiveInteger,
      replay: Kit.naturalNumber,
      epochs: Kit.positiveInteger,
      learningRate: Kit.positive,
      memory: Kit.chance,
      context: Kit.positive,
      decay: Kit.nonNegative,
      clip: Kit.positive,
      entropy: Kit.nonNegative,
      entropyEnd: Kit.nonNegative,
      entropyOver: Kit.positiveInteger,
      window: Kit.positiveInteger
    }
  )
  if (wrong !== undefined) return yield* wrong
  if (settings.policy !== "recurrent" && settings.policy !== "independent") {
    const expected = '"recurrent" or "independent"'
    return yield* new InvalidOption({ strategy: name, option: "policy", given: String(settings.policy), expected })
  }
  return yield* Kit.makeEffect(name, domain, prng, (bench) =>
    Effect.gen(function* () {
      const { points } = bench
      const policy = yield* Policy.make(
        name,
        points,
        { ...settings, rows: 2 * batch, most: batch + replay },
        prng.split("policy")
      )

      /** Sampled from the current policy, not proposed yet. */
      let queue: Array<Policy.Sampled> = []
      /** The sequences of pending proposals, by the point's key. */
      let proposed = new Map<string, Policy.Sampled>()
      let collected: Array<Episode> = []
      /** The best results of earlier batches, best first. */
      let elite: ReadonlyArray<Episode> = []
      /** The latest rewards. */
      let recent: Array<number> = []
      let results = 0

      /** The point of a sequence. */
      const pointOf = ({ actions }: Policy.Sampled) => points.repaired(actions.slice())

      /** Adds sequences that lead to new points: draws from the policy and, if too few of them are new, mutations of the draws. */
      const refill = Effect.fnUntraced(function* () {
        const drawn = yield* policy.sample(bench.prng())
        const parents = drawn.map((sampled) => ({ sampled, point: pointOf(sampled) }))
        const known = new Set<string>()
        for (const { point, sampled } of parents) {
          if (known.has(point.key) || !bench.isNew(point) || !points.feasible(point)) continue
          known.add(point.key)
          queue.push(sampled)
        }
        for (const parent of parents) {
          if (queue.length >= batch) break
          const point = bench.variant(parent.point)
          if (point === undefined || known.has(point.key)) continue
          known.add(point.key)
          queue.push(policy.foreign(point.vector))
        }
      })

      const fresh = Effect.fnUntraced(function* () {
        if (bench.lessons().length > 0 && bench.asked() < batch) {
          const point = bench.random()
          if (point !== undefined) return { point, sampled: policy.foreign(point.vector) }
        }
        if (queue.length === 0) yield* refill()
        for (let sampled = queue.shift(); sampled !== undefined; sampled = queue.shift()) {
          const point = pointOf(sampled)
          if (bench.claim(point)) return { point, sampled }
        }
        const point = bench.random()
        return point === undefined ? undefined : { point, sampled: policy.foreign(point.vector) }
      })

      const improve = Effect.fnUntraced(function* () {
        const episodes = [...collected, ...elite]
        const scores = Normal.scores([...recent, ...elite.map(({ reward }) => reward)])
        const start = recent.length - collected.length
        const progress = Math.min(1, results / entropyOver)
        const weight = entropy * (1 - (1 - entropyEnd) * progress)
        let experiences = Arr.zipWith(episodes, scores.subarray(start), ({ sampled }, advantage) => ({
          sampled,
          advantage
        }))
        for (let epoch = 0; epoch < epochs; epoch++) {
          const now = yield* policy.update(experiences, { learningRate, entropy: weight })
          // sequences that the policy did not propose count as drawn from the policy as it was before this update
          if (epoch === 0)
            experiences = experiences.map(({ advantage, sampled }, i) => ({
              advantage,
              sampled: { ...sampled, logProbability: sampled.logProbability ?? now[i] }
            }))
        }
        // and so do replayed ones
        elite = episodes
          .map(({ reward, sampled }) => ({ reward, sampled: { ...sampled, logProbability: undefined } }))
          .sort((a, b) => b.reward - a.reward)
          .slice(0, replay)
        collected = []
        queue = []
      })

      const algorithm: Kit.AlgorithmEffect = {
        propose: (count) =>
          Effect.gen(function* () {
            const out: Array<Kit.Point> = []
            while (out.length < count) {
              const found = yield* fresh()
              if (found === undefined) break
              proposed.set(found.point.key, found.sampled)
              out.push(found.point)
            }
            return out
          }),
        observe: ({ point, reward }) =>
          Effect.suspend(() => {
            // Points that the policy did not propose count as drawn from the current policy.
            const sampled = proposed.get(point.key) ?? policy.foreign(point.vector)
            proposed.delete(point.key)
            collected.push({ sampled, reward })
            recent.push(reward)
            if (recent.length > Math.max(window, batch)) recent.shift()
            results++
            return collected.length < batch ? Effect.void : improve()
          }),
        reset: Effect.void,
        save: Effect.map(policy.save, (saved) => ({
          policy: saved,
          queue: queue.map(toJson),
          proposed: Object.fromEntries([...proposed].map(([key, sampled]) => [key, toJson(sampled)])),
          batch: collected.map(scoredToJson),
          elite: elite.map(scoredToJson),
          recent: recent.map(orNull),
          results
        })),
        load: (given) =>
          Effect.gen(function* () {
            const state = yield* Effect.mapError(
              Schema.decodeUnknownEffect(State)(given),
              (error) => new InvalidSnapshot({ strategy: name, problem: error.message })
            )
            yield* policy.load(state.policy)
            queue = state.queue.map(fromJson)
            proposed = new Map(Object.entries(state.proposed).map(([key, sampled]) => [key, fromJson(sampled)]))
            collected = state.batch.map(scoredFromJson)
            elite = state.elite.map(scoredFromJson)
            recent = state.recent.map(orWorst)
            results = state.results
          }),
        probabilities: (tokens) =>
          Effect.gen(function* () {
            const placed = Space.toVector(tokens)(points.space)
            const problem = Result.isFailure(placed) ? placed.failure.message : undefined
            if (Result.isFailure(placed) || Result.isFailure(Space.canonical(tokens)(points.space))) {
              const expected = `a complete token sequence of the space${problem === undefined ? "" : ` (${problem})`}`
              return yield* new InvalidOption({
                strategy: name,
                option: "tokens",
                given: `[${tokens.join(", ")}]`,
                expected
              })
            }
            const vector = Int32Array.from(placed.success)
            const probabilities = yield* policy.probabilities(vector)
            return points.sites.flatMap((site): ReadonlyArray<Step> => {
              const token = vector[site.index] ?? Site.absent
              return token === Site.absent ? [] : [{ site, token, probabilities: probabilities(site.index) }]
            })
          })
      }
      return algorithm
    })
  )
})

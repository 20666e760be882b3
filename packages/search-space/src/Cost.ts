/**
 * What a point of a space costs, as functions handed in: this package knows no operators.
 *
 * A cost that adds up along the parts of the space (a network's MACs: stem + stages + head) may say so with a `Chain`. Constraints
 * on it are then solved exactly, by dynamic programming over the parts, however few points meet them.
 */
import { featureMaps, type Architecture, type Stage } from "./Architecture.ts"

/** Named costs of one point, such as `{ parameters, macs, activationBytes }`. */
export type Costs<K extends string> = { readonly [key in K]: number }

/** What a part's cost depends on of the parts before it: for a network, the channels that come in. */
export type Entry = string | number

/**
 * A cost as a sum over the parts of a product: the items of a `tuple` or fixed `repeat`, the fields of a `struct` without
 * conditions, in order (also behind `Choice.map`). Part i is told the entry that part i − 1 gave out, and sees nothing else
 * of the other parts: `value` is a point of the space of which only part i is to be looked at.
 */
export interface Chain<in A, K extends string> {
  /** What is there before the first part; looks only at what all points have in common. */
  readonly start: (value: A) => { readonly costs: Costs<K>; readonly exit: Entry }
  readonly part: (value: A, index: number, entry: Entry) => { readonly costs: Costs<K>; readonly exit: Entry }
  /** What comes after the last part; looks only at what all points have in common. */
  readonly end: (value: A, entry: Entry) => Costs<K>
}

/** A cost function, with its chain where it has one. `of` must be the sum that the chain says. */
export interface Cost<in A, K extends string> {
  readonly of: (value: A) => Costs<K>
  readonly chain?: Chain<A, K>
}

/** A cost without known structure. */
export const make = <A, K extends string>(of: (value: A) => Costs<K>): Cost<A, K> => ({ of })

/** A feature map: channels × height × width. */
export interface FeatureMap {
  readonly channels: number
  readonly height: number
  readonly width: number
}

/**
 * The cost of an architecture from the costs of its parts, each remembered: `stage` is called once for every stage and feature
 * map that comes in. Over UniNet's space that is some 10⁴ to 10⁵ pairs, so where building a block's cost is slow, let
 * `stage` remember blocks (a stage's cost is its downsampling module's plus `repeats` times its block's).
 *
 * @param parts `stem`: before stage 0; `stage`: any stage, given what comes in; `head`: after the last, given what comes in.
 *
 * @example
 * ```ts
 * import { Constrained, Constraint, Cost, Prng, UniNetSpace } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * // MACs of 1×1 convolutions only, for the example's sake
 * const cost = Cost.byStage({
 *   stem: () => ({ macs: 0 }),
 *   stage: (stage, entry) => ({ macs: entry.channels * stage.channels * stage.repeats }),
 *   head: (entry, { classes }) => ({ macs: entry.channels * classes })
 * })
 * const space = Result.getOrThrow(UniNetSpace.small())
 * const light = Constrained.make(space, Constraint.bounds(cost, { macs: { max: 8000 } }))
 * const architecture = Result.flatMap(light, Constrained.sampleWithin(Prng.fromSeed(1)))
 * ```
 */
export const byStage = <K extends string>(parts: {
  readonly stem: (architecture: Architecture) => Costs<K>
  readonly stage: (stage: Stage, entry: FeatureMap, architecture: Architecture) => Costs<K>
  readonly head: (entry: FeatureMap, architecture: Architecture) => Costs<K>
}): Cost<Architecture, K> => {
  // stages are shared by the architectures of a space, so their identity is a good key; head widths are not part of a stage
  const byHeadDim = new Map<number, WeakMap<Stage, Map<number, Costs<K>>>>()
  const stageCosts = (stage: Stage, entry: FeatureMap, architecture: Architecture): Costs<K> => {
    let stages = byHeadDim.get(architecture.headDim)
    if (stages === undefined) byHeadDim.set(architecture.headDim, (stages = new WeakMap()))
    let entries = stages.get(stage)
    if (entries === undefined) stages.set(stage, (entries = new Map()))
    const key = (entry.channels * 65536 + entry.height) * 65536 + entry.width
    let costs = entries.get(key)
    if (costs === undefined) entries.set(key, (costs = parts.stage(stage, entry, architecture)))
    return costs
  }
  const before = (architecture: Architecture) => {
    const [stage0] = architecture.stages
    const entry = { channels: architecture.stem.channels, ...featureMaps({ ...architecture, stages: [] })[0]! }
    const costs = parts.stem(architecture)
    return stage0 === undefined
      ? { costs, exit: entry.channels }
      : { costs: plus(costs, stageCosts(stage0, entry, architecture)), exit: stage0.channels }
  }
  return {
    of: (architecture) => {
      const { stages, stem } = architecture
      let costs = parts.stem(architecture)
      let height = Math.ceil(architecture.image.height / stem.stride)
      let width = Math.ceil(architecture.image.width / stem.stride)
      let channels = stem.channels
      for (const stage of stages) {
        costs = plus(costs, stageCosts(stage, { channels, height, width }, architecture))
        height = Math.ceil(height / stage.stride)
        width = Math.ceil(width / stage.stride)
        channels = stage.channels
      }
      return plus(costs, parts.head({ channels, height, width }, architecture))
    },
    chain: {
      start: before,
      part: (architecture, index, entry) => {
        const stage = architecture.stages[index + 1]!
        return { costs: stageCosts(stage, entryOf(architecture, index + 1, entry), architecture), exit: stage.channels }
      },
      end: (architecture, entry) => parts.head(entryOf(architecture, architecture.stages.length, entry), architecture)
    }
  }
}

/** What comes into a stage (or into the head, after the last one), given its channels. */
const entryOf = (architecture: Architecture, stage: number, channels: Entry): FeatureMap => ({
  channels: Number(channels),
  ...featureMaps(architecture)[stage]!
})

/** The sum of two costs, name by name. */
export const plus = <K extends string>(a: Costs<K>, b: Costs<K>): Costs<K> => {
  const out: Record<string, number> = {}
  for (const key in a) out[key] = a[key] + b[key]
  return out as Costs<K> // has the keys of `a`, which are all of K
}

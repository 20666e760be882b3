/** Architecture costs that add up from stage to stage: the kind for which constraints on a space are solved. */
import { Cost } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { featureMaps, type Architecture, type Stage } from "./Architecture.ts"

/** A feature map: channels × height × width. */
export interface FeatureMap {
  /** The number of channels. */
  readonly channels: number
  /** Pixels. */
  readonly height: number
  /** Pixels. */
  readonly width: number
}

/**
 * The cost of an architecture from the costs of its parts, all cached: `stage` is called once for every pair of stage and
 * incoming feature map. Over UniNet's space that is some 10⁴ to 10⁵ pairs, so if computing a block's cost is slow, let `stage`
 * cache blocks (a stage's cost is its downsampling module's plus `repeats` times its block's).
 *
 * @param parts `stem`: before stage 0; `stage`: any stage, given its input and its index (results are cached, so they may
 * depend only on whether the index is 0); `head`: after the last stage, given its input.
 *
 * @example
 * ```ts
 * import { Constrained, Constraint, Prng } from "@uninet/search-space"
 * import { StageCost, UniNetSpace } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * // MACs of 1×1 convolutions only, for the example's sake
 * const cost = StageCost.byStage({
 *   stem: () => ({ macs: 0 }),
 *   stage: (stage, entry) => ({ macs: entry.channels * stage.channels * stage.repeats }),
 *   head: (entry, { classes }) => ({ macs: entry.channels * classes })
 * })
 * const space = Result.getOrThrow(UniNetSpace.small())
 * const light = Constrained.make(space, Constraint.bounds({ macs: { max: 8000 } })(cost))
 * const architecture = Result.flatMap(light, Constrained.sampleWithin(Prng.fromSeed(1)))
 * ```
 */
export const byStage = <K extends string>(parts: {
  readonly stem: (architecture: Architecture) => Cost.Costs<K>
  readonly stage: (stage: Stage, entry: FeatureMap, architecture: Architecture, index: number) => Cost.Costs<K>
  readonly head: (entry: FeatureMap, architecture: Architecture) => Cost.Costs<K>
}): Cost.Cost<Architecture, K> => {
  // stages are shared by the architectures of a space, so their identity is a good key; the head width is not part of a stage
  const byHeadDim = new Map<number, WeakMap<Stage, Map<number, Cost.Costs<K>>>>()
  const stageCosts = (stage: Stage, entry: FeatureMap, architecture: Architecture, index: number): Cost.Costs<K> => {
    let stages = byHeadDim.get(architecture.headDim)
    if (stages === undefined) byHeadDim.set(architecture.headDim, (stages = new WeakMap()))
    let entries = stages.get(stage)
    if (entries === undefined) stages.set(stage, (entries = new Map()))
    const key = ((entry.channels * 65536 + entry.height) * 65536 + entry.width) * 2 + (index === 0 ? 0 : 1)
    let costs = entries.get(key)
    if (costs === undefined) entries.set(key, (costs = parts.stage(stage, entry, architecture, index)))
    return costs
  }
  const before = (architecture: Architecture) => {
    const [stage0] = architecture.stages
    const entry = { channels: architecture.stem.channels, ...featureMaps({ ...architecture, stages: [] })[0] }
    const costs = parts.stem(architecture)
    return stage0 === undefined
      ? { costs, exit: entry.channels }
      : { costs: Cost.plus(costs, stageCosts(stage0, entry, architecture, 0)), exit: stage0.channels }
  }
  return {
    of: (architecture) => {
      const { stages, stem } = architecture
      let costs = parts.stem(architecture)
      let height = Math.ceil(architecture.image.height / stem.stride)
      let width = Math.ceil(architecture.image.width / stem.stride)
      let channels = stem.channels
      for (const [index, stage] of stages.entries()) {
        costs = Cost.plus(costs, stageCosts(stage, { channels, height, width }, architecture, index))
        height = Math.ceil(height / stage.stride)
        width = Math.ceil(width / stage.stride)
        channels = stage.channels
      }
      return Cost.plus(costs, parts.head({ channels, height, width }, architecture))
    },
    chain: {
      start: before,
      part: (architecture, index, entry) => {
        const stage = Arr.getUnsafe(architecture.stages, index + 1)
        const map = entryOf(architecture, index + 1, entry)
        return { costs: stageCosts(stage, map, architecture, index + 1), exit: stage.channels }
      },
      end: (architecture, entry) => parts.head(entryOf(architecture, architecture.stages.length, entry), architecture)
    }
  }
}

/** The input of a stage (or of the head, after the last stage), given its channels. */
const entryOf = (architecture: Architecture, stage: number, channels: Cost.Entry): FeatureMap => ({
  channels: Number(channels),
  ...Arr.getUnsafe(featureMaps(architecture), stage)
})

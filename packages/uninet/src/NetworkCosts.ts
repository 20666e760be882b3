/**
 * What a network costs, for one image: parameters, multiply-accumulates, what fvcore would count, and memory.
 *
 * A network is a chain of parts (stem, downsampling modules, operator blocks, head), each passing one tensor to the next, so its costs are
 * the combined costs of its parts. Every part is measured once, on its graph, and cached: architectures of one space share most
 * of their parts.
 */
import { Cost, Costs, type GraphError, Op, Program, type Shape, Tensor } from "@uninet/graph"
import { type Layer, Scope } from "@uninet/nn"
import type { Cost as SpaceCost } from "@uninet/search-space"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import type * as Architecture from "./Architecture.ts"
import { type Activations, trainingActivations } from "./internal/trainingActivations.ts"
import * as Kit from "./Kit.ts"
import * as Network from "./Network.ts"
import * as StageCost from "./StageCost.ts"

export type { Activations }

/** What a part of a network costs for one image. */
export interface PartCosts {
  /** Elements of trained parameters. */
  readonly parameters: number
  /** Elements of running statistics, plus one batch counter per batch norm, which PyTorch's checkpoints contain. */
  readonly buffers: number
  readonly macs: Cost.Macs
  readonly flops: Cost.Flops
  /** What fvcore's FLOP counter prints: multiply-accumulates of convolutions, linear layers and attention, and its charges for norms and adaptive pooling. */
  readonly fvcoreCount: number
  readonly fvcoreByOperator: Readonly<Partial<Record<Cost.FvcoreOperator, number>>>
  /** Bytes of activations. */
  readonly activationBytes: Activations
}

/** A row of a network's table. */
export interface StageCosts extends PartCosts {
  /** `stem`, `stage 0`, …, `head`. */
  readonly name: string
  /** The architecture's description of the stage; `null` for stem and head. */
  readonly stage: Architecture.Stage | null
  /** The output; for the head, the map that it pools. */
  readonly output: Network.FeatureMap
}

/** What a network costs, for one image. */
export interface NetworkCosts extends PartCosts {
  /** Four bytes a parameter. */
  readonly parameterBytes: number
  /** Stem, stages and head, in order. */
  readonly stages: ReadonlyArray<StageCosts>
}

const nothing: PartCosts = {
  parameters: 0,
  buffers: 0,
  macs: Cost.Macs(0),
  flops: Cost.Flops(0),
  fvcoreCount: 0,
  fvcoreByOperator: {},
  activationBytes: { inference: 0, training: 0, kept: 0 }
}

const fvcoreOperators: ReadonlyArray<Cost.FvcoreOperator> = [
  "conv",
  "linear",
  "matmul",
  "batch_norm",
  "layer_norm",
  "adaptive_avg_pool2d",
  "upsample_nearest2d",
  "upsample_bilinear2d"
]

/**
 * The costs of parts that follow one another: sums, and for memory the highest peak. While a later part runs, a training step holds
 * what the earlier parts keep for their backward pass.
 */
export const combine = (parts: ReadonlyArray<PartCosts>): PartCosts => {
  let {
    buffers,
    flops,
    fvcoreCount,
    macs,
    parameters
  }: { [K in "buffers" | "flops" | "fvcoreCount" | "macs" | "parameters"]: number } = nothing
  let { inference, kept, training } = nothing.activationBytes
  const fvcoreByOperator: Partial<Record<Cost.FvcoreOperator, number>> = {}
  for (const part of parts) {
    parameters += part.parameters
    buffers += part.buffers
    macs += part.macs
    flops += part.flops
    fvcoreCount += part.fvcoreCount
    for (const operator of fvcoreOperators) {
      const count = part.fvcoreByOperator[operator]
      if (count !== undefined) fvcoreByOperator[operator] = (fvcoreByOperator[operator] ?? 0) + count
    }
    inference = Math.max(inference, part.activationBytes.inference)
    training = Math.max(training, kept + part.activationBytes.training)
    kept += part.activationBytes.kept
  }
  return {
    parameters,
    buffers,
    macs: Cost.Macs(macs),
    flops: Cost.Flops(flops),
    fvcoreCount,
    fvcoreByOperator,
    activationBytes: { inference, training, kept }
  }
}

type Measured = Result.Result<PartCosts, GraphError>

/** A part's costs from its graphs. */
const measure = (layer: (scope: Scope.Scope) => Layer.Layer, input: Shape.Shape, isFirst = false): Measured =>
  Result.gen(function* () {
    const program = yield* Program.make({
      outputs: { y: layer(Scope.make("evaluation"))(Op.input("x", input)) }
    })
    const { activationBytes: inference, ...costs } = Costs.ofProgram(program)
    const norms = program.nodes.filter(Tensor.is("batchNormInference"))
    const training = yield* trainingActivations(layer(Scope.make("training")), input, isFirst)
    return {
      parameters: costs.parameters,
      buffers: norms.reduce((sum, { shape }) => sum + 2 * Arr.getUnsafe(shape, 1) + 1, 0),
      macs: costs.macs,
      flops: costs.flops,
      fvcoreCount: costs.fvcoreCount,
      fvcoreByOperator: costs.fvcoreByOperator,
      activationBytes: { inference, ...training }
    }
  })

/** The cache holds this many kinds of parts; a space has a few thousand. */
const rememberedParts = 100_000

/** Caches the results of `of` by key. Pure from the outside: the same question has the same answer. */
const remember = () => {
  const known = new Map<string, Measured>()
  return (key: string, of: () => Measured): Measured => {
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= rememberedParts) known.clear()
    const measured = of()
    known.set(key, measured)
    return measured
  }
}

/** Keyed by the operator or module itself rather than its name, which may mean something else in another set. */
const blocks = new WeakMap<object, ReturnType<typeof remember>>()
const stems = remember()
const heads = remember()

const ofBlock = (block: Network.Block): Measured => {
  const owner = block.kind === "dsm" ? block.dsm : block.operator
  let known = blocks.get(owner)
  if (known === undefined) blocks.set(owner, (known = remember()))
  const { config, input } = block
  const own = block.kind === "dsm" ? block.config.stride : block.config.expansion
  const settings = Object.keys(config.settings).length === 0 ? "" : JSON.stringify(config.settings)
  const key = `${config.inChannels} ${config.channels} ${own} ${config.headDim} ${input.height} ${input.width} ${settings}`
  return known(key, () =>
    measure((scope) => Network.block(block, scope), [1, config.inChannels, input.height, input.width])
  )
}

const ofStem = (architecture: Architecture.Architecture): Measured => {
  const { image, stem } = architecture
  return stems(`${image.channels} ${image.height} ${image.width} ${stem.channels} ${stem.stride}`, () =>
    measure((scope) => Network.stem(architecture, scope), [1, image.channels, image.height, image.width], true)
  )
}

const ofHead = (architecture: Architecture.Architecture, { channels, height, width }: Network.FeatureMap): Measured =>
  heads(`${channels} ${height} ${width} ${architecture.head.channels} ${architecture.classes}`, () =>
    measure((scope) => Network.head(architecture, scope), [1, channels, height, width])
  )

const ofBlocks = (blocks: ReadonlyArray<Network.Block>): Measured =>
  Result.map(Result.all(blocks.map(ofBlock)), combine)

/**
 * The costs of a network for one image, and those of its stem, stages and head.
 *
 * Fails if an operator or module builds an invalid graph: this is its own mistake, since the architecture was checked.
 *
 * @example
 * ```ts
 * import { Network, NetworkCosts, UniNet } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * const costs = Result.getOrThrow(Result.flatMap(Network.make(UniNet.B1), NetworkCosts.of))
 * console.log(costs.parameters, costs.fvcoreCount) // 11450864 1117865024
 * for (const { macs, name, output } of costs.stages) console.log(name, macs, output)
 * console.log(NetworkCosts.combine(costs.stages).macs === costs.macs) // true: a network costs what its parts cost
 * ```
 */
const of = ({ architecture, blocks }: Network.Network): Result.Result<NetworkCosts, GraphError> =>
  Result.gen(function* () {
    let output = Network.stemOutput(architecture)
    const stages: Array<StageCosts> = [{ name: "stem", stage: null, output, ...(yield* ofStem(architecture)) }]
    for (const [i, stage] of architecture.stages.entries()) {
      output = Network.stageOutput(stage, output)
      const costs = yield* ofBlocks(blocks.filter((b) => b.stage === i))
      stages.push({ name: `stage ${i}`, stage, output, ...costs })
    }
    stages.push({ name: "head", stage: null, output, ...(yield* ofHead(architecture, output)) })
    const sum = combine(stages)
    return { ...sum, parameterBytes: 4 * sum.parameters, stages }
  })
export { of }

/** Costs that add up from stage to stage, the form that constraints on a search space take. */
export const additive = ["parameters", "macs", "flops", "fvcoreCount"] as const
/** A cost that is the sum of its parts'. */
export type Additive = (typeof additive)[number]

const additiveOf = (measured: Result.Result<PartCosts, unknown>): SpaceCost.Costs<Additive> =>
  Result.match(measured, {
    onSuccess: ({ flops, fvcoreCount, macs, parameters }) => ({ parameters, macs, flops, fvcoreCount }),
    onFailure: () => ({ parameters: Infinity, macs: Infinity, flops: Infinity, fvcoreCount: Infinity })
  })

/**
 * The costs of an architecture's parts by themselves: before stage 0, of any stage given its input, and after the last stage. Anything that cannot be
 * built has infinite cost.
 */
export const parts = (kit: Kit.Kit = Kit.standard): Parameters<typeof StageCost.byStage<Additive>>[0] => ({
  stem: (architecture) => additiveOf(ofStem(architecture)),
  stage: (stage, entry, { headDim }, index) =>
    additiveOf(
      Result.flatMap(
        Network.stage(kit, stage, entry, headDim, { index }),
        (blocks): Result.Result<PartCosts, unknown> => ofBlocks(blocks)
      )
    ),
  head: (entry, architecture) => additiveOf(ofHead(architecture, entry))
})

/**
 * The cost function of architectures for constraints on a search space, stage by stage. Anything that cannot be built has infinite cost, so no
 * bound admits it.
 *
 * @example
 * ```ts
 * import { Constraint } from "@uninet/search-space"
 * import { NetworkCosts } from "@uninet/uninet"
 *
 * const constraints = Constraint.bounds({ macs: { max: 550e6 } })(NetworkCosts.forSpace())
 * ```
 */
export const forSpace = (kit: Kit.Kit = Kit.standard): SpaceCost.Cost<Architecture.Architecture, Additive> =>
  StageCost.byStage<Additive>(parts(kit))

/**
 * Any cost that is a sum over the ops of an architecture's blocks, stage by stage: `price` is called once for the program of every distinct block, with the given number of images as its batch.
 * Anything that cannot be built has infinite cost.
 */
export const byProgram = (
  kit: Kit.Kit,
  price: (part: Program.Program) => number,
  batch: number
): SpaceCost.Cost<Architecture.Architecture, "price"> => {
  const known = new Map<string, number>()
  const of = (key: string, layer: (scope: Scope.Scope) => Layer.Layer, input: Network.FeatureMap): number => {
    const found = known.get(key)
    if (found !== undefined) return found
    const x = Op.input("x", [batch, input.channels, input.height, input.width])
    const made = Program.make({ outputs: { y: layer(Scope.make("evaluation"))(x) } })
    const value = Result.match(made, { onSuccess: price, onFailure: () => Infinity })
    known.set(key, value)
    return value
  }
  const ofBlock = (block: Network.Block): number => {
    const { config, input, kind } = block
    return of(
      // Stage 0's operator may be a different one with the same name.
      JSON.stringify([kind, block.name, block.stage === 0, config, input]),
      (scope) => Network.block(block, scope),
      { ...input, channels: config.inChannels }
    )
  }
  return StageCost.byStage<"price">({
    stem: (architecture) => {
      const { image, stem } = architecture
      return { price: of(JSON.stringify(["stem", image, stem]), (scope) => Network.stem(architecture, scope), image) }
    },
    stage: (stage, entry, { headDim }, index) => ({
      price: Result.match(Network.stage(kit, stage, entry, headDim, { index }), {
        onSuccess: (blocks) => blocks.reduce((sum, block) => sum + ofBlock(block), 0),
        onFailure: () => Infinity
      })
    }),
    head: (entry, architecture) => ({
      price: of(
        JSON.stringify(["head", entry, architecture.head, architecture.classes]),
        (scope) => Network.head(architecture, scope),
        entry
      )
    })
  })
}

/** Peaks of activation memory in bytes, for one image: of an evaluation, and of a training step. */
export const activations =
  (kit: Kit.Kit = Kit.standard) =>
  (architecture: Architecture.Architecture): Pick<Activations, "inference" | "training"> =>
    Result.match(
      Result.flatMap(Network.make(architecture, kit), (network): Result.Result<NetworkCosts, unknown> => of(network)),
      {
        onSuccess: (costs) => costs.activationBytes,
        onFailure: () => ({ inference: Infinity, training: Infinity })
      }
    )

/**
 * A UniNet-style network: image → stem → stages → head → logits, from an architecture and the kit that gives its names their meaning.
 *
 * Stem, stage 0, head and parameter names are those of the released PyTorch code (Sense-X/UniNet).
 *
 * @example
 * ```ts
 * import { Network, UniNet } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * const program = Network.make(UniNet.B0).pipe(Result.flatMap(Network.evaluation({ batch: 8 })))
 * ```
 */
import { type Dsm, DsmSet } from "@uninet/dsm"
import { type GraphError, Op, type Program, Shape } from "@uninet/graph"
import { Layer, Model, Nn, Scope } from "@uninet/nn"
import type { Operator } from "@uninet/operators"
import { flow } from "effect/Function"
import * as Result from "effect/Result"
import type * as Architecture from "./Architecture.ts"
import {
  type ArchitectureError,
  FixedChannels,
  HeadMismatch,
  ImpossibleSize,
  ImageTooSmall,
  StrideWithoutDsm,
  UnknownDsm,
  UnknownOperator
} from "./ArchitectureError.ts"
import * as Kit from "./Kit.ts"

interface Common {
  /** The block's path, `blocks.3`: its parameters' names begin with it. */
  readonly path: string
  readonly stage: number
  /** The name of its operator or module in the set. */
  readonly name: string
  /** Height and width of its input and of its result. */
  readonly input: Operator.Size
  readonly output: Operator.Size
}

/** A downsampling module or a block of a general operator, with its whole configuration except the stochastic-depth rate. */
export type Block =
  | (Common & { readonly kind: "operator"; readonly operator: Operator.Operator; readonly config: OperatorConfig })
  | (Common & { readonly kind: "dsm"; readonly dsm: Dsm.Dsm; readonly config: Dsm.Config })

type OperatorConfig = Omit<Operator.Config, "stochasticDepth">

/** An architecture that has been checked, with its names looked up: building it cannot fail for a reason of its own. */
export interface Network {
  readonly architecture: Architecture.Architecture
  readonly kit: Kit.Kit
  /** Downsampling modules and operator blocks, first to last. */
  readonly blocks: ReadonlyArray<Block>
}

/** The input of a part: an image's or feature map's channels, height and width. */
export interface FeatureMap extends Operator.Size {
  /** The number of channels. */
  readonly channels: number
}

/**
 * The blocks of one stage for a given input: its downsampling module, if any, and its operator blocks. `index` is the index of the stage in the
 * network, `first` that of its first block.
 */
export const stage = (
  kit: Kit.Kit,
  {
    channels,
    dsm: dsmName,
    dsmSettings = {},
    expansion,
    operator: name,
    repeats,
    settings = {},
    stride
  }: Architecture.Stage,
  entry: FeatureMap,
  headDim: number,
  { index = 0, first = 0 }: { readonly index?: number; readonly first?: number } = {}
): Result.Result<ReadonlyArray<Block>, ArchitectureError> => {
  const operator = Kit.operatorOf(name, index)(kit)
  if (operator === undefined)
    return Result.fail(new UnknownOperator({ stage: index, operator: name, known: Kit.operatorNames(index)(kit) }))
  if (tooSmall(entry, stride)) return Result.fail(imageTooSmall(`stage ${index}`, entry, stride))
  const input = { height: entry.height, width: entry.width }
  const output = strided(entry, stride)
  const blocks: Array<Block> = []
  const common = () => ({ path: `blocks.${first + blocks.length}`, stage: index, output })

  if (dsmName !== null) {
    const dsm = DsmSet.get(dsmName)(kit.dsms)
    if (dsm === undefined)
      return Result.fail(new UnknownDsm({ stage: index, dsm: dsmName, known: Object.keys(kit.dsms) }))
    if (dsm.heads === true && channels % headDim !== 0)
      return Result.fail(new HeadMismatch({ stage: index, module: dsmName, channels, headDim }))
    const config = { inChannels: entry.channels, channels, stride, headDim, settings: dsmSettings }
    blocks.push({ ...common(), kind: "dsm", name: dsmName, dsm, config, input })
  } else {
    if (stride !== 1) return Result.fail(new StrideWithoutDsm({ stage: index, stride }))
    if (entry.channels !== channels && operator.widens !== true)
      return Result.fail(new FixedChannels({ stage: index, operator: name, inChannels: entry.channels, channels }))
  }

  if (operator.heads === true && channels % headDim !== 0)
    return Result.fail(new HeadMismatch({ stage: index, module: name, channels, headDim }))
  for (let repeat = 0; repeat < repeats; repeat++) {
    const inChannels = blocks.length === 0 ? entry.channels : channels
    blocks.push({
      ...common(),
      kind: "operator",
      name,
      operator,
      config: { inChannels, channels, expansion, headDim, settings },
      input: output
    })
  }
  return Result.succeed(blocks)
}

/** The output of the stem. */
export const stemOutput = ({ image, stem }: Pick<Architecture.Architecture, "image" | "stem">): FeatureMap => ({
  channels: stem.channels,
  ...strided(image, stem.stride)
})

/** The output of a stage. */
export const stageOutput = ({ channels, stride }: Architecture.Stage, entry: FeatureMap): FeatureMap => ({
  channels,
  ...strided(entry, stride)
})

/** An architecture's whole numbers, by field. */
const sizes = ({ classes, head, headDim, image, stages, stem }: Architecture.Architecture) => [
  ["image.channels", image.channels] as const,
  ["image.height", image.height] as const,
  ["image.width", image.width] as const,
  ["classes", classes] as const,
  ["stem.channels", stem.channels] as const,
  ["stem.stride", stem.stride] as const,
  ["head.channels", head.channels] as const,
  ["headDim", headDim] as const,
  ...stages.flatMap(({ channels, repeats, stride }, i) => [
    [`stages[${i}].channels`, channels] as const,
    [`stages[${i}].repeats`, repeats] as const,
    [`stages[${i}].stride`, stride] as const
  ])
]

/**
 * Checks an architecture and looks its names up in the kit (UniNet's own by default).
 *
 * Fails with the first mistake: a size that is not a positive whole number, an unknown name, channels that attention's heads do not divide, a stage that nothing can widen or
 * stride, a feature map too small for a stride.
 */
export const make = (
  architecture: Architecture.Architecture,
  kit: Kit.Kit = Kit.standard
): Result.Result<Network, ArchitectureError> => {
  const { headDim, image, stages, stem } = architecture
  const impossible = sizes(architecture).find(([, value]) => !Number.isInteger(value) || value < 1)
  if (impossible !== undefined) {
    const [field, value] = impossible
    return Result.fail(new ImpossibleSize({ field, value }))
  }
  if (tooSmall(image, stem.stride)) return Result.fail(imageTooSmall("stem", image, stem.stride))
  const blocks: Array<Block> = []
  let entry = stemOutput(architecture)
  for (const [index, each] of stages.entries()) {
    const made = stage(kit, each, entry, headDim, { index, first: blocks.length })
    if (Result.isFailure(made)) return Result.fail(made.failure)
    blocks.push(...made.success)
    entry = stageOutput(each, entry)
  }
  return Result.succeed({ architecture, kit, blocks })
}

const strided = ({ height, width }: Operator.Size, stride: number): Operator.Size => ({
  height: Math.ceil(height / stride),
  width: Math.ceil(width / stride)
})
const tooSmall = ({ height, width }: Operator.Size, stride: number) => Math.min(height, width) < stride
const imageTooSmall = (part: string, { height, width }: Operator.Size, stride: number) =>
  new ImageTooSmall({ part, height, width, stride })

/** 3×3 convolution → BN → GELU. */
export const stem = ({ stem: { channels, stride } }: Architecture.Architecture, scope: Scope.Scope): Layer.Layer =>
  flow(
    Nn.convolution(Scope.at("stem.0")(scope), { out: channels, kernel: 3, stride, bias: false }),
    Nn.batchNorm(Scope.at("stem.1")(scope)),
    Nn.gelu(Scope.at("stem.2")(scope))
  )

/** 1×1 convolution → BN → GELU → mean over the image → dropout at the scope's rate → linear. */
export const head = ({ classes, head: { channels } }: Architecture.Architecture, scope: Scope.Scope): Layer.Layer =>
  flow(
    Nn.pointwise(Scope.at("head.0")(scope), { out: channels, bias: false }),
    Nn.batchNorm(Scope.at("head.1")(scope)),
    Nn.gelu(Scope.at("head.2")(scope)),
    (x) => Op.globalAveragePool(x, Scope.at("head")(scope).path),
    Nn.dropout(Scope.at("classifier")(scope), scope.rates.dropout),
    Nn.linear(Scope.at("classifier")(scope), { out: classes })
  )

/**
 * One block as a layer with a checked result, for feature maps of any size: a `ShapeError` names an operator or module whose result has the wrong shape.
 */
export const block = (block: Block, scope: Scope.Scope, stochasticDepth = 0): Layer.Layer => {
  const at = Scope.at(block.path)(scope)
  const layer =
    block.kind === "dsm"
      ? block.dsm.layer(at, block.config)
      : block.operator.layer(at, { ...block.config, stochasticDepth })
  return Layer.ofRank(4, "[batch×channels×height×width]")(at, block.name, ([batch, , height, width]) => (x) => {
    const y = layer(x)
    const output = block.kind === "dsm" ? strided({ height, width }, block.config.stride) : { height, width }
    const expected = [batch, block.config.channels, output.height, output.width]
    return Shape.equals(y.shape, expected)
      ? y
      : Layer.fail(at, block.name, y, `the result should have the shape ${Shape.print(expected)}`)
  })
}

/**
 * The network as a layer: images `[batch, channels, height, width]` → logits `[batch, classes]`.
 *
 * Parameters have the names of the released PyTorch code: `stem.0.weight`, `blocks.3.b2.0.weight`, `classifier.bias`. In training mode, with rates
 * above 0 in the scope, the program has inputs `noise/<path>` (see `Regularisation` of `@uninet/nn`). Stochastic depth rises linearly from 0 at the first operator block to the
 * full rate at the last.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 * import { Scope } from "@uninet/nn"
 * import { Network, UniNet } from "@uninet/uninet"
 * import { Result } from "effect"
 *
 * const network = Result.getOrThrow(Network.make(UniNet.B0))
 * const image = Op.input("image", [64, 3, 160, 160])
 * const logits = Network.forward(network, Scope.make("training", "", { stochasticDepth: 0.1 }))(image)
 * ```
 */
export const forward = (network: Network, scope: Scope.Scope): Layer.Layer => {
  const { architecture, blocks } = network
  const last = blocks.filter((b) => b.kind === "operator").length - 1
  return (image) => {
    let x = stem(architecture, scope)(image)
    let operators = 0
    for (const b of blocks) {
      const depth = b.kind === "operator" && last > 0 ? (scope.rates.stochasticDepth * operators++) / last : 0
      x = block(b, scope, depth)(x)
    }
    return head(architecture, scope)(x)
  }
}

/** The network as the rest of the toolkit sees it: input `image`, output `logits`. */
export const model = (network: Network): Model.Model => {
  const { channels, height, width } = network.architecture.image
  return Model.make({
    inputs: { image: Model.input([channels, height, width]) },
    forward: (scope, { image }) => ({ logits: forward(network, scope)(image) })
  })
}

/**
 * The program that evaluates images with running statistics: input `image` `[batch, channels, height, width]`, output `logits`
 * `[batch, classes]`. One image by default.
 */
export const evaluation =
  (options: { readonly batch?: number } = {}) =>
  (network: Network): Result.Result<Program.Program, GraphError> =>
    Model.evaluation(options)(model(network))

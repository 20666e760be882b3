/**
 * A larger network that starts from a smaller one's weights (Chen et al. 2016, "Net2Net").
 *
 * **Wider.** Channels are copied, and what takes them in has its weights divided among the copies: exact through convolutions, depthwise ones too, batch norm
 * (running statistics are copied), squeeze-and-excitation, pooling, linear layers and GELU. Attention copies whole heads: exact as well. Layer norm takes mean and
 * variance over the channels, which stay the same only where every channel has equally many copies: exact where the width becomes a multiple of what it was.
 *
 * **Deeper.** A new block comes last in its stage and starts as the identity: the last batch norm's γ is 0 in convolutional blocks; in transformer and mixer blocks
 * LayerScale's γ and the position encoding are. It learns from the first step on, since the gradient of a γ does not depend on the γ.
 *
 * **Larger images.** Weights do not depend on the image's size, but for the mixer's token weights, which are copied to the nearest positions. The network computes something else
 * of a larger image.
 *
 * Where the logits are those of the smaller network and where only nearly so is said in `approximate`, by the layers that are not exact.
 */
import { DsmSet } from "@uninet/dsm"
import type { GraphError, Tensor } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Weights } from "@uninet/nn"
import { OperatorSet } from "@uninet/operators"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Widening from "./internal/widening.ts"

/** A part that does not compute what it did before. */
export interface Approximation {
  /** `image`, `stage 3`, `blocks.7`. */
  readonly at: string
  readonly why: string
}

export interface Inherited {
  /** All parameters and running statistics of the larger network. */
  readonly weights: Weights.Weights
  /** Empty where the two networks compute the same function, up to rounding. */
  readonly approximate: ReadonlyArray<Approximation>
}

/** The network is not the other one made larger. */
export class NotLarger extends Schema.TaggedError<NotLarger>()("NotLarger", {
  /** `image`, `stage 2`, `head`, or a tensor's name. */
  at: Schema.String,
  what: Schema.String,
  smaller: Schema.String,
  larger: Schema.String
}) {
  override get message() {
    return `weights cannot be inherited: ${this.at} has ${this.what} ${this.smaller} in the smaller network and ${this.larger} in the larger one; scale the larger one from the smaller one`
  }
}

export type InheritError = NotLarger | Weights.WeightsMismatch | GraphError

export interface Options {
  /** Decides the parts into which weights are divided, and the first weights of new blocks. Default 0. */
  readonly seed?: string | number
}

/** The layers that give out several things one after the other: query, key and value. */
const parts: ReadonlyArray<readonly [layer: string, count: number]> = [
  ["attn.qkv", 3],
  ["kv", 2]
]

/** What has to be 0 for a new block to be the identity, besides what is 0 at first. */
const silenced = new Set(["gamma_1", "gamma_2", "pos_embed.weight", "pos_embed.bias"])

/**
 * Weights for `larger`, a network scaled up from `smaller`: the same operators, modules, expansions and classes, and nothing narrower, shallower or
 * smaller.
 *
 * @example
 * Inherit.weights(small, trained, large).pipe(Result.map(({ weights, approximate }) => …))
 */
export const weights = (
  smaller: Network.Network,
  trained: Weights.Weights,
  larger: Network.Network,
  { seed = 0 }: Options = {}
): Result.Result<Inherited, InheritError> =>
  Result.gen(function* () {
    const differs = differenceOf(smaller, larger)
    if (differs !== undefined) return yield* Result.fail(differs)
    const [before, after] = [yield* Network.evaluation(smaller), yield* Network.evaluation(larger)]
    yield* Weights.toSafetensors(before, trained)
    const shapes = new Map(before.variables.map(({ attributes, shape }) => [attributes.name, shape] as const))
    const prng = Prng.fromSeed(seed).split("inherit")
    const blocks = partners(smaller, larger)

    const out = new Map<string, Float32Array>(Initialise.values(after.variables, prng.split("new")))
    for (const variable of after.variables) {
      const { name } = variable.attributes
      const [path, rest] = ofBlock(name)
      const block = path === undefined ? undefined : blocks.get(path)
      if (path !== undefined && block?.partner === undefined) {
        if (silenced.has(rest)) out.get(name)?.fill(0)
        continue
      }
      const source = block?.partner === undefined ? name : `${block.partner.path}.${rest}`
      const shape = shapes.get(source)
      const data = trained.get(source)
      if (shape === undefined || data === undefined)
        return yield* Result.fail(
          new NotLarger({ at: name, what: "a tensor", smaller: "missing", larger: variable.shape.join("×") })
        )
      out.set(name, yield* grown({ shape, data }, variable, rest, block, prng.split(name)))
    }
    return { weights: out, approximate: approximations(smaller, larger, blocks) }
  })

/** A block of the larger network, and the one of the smaller network that it continues; `undefined` for a new one. */
interface Pair {
  readonly block: Network.Block
  readonly partner: Network.Block | undefined
}

const ofStage = ({ blocks }: Network.Network, stage: number) => blocks.filter((block) => block.stage === stage)

const partners = (smaller: Network.Network, larger: Network.Network): ReadonlyMap<string, Pair> => {
  return new Map(
    larger.architecture.stages.flatMap((_, stage) => {
      const old = ofStage(smaller, stage)
      return ofStage(larger, stage).map((block, i) => [block.path, { block, partner: old[i] }] as const)
    })
  )
}

/** `blocks.3.b2.0.weight` as the block's path and the rest. */
const ofBlock = (name: string): readonly [path: string | undefined, rest: string] => {
  const match = /^(blocks\.\d+)\.(.*)$/.exec(name)
  return match === null ? [undefined, name] : [match[1], match[2]]
}

/** A tensor of the smaller network in the larger one's shape. */
const grown = (
  tensor: Widening.Tensor,
  variable: Tensor.Tensor<"variable">,
  rest: string,
  pair: Pair | undefined,
  prng: Prng.Prng
): Result.Result<Float32Array, NotLarger> => {
  const layer = rest.slice(0, rest.lastIndexOf("."))
  const count = parts.find(([name]) => name === layer)?.[1] ?? 1
  const wrong = new NotLarger({
    at: variable.attributes.name,
    what: "the shape",
    smaller: tensor.shape.join("×"),
    larger: variable.shape.join("×")
  })
  if (tensor.shape.length !== variable.shape.length) return Result.fail(wrong)
  let made = tensor
  for (const [axis, to] of variable.shape.entries()) {
    const from = tensor.shape[axis]
    if (to < from || (axis > 1 && to !== from)) return Result.fail(wrong)
    if (to === from) continue
    // Weights are [out, in, …]; everything else has the channels that come out.
    const tokens = axis === (layer === "mix.fc1" ? 1 : layer === "mix.fc2" ? 0 : -1)
    const widening =
      tokens && pair?.partner !== undefined
        ? Widening.nearest(pair.partner.input, pair.block.input)
        : axis === 0
          ? Widening.inParts(count, from, to)
          : Widening.cyclic(from, to)
    made = axis === 1 ? Widening.divide(made, axis, widening, prng) : Widening.repeat(made, axis, widening)
  }
  return Result.succeed(made.data)
}

/** What tells the larger network from one that was scaled up from the smaller one. */
const differenceOf = (smaller: Network.Network, larger: Network.Network): NotLarger | undefined => {
  const [a, b] = [smaller.architecture, larger.architecture]
  const differs = (at: string, what: string, small: string | number, large: string | number) =>
    new NotLarger({ at, what, smaller: String(small), larger: String(large) })
  const same: ReadonlyArray<readonly [string, string, string | number, string | number]> = [
    ["image", "channels", a.image.channels, b.image.channels],
    ["classifier", "classes", a.classes, b.classes],
    ["stem", "stride", a.stem.stride, b.stem.stride],
    ["attention", "a head size of", a.headDim, b.headDim],
    ["network", "stages", a.stages.length, b.stages.length],
    ...a.stages.flatMap((stage, i) =>
      (["operator", "dsm", "expansion", "stride"] as const).map(
        (key) => [`stage ${i}`, key, stage[key] ?? "none", b.stages[i]?.[key] ?? "none"] as const
      )
    )
  ]
  const grows: ReadonlyArray<readonly [string, string, number, number]> = [
    ["image", "a height of", a.image.height, b.image.height],
    ["image", "a width of", a.image.width, b.image.width],
    ["stem", "channels", a.stem.channels, b.stem.channels],
    ["head", "channels", a.head.channels, b.head.channels],
    ...a.stages.flatMap((stage, i) =>
      (["channels", "repeats"] as const).map((key) => [`stage ${i}`, key, stage[key], b.stages[i]?.[key] ?? 0] as const)
    )
  ]
  const found = same.find(([, , x, y]) => x !== y) ?? grows.find(([, , x, y]) => x > y)
  return found === undefined ? undefined : differs(...found)
}

const uneven = (from: number, to: number) => to % from !== 0

const isOurs = (block: Network.Block): boolean =>
  block.kind === "dsm"
    ? DsmSet.get(DsmSet.standard, block.name) === block.dsm
    : OperatorSet.get(OperatorSet.standard, block.name) === block.operator

/** The operators and modules with a layer norm over their channels. */
const normsChannels = new Set(["SA", "LSA", "MLP", "LG", "G"])

const approximations = (
  smaller: Network.Network,
  larger: Network.Network,
  pairs: ReadonlyMap<string, Pair>
): ReadonlyArray<Approximation> => {
  const out: Array<Approximation> = []
  const [from, to] = [smaller.architecture.image, larger.architecture.image]
  if (from.height !== to.height || from.width !== to.width)
    out.push({
      at: "image",
      why: `images of ${to.height}×${to.width} instead of ${from.height}×${from.width} are other inputs`
    })
  for (const { block, partner } of pairs.values()) {
    const at = `${block.path} (${block.name})`
    if (!isOurs(block)) {
      const isCopy =
        partner !== undefined &&
        partner.config.inChannels === block.config.inChannels &&
        partner.config.channels === block.config.channels
      if (!isCopy) out.push({ at, why: "nothing is known of an operator or module of one's own" })
      continue
    }
    if (partner === undefined || !normsChannels.has(block.name)) continue
    const widths = [
      [partner.config.channels, block.config.channels],
      ...(block.kind === "dsm" ? [[partner.config.inChannels, block.config.inChannels]] : [])
    ]
    const found = widths.find(([a, b]) => uneven(a, b))
    if (found !== undefined)
      out.push({ at, why: `its layer norm is over ${found[1]} channels, no multiple of ${found[0]}` })
    if (
      block.name === "MLP" &&
      (partner.input.height !== block.input.height || partner.input.width !== block.input.width)
    )
      out.push({ at, why: "its token weights are copied to the nearest positions of a larger map" })
  }
  return out
}

/**
 * Networks derived by a grammar: convolution, attention and token mixing, in sequence, in parallel, or behind a change of view.
 *
 * **Source.** L. Ericsson et al., "einspace: Searching for Neural Architectures from Fundamental Operations", NeurIPS 2024 (arXiv 2405.20838): a grammar whose productions are branching,
 * sequence, routing and computation, and whose feature maps are typed, so that every derivation is a network. This is our own small grammar after that one: two types (maps `[batch, channels,
 * height, width]` and tokens `[batch, positions, channels]`), routing as the change from one to the other and back, derivations of limited depth, and computations that keep the shape. Around the
 * derived modules are the parts that all networks share: a stem, a convolution that halves the map and widens it, a head.
 *
 * ```
 * map    →  conv k | depthwise k | pool | norm | identity      computation
 *        |  sequence(map, map)  |  branch(map, map)
 *        |  tokens(token)                                       routing: positions become tokens, and back
 * token  →  attention h | linear | mix | norm | identity
 *        |  sequence(token, token)  |  branch(token, token)
 * ```
 *
 * @example
 * ```ts
 * import { Grammar } from "@uninet/spaces"
 * import { Space } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const digits = Result.getOrThrow(Grammar.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * Space.size(digits.space)
 * ```
 */
import { Op, type Tensor } from "@uninet/graph"
import { Classification, type Facts, ModelSpace } from "@uninet/model-space"
import { Layer, Model, Nn, Scope } from "@uninet/nn"
import { Choice, Space, type SpaceError } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { flow } from "effect/Function"
import * as Result from "effect/Result"
import * as pictures from "./internal/pictures.ts"
import type { NotPictures } from "./NotPictures.ts"

/** A module from tokens to tokens. */
export type TokenModule =
  | { readonly op: "attention"; readonly heads: number }
  | { readonly op: "linear" | "mix" | "norm" | "identity" }
  | { readonly op: "sequence"; readonly first: TokenModule; readonly second: TokenModule }
  | { readonly op: "branch"; readonly left: TokenModule; readonly right: TokenModule }

/** A module from maps to maps. */
export type MapModule =
  | { readonly op: "conv" | "depthwise"; readonly kernel: number }
  | { readonly op: "pool" | "norm" | "identity" }
  | { readonly op: "sequence"; readonly first: MapModule; readonly second: MapModule }
  | { readonly op: "branch"; readonly left: MapModule; readonly right: MapModule }
  | { readonly op: "tokens"; readonly inside: TokenModule }

/** A point: the module of every stage. */
export type Architecture = ReadonlyArray<MapModule>

/** The images and classes the networks are for, and how deep a derivation may be. */
export interface Options {
  /** Channels of the images. */
  readonly channels: number
  /** Height of the images, in pixels. */
  readonly height: number
  /** Width of the images, in pixels. */
  readonly width: number
  /** Number of classes. */
  readonly classes: number
  /** Channels of every stage. Each stage has half the height and width of the one before. Default 8, 16, 32. */
  readonly widths?: ReadonlyArray<number>
  /** How deeply productions may be nested in a stage. Default 2: up to four computations in sequence. */
  readonly depth?: number
}

const tokenLeaves = {
  attention: { heads: Choice.ordered([1, 2, 4]) },
  linear: {},
  mix: {},
  norm: {},
  identity: {}
}

const mapLeaves = {
  conv: { kernel: Choice.ordered([1, 3, 5], { seed: 3 }) },
  depthwise: { kernel: Choice.ordered([3, 5]) },
  pool: {},
  norm: {},
  identity: {}
}

/** Modules of at most this depth. */
const tokenModule = (depth: number): Choice.Choice<TokenModule> => {
  if (depth === 0) return Choice.variants("op", tokenLeaves)
  const inner = tokenModule(depth - 1)
  return Choice.variants("op", {
    ...tokenLeaves,
    sequence: { first: inner, second: inner },
    branch: { left: inner, right: inner }
  })
}

const mapModule = (depth: number): Choice.Choice<MapModule> => {
  if (depth === 0) return Choice.variants("op", mapLeaves)
  const inner = mapModule(depth - 1)
  return Choice.variants("op", {
    ...mapLeaves,
    sequence: { first: inner, second: inner },
    branch: { left: inner, right: inner },
    tokens: { inside: tokenModule(depth - 1) }
  })
}

/** The mean of two results of the same shape. */
const joined =
  (scope: Scope.Scope, left: Layer.Layer, right: Layer.Layer): Layer.Layer =>
  (x) =>
    Op.scale(Op.add(left(x), right(x), scope.path), 0.5, scope.path)

/** Two modules of the same kind, in sequence or in parallel. */
const composed = <M>(
  scope: Scope.Scope,
  chosen:
    | { readonly op: "sequence"; readonly first: M; readonly second: M }
    | { readonly op: "branch"; readonly left: M; readonly right: M },
  layer: (scope: Scope.Scope, chosen: M) => Layer.Layer
): Layer.Layer => {
  const at = (name: string) => Scope.at(name)(scope)
  return chosen.op === "sequence"
    ? flow(layer(at("first"), chosen.first), layer(at("second"), chosen.second))
    : joined(scope, layer(at("left"), chosen.left), layer(at("right"), chosen.right))
}

/** A layer from tokens `[batch, positions, channels]` to tokens. */
const tokenLayer = (scope: Scope.Scope, chosen: TokenModule): Layer.Layer => {
  switch (chosen.op) {
    case "attention":
      return Layer.ofRank(3)(scope, "attention", ([, , channels]) =>
        Nn.selfAttention(scope, { headDim: channels / chosen.heads })
      )
    case "linear":
      return Layer.ofRank(3)(scope, "linear", ([, , channels]) =>
        flow(Nn.linear(scope, { out: channels }), Nn.gelu(scope))
      )
    case "mix":
      return Layer.ofRank(3)(scope, "mix", ([, tokens]) => (x) => {
        const turned = Op.transpose(x, [0, 2, 1], scope.path)
        return Op.transpose(Nn.linear(scope, { out: tokens })(turned), [0, 2, 1], scope.path)
      })
    case "norm":
      return Nn.layerNorm(scope)
    case "identity":
      return (x) => x
    case "sequence":
    case "branch":
      return composed(scope, chosen, tokenLayer)
  }
}

/** A layer from maps `[batch, channels, height, width]` to maps. */
const mapLayer = (scope: Scope.Scope, chosen: MapModule): Layer.Layer => {
  const at = (name: string) => Scope.at(name)(scope)
  switch (chosen.op) {
    case "conv":
      return Layer.ofRank(4)(scope, "conv", ([, channels]) =>
        flow(Nn.convolution(scope, { out: channels, kernel: chosen.kernel }), Nn.gelu(scope))
      )
    case "depthwise":
      return flow(Nn.depthwise(scope, { kernel: chosen.kernel, bias: true }), Nn.gelu(scope))
    case "pool":
      return Nn.averagePool2d(scope, { kernel: 3, countPadding: false })
    case "norm":
      // The next norm could cancel a scale and shift here.
      return Nn.batchNorm(scope, { affine: false })
    case "identity":
      return (x) => x
    case "sequence":
    case "branch":
      return composed(scope, chosen, mapLayer)
    case "tokens":
      return Layer.ofRank(4)(scope, "tokens", ([, , height, width]) => (x) => {
        const inside = tokenLayer(at("inside"), chosen.inside)
        return Op.toImage(inside(Op.toTokens(x, scope.path)), height, width, scope.path)
      })
  }
}

/** A convolution that halves the map and widens it, with its norm. */
const reduced = (scope: Scope.Scope, out: number): Layer.Layer =>
  flow(
    Nn.convolution(Scope.at("conv")(scope), { out, kernel: 3, stride: 2, bias: false }),
    Nn.batchNorm(Scope.at("norm")(scope)),
    Nn.gelu(scope)
  )

const model = (options: Required<Options>, point: Architecture): Model.Model =>
  Model.make({
    inputs: { image: Model.input([options.channels, options.height, options.width]) },
    forward: (scope, { image }) => {
      const at = (name: string) => Scope.at(name)(scope)
      let x: Tensor.Tensor = image
      for (const [i, chosen] of point.entries()) {
        x = reduced(at(`stages.${i}.reduce`), Arr.getUnsafe(options.widths, i))(x)
        // With the input added to the module's result, no derivation can cut the network in two.
        x = Nn.residual(at(`stages.${i}`), { branch: mapLayer(at(`stages.${i}.module`), chosen) })(x)
      }
      const mean = Nn.globalAveragePool(at("pool"))(Nn.gelu(at("act"))(Nn.batchNorm(at("norm"))(x)))
      return { logits: Nn.linear(at("classifier"), { out: options.classes })(mean) }
    }
  })

/** A module as the grammar writes it: `sequence(conv 3, tokens(attention 2))`. */
export const print = (chosen: MapModule | TokenModule): string => {
  switch (chosen.op) {
    case "conv":
    case "depthwise":
      return `${chosen.op} ${chosen.kernel}`
    case "attention":
      return `attention ${chosen.heads}`
    case "sequence":
      return `sequence(${print(chosen.first)}, ${print(chosen.second)})`
    case "branch":
      return `branch(${print(chosen.left)}, ${print(chosen.right)})`
    case "tokens":
      return `tokens(${print(chosen.inside)})`
    default:
      return chosen.op
  }
}

type Models = ModelSpace.ModelSpace<Architecture, ModelSpace.Counted, Classification.Measure>

/** The derivations with their networks. Fails with `InvalidSpace` if a setting makes no sense. */
export const models = (options: Options): Result.Result<Models, SpaceError.InvalidSpace> => {
  const given = { widths: [8, 16, 32], depth: 2, ...options }
  const wrong = given.widths.find((width) => !(Number.isSafeInteger(width) && width >= 4 && width % 4 === 0))
  const stages =
    wrong === undefined && Number.isSafeInteger(given.depth) && given.depth >= 0
      ? Choice.repeat(mapModule(given.depth), given.widths.length)
      : Choice.invalid(
          wrong === undefined ? `the depth is ${given.depth}` : `a width is ${wrong}`,
          "Give a depth of 0 or more, and widths that are multiples of 4, so that every number of heads divides them"
        )
  return Result.map(Space.make(stages), (space) =>
    ModelSpace.make({
      name: "grammar",
      version: JSON.stringify(given),
      space,
      task: Classification.make({ classes: given.classes }),
      model: (point: Architecture) => model(given, point),
      line: (point) => point.map(print).join(" | "),
      picture: (point) => point.map((chosen, i) => `stage ${i}  ${print(chosen)}`).join("\n"),
      // A norm after a shift may cancel it, if the derivation has one.
      isIdle: (parameter) => parameter.endsWith(".bias") && !parameter.startsWith("classifier")
    })
  )
}

/** The derivations for a data set's images. */
export const forData =
  (options: Pick<Options, "widths" | "depth"> = {}) =>
  (facts: Facts.Facts): Result.Result<Models, SpaceError.InvalidSpace | NotPictures> =>
    Result.flatMap(pictures.of("the grammar", facts), (found): Result.Result<Models, SpaceError.InvalidSpace> =>
      models({ ...options, ...found })
    )

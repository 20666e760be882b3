/**
 * Vision transformers, with a choice of patch size, width and depth, and for every layer of its heads and the width of its feed-forward network.
 *
 * **Sources.** A. Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021 (arXiv 2010.11929): the network (patches, learned positions, norms before attention and before the
 * feed-forward network). M. Chen et al., "AutoFormer", ICCV 2021 (arXiv 2107.00651): what is searched, and a fixed head size, so that heads are chosen independently of the width. Our
 * choice: the mean over the tokens instead of a class token (as in X. Zhai et al., 2022), searching the patch size, and the candidates for images of 64 pixels and less.
 *
 * @example
 * ```ts
 * import { VisionTransformer } from "@uninet/spaces"
 * import { Result } from "effect"
 *
 * const digits = Result.getOrThrow(VisionTransformer.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * ```
 */
import { Op, type Tensor } from "@uninet/graph"
import { Classification, type Facts, ModelSpace } from "@uninet/model-space"
import { Layer, Model, Nn, Parameter, Scope } from "@uninet/nn"
import { Choice, Space, type SpaceError } from "@uninet/search-space"
import { flow } from "effect/Function"
import * as Result from "effect/Result"
import * as pictures from "./internal/pictures.ts"
import type { NotPictures } from "./NotPictures.ts"

/** A point of the space. */
export interface Architecture {
  /** Edge of a patch, in pixels. */
  readonly patch: number
  /** Features per token. */
  readonly width: number
  /** One entry per layer; their number is the network's depth. */
  readonly layers: ReadonlyArray<{
    readonly heads: number
    /** Hidden units of the feed-forward network, as a multiple of the width. */
    readonly ratio: number
  }>
}

/** The images and classes the networks are for. */
export interface Options {
  /** Channels of the images. */
  readonly channels: number
  /** Height of the images, in pixels. */
  readonly height: number
  /** Width of the images, in pixels. */
  readonly width: number
  /** Number of classes. */
  readonly classes: number
  /** Candidates. Defaults for images of 64 pixels and less: those of 4, 7, 8 that divide the image; 32, 48, 64; 2 to 4 layers; 2, 3, 4 heads; 2, 3, 4. For larger ones: 16, 32; 192, 216,
   * 240; 12 to 14 layers; 3, 4 heads; 3.5, 4 (AutoFormer-T). */
  readonly patches?: ReadonlyArray<number>
  readonly widths?: ReadonlyArray<number>
  readonly depths?: { readonly min: number; readonly max: number }
  readonly heads?: ReadonlyArray<number>
  readonly ratios?: ReadonlyArray<number>
  /** Channels per head. Default 16; 64 for larger images. */
  readonly headDim?: number
}

/** Query, key and value of `heads` heads whose size does not depend on the width of the tokens. */
const attention = (
  scope: Scope.Scope,
  { headDim, heads }: { readonly heads: number; readonly headDim: number }
): Layer.Layer =>
  Layer.ofRank(3)(scope, "attention", ([, , channels]) => (x) => {
    const inner = heads * headDim
    const made = (name: string): Tensor.Tensor => Nn.linear(Scope.at(name)(scope), { out: inner })(x)
    const mixed = Nn.attend(scope, headDim, made("query"), made("key"), made("value"))
    return Nn.linear(Scope.at("proj")(scope), { out: channels })(mixed)
  })

const layer = (scope: Scope.Scope, chosen: Architecture["layers"][number], headDim: number): Layer.Layer => {
  const at = (name: string) => Scope.at(name)(scope)
  return flow(
    Nn.residual(scope, {
      branch: flow(Nn.layerNorm(at("norm1")), attention(at("attn"), { heads: chosen.heads, headDim }))
    }),
    Layer.ofRank(3)(scope, "mlp", ([, , channels]) =>
      Nn.residual(scope, {
        branch: flow(
          Nn.layerNorm(at("norm2")),
          Nn.feedForward(at("mlp"), { hidden: Math.round(chosen.ratio * channels) })
        )
      })
    )
  )
}

/** Patches as tokens `[batch, tokens, width]`, each with its learned position embedding. */
const embed =
  (scope: Scope.Scope, { patch, width }: Architecture): Layer.Layer =>
  (image) => {
    const patches = Nn.convolution(Scope.at("patch")(scope), {
      out: width,
      kernel: patch,
      stride: patch,
      padding: [0, 0, 0, 0]
    })(image)
    return Layer.ofRank(3)(scope, "position", ([, positions]) => (tokens) => {
      const drawn = { kind: "truncatedNormal", deviation: 0.02 } as const
      const places = Parameter.parameter(scope, "position", [positions, width], drawn, false)
      return Op.add(tokens, places, scope.path)
    })(Op.toTokens(patches, scope.path))
  }

const model = (options: Options & { readonly headDim: number }, point: Architecture): Model.Model =>
  Model.make({
    inputs: { image: Model.input([options.channels, options.height, options.width]) },
    forward: (scope, { image }) => {
      const at = (name: string) => Scope.at(name)(scope)
      let x = embed(at("embed"), point)(image)
      for (const [i, chosen] of point.layers.entries()) x = layer(at(`layers.${i}`), chosen, options.headDim)(x)
      const mean = Op.mean(Nn.layerNorm(at("norm"))(x), [1], false, "pool")
      return { logits: Nn.linear(at("classifier"), { out: options.classes })(mean) }
    }
  })

/** Defaults for omitted options. */
const defaults = ({ height, width }: Pick<Options, "height" | "width">) =>
  Math.max(height, width) <= 64
    ? {
        patches: [4, 7, 8].filter((patch) => height % patch === 0 && width % patch === 0),
        widths: [32, 48, 64],
        depths: { min: 2, max: 4 },
        heads: [2, 3, 4],
        ratios: [2, 3, 4],
        headDim: 16
      }
    : {
        patches: [16, 32].filter((patch) => height % patch === 0 && width % patch === 0),
        widths: [192, 216, 240],
        depths: { min: 12, max: 14 },
        heads: [3, 4],
        ratios: [3.5, 4],
        headDim: 64
      }

/** The transformers without their networks. */
export const choice = (options: Options): Choice.Choice<Architecture> => {
  const { depths, heads, patches, ratios, widths } = { ...defaults(options), ...options }
  const odd = patches.find((patch) => options.height % patch !== 0 || options.width % patch !== 0)
  if (odd !== undefined || patches.length === 0)
    return Choice.invalid(
      odd === undefined
        ? `none of the usual patches divides images of ${options.height}×${options.width}`
        : `a patch of ${odd} does not divide images of ${options.height}×${options.width}`,
      "Give patches that divide both height and width"
    )
  return Choice.struct({
    patch: Choice.ordered(patches),
    width: Choice.ordered(widths),
    layers: Choice.repeat(Choice.struct({ heads: Choice.ordered(heads), ratio: Choice.ordered(ratios) }), depths)
  })
}

/** A point on one line: `patch 4, width 48, layers 2h×3 4h×2`. */
export const line = ({ layers, patch, width }: Architecture): string =>
  `patch ${patch}, width ${width}, layers ${layers.map(({ heads, ratio }) => `${heads}h×${ratio}`).join(" ")}`

/** Heads of the whole network: a cost in addition to the counted ones. */
const headCount = ({ layers }: Architecture): number => layers.reduce((sum, { heads }) => sum + heads, 0)

type Models = ModelSpace.ModelSpace<Architecture, ModelSpace.Counted | "heads", Classification.Measure>

/** The transformers with their networks. Fails with `InvalidSpace` if a setting makes no sense. */
export const models = (options: Options): Result.Result<Models, SpaceError.InvalidSpace> => {
  const given = { headDim: defaults(options).headDim, ...options }
  return Result.map(Space.make(choice(options)), (space) =>
    ModelSpace.make({
      name: "vit",
      version: JSON.stringify([options.channels, options.height, options.width, options.classes, given.headDim]),
      space,
      task: Classification.make({ classes: options.classes }),
      model: (point: Architecture) => model(given, point),
      costs: { heads: headCount },
      line,
      // Shifting all keys does not change the softmax.
      isIdle: (parameter) => parameter.endsWith("attn.key.bias")
    })
  )
}

/** The transformers for a data set's images. */
export const forData =
  (options: Omit<Options, "channels" | "height" | "width" | "classes"> = {}) =>
  (facts: Facts.Facts): Result.Result<Models, SpaceError.InvalidSpace | NotPictures> =>
    Result.flatMap(pictures.of("ViT", facts), ({ classes, ...image }): Result.Result<Models, SpaceError.InvalidSpace> =>
      models({ ...image, classes, ...options })
    )

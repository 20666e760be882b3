/**
 * A larger network that starts from a smaller one's weights (Chen et al. 2016, "Net2Net").
 *
 * **Wider.** Channels are copied, and the weights that read them are divided among the copies. This is exact for convolutions, including depthwise ones, batch
 * norm (running statistics are copied), squeeze-and-excitation, pooling, linear layers and GELU. Attention copies whole heads, which is exact as well. Layer norm
 * takes mean and variance over the channels, which only stay the same if every channel has the same number of copies: it is exact if the new width is a multiple
 * of the old.
 *
 * **Deeper.** A new block comes last in its stage and starts as the identity, with some parameters initially 0: in UniNet's convolutional blocks the last batch norm's γ; in its
 * transformer and mixer blocks LayerScale's γ and the position encoding. It learns from the first step, since the gradient of a γ does not depend on the γ.
 *
 * **Larger images.** Weights do not depend on the image's size, except for those with an axis over positions (a mixer's token weights), which are copied to the nearest positions. On a larger image, the network
 * computes something else.
 *
 * The space declares which tensor continues which, and where the larger network only approximates the smaller one (`Scaling.inherit`).
 */
import type { GraphError, Tensor } from "@uninet/graph"
import { ModelSpace, Scaling } from "@uninet/model-space"
import { Model, Weights } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Result from "effect/Result"
import * as Widening from "./internal/widening.ts"
import { Unscalable } from "./ScaleError.ts"

/** Weights for a larger network, and where it does not compute exactly what the smaller one did. */
export interface Inherited {
  /** All parameters and running statistics of the larger network. */
  readonly weights: Weights.Weights
  /** Empty if the two networks compute the same function, up to rounding. */
  readonly approximate: ReadonlyArray<Scaling.Approximation>
}

/** Every error that `weights` can fail with. */
export type InheritError =
  | Scaling.NotLarger
  | Unscalable
  | ModelSpace.Unbuildable
  | Weights.WeightsMismatch
  | GraphError

/** How to draw what the smaller network does not determine. */
export interface Options {
  /** Seed for the parts into which weights are divided, and for the initial weights of new blocks. Default 0. */
  readonly seed?: string | number
}

/**
 * Weights for `larger`, a network scaled up from `smaller`: nothing in it is narrower, shallower or smaller, and everything that is not a size is the same.
 *
 * @example
 * ```ts
 * import { Model } from "@uninet/nn"
 * import { Coefficients, Compound, Inherit } from "@uninet/scaler"
 * import { Prng, Space } from "@uninet/search-space"
 * import { MobileNet } from "@uninet/spaces"
 * import { Initialise } from "@uninet/trainer"
 * import { Result } from "effect"
 *
 * const models = Result.getOrThrow(MobileNet.models({ channels: 1, height: 28, width: 28, classes: 10 }))
 * const smaller = Space.seedPoint(models.space)
 * const larger = Result.getOrThrow(Compound.member(models, smaller, 1, { coefficients: Coefficients.efficientNet })).point
 * // In place of what a training left.
 * const { variables } = Result.getOrThrow(Model.evaluation()(Result.getOrThrow(models.model(smaller))))
 * const trained = Initialise.values(Prng.fromSeed("demo"))(variables)
 * const { approximate, weights } = Result.getOrThrow(Inherit.weights(models, { smaller, trained, larger }))
 * console.log(Object.keys(weights).length, approximate.length)
 * ```
 */
export const weights = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  { larger, smaller, trained }: { readonly smaller: A; readonly trained: Weights.Weights; readonly larger: A },
  { seed = 0 }: Options = {}
): Result.Result<Inherited, InheritError> =>
  Result.gen(function* () {
    if (of.scaling === null) return yield* Result.fail(Unscalable.unsaid(of.name))
    const { approximate, growth } = yield* of.scaling.inherit(smaller, larger)
    const before = yield* Model.evaluation()(yield* of.model(smaller))
    const after = yield* Model.evaluation()(yield* of.model(larger))
    yield* Weights.toSafetensors(before)(trained)
    const shapes = new Map(before.variables.map(({ attributes, shape }) => [attributes.name, shape] as const))
    const prng = Prng.fromSeed(seed).split("inherit")

    const out = new Map<string, Float32Array>(Initialise.values(prng.split("new"))(after.variables))
    for (const variable of after.variables) {
      const { name } = variable.attributes
      const { from, parts, positions, silent } = growth(name)
      if (from === null) {
        if (silent) out.get(name)?.fill(0)
        continue
      }
      const shape = shapes.get(from)
      const data = trained.get(from)
      if (shape === undefined || data === undefined)
        return yield* Result.fail(
          new Scaling.NotLarger({ at: name, what: "a tensor", smaller: "missing", larger: variable.shape.join("×") })
        )
      out.set(name, yield* grown({ shape, data }, variable, { parts, positions }, prng.split(name)))
    }
    return { weights: out, approximate }
  })

/** A tensor of the smaller network in the larger one's shape. */
const grown = (
  tensor: Widening.Tensor,
  variable: Tensor.Tensor<"variable">,
  { parts, positions }: Pick<Scaling.Growth, "parts" | "positions">,
  prng: Prng.Prng
): Result.Result<Float32Array, Scaling.NotLarger> => {
  const wrong = new Scaling.NotLarger({
    at: variable.attributes.name,
    what: "the shape",
    smaller: tensor.shape.join("×"),
    larger: variable.shape.join("×")
  })
  if (tensor.shape.length !== variable.shape.length) return Result.fail(wrong)
  let made = tensor
  for (const [axis, to] of variable.shape.entries()) {
    const from = tensor.shape[axis]
    if (from === undefined || to < from || (axis > 1 && to !== from)) return Result.fail(wrong)
    if (to === from) continue
    // Weights are [out, in, …]; everything else has the output channels.
    const widening =
      positions !== null && axis === positions.axis
        ? Widening.nearest(positions.from, positions.to)
        : axis === 0
          ? Widening.inParts(parts, from, to)
          : Widening.cyclic(from, to)
    made = axis === 1 ? Widening.divide(made, axis, widening, prng) : Widening.repeat(made, axis, widening)
  }
  return Result.succeed(made.data)
}

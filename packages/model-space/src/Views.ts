/**
 * Test-time augmentation: an image is judged by the mean of the network's outputs for several views of it (mirrored, shifted by a pixel or two), each of which costs an evaluation.
 *
 * The views are part of an evaluation's program, so every engine supports them. The network itself, its weights and its files are unchanged.
 */
import { Op, type Tensor } from "@uninet/graph"
import { Model } from "@uninet/nn"
import * as Schema from "effect/Schema"
import { or } from "./internal/schema.ts"

/**
 * - `mirror` (default false): adds views flipped left to right.
 * - `shift` (default 0): adds views shifted by this many pixels, up and to the left, and down and to the right, reflected at the edges. The unshifted image counts for half, as in Jordan 2024.
 */
export const Views = Schema.Struct({
  mirror: or(Schema.Boolean, false),
  shift: or(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 64 })), 0)
})
export type Views = typeof Views.Type

/** Reflects a position beyond the edge. */
const reflected = (i: number, length: number): number => {
  const at = i < 0 ? -i : i >= length ? 2 * length - 2 - i : i
  return Math.min(length - 1, Math.max(0, at))
}

/** A matrix that rearranges a row of `length`: its element i becomes the one that was at `from(i)`. */
const moved = (length: number, from: (i: number) => number): Tensor.Tensor => {
  const data = new Float32Array(length * length)
  for (let i = 0; i < length; i++) data[from(i) * length + i] = 1
  return Op.constant(data, [length, length])
}

/** The views of images `[batch, channels, height, width]`, each with its share of the mean. */
const viewsOf = (
  { mirror, shift }: Views,
  x: Tensor.Tensor
): ReadonlyArray<{ readonly view: Tensor.Tensor; readonly share: number }> => {
  const [, , height = 1, width = 1] = x.shape
  const shifted = (by: number) =>
    Op.matmul(
      moved(height, (i) => reflected(i + by, height)),
      Op.matmul(
        x,
        moved(width, (i) => reflected(i + by, width))
      ),
      { transposeA: true }
    )
  const placed =
    shift === 0
      ? [{ view: x, share: 1 }]
      : [
          { view: x, share: 0.5 },
          { view: shifted(shift), share: 0.25 },
          { view: shifted(-shift), share: 0.25 }
        ]
  if (!mirror) return placed
  const turned = moved(width, (i) => width - 1 - i)
  return placed.flatMap(({ share, view }) => [
    { view, share: share / 2 },
    { view: Op.matmul(view, turned), share: share / 2 }
  ])
}

/** Whether a model can be evaluated on views: its only input is a float32 image `[channels, height, width]`. */
export const fits = ({ inputs }: Model.Model): boolean => {
  const ports = Object.values(inputs)
  return ports.length === 1 && ports[0]?.shape.length === 3 && ports[0].dtype === "float32"
}

/**
 * The model whose outputs are the means over all views. Without views, or if its input is not an image (`fits`), it is the model itself.
 *
 * @example
 * ```ts
 * import { Views } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { image: Model.input([3, 32, 32]) },
 *   forward: (scope, { image }) => {
 *     const features = Nn.globalAveragePool(scope)(Nn.convolution(Scope.at("stem")(scope), { out: 8, kernel: 3 })(image))
 *     return { logits: Nn.linear(Scope.at("classifier")(scope), { out: 10 })(features) }
 *   }
 * })
 * // Mirrored and shifted both ways: six evaluations for one.
 * const judged = Views.of({ mirror: true, shift: 1 })(model)
 * console.log(Views.fits(model), Model.print(Result.getOrThrow(Model.outputs(judged)))) // true logits [10]
 * ```
 */
export const of =
  (views: Views | undefined) =>
  (model: Model.Model): Model.Model =>
    views === undefined || (!views.mirror && views.shift === 0) || !fits(model)
      ? model
      : {
          inputs: model.inputs,
          forward: (scope, inputs) => {
            const [[name = "", x] = []] = Object.entries(inputs)
            const [first, ...rest] = x === undefined ? [] : viewsOf(views, x)
            if (x === undefined || first === undefined) return model.forward(scope, inputs)
            const all = model.forward(scope, { [name]: Op.concat([first.view, ...rest.map(({ view }) => view)], 0) })
            const batch = x.shape[0] ?? 1
            return Object.fromEntries(
              Object.entries(all).map(([output, y]) => [
                output,
                [first, ...rest]
                  .map(({ share }, i) => Op.scale(Op.slice(y, 0, i * batch, (i + 1) * batch), share))
                  .reduce((a, b) => Op.add(a, b))
              ])
            )
          }
        }

/**
 * Images that grow during training: the first epochs see smaller images, which cost a fraction and blur fine detail (Howard 2018, "Training Imagenet in 3 hours for 25 minutes"; Tan & Le 2021,
 * "EfficientNetV2").
 *
 * A network trains on smaller images with the same weights, so training can continue on larger ones. A network whose weights depend on the number of positions, such as a mixer's, has no such smaller form.
 */
import { Model } from "@uninet/nn"
import * as Schema from "effect/Schema"
import { Count } from "./internal/schema.ts"

/** Each entry: for this many epochs, images of this height in pixels. After the last entry, images have the network's own size. */
export const Progressive = Schema.Array(Schema.Struct({ epochs: Count, size: Count })).check(Schema.isMinLength(1))
export type Progressive = typeof Progressive.Type

/**
 * Total epochs with smaller images.
 *
 * @example
 * ```ts
 * import { Progressive } from "@uninet/model-space"
 *
 * console.log(Progressive.epochsOf([{ epochs: 2, size: 16 }, { epochs: 1, size: 24 }])) // 3
 * ```
 */
export const epochsOf = (progressive: Progressive): number => progressive.reduce((sum, { epochs }) => sum + epochs, 0)

/**
 * The height of the images in an epoch, counted from 0; `undefined` for the network's own.
 *
 * @example
 * ```ts
 * import { Progressive } from "@uninet/model-space"
 *
 * const growing = [{ epochs: 2, size: 16 }, { epochs: 1, size: 24 }]
 * console.log([0, 1, 2, 3].map((epoch) => Progressive.sizeAt(epoch)(growing))) // [ 16, 16, 24, undefined ]
 * ```
 */
export const sizeAt =
  (epoch: number) =>
  (progressive: Progressive): number | undefined => {
    let end = 0
    return progressive.find(({ epochs }) => epoch < (end += epochs))?.size
  }

/** The width of images resized to a height, keeping their proportions. */
export const widthAt =
  (size: number) =>
  ({ height, width }: { readonly height: number; readonly width: number }): number =>
    Math.max(1, Math.round((size * width) / height))

/**
 * The model for images of another height, with their width in proportion; `undefined` unless its only input is an image.
 *
 * @example
 * ```ts
 * import { Progressive } from "@uninet/model-space"
 * import { Model, Nn } from "@uninet/nn"
 *
 * const model = Model.make({
 *   inputs: { image: Model.input([1, 28, 20]) },
 *   forward: (scope, { image }) => ({ features: Nn.relu(scope)(image) })
 * })
 * console.log(Progressive.of(14)(model)?.inputs) // image [1, 14, 10]
 * ```
 */
export const of =
  (size: number) =>
  (model: Model.Model): Model.Model | undefined => {
    const [[name = "", port] = [], ...others] = Object.entries(model.inputs)
    const [channels, height, width] = port?.shape ?? []
    return others.length > 0 || port?.shape.length !== 3 || channels === undefined || !height || width === undefined
      ? undefined
      : {
          inputs: { [name]: { ...port, shape: [channels, size, widthAt(size)({ height, width })] } },
          forward: model.forward
        }
  }

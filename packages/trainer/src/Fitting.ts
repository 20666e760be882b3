/** A data set beside a network: whether the one takes the other's examples, and the examples as it takes them. */
import { Dataset, Resized } from "@uninet/data"
import type { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import * as Effect from "effect/Effect"
import { DatasetMismatch } from "./TrainError.ts"

const printed = ({ dtype, shape }: Model.Port): string => Model.print({ "": { dtype, shape } }).trim()

/**
 * The data set as the network takes it: smaller pictures are enlarged, or resized where `imageSize` (a recipe's) asks for it.
 *
 * Fails with `DatasetMismatch` where its examples, targets or classes are others.
 */
export const of = Effect.fnUntraced(function* (
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  given: Dataset.DatasetShape,
  imageSize: number | null
): Effect.fn.Return<Dataset.DatasetShape, DatasetMismatch> {
  const mismatch = (what: string, takes: string, has: string) =>
    new DatasetMismatch({ dataset: given.name, what, takes, has })
  const { image } = model.inputs
  const [channels, height, width] = image?.shape ?? []
  let data: Dataset.DatasetShape = given
  if (Dataset.isImages(data) && image?.shape.length === 3) {
    const wanted = { channels, height, width }
    const asked = imageSize === height && imageSize === width && channels === data.image.channels
    if (asked || Resized.enlarges(data.image, wanted)) data = Resized.to(wanted, data)
  }
  for (const [name, port] of Object.entries(model.inputs)) {
    const own = Object.entries<Dataset.Feature>(data.inputs).find(([input]) => input === name)?.[1]
    if (own === undefined || printed(own) !== printed(port))
      return yield* mismatch("inputs", Model.print({ [name]: port }), Model.print(data.inputs))
  }
  if (printed(data.targets) !== printed(task.targets))
    return yield* mismatch("targets", printed(task.targets), printed(data.targets))
  const classes = data.classes?.length ?? null
  if (task.classes !== null && classes !== null && classes !== task.classes)
    return yield* mismatch("classes", String(task.classes), String(classes))
  return data
})

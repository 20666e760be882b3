/** Fits a data set to a network: checks that the network takes its examples, and gives them in the form that the network takes. */
import { Dataset, Resized } from "@uninet/data"
import type { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import * as Effect from "effect/Effect"
import { DatasetMismatch } from "./TrainError.ts"

const printed = ({ dtype, shape }: Model.Port): string => Model.print({ "": { dtype, shape } }).trim()

/**
 * The data set in the form that the network takes: smaller pictures are enlarged, or resized if `imageSize` (from a recipe) asks for it.
 *
 * Fails with `DatasetMismatch` if its examples, targets or classes do not fit.
 *
 * @example
 * ```ts
 * import { Memory } from "@uninet/data"
 * import { Classification } from "@uninet/model-space"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Fitting } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * const samples = { images: Uint8Array.from({ length: 2 * 28 * 28 }, (_, i) => i % 256), labels: [0, 1] }
 * const image = { channels: 1, height: 28, width: 28 }
 * const classes = ["even", "odd"]
 * const digits = Memory.make({ name: "digits", classes, image, train: samples, validation: samples, test: samples })
 * const network = (channels: number) => ({
 *   model: Model.make({
 *     inputs: { image: Model.input([channels, 32, 32]) },
 *     forward: (scope, { image }) => {
 *       const features = Nn.globalAveragePool(scope)(Nn.convolution(Scope.at("stem")(scope), { out: 8, kernel: 3 })(image))
 *       return { logits: Nn.linear(Scope.at("logits")(scope), { out: 2 })(features) }
 *     }
 *   }),
 *   task: Classification.make({ classes: 2 })
 * })
 * // Pictures of 28 × 28 for a network that takes 32 × 32, and for one that takes colour images.
 * const program = Effect.gen(function* () {
 *   const data = yield* digits
 *   yield* Console.log((yield* Fitting.of(network(1), data, null)).image) // { channels: 1, height: 32, width: 32 }
 *   yield* Fitting.of(network(3), data, null).pipe(
 *     Effect.catchTag("DatasetMismatch", ({ message }) => Console.log(message))
 *   )
 * })
 * Effect.runPromise(program)
 * ```
 */
export const of = Effect.fnUntraced(function* (
  { model, task }: Pick<ModelSpace.Trainable, "model" | "task">,
  given: Dataset.DatasetShape,
  imageSize: number | null
): Effect.fn.Return<Dataset.DatasetShape, DatasetMismatch> {
  const mismatch = (what: string, takes: string, has: string) =>
    new DatasetMismatch({ dataset: given.name, what, takes, has })
  const { image } = model.inputs
  let data: Dataset.DatasetShape = given
  if (Dataset.isImages(data) && image?.shape.length === 3) {
    const [channels = 1, height = 1, width = 1] = image.shape
    const wanted = { channels, height, width }
    const asked = imageSize === height && imageSize === width && channels === data.image.channels
    if (asked || Resized.enlarges(data.image, wanted)) data = Resized.to(wanted)(data)
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

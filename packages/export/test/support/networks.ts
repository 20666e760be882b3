/** Random architectures with weights that make every branch matter, and cards. */
import { Card, type Trained } from "@uninet/export"
import { type Classification, ModelSpace } from "@uninet/model-space"
import { Model, type Weights } from "@uninet/nn"
import { Prng, Space } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"

/** Odd sizes and colour, so that strides, windows and sequences have to pad. */
const spaces = (
  [
    [28, 28, 1, 10],
    [33, 45, 3, 12]
  ] as const
).map(([height, width, channels, classes]) =>
  Result.getOrThrow(UniNetSpace.make({ image: { height, width }, channels, classes }))
)

/** Random architectures, this many from each space. */
export const architectures = (seed: string, each: number): ReadonlyArray<Architecture.Architecture> => {
  const prng = Prng.fromSeed(seed)
  return spaces.flatMap((space) => Array.from({ length: each }, () => Space.sample(prng)(space)))
}

/** An architecture that has every operator and every module, with strides of 1, 2 and 3 and a widening first stage. */
export const everything: Architecture.Architecture = {
  image: { channels: 3, height: 45, width: 38 },
  classes: 7,
  stem: { channels: 8, stride: 1 },
  stages: [
    { operator: "DWConv", dsm: null, expansion: 1, channels: 12, repeats: 2, stride: 1 },
    { operator: "Conv", dsm: null, expansion: 2, channels: 16, repeats: 2, stride: 1 },
    { operator: "LSA", dsm: "L", expansion: 2, channels: 16, repeats: 2, stride: 2 },
    { operator: "DWConv", dsm: "G", expansion: 3, channels: 24, repeats: 1, stride: 1 },
    { operator: "LSA", dsm: "G", expansion: 2.5, channels: 24, repeats: 1, stride: 2 },
    { operator: "MLP", dsm: "LG", expansion: 2, channels: 32, repeats: 2, stride: 1 },
    { operator: "SA", dsm: "LG", expansion: 3, channels: 32, repeats: 1, stride: 3 },
    { operator: "Conv", dsm: "L", expansion: 2, channels: 16, repeats: 1, stride: 1 }
  ],
  head: { channels: 24 },
  headDim: 8
}

/** UniNet's models: a network's Python does not depend on the image or the classes of the space. */
export const uninet: ModelSpace.ModelSpace<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure> =
  Result.getOrThrow(UniNetSpace.models())

/** Initial weights, with norms, LayerScale and running statistics moved away from values at which they do nothing. */
export const weightsOf = (model: Model.Model, prng: Prng.Prng): Weights.Weights => {
  const { variables } = Result.getOrThrow(Model.evaluation()(model))
  const values = Initialise.values(prng)(variables)
  for (const { attributes } of variables)
    if (attributes.initialiser.kind === "constant") {
      const data = values.get(attributes.name) ?? new Float32Array()
      // Factors are positive; terms that are added may have either sign.
      const [least, range] = /mean$|bias$/.test(attributes.name) ? [-0.15, 0.3] : [0.1, 0.5]
      for (let i = 0; i < data.length; i++) data[i] += least + range * prng.nextFloat()
    }
  // Nothing that is the same for every image.
  values.get("classifier.bias")?.fill(0)
  return values
}

/** The card of an untrained architecture. */
export const cardOf = (architecture: Architecture.Architecture): Card.Card => {
  const { channels } = architecture.image
  return Result.getOrThrow(
    Card.of(Result.getOrThrow(uninet.model(architecture)), {
      network: ModelSpace.write(architecture)(uninet),
      line: uninet.line(architecture),
      task: uninet.task.name,
      classes: Array.from({ length: architecture.classes }, (_, i) => `class "${i}"`),
      picture: {
        input: "image",
        mean: Array.from({ length: channels }, (_, c) => 0.2 + 0.1 * c),
        deviation: Array.from({ length: channels }, (_, c) => 0.3 + 0.01 * c),
        cropRatio: 0.875
      },
      provenance: { run: "runs/a 'run'", seed: "1" }
    })
  )
}

/** A network with weights and its card. */
export const trainedOf = (architecture: Architecture.Architecture, prng: Prng.Prng): Trained.Trained => {
  const model = Result.getOrThrow(uninet.model(architecture))
  return {
    model,
    weights: weightsOf(model, prng),
    card: cardOf(architecture),
    pytorch: uninet.pytorch?.(architecture) ?? null
  }
}

/** Random architectures with weights that make every branch count, and real images for them. */
import { type DataError, type Dataset, Image, Mnist } from "@uninet/data"
import { Card } from "@uninet/export"
import { Network, type Weights } from "@uninet/network"
import { Runtime } from "@uninet/runtime"
import { type Architecture, Prng, Space, UniNetSpace } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Effect from "effect/Effect"
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

/** Random architectures, so many of each space. */
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

/** First weights, with LayerScale, last norms and running statistics moved away from where they do nothing. */
export const weightsOf = (network: Network.Network, prng: Prng.Prng): Weights.Weights => {
  const { variables } = Result.getOrThrow(Network.evaluation(network))
  const values = Initialise.values(variables, prng)
  for (const [name, data] of values) {
    const moved = /gamma|norm|running|\.b[12]\.[025]\.|\.1\.(weight|bias)$/.test(name)
    if (moved) for (let i = 0; i < data.length; i++) data[i] += 0.2 + 0.3 * prng.nextFloat()
  }
  return values
}

/** A card for an architecture that nobody trained. */
export const cardOf = (architecture: Architecture.Architecture): Card.Card => ({
  architecture,
  classes: Array.from({ length: architecture.classes }, (_, i) => `class "${i}"`),
  mean: Array.from({ length: architecture.image.channels }, (_, c) => 0.2 + 0.1 * c),
  deviation: Array.from({ length: architecture.image.channels }, (_, c) => 0.3 + 0.01 * c),
  cropRatio: 0.875,
  provenance: { run: "runs/a 'run'", seed: "1" }
})

/** Test digits of MNIST, resized to the network's images and normalised by the card. */
export const digits = Effect.fnUntraced(function* (
  { architecture: { image }, deviation, mean }: Card.Card,
  count: number
): Effect.fn.Return<Float32Array, DataError.DataError> {
  const data: Dataset.DatasetShape = yield* Mnist.make()
  const batch = yield* data.test.read(Array.from({ length: count }, (_, i) => i))
  const area = image.height * image.width
  const out = new Float32Array(count * image.channels * area)
  for (let i = 0; i < count; i++) {
    const bytes = Uint8Array.from(batch.images.subarray(i * 784, (i + 1) * 784), (x) =>
      Math.round(255 * (x * data.deviation[0] + data.mean[0]))
    )
    const resized = Image.resize({ channels: 1, height: 28, width: 28, bytes }, image.height, image.width).bytes
    for (let c = 0; c < image.channels; c++)
      for (let k = 0; k < area; k++)
        out[(i * image.channels + c) * area + k] = (resized[k] / 255 - mean[c]) / deviation[c]
  }
  return out
})

/** The logits of the source network on the engine that trains. */
export const sourceLogits = Effect.fnUntraced(function* (
  network: Network.Network,
  weights: Weights.Weights,
  images: Float32Array
) {
  const { channels, height, width } = network.architecture.image
  const batch = images.length / (channels * height * width)
  const evaluation = Result.getOrThrow(Network.evaluation(network, { batch }))
  const executable = yield* (yield* Runtime).compile({ evaluation })
  yield* executable.write(weights)
  const { logits } = yield* executable.run("evaluation", { image: images })
  return Float32Array.from(logits)
}, Effect.scoped)

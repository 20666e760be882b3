/** The networks that are timed. */
import { Classification } from "@uninet/model-space"
import type { Prng } from "@uninet/search-space"
import { type Recipe, TrainingProgram } from "@uninet/trainer"
import { type Architecture, Network, UniNet } from "@uninet/uninet"

const stage = (
  operator: string,
  dsm: string | null,
  expansion: number,
  channels: number,
  repeats: number,
  stride: number
) => ({ operator, dsm, expansion, channels, repeats, stride })

/** A network of the size that a search trains: 748,818 parameters, 2.84 M MACs per 32×32 image. */
const proxy: Architecture.Architecture = {
  image: { channels: 3, height: 32, width: 32 },
  classes: 10,
  stem: { channels: 32, stride: 2 },
  stages: [
    stage("DWConv", null, 1, 16, 1, 1),
    stage("DWConv", "L", 4, 24, 1, 2),
    stage("DWConv", "L", 6, 40, 2, 2),
    stage("DWConv", "L", 3, 64, 2, 2),
    stage("SA", "LG", 2, 64, 2, 1),
    stage("SA", "LG", 5, 96, 2, 2)
  ],
  head: { channels: 1280 },
  headDim: 32
}

export const networks = {
  proxy: { architecture: proxy, batch: 64 },
  B0: { architecture: UniNet.B0, batch: 8 }
} as const

/** The training step of a network as a classifier. */
export const trainingOf = (network: Network.Network, recipe: Recipe.Recipe): ReturnType<typeof TrainingProgram.make> =>
  TrainingProgram.make(Network.model(network), Classification.make({ classes: network.architecture.classes }), recipe)

/** A batch of noise for a network's training step. */
export const inputsOf = ({ classes, image }: Architecture.Architecture, batch: number, prng: Prng.Prng) => ({
  image: Float32Array.from({ length: batch * image.channels * image.height * image.width }, () => prng.nextNormal()),
  targets: Int32Array.from({ length: batch }, () => prng.nextInt(classes))
})

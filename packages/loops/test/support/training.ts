/** Training steps of a small network that has every kind of loop in it, and the bits that they leave behind. */
import { Classification, Recipe } from "@uninet/model-space"
import { Runtime } from "@uninet/engine"
import { Prng } from "@uninet/search-space"
import { TrainingProgram } from "@uninet/trainer"
import { type Architecture, Network } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const stage = (operator: string, dsm: string | null, channels: number, stride: number) => ({
  operator,
  dsm,
  expansion: 2,
  channels,
  repeats: 1,
  stride
})

const architectureOf = (height: number, width: number): Architecture.Architecture => ({
  image: { channels: 3, height, width },
  classes: 5,
  stem: { channels: 8, stride: 1 },
  stages: [
    stage("DWConv", null, 8, 1),
    stage("Conv", "L", 12, 2),
    stage("LSA", "LG", 16, 1),
    stage("MLP", "G", 16, 2),
    stage("SA", "L", 24, 1)
  ],
  head: { channels: 40 },
  headDim: 4
})

/** What is trained. */
interface Size {
  readonly batch: number
  readonly height: number
  readonly width: number
}

/** Numbers between −1 and 1 of whole numbers alone: what `Math.sin` gives is not specified to the bit. */
const noise = (n: number, prng: Prng.Prng) => Float32Array.from({ length: n }, () => prng.nextInt(65_537) / 32_768 - 1)

/** FNV-1a over the bits of numbers. */
const digest = (seed: number, data: ArrayLike<number>): number => {
  const words = new Uint32Array(Float32Array.from(data).buffer)
  let hash = seed
  for (const word of words)
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((word >>> shift) & 0xff), 0x01000193)
  return hash >>> 0
}

/** The digest of all variables after three steps on images of a size, and the losses. */
export const trainedOn = Effect.fnUntraced(function* ({ batch, height, width }: Size) {
  const architecture = architectureOf(height, width)
  const model = Network.model(Result.getOrThrow(Network.make(architecture)))
  const task = Classification.make({ classes: architecture.classes })
  const training = Result.getOrThrow(TrainingProgram.make(model, task, { ...Recipe.proxy, batch }))
  const prng = Prng.fromSeed("bits")
  const { read, run, write } = yield* (yield* Runtime).compile({ training })
  const drawn = training.variables.filter((v) => v.attributes.initialiser.kind !== "constant")
  yield* write(
    new Map(
      drawn.map((v) => {
        const { name } = v.attributes
        const size = v.shape.reduce((n, length) => n * length, 1)
        return [name, noise(size, prng).map((x) => x / Math.sqrt(size / v.shape[0] + 1))]
      })
    )
  )
  const inputs = {
    image: noise(batch * architecture.image.channels * height * width, prng),
    targets: Int32Array.from({ length: batch }, () => prng.nextInt(architecture.classes))
  }
  const losses: Array<number> = []
  for (const step of [1, 2, 3]) {
    const rates = { learningRate: Float32Array.of(1 / 128), step: Float32Array.of(step) }
    losses.push((yield* run("training", { ...inputs, ...rates })).loss[0])
  }
  let hash = 0x811c9dc5
  const variables = yield* read
  for (const name of [...variables.keys()].toSorted()) hash = digest(hash, variables.get(name) ?? [])
  return { digest: hash.toString(16).padStart(8, "0"), losses }
}, Effect.scoped)

/** The same of a batch that is not a multiple of eight, and more than one group of eight. */
export const trained = trainedOn({ batch: 19, height: 12, width: 10 })

/** What comes of it on loops of plain arithmetic, wherever they run: recorded on an x86-64 processor with AVX-512. Where it changes, `edition` in `Loops.ts` has to be raised. */
export const expected = {
  digest: "372940e1",
  losses: [1.580_282_330_513_000_5, 1.468_559_503_555_297_9, 1.327_256_441_116_333]
}

/** The same of a batch of fewer than eight, and the digest that one thread leaves. */
export const oneGroup = { batch: 7, height: 40, width: 36, digest: "b2cc46bb" }

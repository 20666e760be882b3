/** A network with its weights and its card: what is exported. */
import type { GraphError, Program } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Weights } from "@uninet/nn"
import { Runtime, type RuntimeError } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { Card } from "./Card.ts"

export interface Trained {
  readonly network: Network.Network
  readonly weights: Weights.Weights
  readonly card: Card
}

/** The program that evaluates a batch of images. */
export const program = ({ network }: Trained, batch?: number): Result.Result<Program.Program, GraphError> =>
  Network.evaluation(network, batch === undefined ? {} : { batch })

/** Images at a time. */
const chunk = 16

/**
 * The logits `[images, classes]` of the network itself, on the engine that trains and evaluates: what exports are held against. `images` are
 * normalised, `[images, channels, height, width]`; `onImages` hears of every few that are done.
 */
export const logits = Effect.fn("Trained.logits")(function* (
  trained: Trained,
  images: Float32Array,
  onImages: (count: number) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<Float32Array, GraphError | RuntimeError, Runtime> {
  const { classes, image } = trained.network.architecture
  const volume = image.channels * image.height * image.width
  const count = images.length / volume
  const evaluation = yield* Effect.fromResult(program(trained, chunk))
  return yield* Effect.scoped(
    Effect.gen(function* () {
      const executable = yield* (yield* Runtime).compile({ evaluation })
      yield* executable.write(trained.weights)
      const out = new Float32Array(count * classes)
      // The last images are followed by black ones up to a whole batch.
      const input = new Float32Array(chunk * volume)
      for (let from = 0; from < count; from += chunk) {
        const present = Math.min(chunk, count - from)
        input.fill(0).set(images.subarray(from * volume, (from + present) * volume))
        const found = yield* executable.run("evaluation", { image: input })
        out.set(found["logits"]?.subarray(0, present * classes) ?? [], from * classes)
        yield* onImages(present)
      }
      return out
    })
  )
})

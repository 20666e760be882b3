/** A network in training on noise: used for timing, and for comparing engines. */
import { Shape } from "@uninet/graph"
import { Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise, Recipe } from "@uninet/trainer"
import { type Architecture, Network } from "@uninet/uninet"
import { Effect, Result } from "effect"
import { inputsOf, trainingOf } from "./networks.ts"

/** A compiled network with the same weights, images and labels on every engine, and its next step. */
export const prepare = (architecture: Architecture.Architecture, batch: number) =>
  Effect.gen(function* () {
    const network = Result.getOrThrow(Network.make(architecture))
    const training = Result.getOrThrow(trainingOf(network, { ...Recipe.proxy, batch }))
    const runtime = yield* Runtime
    const executable = yield* runtime.compile({ training })
    const prng = Prng.fromSeed("bench")
    yield* Initialise.write(executable, training.variables, prng)
    const inputs = { ...inputsOf(architecture, batch, prng), learningRate: Float32Array.of(1e-3) }
    let count = 0
    const step = Effect.suspend(() => executable.run("training", { ...inputs, step: Float32Array.of(++count) }))
    const parameters = training.variables
      .filter((v) => v.attributes.role === "parameter")
      .reduce((sum, v) => sum + Shape.size(v.shape), 0)
    return { parameters, executable, step }
  })

/**
 * Training steps of a small network on one device, run in a separate process, so that a driver that crashes or hangs does not affect
 * anything else. Prints the outcome as the last line of its standard output.
 */
import { Classification, Recipe } from "@uninet/model-space"
import { Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise, TrainingProgram } from "@uninet/trainer"
import { type Architecture, Network } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Device from "./device.ts"

/** The outcome. */
export const Outcome = Schema.TaggedUnion({
  /** The losses of the steps, and how long the last one took. */
  Ran: { engine: Schema.String, losses: Schema.Array(Schema.Finite), seconds: Schema.Finite },
  Failed: { reason: Schema.String }
})
export type Outcome = typeof Outcome.Type

export const OutcomeText = Schema.fromJsonString(Outcome)

/** A convolution and an attention: the operators that networks of the space are made of. */
const architecture: Architecture.Architecture = {
  image: { channels: 1, height: 12, width: 12 },
  classes: 4,
  stem: { channels: 8, stride: 1 },
  stages: [
    { operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 },
    { operator: "SA", dsm: "L", expansion: 2, channels: 8, repeats: 1, stride: 2 }
  ],
  head: { channels: 32 },
  headDim: 8
}

const batch = 16
const steps = 2

const check = Effect.gen(function* () {
  const runtime = yield* Runtime
  const network = yield* Effect.fromResult(Network.make(architecture))
  const { channels, height, width } = architecture.image
  const { classes } = architecture
  const training = yield* Effect.fromResult(
    TrainingProgram.make(Network.model(network), Classification.make({ classes }), { ...Recipe.proxy, batch })
  )
  const executable = yield* runtime.compile({ training })
  const prng = Prng.fromSeed("doctor")
  yield* Initialise.write(executable, training.variables, prng)
  const inputs = {
    image: Float32Array.from({ length: batch * channels * height * width }, () => prng.nextNormal()),
    targets: Int32Array.from({ length: batch }, () => prng.nextInt(classes)),
    learningRate: Float32Array.of(1e-2)
  }
  const losses: Array<number> = []
  let seconds = 0
  for (let step = 1; step <= steps; step++) {
    const began = performance.now()
    const { loss } = yield* executable.run("training", { ...inputs, step: Float32Array.of(step) })
    seconds = (performance.now() - began) / 1000
    losses.push(loss?.[0] ?? Number.NaN)
  }
  return Outcome.cases.Ran.make({ engine: runtime.name, losses, seconds })
})

const on = (device: string): Effect.Effect<Outcome> => {
  const known = Device.chosen.find((name) => name === device)
  if (known === undefined) return Effect.succeed(Outcome.cases.Failed.make({ reason: `there is no device ${device}` }))
  return check.pipe(
    Effect.scoped,
    Effect.provide(Device.layer(known)),
    Effect.catch((error) =>
      Effect.succeed(
        Outcome.cases.Failed.make({ reason: error._tag === "DeviceUnavailable" ? error.reason : error.message })
      )
    )
  )
}

// Only as a program: the doctor imports the schema.
if (process.argv[1] === import.meta.filename && process.argv[2] !== undefined)
  console.log(Schema.encodeSync(OutcomeText)(await Effect.runPromise(on(process.argv[2]))))

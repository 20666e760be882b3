/**
 * Times training steps of one network on one of this project's engines:
 *
 *   node bench/step-worker.ts <architecture.json> <batch> <threads> <steps> <device>
 *
 * For every line on standard input it runs that many steps and prints the seconds and the processor's seconds of each and the process's peak memory as a line of JSON,
 * so that the benchmark can alternate it with another engine.
 */
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { Shape } from "@uninet/graph"
import { Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise, Recipe } from "@uninet/trainer"
import { Architecture, Network } from "@uninet/uninet"
import { Effect, Result, Schema, Stream } from "effect"
import * as devices from "./devices.ts"
import { inputsOf, trainingOf } from "./networks.ts"

const [file, batchText, threads, steps, device] = process.argv.slice(2)
if (!devices.isName(device)) throw new Error(`there is no device ${device}`)
const architecture = Schema.decodeSync(Schema.fromJsonString(Architecture.Architecture))(readFileSync(file, "utf8"))
const batch = Number(batchText)

const begun = performance.now()
const program = Effect.gen(function* () {
  const network = Result.getOrThrow(Network.make(architecture))
  const training = Result.getOrThrow(trainingOf(network, { ...Recipe.proxy, batch }))
  const runtime = yield* Runtime
  const executable = yield* runtime.compile({ training })
  const prng = Prng.fromSeed("bench")
  yield* Initialise.write(executable, training.variables, prng)
  const inputs = { ...inputsOf(architecture, batch, prng), learningRate: Float32Array.of(1e-3) }
  let count = 0
  const step = Effect.suspend(() => executable.run("training", { ...inputs, step: Float32Array.of(++count) }))
  for (let i = 0; i < 3; i++) yield* step
  const sizes = training.variables.filter((v) => v.attributes.role === "parameter").map((v) => Shape.size(v.shape))
  const first = {
    parameters: sizes.reduce((sum, size) => sum + size, 0),
    firstSteps: (performance.now() - begun) / 1000
  }
  process.stdout.write(`${JSON.stringify(first)}\n`)
  yield* Stream.fromAsyncIterable(createInterface({ input: process.stdin }), (cause) => cause).pipe(
    Stream.runForEach(() =>
      Effect.gen(function* () {
        const seconds: Array<number> = []
        const processor: Array<number> = []
        for (let i = 0; i < Number(steps); i++) {
          const start = performance.now()
          const before = process.cpuUsage()
          yield* step
          seconds.push((performance.now() - start) / 1000)
          const { system, user } = process.cpuUsage(before)
          processor.push((system + user) / 1e6)
        }
        process.stdout.write(
          `${JSON.stringify({ seconds, processor, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`
        )
      })
    )
  )
}).pipe(Effect.scoped)

const failure = await Effect.runPromise(
  program.pipe(
    Effect.provide(devices.layer(device, Number(threads))),
    Effect.match({ onFailure: (error) => String(error), onSuccess: () => undefined })
  )
)
if (failure !== undefined) console.error(failure)

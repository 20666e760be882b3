/**
 * Times training steps of one network on one device: `node bench/engine-worker.ts <proxy|B0> <device> <threads> <steps>`.
 *
 * For every line on standard input it runs that many steps and prints the seconds of each and the process's peak memory as a line of JSON.
 */
import { createInterface } from "node:readline"
import { Network } from "@uninet/network"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import { Prng } from "@uninet/search-space"
import { Initialise, Recipe, TrainingProgram } from "@uninet/trainer"
import { Effect, Result, Stream } from "effect"
import { networks } from "./networks.ts"

/** The devices of the command line. */
export const devices = {
  cpu: (threads: number) => OnnxRuntime.cpu({ threads }),
  webgpu: () => OnnxRuntime.webgpu(),
  cuda: () => OnnxRuntime.cuda(),
  "tfjs-node-gpu": () => Tfjs.nodeGpu(),
  "tfjs-node": () => Tfjs.node(),
  "tfjs-wasm": () => Tfjs.wasm(),
  "tfjs-cpu": () => Tfjs.cpu()
}

const isDevice = (name: string): name is keyof typeof devices => Object.hasOwn(devices, name)

const program = (which: string, steps: number) =>
  Effect.gen(function* () {
    const { architecture, batch } = networks[which === "B0" ? "B0" : "proxy"]
    const network = Result.getOrThrow(Network.make(architecture))
    const training = Result.getOrThrow(TrainingProgram.make(network, { ...Recipe.proxy, batch }))
    const { run, write } = yield* (yield* Runtime).compile({ training })
    const prng = Prng.fromSeed("bench")
    yield* write(Initialise.values(training.variables, prng))
    const { channels, height, width } = architecture.image
    const inputs = {
      image: Float32Array.from({ length: batch * channels * height * width }, () => prng.nextNormal()),
      labels: Int32Array.from({ length: batch }, () => prng.nextInt(architecture.classes)),
      learningRate: Float32Array.of(1e-3)
    }
    let count = 0
    const step = Effect.suspend(() => run("training", { ...inputs, step: Float32Array.of(++count) }))
    for (let i = 0; i < 3; i++) yield* step
    process.stdout.write("{}\n")
    yield* Stream.fromAsyncIterable(createInterface({ input: process.stdin }), (cause) => cause).pipe(
      Stream.runForEach(() =>
        Effect.gen(function* () {
          const seconds: Array<number> = []
          for (let i = 0; i < steps; i++) {
            const began = performance.now()
            yield* step
            seconds.push((performance.now() - began) / 1000)
          }
          process.stdout.write(`${JSON.stringify({ seconds, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`)
        })
      )
    )
  }).pipe(Effect.scoped)

if (process.argv[1] === import.meta.filename) {
  const [which = "proxy", device = "", threads = "1", steps = "1"] = process.argv.slice(2)
  if (!isDevice(device)) throw new Error(`there is no device ${device}`)
  const failure = await Effect.runPromise(
    program(which, Number(steps)).pipe(
      Effect.provide(devices[device](Number(threads))),
      Effect.match({ onFailure: (error) => String(error), onSuccess: () => undefined })
    )
  )
  if (failure !== undefined) console.error(failure)
}

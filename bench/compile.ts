/**
 * What compiling costs a search: the time until the first step on random architectures of the space for small images, the first time and
 * when the same graph is compiled again in the process, compared with the time of a trial (one epoch on MNIST, batch 64).
 *
 *   node bench/compile.ts [--architectures 12] [--steps 8]
 *
 * One thread. Prints a Markdown table.
 */
import { Mnist, Dataset } from "@uninet/data"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import { Initialise, Recipe } from "@uninet/trainer"
import { type Architecture, Network, UniNetSpace } from "@uninet/uninet"
import { Effect, Result } from "effect"
import { parseArgs } from "node:util"
import { inputsOf, trainingOf } from "./networks.ts"
import { median } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    architectures: { type: "string", default: "12" },
    steps: { type: "string", default: "8" }
  }
})
const batch = 64

/** How many milliseconds an effect takes. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const start = performance.now()
    const value = yield* effect
    return { value, ms: performance.now() - start }
  })

const measure = Effect.fnUntraced(function* (architecture: Architecture.Architecture, trialSteps: number) {
  const runtime = yield* Runtime
  const programs = () => {
    const network = Result.getOrThrow(Network.make(architecture))
    return {
      training: Result.getOrThrow(trainingOf(network, { ...Recipe.proxy, batch })),
      evaluation: Result.getOrThrow(Network.evaluation({ batch: 128 })(network))
    }
  }
  const compile = Effect.suspend(() => runtime.compile(programs()))
  const building = yield* timed(Effect.sync(programs))
  const first = yield* Effect.scoped(timed(compile))
  const step = yield* Effect.gen(function* () {
    const executable = yield* compile
    const prng = Prng.fromSeed("bench")
    yield* Initialise.write(executable, building.value.training.variables, prng)
    const inputs = { ...inputsOf(architecture, batch, prng), learningRate: Float32Array.of(1e-3) }
    const times: Array<number> = []
    for (let i = 1; i <= 3 + Number(options.steps); i++) {
      const { ms } = yield* timed(executable.run("training", { ...inputs, step: Float32Array.of(i) }))
      if (i > 3) times.push(ms)
    }
    return median(times)
  }).pipe(Effect.scoped)
  const again = yield* Effect.scoped(timed(compile))
  return { building: building.ms, first: first.ms, again: again.ms, step, trial: first.ms + step * trialSteps }
})

const main = Effect.gen(function* () {
  const { train } = yield* Dataset.Dataset
  const trialSteps = Dataset.batchCount({ batch, dropLast: true })(train)
  const space = yield* Effect.fromResult(UniNetSpace.make({ image: 28, channels: 1, classes: 10 }))
  console.log("| architecture | graphs, ms | compiled at first, ms | again, ms | a step, ms | share of a trial |")
  console.log("| --- | --- | --- | --- | --- | --- |")
  const found: Array<Effect.Success<ReturnType<typeof measure>>> = []
  for (let i = 0; i < Number(options.architectures); i++) {
    const one = yield* measure(Space.sample(Prng.fromSeed(`compile ${i}`))(space), trialSteps)
    found.push(one)
    const { again, building, first, step, trial } = one
    const cells = [i, building.toFixed(0), first.toFixed(0), again.toFixed(0), step.toFixed(1)]
    console.log(`| ${[...cells, `${((100 * first) / trial).toFixed(1)}%`].join(" | ")} |`)
  }
  const middle = (f: (one: (typeof found)[number]) => number) => median(found.map(f))
  console.log(
    `\nMedian: ${middle((one) => one.first).toFixed(0)} ms at first, ${middle((one) => one.again).toFixed(0)} ms again; ${(100 * middle((one) => one.first / one.trial)).toFixed(1)}% of a trial of ${trialSteps} steps.`
  )
})

await Effect.runPromise(main.pipe(Effect.provide([Mnist.layer, OnnxRuntime.cpu({ threads: 1 })])))

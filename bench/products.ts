/**
 * How fast engines multiply: 1×1 convolutions, linear layers and their gradients inside a graph, from the slope between chains of two
 * lengths, so that calls, copies and other overhead cancel out.
 *
 *   node bench/products.ts [--devices portable,loops,cpu] [--threads 1] [--rounds 7]
 *
 * Processor time (of all threads), as medians of rounds in which devices and lengths take turns. Prints a Markdown table.
 */
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { gradient, Op, Program, type Tensor } from "@uninet/graph"
import { Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Effect, Result } from "effect"
import * as devices from "./devices.ts"
import { median } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    devices: { type: "string", default: "portable,loops,cpu" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "7" }
  }
})
const names = options.devices.split(",").filter(devices.isName)
const [threads, rounds] = [Number(options.threads), Number(options.rounds)]

const batch = 64

interface Shape {
  readonly name: string
  readonly input: ReadonlyArray<number>
  readonly weight: ReadonlyArray<number>
  readonly product: (x: Tensor.Tensor, weight: Tensor.Tensor) => Tensor.Tensor
  readonly macs: number
}

const convolution = (channels: number, side: number): Shape => ({
  name: `1×1 convolution, ${channels} channels, ${side}×${side}`,
  input: [batch, channels, side, side],
  weight: [channels, channels, 1, 1],
  product: (x, weight) => Op.conv2d(x, weight),
  macs: batch * side * side * channels ** 2
})
const linear = (features: number, tokens: number): Shape => ({
  name: `linear, ${features} features, ${tokens} tokens`,
  input: [batch, tokens, features],
  weight: [features, features],
  product: (x, weight) => Op.linear(x, weight),
  macs: batch * tokens * features ** 2
})
const shapes = [convolution(32, 14), convolution(64, 14), convolution(128, 7), linear(96, 49), linear(256, 16)]

/** This many products one after another, with the gradients of the input and of all weights where they are wanted. */
const chain = ({ input, product, weight }: Shape, length: number, gradients: boolean) => {
  const x = Op.input("x", input)
  const weights = Array.from({ length }, (_, i) => Op.input(`w${i}`, weight))
  const y = weights.reduce<Tensor.Tensor>(product, x)
  const back = gradients ? gradient(Op.sum(Op.mul(y, y)), [x, ...weights]) : []
  const results = [y, ...back].filter((t) => t !== undefined)
  const outputs = Object.fromEntries(results.map((t, i) => [`sum${i}`, Op.sum(t)]))
  const prng = Prng.fromSeed("products")
  const values = (shape: ReadonlyArray<number>, scale: number) =>
    Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, () => scale * (2 * prng.nextFloat() - 1))
  const inputs = Object.fromEntries([
    ["x", values(input, 1)],
    ...weights.map((_, i) => [`w${i}`, values(weight, Math.sqrt(3 / (weight[1] ?? 1)))])
  ])
  return { program: Result.getOrThrow(Program.make({ outputs })), inputs }
}

const lengths = [2, 8] as const

const seconds = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1e6
}

const speeds = (shape: Shape, gradients: boolean) =>
  Effect.gen(function* () {
    const chains = lengths.map((length) => chain(shape, length, gradients))
    const engines = yield* Effect.forEach(names, (name) =>
      Effect.gen(function* () {
        const runtime = yield* Runtime
        const runs = yield* Effect.forEach(chains, ({ inputs, program }) =>
          Effect.map(runtime.compile({ program }), ({ run }) => run("program", inputs))
        )
        return { name, runs, times: lengths.map((): Array<number> => []) }
      }).pipe(Effect.provide(devices.layer(name, threads)))
    )
    for (let round = -1; round < rounds; round++)
      for (const { runs, times } of engines)
        for (const [i, run] of runs.entries()) {
          const began = seconds()
          for (let k = 0; k < 5; k++) yield* run
          if (round >= 0) times[i]?.push((seconds() - began) / 5)
        }
    const flops = 2 * shape.macs * (gradients ? 3 : 1) * (lengths[1] - lengths[0])
    return engines.map(({ times }) => {
      const [short = Number.NaN, long = Number.NaN] = times.map((each) => median(each))
      return (flops / (long - short) / 1e9).toFixed(0)
    })
  }).pipe(Effect.scoped)

console.log(
  `${cpus()[0]?.model.trim()}, Node ${process.version}, batch ${batch}, ${threads} thread${threads === 1 ? "" : "s"}; GFLOP/s of the processor's seconds\n`
)
console.log(`| product | ${names.join(" | ")} |\n| --- |${names.map(() => " --- |").join("")}`)
for (const shape of shapes)
  for (const gradients of [false, true])
    console.log(
      `| ${shape.name}${gradients ? ", with gradients" : ""} | ${(await Effect.runPromise(speeds(shape, gradients))).join(" | ")} |`
    )

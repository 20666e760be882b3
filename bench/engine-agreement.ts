/**
 * How far apart are the losses of two engines? Runs the first training steps of a search's architectures on MNIST, on every engine for
 * CPUs.
 *
 *     node bench/engine-agreement.ts <journal.db> [--steps 20] [--trials 0,1,2,3] [--rate 0.01] [--float64]
 *
 * Prints the largest difference of the losses per trial. The journal is one of `uninet search`. `--float64` also compares every engine with
 * the reference interpreter, which needs some ten seconds per step.
 */
import { DatabaseSync } from "node:sqlite"
import { parseArgs } from "node:util"
import { Mnist } from "@uninet/data"
import { ModelSpace } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import { Recipe, Trainer } from "@uninet/trainer"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import { Effect, Layer, Result, Schema, Stream } from "effect"
import { interpreter } from "../packages/uninet/test/support/interpreter.ts"

const {
  values: { float64, rate, steps, trials },
  positionals: [journal = ""]
} = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: "string", default: "20" },
    trials: { type: "string", default: "0,1,2,3" },
    rate: { type: "string", default: "0.01" },
    float64: { type: "boolean", default: false }
  }
})
const chosen = trials.split(",").map(Number)

const Proposed = Schema.fromJsonString(Schema.Struct({ trial: Schema.Int, point: Architecture.Architecture }))

const proposals = new DatabaseSync(journal, { readOnly: true })
  .prepare("select data from entry where kind = 'Proposed' order by trial")
  .all()
  .map(({ data }) => Schema.decodeUnknownSync(Proposed)(data))

const digits = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

/** The default of `uninet search`, with a learning rate of 0.01. */
const recipe = { ...Recipe.proxy, learningRate: Number(rate), epochs: 1, batch: 64 }

const losses = (architecture: Architecture.Architecture, trial: number) =>
  Effect.gen(function* () {
    const trainer = yield* Trainer
    const network = yield* Effect.fromResult(ModelSpace.trainable(architecture)(digits))
    return yield* trainer.fit(network, { recipe, seed: `trial ${trial}` }).pipe(
      Stream.filter((event) => event._tag === "Step"),
      Stream.map(({ loss }) => loss),
      Stream.take(Number(steps)),
      Stream.runCollect
    )
  })

const engines = {
  "ONNX Runtime": OnnxRuntime.cpu(),
  "its standard formulation": OnnxRuntime.cpu({ formulation: "standard" }),
  "tfjs wasm": Tfjs.wasm(),
  ...(float64 ? { float64: interpreter } : {})
}
const names = Object.keys(engines)
const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const))

const row = (cells: ReadonlyArray<string | number>) => console.log(`| ${cells.join(" | ")} |`)

row(["trial", "first loss", "last loss", ...pairs.map(([a, b]) => `${a}, ${b}`)])
row([3, ...pairs].map(() => "---").concat("---", "---"))
for (const { point, trial } of proposals.filter((p) => chosen.includes(p.trial))) {
  const found = new Map<string, ReadonlyArray<number>>()
  for (const [name, engine] of Object.entries(engines)) {
    const on = Trainer.layer.pipe(Layer.provide(Mnist.layer), Layer.provide(engine))
    found.set(name, await Effect.runPromise(losses(point, trial).pipe(Effect.provide(on))))
  }
  const of = (name: string) => found.get(name) ?? []
  const apart = pairs.map(([a, b]) => Math.max(...of(a).map((loss, i) => Math.abs(loss - of(b)[i]))).toExponential(1))
  const ours = of("ONNX Runtime")
  row([trial, ours[0].toFixed(4), ours.at(-1)?.toFixed(4) ?? "", ...apart])
}

/**
 * The first training steps of a search's architectures on MNIST, on ONNX Runtime and on another engine: `node bench/engine-agreement.ts <journal.db> [steps]`.
 *
 * Prints the largest difference of the losses per trial. The journal is one of `uninet search`.
 */
import { DatabaseSync } from "node:sqlite"
import { Mnist } from "@uninet/data"
import { OnnxRuntime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import { Architecture } from "@uninet/search-space"
import { Recipe, Trainer } from "@uninet/trainer"
import { Effect, Layer, Schema, Stream } from "effect"

const [journal = "", steps = "20"] = process.argv.slice(2)

const Proposed = Schema.fromJsonString(Schema.Struct({ trial: Schema.Int, architecture: Architecture.Architecture }))

const proposals = new DatabaseSync(journal, { readOnly: true })
  .prepare("select data from entry where kind = 'Proposed' order by trial")
  .all()
  .map(({ data }) => Schema.decodeUnknownSync(Proposed)(data))

/** As `uninet search` trains by default. */
const recipe = { ...Recipe.proxy, learningRate: 0.01, epochs: 1, batch: 64 }

const losses = (architecture: Architecture.Architecture, trial: number) =>
  Effect.gen(function* () {
    const trainer = yield* Trainer
    return yield* trainer.fit(architecture, { recipe, seed: `trial ${trial}` }).pipe(
      Stream.filter((event) => event._tag === "Step"),
      Stream.map(({ loss }) => loss),
      Stream.take(Number(steps)),
      Stream.runCollect
    )
  })

const engines = {
  onnxruntime: OnnxRuntime.cpu(),
  tfjs: Tfjs.wasm(),
  standard: OnnxRuntime.cpu({ formulation: "standard" })
}
const on = (engine: keyof typeof engines) =>
  Trainer.layer().pipe(Layer.provide(Mnist.layer), Layer.provide(engines[engine]))

console.log(
  `| trial | tfjs wasm: largest difference of ${steps} losses | the engine's own standard formulation | first loss | last loss |\n|---|---|---|---|---|`
)
for (const { architecture, trial } of proposals) {
  const of = (engine: keyof typeof engines) =>
    Effect.runPromise(losses(architecture, trial).pipe(Effect.provide(on(engine))))
  const expected = await of("onnxruntime")
  const worst = (actual: ReadonlyArray<number>) =>
    Math.max(...expected.map((loss, i) => Math.abs(loss - actual[i]))).toExponential(1)
  const [tfjs, standard] = [worst(await of("tfjs")), worst(await of("standard"))]
  console.log(`| ${trial} | ${tfjs} | ${standard} | ${expected[0].toFixed(4)} | ${expected.at(-1)?.toFixed(4)} |`)
}

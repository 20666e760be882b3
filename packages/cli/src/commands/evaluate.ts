/** `uninet evaluate`: how good a trained network is, in all the usual figures. */
import { Dataset, Datasets, Normalised } from "@uninet/data"
import { type Evaluation, Trainer } from "@uninet/trainer"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, usage } from "../internal/CliFault.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as trained from "../internal/trained.ts"

const config = {
  run: Argument.Path("run").pipe(
    Argument.withDescription("The folder of a uninet train or search, or a safetensors file that one of them wrote")
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(`${Datasets.names.join(", ")}, or a folder of images (default: what it was trained on)`)
  ),
  split: Flag.Literals("split", ["test", "validation", "train"]).pipe(
    Flag.withDefault("test"),
    Flag.withDescription("Which images (default test)")
  ),
  batch: flags
    .whole("batch")
    .pipe(
      Flag.withDefault(128),
      Flag.withDescription("Images at a time; the figures do not depend on it (default 128)")
    ),
  threads: flags
    .whole("threads")
    .pipe(Flag.optional, Flag.withDescription("Of the engine (default: one for each core)")),
  device: flags.device.pipe(Flag.withDefault(Device.standard)),
  json: flags.json
}

const Numbers = Schema.fromJsonString(Schema.Array(Schema.Finite))

const widest = 20

const table = (): InstanceType<typeof Table> => new Table({ style: { head: [], border: [], compact: true } })

/** Rows are true classes, columns what they were taken for; of many classes only what is most often confused. */
const confusion = (classes: ReadonlyArray<string>, counts: Evaluation.Evaluation["confusion"]): string => {
  const out = table()
  if (classes.length <= widest) {
    out.push(["", ...classes.map((name) => name.slice(0, 8)), "right"])
    counts.forEach((row, c) => {
      const all = row.reduce((a, b) => a + b, 0)
      out.push([classes[c], ...row.map((n) => (n === 0 ? "" : n)), all === 0 ? "" : format.percent(row[c] / all)])
    })
    return out.toString()
  }
  const pairs = counts.flatMap((row, c) => row.map((n, k) => ({ n, c, k }))).filter(({ c, k, n }) => c !== k && n > 0)
  out.push(["images of", "taken for", "times"])
  for (const { c, k, n } of pairs.sort((a, b) => b.n - a.n).slice(0, widest)) out.push([classes[c], classes[k], n])
  return out.toString()
}

export const evaluate = Command.make(
  "evaluate",
  config,
  Effect.fnUntraced(function* ({ batch, dataset, device, json, run, split, threads }) {
    const { metadata, name, network, weights } = yield* trained.read(run)
    const { architecture } = network
    const numbers = (key: string) => Option.getOrUndefined(Schema.decodeUnknownOption(Numbers)(metadata[key])) ?? []
    const [mean, deviation] = [numbers("mean"), numbers("deviation")]
    const datasetName = Option.getOrUndefined(dataset) ?? (yield* trained.settingsOf(run)).dataset
    if (datasetName === undefined) return yield* usage("the run does not say what it was trained on. Give --dataset.")
    yield* Effect.scoped(
      Effect.gen(function* () {
        const services = yield* Trainer.layer().pipe(
          Layer.provideMerge(
            Layer.mergeAll(
              Layer.effect(
                Dataset.Dataset,
                Effect.map(Datasets.make(datasetName, { size: architecture.image.height }), (data) =>
                  Normalised.by({ mean, deviation }, data)
                )
              ),
              Device.layer(yield* Device.choose(device), { threads: Option.getOrElse(threads, availableParallelism) })
            )
          ),
          Layer.build,
          Effect.mapError(Device.orElse(at("--dataset")))
        )
        yield* Effect.gen(function* () {
          const { classes } = yield* Effect.mapError(Dataset.images(yield* Dataset.Dataset), at("--dataset"))
          const found = yield* (yield* Trainer).evaluate(architecture, weights, split, { batch })
          const { calibrationError, images, loss, top1, top5 } = found
          yield* Console.log(
            json
              ? JSON.stringify({ weights: name, dataset: datasetName, split, ...found, classes }, null, 2)
              : [
                  confusion(classes, found.confusion),
                  `${images.toLocaleString("en")} images of ${datasetName}, ${split} split`,
                  `top-1 ${format.percent(top1, 2)}, top-5 ${format.percent(top5, 2)}, loss ${loss.toFixed(4)}, calibration error ${format.percent(calibrationError, 2)}`
                ].join("\n")
          )
        }).pipe(Effect.provide(services))
      })
    )
  })
).pipe(
  Command.withDescription("Test a trained network: top-1, top-5, confusion matrix, calibration error"),
  Command.withExamples([
    { command: "uninet evaluate runs/b0", description: "The best weights on the test split" },
    { command: "uninet evaluate runs/demo --split validation --json", description: "Of a search, as JSON" }
  ])
)

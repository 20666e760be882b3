/** `uninet evaluate`: how good a trained network is, with all the usual figures. */
import { Dataset, Datasets, Normalised } from "@uninet/data"
import { Views } from "@uninet/model-space"
import { Setup } from "@uninet/search"
import { Trainer } from "@uninet/trainer"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, CliFault, fault, said, usage } from "../internal/CliFault.ts"
import * as counting from "../internal/counting.ts"
import * as classes from "../internal/classes.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as plans from "../internal/plan.ts"
import * as trained from "../internal/trained.ts"

const config = {
  run: Argument.Path("run").pipe(
    Argument.withDescription("The folder of a training or search, or a safetensors file that one of them wrote")
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      `${Datasets.names.join(", ")}, a folder of images, or a module with a data set (default: what it was trained on)`
    )
  ),
  split: Flag.Literals("split", ["test", "validation", "train"]).pipe(
    Flag.withDefault("test"),
    Flag.withDescription("Split to evaluate on (default test)")
  ),
  batch: flags.batch.pipe(
    Flag.withDefault(128),
    Flag.withDescription("Examples at a time; the figures do not depend on it (default 128)")
  ),
  threads: flags.threads.pipe(Flag.optional, Flag.withDescription("Of the engine (default: one for each core)")),
  skipBad: flags.skipBad,
  config: networks.config,
  device: flags.device.pipe(Flag.withDefault(Device.standard)),
  json: flags.json
}

/** What classification reports besides its measures. */
const Details = Schema.Struct({ confusion: Schema.Array(Schema.Array(Schema.Finite)) })

const Numbers = Schema.fromJsonString(Schema.Array(Schema.Finite))

const widest = 20

const table = (): InstanceType<typeof Table> => new Table({ style: { head: [], border: [], compact: true } })

/** Rows are true classes, columns are predictions; with many classes, only the most frequent confusions. */
const confusion = (classes: ReadonlyArray<string>, counts: ReadonlyArray<ReadonlyArray<number>>): string => {
  const out = table()
  // The approximate width; a matrix that does not fit would be misread.
  const width = 12 + classes.reduce((sum, name) => sum + 3 + Math.max(4, Math.min(8, name.length)), 8)
  if (classes.length <= widest && width <= (process.stdout.columns ?? Number.POSITIVE_INFINITY)) {
    out.push(["", ...classes.map((name) => name.slice(0, 8)), "right"])
    counts.forEach((row, c) => {
      const all = row.reduce((a, b) => a + b, 0)
      const share = all === 0 ? "" : format.percent((row[c] ?? 0) / all)
      out.push([classes[c] ?? `class ${c}`, ...row.map((n) => (n === 0 ? "" : n)), share])
    })
    return out.toString()
  }
  const pairs = counts.flatMap((row, c) => row.map((n, k) => ({ n, c, k }))).filter(({ c, k, n }) => c !== k && n > 0)
  out.push(["images of", "taken for", "times"])
  for (const { c, k, n } of pairs.sort((a, b) => b.n - a.n).slice(0, widest)) out.push([classes[c], classes[k], n])
  return format.fitted(out.toString())
}

export const evaluate = Command.make(
  "evaluate",
  config,
  Effect.fnUntraced(function* ({ batch, config: override, dataset, device, json, run, skipBad, split, threads }) {
    const { metadata, name, network } = yield* trained
      .read(run, override)
      .pipe(Effect.map((found) => ({ ...found, network: found })))
    const { facts, of, weights } = network
    const numbers = (key: string) => Option.getOrUndefined(Schema.decodeUnknownOption(Numbers)(metadata[key])) ?? []
    const [mean, deviation] = [numbers("mean"), numbers("deviation")]
    const known = classes.namesIn(metadata)
    const settings = yield* trained.settingsOf(run)
    const datasetName = Option.isSome(dataset)
      ? yield* plans.datasetNamed(dataset.value, process.cwd())
      : settings.dataset
    const { trainedOn = metadata["trainedOn"] ?? "train" } = settings
    // The network has seen nothing of other data sets.
    const isSeen = datasetName === settings.dataset && trainedOn.split("+").includes(split)
    if (datasetName === undefined) return yield* usage("the run does not say what it was trained on. Give --dataset.")
    const [, height] = (network.network.model.inputs["image"] ?? facts.inputs["image"])?.shape ?? []
    yield* Effect.scoped(
      Effect.gen(function* () {
        const data = Setup.dataset(undefined, datasetName, {
          ...(height === undefined ? {} : { size: height }),
          // With its own data set, images that were left out in training are left out again.
          skipBad: skipBad || (datasetName === settings.dataset && settings.skipBad === true)
        })
        /** Normalised as in its training, not as this data set normalises itself. */
        const normalised = Layer.effect(
          Dataset.Dataset,
          Effect.flatMap(Dataset.Dataset, (given) =>
            classes.asKnown(
              known,
              Dataset.isImages(given) && mean.length > 0 ? Normalised.by({ mean, deviation })(given) : given
            )
          )
        ).pipe(Layer.provide(data))
        const services = yield* Trainer.layer.pipe(
          Layer.provideMerge(
            Layer.mergeAll(
              normalised,
              Device.layer(yield* Device.choose(device), { threads: Option.getOrElse(threads, availableParallelism) })
            )
          ),
          Layer.build,
          Effect.mapError(Device.orElse((error) => (error instanceof CliFault ? error : at("--dataset")(error))))
        )
        yield* Effect.gen(function* () {
          const data = yield* Dataset.Dataset
          const count = data[split].size
          const found = yield* Effect.scoped(
            Effect.gen(function* () {
              const onExamples = yield* counting.examples(`evaluating on ${format.plural(count, "example")}`, count)
              return yield* (yield* Trainer).evaluate(network.network, weights, split, {
                batch,
                imageSize: height ?? null,
                views: Option.getOrUndefined(
                  Schema.decodeUnknownOption(Schema.fromJsonString(Views.Views))(metadata["views"])
                ),
                onExamples
              })
            })
          )
          const { classes } = data
          const { details, examples, measures } = found
          if (examples === 0)
            return yield* fault(`the ${split} split of ${datasetName} has no examples. Give another with --split.`)
          const confused = Option.getOrUndefined(Schema.decodeUnknownOption(Details)(details))
          yield* Console.log(
            json
              ? JSON.stringify(
                  {
                    weights: name,
                    dataset: datasetName,
                    split,
                    trainedOn,
                    isSeen,
                    examples,
                    ...measures,
                    ...confused,
                    classes
                  },
                  null,
                  2
                )
              : [
                  ...(confused === undefined || classes === undefined ? [] : [confusion(classes, confused.confusion)]),
                  `${examples.toLocaleString("en")} examples of ${datasetName}, ${split} split`,
                  format.measures(measures, of.task),
                  ...(isSeen ? ["the network was trained on these examples: this says how well it remembers them"] : [])
                ].join("\n")
          )
        }).pipe(Effect.provide(services))
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription(
    "Evaluate a trained network: its task's measures and, for classification, which classes are confused"
  ),
  Command.withExamples([
    { command: "uninet evaluate runs/b0", description: "The best weights on the test split" },
    { command: "uninet evaluate runs/demo --split validation --json", description: "A search's best network, as JSON" }
  ])
)

/** `uninet export`: writes a network as a file for other programs, and compares it with the network before it is kept. */
import { Dataset, Normalised } from "@uninet/data"
import {
  Comparison,
  Exported,
  Format,
  Int8,
  OnnxModel,
  Python,
  Specimens,
  Trained,
  type Examples
} from "@uninet/export"
import { ModelSpace } from "@uninet/model-space"
import { Model, type Weights } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Setup } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import { Fitting, Initialise } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import * as counting from "../internal/counting.ts"
import { at, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as exports from "../internal/exports.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as plans from "../internal/plan.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as trained from "../internal/trained.ts"

/** Examples with which an export is checked. */
const count = 64

const { family, isFamily } = networks

const config = {
  network: Argument.String("network").pipe(
    Argument.map(networks.named),
    Argument.withDescription(
      `The folder of a training or search, a safetensors file, ${family.join(", ")}, or a network's JSON file`
    )
  ),
  format: Flag.Literals("format", Format.all).pipe(
    Flag.withDefault("onnx"),
    Flag.withDescription(`${Format.all.join(", ")} (default onnx)`)
  ),
  out: Flag.Path("out").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription("The file to write (default: named after the network, in the current folder)")
  ),
  weights: Flag.Path("weights").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription("A safetensors file with the weights of a network that is given by its name or JSON file")
  ),
  int8: Flag.Boolean("int8").pipe(
    Flag.withDefault(false),
    Flag.withDescription(
      "Write an ONNX file in 8-bit integers, calibrated on training examples: smaller, faster and less accurate; the loss is reported"
    )
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Export a network with untrained weights, drawn from this seed")
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      "Data set on whose test examples the file is checked (default: the one the network was trained on; else MNIST's digits, resized, or random numbers)"
    )
  ),
  skipBad: flags.skipBad,
  config: networks.config,
  json: flags.json
}
type Flags = Command.Command.Config.Infer<typeof config>

/** The part of a card that is known before the data set is. */
interface Source {
  readonly found: networks.Found
  readonly weights: Weights.Weights
  /** From the file that the weights come from, together with its run's folder. */
  readonly metadata: Readonly<Record<string, string>>
  /** The data set that the network was trained on, if it is known. */
  readonly dataset: string | undefined
  /** Whether images of it that cannot be read were left out. */
  readonly skipBad?: boolean
}

/** A run, or a file that it wrote. */
const ofRun = Effect.fnUntraced(function* (given: Flags) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const run = path.resolve(given.network)
  const flag = Option.isSome(given.weights) ? "--weights" : Option.isSome(given.seed) ? "--seed" : undefined
  if (!(yield* Effect.orElseSucceed(fs.exists(run), () => false))) return yield* networks.missing(given.network)
  if (flag !== undefined)
    return yield* usage(`${flag} cannot be given with a run, which has weights of its own. Leave ${flag} out.`)
  const { metadata, weights, ...found } = yield* trained.read(run, given.config)
  const { dataset, seed, skipBad = false, trial } = yield* trained.settingsOf(run)
  return {
    found,
    weights,
    metadata: {
      run: path.basename(run.endsWith(".safetensors") ? path.dirname(run) : run),
      ...(trial === undefined ? {} : { trial: String(trial) }),
      ...(seed === undefined ? {} : { seed }),
      ...metadata
    },
    dataset,
    skipBad
  } satisfies Source
})

/** A network by name or JSON file, with weights from a file, or untrained. */
const ofNetwork = Effect.fnUntraced(function* (given: Flags) {
  const path = yield* Path.Path
  const found = yield* networks.read(given.network, given.config)
  if (Option.isSome(given.weights)) {
    if (Option.isSome(given.seed))
      return yield* usage("--seed cannot be given with --weights, which are used as they are. Leave one of them out.")
    const { metadata, weights } = yield* trained.readFor(found, given.weights.value)
    return {
      found,
      weights,
      metadata: { weights: path.basename(given.weights.value), ...metadata },
      dataset: undefined
    } satisfies Source
  }
  if (Option.isNone(given.seed))
    return yield* usage(
      `${given.network} is a network without weights. Give a run's folder, --weights file.safetensors, or --seed text for untrained ones.`
    )
  const seed = given.seed.value
  const { variables } = yield* Effect.fromResult(ModelSpace.trainable(found.point)(found.of)).pipe(
    Effect.flatMap(({ model }) => Effect.fromResult(Model.evaluation()(model))),
    Effect.mapError(at(given.network))
  )
  const weights = Initialise.values(Prng.fromSeed(seed))(variables)
  return { found, weights, metadata: { seed, trained: "no" }, dataset: undefined } satisfies Source
})

/** The data set with whose examples the export is checked. One that was not asked for is skipped if it does not fit or is gone. */
const datasetOf = Effect.fnUntraced(function* (given: Flags, { dataset, found, skipBad = false }: Source) {
  const asked = Option.isSome(given.dataset) ? yield* plans.datasetNamed(given.dataset.value, process.cwd()) : undefined
  const name = asked ?? dataset
  if (name === undefined) return undefined
  const fitting = Effect.gen(function* () {
    const network = yield* Effect.fromResult(ModelSpace.trainable(found.point)(found.of))
    const [, height = null] = network.model.inputs["image"]?.shape ?? []
    const services = yield* Layer.build(
      Setup.dataset(undefined, name, {
        ...(height === null ? {} : { size: height }),
        skipBad: given.skipBad || (name === dataset && skipBad)
      })
    )
    // As in training, smaller pictures are enlarged.
    return yield* Fitting.of(network, Context.get(services, Dataset.Dataset), height)
  })
  const made = yield* Effect.result(fitting)
  if (Result.isSuccess(made)) return made.success
  return asked === undefined ? undefined : yield* at("--dataset")(made.failure)
})

/** The name of the output, if none is given. A PyTorch module gets a name that Python can import. */
const nameOf = Effect.fnUntraced(function* (network: string, of: Format.Format) {
  const path = yield* Path.Path
  const base = isFamily(network)
    ? `uninet-${network.toLowerCase()}`
    : path.basename(path.resolve(network)).replace(/\.(json|safetensors)$/, "")
  return of === "pytorch" ? base.replace(/\W+/g, "_").replace(/^(?=\d)/, "uninet_") : base
})

const extensions = { onnx: ".onnx", safetensors: ".safetensors", pytorch: ".py" } as const

const fileOf = Effect.fnUntraced(function* (given: Flags) {
  const path = yield* Path.Path
  const extension = extensions[given.format]
  if (Option.isNone(given.out)) return path.resolve(`${yield* nameOf(given.network, given.format)}${extension}`)
  const out = given.out.value
  const found = path.extname(out)
  if (found !== "" && found !== extension)
    return yield* usage(
      `--out ends in ${found}, but --format ${given.format} writes ${extension}. Give a name that ends in ${extension}, or another --format.`
    )
  const base = path.basename(out, extension)
  if (given.format === "pytorch" && !/^[A-Za-z_]\w*$/.test(base))
    return yield* usage(
      `--out ${out} has a name that Python cannot import. Give one such as ${base.replace(/\W+/g, "_").replace(/^(?=\d)/, "uninet_")}${extension}.`
    )
  return found === "" ? `${out}${extension}` : out
})

const agreement = ({ tolerance, worst }: Exported.Check): string =>
  worst === 0
    ? "outputs equal to the network's"
    : `outputs within ${worst.toExponential(1)} of the network's (${tolerance.toExponential()} allowed)`

/** `35 Gelu, 11 Mul`: the most frequent first. */
const named = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, n]) => `${n} ${name}`)
    .join(", ")

/** What is computed in eight bits, and what is not. */
const inEightBits = (
  { left, taken }: NonNullable<Exported.Exported["int8"]>,
  accuracy: { readonly examples: number; readonly float: number; readonly int8: number } | undefined
): ReadonlyArray<string> => {
  return [
    `in eight bits: ${named(taken)}`,
    ...(Object.keys(left).length === 0 ? [] : [`left in floats, since they cannot be quantized here: ${named(left)}`]),
    accuracy === undefined
      ? "the loss in accuracy is not known without a data set: give one with --dataset"
      : `accuracy ${format.percent(accuracy.int8, 2)} on ${accuracy.examples} test examples, ${format.percent(accuracy.float, 2)} in floats: ${(100 * Math.abs(accuracy.float - accuracy.int8)).toFixed(2)} points ${accuracy.int8 > accuracy.float ? "gained" : "lost"}`
  ]
}

const next = (
  of: Format.Format,
  file: string,
  { classes, picture }: Trained.Trained["card"]
): ReadonlyArray<string> => {
  if (of === "pytorch") return [`in Python: import ${file.replace(/^.*[\\/]|\.py$/g, "")}, then load()`]
  if (of === "safetensors") return ["names and shapes are those of the network's parameters"]
  return classes === null || picture === null
    ? []
    : [`classify images with: ${command.uninet("classify", file, "image.png")}`]
}

/** Examples on which the accuracy of a file in eight bits is compared with the network's. */
const judged = 1000

/** The share of labelled examples that each of two sets of logits classifies correctly. */
const accuraciesOf = Effect.fnUntraced(function* (
  file: string,
  whole: Trained.Trained,
  data: Dataset.DatasetShape,
  onExamples: (count: number) => Effect.Effect<void>
) {
  const { classes, outputs } = whole.card
  const logits = Object.entries(outputs).find(
    ([, { shape }]) => shape.length === 1 && shape[0] === classes?.length
  )?.[0]
  if (logits === undefined || classes === null || data.test.size === 0) return undefined
  const { targets, ...examples } = yield* Specimens.labelled(judged)(data)
  const share = ({ [logits]: rows = new Float32Array() }: Examples.Outputs) => {
    let right = 0
    for (let i = 0; i < examples.size; i++)
      if (Comparison.argMax(rows.subarray(i * classes.length, (i + 1) * classes.length)) === targets[i]) right++
    return right / examples.size
  }
  const float = yield* Trained.outputs(examples, onExamples)(whole)
  const model = yield* OnnxModel.open(file, { threads: availableParallelism() })
  const int8 = yield* model.outputs(examples, onExamples)
  return { examples: examples.size, float: share(float), int8: share(int8) }
}, Effect.scoped)

const run = Effect.fnUntraced(function* (given: Flags) {
  if (given.int8 && given.format !== "onnx")
    return yield* usage(`--int8 is for ONNX files, but --format is ${given.format}. Leave one of them out.`)
  const isNetwork = isFamily(given.network) || given.network.endsWith(".json")
  const file = yield* fileOf(given)
  // Before anything is read; Exported.write checks again.
  if (yield* Effect.orElseSucceed((yield* FileSystem.FileSystem).exists(file), () => false))
    return yield* new Exported.FileExists({ file: yield* runFolder.shown(file) })
  const source: Source = yield* isNetwork ? ofNetwork(given) : ofRun(given)
  const data = yield* datasetOf(given, source)
  const whole = yield* exports.trained(source.found, source.weights, { data, metadata: source.metadata })
  const { card } = whole
  const normalised: Dataset.DatasetShape | undefined =
    data !== undefined && Dataset.isImages(data) && card.picture !== null ? Normalised.by(card.picture)(data) : data
  const some = (of: number, split: Dataset.SplitName) =>
    normalised === undefined ? Specimens.digits(of)(card) : Specimens.ofDataset(of, split)(normalised)
  const examples = yield* some(count, "test")
  const of =
    data === undefined
      ? card.picture === null
        ? "examples of random numbers"
        : "test images of mnist, resized"
      : `test examples of ${data.name}`
  const judging = given.int8 && normalised !== undefined ? Math.min(judged, normalised.test.size) : 0
  const onExamples = yield* counting.examples(
    `checking ${given.format} on ${examples.size} ${of}`,
    2 * (examples.size + judging) + (given.int8 ? Int8.calibration : 0)
  )
  const { bytes, check, files, int8, unchecked } = yield* Exported.write({
    format: given.format,
    file,
    examples,
    onExamples,
    pythons: Python.candidates,
    ...(given.int8 ? { int8: yield* some(Int8.calibration, "train") } : {})
  })(whole)
  const accuracy =
    int8 === null || normalised === undefined ? undefined : yield* accuraciesOf(file, whole, normalised, onExamples)
  const shown = yield* Effect.forEach(files, runFolder.shown)
  return {
    source: given.network,
    format: given.format,
    files: shown,
    bytes,
    check,
    unchecked,
    of,
    card,
    int8,
    accuracy
  }
}, Effect.scoped)

export const exporting = Command.make(
  "export",
  config,
  Effect.fnUntraced(function* (given) {
    const { accuracy, bytes, card, check, files, int8, of, ...rest } = yield* run(given).pipe(
      Effect.provide(OnnxRuntime.cpu({ threads: availableParallelism() }))
    )
    yield* Console.log(
      given.json
        ? JSON.stringify(
            {
              source: rest.source,
              format: rest.format,
              files,
              bytes,
              check: check === undefined ? { skipped: rest.unchecked } : { on: of, ...check },
              ...(int8 === null ? {} : { int8: { ...int8, accuracy: accuracy ?? null } }),
              provenance: card.provenance
            },
            null,
            2
          )
        : [
            `${files.join(" and ")}: ${format.count(bytes)}B, ${Model.print(card.inputs)} to ${Model.print(card.outputs)}`,
            check === undefined
              ? `not checked: ${rest.unchecked}`
              : `checked in ${check.runtime} on ${check.examples} ${of}: ${agreement(check)}${check.sameTop1 === null ? "" : `, the same top-1 on ${check.sameTop1}`}`,
            ...(int8 === null ? [] : inEightBits(int8, accuracy)),
            ...next(given.format, files[0] ?? "", card)
          ].join("\n")
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Write a trained network for other programs: ONNX, safetensors, PyTorch"),
  Command.withExamples([
    { command: "uninet export runs/demo", description: "What a search or a training found, as demo.onnx" },
    {
      command: "uninet export runs/demo --format pytorch --out digits.py",
      description: "As a Python file with its weights"
    },
    { command: "uninet export B1 --weights uninet_b1.safetensors", description: "Published weights as uninet-b1.onnx" },
    {
      command: "uninet export runs/demo --int8 --out demo-int8.onnx",
      description: "In eight bits, with its loss in accuracy"
    },
    { command: "uninet export B0 --seed 0", description: "Untrained, to measure its speed" }
  ])
)

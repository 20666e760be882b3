/** `uninet export`: a network as a file that other programs use, held against the network before it is kept. */
import { type Dataset, Datasets, ImageFolder, Normalised, Resized } from "@uninet/data"
import { Card, Exported, Format, Python, Specimens, type Trained } from "@uninet/export"
import { Network, UniNet } from "@uninet/network"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import * as architectures from "../internal/architecture.ts"
import * as checkProgress from "../internal/checkProgress.ts"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as trained from "../internal/trained.ts"

/** Images that an export is held against. */
const images = 64

const family = Object.keys(UniNet.family)

const config = {
  network: Argument.String("network").pipe(
    Argument.withDescription(
      `The folder of a uninet train or search, a safetensors file, ${family.join(", ")}, or an architecture's JSON file`
    )
  ),
  format: Flag.Literals("format", Format.all).pipe(
    Flag.withDefault("onnx"),
    Flag.withDescription(`${Format.all.join(", ")} (default onnx)`)
  ),
  out: Flag.Path("out").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription("The file to write (default: one here, named after the network)")
  ),
  weights: Flag.Path("weights").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription("A safetensors file with the weights of an architecture, under the authors' names")
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Export an architecture with untrained weights, drawn from this seed")
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      "Whose test images the file is checked on (default: what the network was trained on, or else MNIST's digits, resized)"
    )
  ),
  json: flags.json
}
type Flags = Command.Command.Config.Infer<typeof config>

const isFamily = (name: string): name is UniNet.Name => Object.hasOwn(UniNet.family, name)

/** What there is of a card before the data set is known. */
interface Source {
  readonly network: Network.Network
  readonly weights: Trained.Trained["weights"]
  /** Of the file that the weights come from, with what its run's folder says. */
  readonly metadata: Readonly<Record<string, string>>
  /** The data set that the network was trained on, if it is known. */
  readonly dataset: string | undefined
}

/** A run, or a file that it wrote. */
const ofRun = Effect.fnUntraced(function* (given: Flags) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const run = path.resolve(given.network)
  const flag = Option.isSome(given.weights) ? "--weights" : Option.isSome(given.seed) ? "--seed" : undefined
  if (!(yield* Effect.orElseSucceed(fs.exists(run), () => false)))
    return yield* usage(
      `"${given.network}" is neither a run's folder nor a file nor one of ${family.join(", ")}. Give one of them.`
    )
  if (flag !== undefined)
    return yield* usage(`${flag} cannot be given with a run, which has weights of its own. Leave ${flag} out.`)
  const { metadata, network, weights } = yield* trained.read(run)
  const { dataset, seed, trial } = yield* trained.settingsOf(run)
  return {
    network,
    weights,
    metadata: {
      run: path.basename(run.endsWith(".safetensors") ? path.dirname(run) : run),
      ...(trial === undefined ? {} : { trial: String(trial) }),
      ...(seed === undefined ? {} : { seed }),
      ...metadata
    },
    dataset
  } satisfies Source
})

/** An architecture with weights from a file, or untrained ones. */
const ofArchitecture = Effect.fnUntraced(function* (given: Flags) {
  const path = yield* Path.Path
  const architecture = yield* architectures.read(given.network)
  if (Option.isSome(given.weights)) {
    if (Option.isSome(given.seed))
      return yield* usage("--seed cannot be given with --weights, which are used as they are. Leave one of them out.")
    const { metadata, network, weights } = yield* trained.read(given.weights.value, architecture)
    return {
      network,
      weights,
      metadata: { weights: path.basename(given.weights.value), ...metadata },
      dataset: undefined
    } satisfies Source
  }
  if (Option.isNone(given.seed))
    return yield* usage(
      `${given.network} is an architecture without weights. Give a run's folder, --weights file.safetensors, or --seed text for untrained ones.`
    )
  const seed = given.seed.value
  const network = yield* Effect.mapError(Effect.fromResult(Network.make(architecture)), at(given.network))
  const { variables } = yield* Effect.mapError(Effect.fromResult(Network.evaluation(network)), at(given.network))
  const weights = Initialise.values(variables, Prng.fromSeed(seed))
  return { network, weights, metadata: { seed, trained: "no" }, dataset: undefined } satisfies Source
})

const sizes = ({ channels, height, width }: Dataset.ImageShape) => `${channels}×${height}×${width}`

/** The data set whose images the export is checked on. One that was not asked for and does not fit, or is gone, is done without. */
const datasetOf = Effect.fnUntraced(function* (given: Flags, { dataset, network }: Source) {
  const asked = Option.getOrUndefined(given.dataset)
  const name = asked ?? dataset
  if (name === undefined) return undefined
  const { classes, image } = network.architecture
  const made = yield* Effect.result(Datasets.make(name, { size: image.height }))
  if (Result.isFailure(made)) return asked === undefined ? undefined : yield* at("--dataset")(made.failure)
  const data = made.success
  // As in training, smaller images are enlarged.
  if (data.classes.length === classes && Resized.enlarges(data.image, image)) return Resized.to(image, data)
  if (asked === undefined) return undefined
  return yield* fault(
    `--dataset ${name} has ${data.classes.length} classes of ${sizes(data.image)} images where the network takes ${classes} of ${sizes(image)}. Leave --dataset out, or give one that fits.`
  )
})

const average = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

/** The card by the weights' file; what that does not say is the data set's, or else ImageNet's and numbers for names. */
const cardOf = ({ metadata, network }: Source, data: Dataset.ImageDataset | undefined): Card.Card => {
  const { classes, image } = network.architecture
  const perChannel = (values: ReadonlyArray<number>) =>
    image.channels === values.length ? values : Array.from({ length: image.channels }, () => average(values))
  const otherwise: Card.Card = {
    architecture: network.architecture,
    classes: data?.classes ?? Array.from({ length: classes }, (_, i) => String(i)),
    mean: data?.mean ?? perChannel(ImageFolder.imagenet.mean),
    deviation: data?.deviation ?? perChannel(ImageFolder.imagenet.deviation),
    cropRatio: data?.cropRatio ?? (image.channels === 3 ? ImageFolder.evaluationCropRatio(image.height) : 1),
    provenance: {}
  }
  const told = { ...Card.toMetadata(otherwise), ...metadata, architecture: JSON.stringify(network.architecture) }
  return Result.getOrElse(Card.fromMetadata(told), () => ({ ...otherwise, provenance: Card.provenanceOf(metadata) }))
}

/** The name of what is written, where none is given. A PyTorch module's is one that Python can import. */
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
      `--out ends in ${found}, --format ${given.format} writes ${extension}. Give a name that ends in ${extension}, or another --format.`
    )
  return found === "" ? `${out}${extension}` : out
})

const agreement = ({ tolerance, worst }: Exported.Check): string =>
  worst === 0
    ? "logits equal to the network's"
    : `logits within ${worst.toExponential(1)} of the network's (${tolerance.toExponential()} allowed)`

const next = (of: Format.Format, file: string): string => {
  if (of === "onnx") return `classify images with: uninet classify ${file} image.png`
  if (of === "pytorch")
    return `in Python: import ${file.replace(/^.*[\\/]|\.py$/g, "")}, then load() and normalise(images)`
  return "names and shapes are those of the authors' PyTorch code"
}

const run = Effect.fnUntraced(function* (given: Flags) {
  const isArchitecture = isFamily(given.network) || given.network.endsWith(".json")
  const file = yield* fileOf(given)
  // Before anything is read; Exported.write looks again.
  if (yield* Effect.orElseSucceed((yield* FileSystem.FileSystem).exists(file), () => false))
    return yield* new Exported.FileExists({ file: yield* runFolder.shown(file) })
  const source: Source = yield* isArchitecture ? ofArchitecture(given) : ofRun(given)
  const data = yield* datasetOf(given, source)
  const card = cardOf(source, data)
  const input = yield* data === undefined
    ? Specimens.digits(card, images)
    : Specimens.ofDataset(Normalised.by(card, data), images)
  const count =
    input.length / (card.architecture.image.channels * card.architecture.image.height * card.architecture.image.width)
  const of = `test images of ${data?.name ?? "mnist, resized"}`
  const onImages = yield* checkProgress.make(2 * count, `checking ${given.format} on ${count} ${of}`)
  const { bytes, check, files, unchecked } = yield* Exported.write(
    { network: source.network, weights: source.weights, card },
    { format: given.format, file, images: input, onImages, pythons: Python.candidates }
  )
  const shown = yield* Effect.forEach(files, runFolder.shown)
  return { source: given.network, format: given.format, files: shown, bytes, check, unchecked, of, card }
}, Effect.scoped)

export const exporting = Command.make(
  "export",
  config,
  Effect.fnUntraced(function* (given) {
    const { bytes, card, check, files, of, ...rest } = yield* run(given).pipe(
      Effect.provide(OnnxRuntime.cpu({ threads: availableParallelism() }))
    )
    const { classes, image } = card.architecture
    yield* Console.log(
      given.json
        ? JSON.stringify(
            {
              source: rest.source,
              format: rest.format,
              files,
              bytes,
              check: check === undefined ? { skipped: rest.unchecked } : { on: of, ...check },
              provenance: card.provenance
            },
            null,
            2
          )
        : [
            `${files.join(" and ")}: ${format.count(bytes)}B, images [batch, ${image.channels}, ${image.height}, ${image.width}] to ${classes} classes`,
            check === undefined
              ? `not checked: ${rest.unchecked}`
              : `checked in ${check.runtime} on ${check.images} ${of}: ${agreement(check)}, the same top-1 on ${check.sameTop1}`,
            next(given.format, files[0] ?? "")
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
    { command: "uninet export B0 --seed 0", description: "Untrained, to measure its speed" }
  ])
)

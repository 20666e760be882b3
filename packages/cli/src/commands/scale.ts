/** `uninet scale`: scales a network to a family of larger and larger members. */
import { Dataset, Datasets } from "@uninet/data"
import { ModelSpace, Recipe, type Scaling, Task } from "@uninet/model-space"
import { Model, Safetensors, Weights } from "@uninet/nn"
import {
  Coefficients,
  CoefficientSearch,
  Compound,
  Inherit,
  type ScaleError,
  Scaler,
  TargetBelowBaseline
} from "@uninet/scaler"
import { Fidelity, Journal, Search, Setup, Telemetry, WorkerEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Fitting, Surroundings } from "@uninet/trainer"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as plans from "../internal/plan.ts"
import * as progress from "../internal/progress.ts"
import * as resized from "../internal/resized.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as scaleFolder from "../internal/scaleFolder.ts"
import * as trained from "../internal/trained.ts"
import * as training from "../internal/training.ts"

const most = 100

/** `2`, `1,2,3`, `1..6`, `0.5,1..3`. */
export const parsePhis = (text: string): Option.Option<ReadonlyArray<number>> => {
  const phis: Array<number> = []
  for (const part of text.split(",")) {
    const [, from, to] = /^\s*(\d+(?:\.\d+)?)(?:\.\.(\d+))?\s*$/.exec(part) ?? []
    const [first, last] = [Number(from), Number(to ?? from)]
    if (from === undefined || first > last || last > most || (to !== undefined && !Number.isInteger(first)))
      return Option.none()
    for (let phi = first; phi <= last; phi++) phis.push(phi)
  }
  return Option.some([...new Set(phis)].sort((a, b) => a - b))
}

const parseCoefficients = (text: string): Option.Option<Coefficients.Coefficients> => {
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)))
  const [depth = Number.NaN, width = Number.NaN, resolution = Number.NaN] = numbers
  return numbers.length === 3 && [depth, width, resolution].every(Number.isFinite)
    ? Option.some({ depth, width, resolution })
    : Option.none()
}

const config = {
  network: Argument.String("network").pipe(
    Argument.map(networks.named),
    Argument.withDescription(
      `The baseline: a run's folder, a network's JSON file, or one of ${networks.family.join(", ")}`
    ),
    Argument.optional
  ),
  phi: Flag.String("phi").pipe(
    Flag.withMetavar("numbers"),
    Flag.filterMap(parsePhis, () => `numbers from 0 to ${most}, such as 2, or 1,2,3, or 1..6`),
    Flag.optional,
    Flag.withDescription("Which members: φ has 2^φ times the baseline's MACs (default 1..3)")
  ),
  targetMacs: flags
    .macs("target-macs")
    .pipe(Flag.optional, Flag.withDescription("A single member with this many MACs instead, such as 5M")),
  coefficients: Flag.String("coefficients").pipe(
    Flag.withMetavar("a,b,c"),
    Flag.filterMap(parseCoefficients, () => "three numbers, for depth, width and resolution, such as 1.2,1.1,1.15"),
    Flag.optional,
    Flag.withDescription("What φ = 1 multiplies depth, width and image by (default: EfficientNet's 1.2,1.1,1.15)")
  ),
  search: Flag.Boolean("search").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Find the coefficients by training the networks of a small grid at φ = 1")
  ),
  image: flags.image.pipe(
    Flag.optional,
    Flag.withDescription("Height of the images of all members, including the baseline: only depth and width grow")
  ),
  inherit: Flag.Boolean("inherit").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Also write weights for every member to start from, made from the baseline's trained ones")
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      `With --search: ${Datasets.names.join(", ")}, a folder of images, or a module with a data set (default: the run's own, else mnist)`
    )
  ),
  epochs: flags
    .whole("epochs", 1, 1_000_000)
    .pipe(Flag.optional, Flag.withDescription("With --search: epochs of each training (default 1)")),
  batch: flags.batch.pipe(
    Flag.optional,
    Flag.withDescription("With --search: examples per training step (default 64)")
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Decides everything random (default 0)")
  ),
  workers: flags.workers.pipe(
    Flag.optional,
    Flag.withDescription("With --search: training processes of one thread each (default: one for each core)")
  ),
  device: flags.device.pipe(Flag.optional),
  out: Flag.Path("out").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("A new folder for the members (default: a new one in runs/)")
  ),
  resume: Flag.Path("resume").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("Continue the search in this folder")
  ),
  config: networks.config,
  allowMixed: flags.allowMixed,
  json: flags.json
}
type Flags = Command.Command.Config.Infer<typeof config>

interface Plan extends Omit<scaleFolder.Settings, "baseline">, runFolder.Place {
  readonly baseline: networks.Found
  readonly resume: boolean
  readonly seed: string
  readonly workers: number
  readonly device: Device.Chosen
}

/** The first of these flags that was given. */
const given = <K extends keyof Flags>(flags: Flags, names: ReadonlyArray<K>): string | undefined => {
  const found = names.find((name) => {
    const value: unknown = flags[name]
    return value === true || (Option.isOption(value) && Option.isSome(value))
  })
  return found === undefined || found === "network"
    ? found && "a network"
    : `--${String(found).replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`
}

const ofSearch = ["dataset", "epochs", "batch", "workers", "device"] as const

/** Flags that exclude each other, or need another one. */
const clash = (flags: Flags): string | undefined => {
  const onlyWithSearch = flags.search ? undefined : given(flags, ofSearch)
  if (Option.isNone(flags.network))
    return `there is no network to scale. Give a run's folder, a network's JSON file or one of ${networks.family.join(", ")}, or --resume.`
  if (Option.isSome(flags.phi) && Option.isSome(flags.targetMacs))
    return "--phi and --target-macs both say how large the members are. Leave one of them out."
  if (flags.search && Option.isSome(flags.coefficients))
    return "--search finds the coefficients that --coefficients gives. Leave one of them out."
  if (onlyWithSearch !== undefined)
    return `${onlyWithSearch} has no meaning without --search. Leave it out, or add --search.`
  return undefined
}

/** The file of the trained weights that belong to a network: a run's, or the one next to an architecture's. */
const weightsOf = Effect.fnUntraced(function* (network: string) {
  const path = yield* Path.Path
  if (networks.isFamily(network))
    return yield* usage(
      `--inherit needs trained weights, and there are none here for ${network}. Give the folder of a run, or a network's JSON file with its weights (.safetensors) next to it.`
    )
  return path.resolve(
    network.endsWith(".json") ? network.replace(/\.json$/, ".safetensors") : path.join(network, runFolder.files.weights)
  )
})

const planNew = Effect.fnUntraced(function* (flags: Flags) {
  const wrong = clash(flags)
  if (wrong !== undefined || Option.isNone(flags.network)) return yield* usage(wrong ?? "there is no network to scale.")
  const network = flags.network.value
  const own = yield* networks.read(network, flags.config)
  const baseline = Option.isSome(flags.image) ? yield* resized.to(own, flags.image.value) : own
  const seed = Option.getOrElse(flags.seed, () => "0")
  const isPublished =
    network === "B0" &&
    Option.isNone(flags.image) &&
    Option.isNone(flags.coefficients) &&
    Option.isNone(flags.targetMacs)
  const { Given, Published, Searched } = scaleFolder.Method.cases
  const method = flags.search
    ? Searched.make({
        dataset: Option.isSome(flags.dataset)
          ? yield* plans.datasetNamed(flags.dataset.value, process.cwd())
          : ((yield* trained.settingsOf(network)).dataset ?? "mnist"),
        recipe: {
          ...plans.recipe,
          epochs: Option.getOrElse(flags.epochs, () => 1),
          batch: Option.getOrElse(flags.batch, () => plans.recipe.batch)
        },
        seed
      })
    : isPublished
      ? Published.make({})
      : Given.make({ coefficients: Option.getOrElse(flags.coefficients, () => Coefficients.efficientNet) })
  const targetMacs = Option.getOrNull(flags.targetMacs)
  return {
    ...(Option.isSome(flags.out) ? runFolder.asked(flags.out.value) : yield* runFolder.fresh("scale")),
    resume: false,
    network,
    baseline,
    method,
    phis: targetMacs === null ? Option.getOrElse(flags.phi, () => [1, 2, 3]) : [],
    targetMacs,
    fixedImage: Option.isSome(flags.image),
    inherit: flags.inherit ? yield* weightsOf(network) : null,
    seed,
    workers: Option.getOrElse(flags.workers, availableParallelism),
    device: yield* Device.choose(Option.getOrElse(flags.device, () => Device.standard))
  } satisfies Plan
})

/** Flags that a resumed search takes from its folder. */
const fixed = [
  "network",
  "phi",
  "targetMacs",
  "coefficients",
  "search",
  "image",
  "inherit",
  "dataset",
  "epochs",
  "batch",
  "seed",
  "out"
] as const

const planResumed = Effect.fnUntraced(function* (folder: string, flags: Flags) {
  const extra = given(flags, fixed)
  if (extra !== undefined)
    return yield* usage(
      `${extra} cannot be given with --resume, which continues with what the scaling was begun with. Leave it out.`
    )
  const settings = yield* scaleFolder.settings(folder)
  const baseline = yield* networks.open(settings.baseline, {
    beside: folder,
    name: `--resume ${folder}`,
    override: flags.config
  })
  return {
    ...settings,
    baseline,
    ...runFolder.asked(folder),
    resume: true,
    seed: settings.method._tag === "Searched" ? settings.method.seed : "0",
    workers: Option.getOrElse(flags.workers, availableParallelism),
    device: yield* Device.choose(Option.getOrElse(flags.device, () => Device.standard))
  } satisfies Plan
})

type Searched = Extract<scaleFolder.Method, { readonly _tag: "Searched" }>

/** Checks that the networks can be trained on the data set, so that this is reported now rather than by every trial. */
const fits = Effect.fnUntraced(
  function* ({ dataset, recipe }: Searched, { baseline: { of, point } }: Plan) {
    const network = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
    const [, height] = network.model.inputs["image"]?.shape ?? []
    const services = yield* Layer.build(Setup.dataset(undefined, dataset, height === undefined ? {} : { size: height }))
    const data = yield* Fitting.of(network, Context.get(services, Dataset.Dataset), recipe.imageSize)
    if (recipe.batch > data.train.size)
      return yield* fault(
        `--batch ${recipe.batch} is more than the ${data.train.size} training examples of ${dataset}. Give at most that.`
      )
  },
  Effect.mapError(at("--dataset"))
)

/** The grid search, in worker processes, with its journal in the folder. */
const searched = Effect.fnUntraced(function* (
  plan: Plan,
  { dataset, recipe, seed }: Searched,
  { allowMixed, json }: Pick<Flags, "allowMixed" | "json">
) {
  const path = yield* Path.Path
  const name = yield* runFolder.shown(plan.folder)
  const { of, point, source } = plan.baseline
  const options = { baseline: point, fixedImage: plan.fixedImage }
  const grid = yield* Effect.mapError(Effect.fromResult(CoefficientSearch.candidates(of, options)), at("--search"))
  const began = performance.now()
  const surroundings = yield* Surroundings.here.pipe(
    Effect.provide(Setup.training(undefined, dataset, Device.layer(plan.device))),
    Effect.mapError(at("--search"))
  )
  const services = Layer.mergeAll(
    Journal.sqlite(path.join(plan.folder, scaleFolder.files.journal), {
      existing: plan.resume ? "resume" : "refuse",
      mixed: allowMixed ? "allow" : "refuse"
    }),
    WorkerEvaluator.layer({
      module: training.module,
      options: training.toJson({
        device: plan.device,
        setup: { config: null, space: source, dataset, recipe, ...(allowMixed ? {} : { surroundings }) }
      }),
      workers: Math.min(plan.workers, grid.length, Search.defaultAhead)
    })
  )
  const found = yield* Effect.gen(function* () {
    const display = yield* progress.make({ trials: grid.length, fidelity: Fidelity.full, task: of.task })
    const found = yield* CoefficientSearch.run(of, {
      ...options,
      seed,
      settings: { dataset, recipe: Recipe.toJson(recipe) },
      surroundings,
      onEvent: display.onEvent
    })
    yield* display.stop
    return found
  }).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.provide(Telemetry.layer),
    Effect.mapError(at("--search")),
    Effect.onInterrupt(() =>
      Console.error(
        `\nStopped. The networks trained so far are kept in ${name}; continue with: ${command.uninet("scale", "--resume", name)}`
      )
    )
  )
  if (!json) yield* Console.log(`\n${grids(found, of)}\n${format.time((performance.now() - began) / 1000)}\n`)
  return found
})

const newTable = (head: ReadonlyArray<string>, left: ReadonlyArray<number> = []) =>
  new Table({
    head: [...head],
    colAligns: head.map((_, i) => (left.includes(i) ? "left" : "right")),
    style: { head: [], border: [], compact: true }
  })

type Member = Compound.Member<unknown>

/** The networks of the grid, best first. */
const grids = ({ candidates }: CoefficientSearch.Found<unknown, string, string>, of: ModelSpace.Any): string => {
  const { decides, measures, shares } = of.task
  const table = newTable(["depth α", "width β", "image γ", "α·β²·γ²", "input", "MACs", "parameters", "validation"])
  const worth = (measure: number | null) =>
    measure === null ? -Infinity : Task.worth(measures[decides] ?? "higher")(measure)
  for (const { coefficients, measure, member } of candidates.toSorted((a, b) => worth(b.measure) - worth(a.measure))) {
    const { depth, resolution, width } = coefficients
    table.push([
      depth.toFixed(2),
      width.toFixed(3),
      resolution.toFixed(3),
      Coefficients.product(coefficients).toFixed(3),
      edge(member, of),
      format.count(member.macs),
      format.count(member.costs["parameters"] ?? Number.NaN),
      measure === null ? "failed" : format.measure(measure, shares.includes(decides), 2)
    ])
  }
  return table.toString()
}

/** The edge lengths of the input; a single number if they are equal. */
const edge = ({ point }: Member, of: ModelSpace.Any): string => {
  const chain = of.scaling === null ? undefined : Result.getOrUndefined(of.scaling.chain(point, null))
  const edges = chain?.edges(chain.sizesOf(point).resolution) ?? []
  return [...new Set(edges)].join("×")
}

const times = (factor: number) => `×${factor.toFixed(2)}`

/** One row per member; with the networks if the terminal has room. */
const familyTable = (of: ModelSpace.Any, baseline: Member, members: ReadonlyArray<Member>): string => {
  const wide = (process.stdout.columns ?? Number.POSITIVE_INFINITY) >= 170
  const head = [
    "φ",
    "input",
    "depth",
    "width",
    "parameters",
    "MACs",
    "× baseline",
    "memory",
    ...(wide ? ["network"] : [])
  ]
  const table = newTable(head, [8])
  for (const member of [baseline, ...members.filter(({ phi }) => phi > 0)]) {
    const { costs, factors, macs, phi, point } = member
    const { activationBytes = Number.NaN, parameters = Number.NaN } = costs
    table.push([
      String(Number(phi.toFixed(3))),
      edge(member, of),
      times(factors.depth),
      times(factors.width),
      parameters.toLocaleString("en"),
      format.count(macs),
      (macs / baseline.macs).toFixed(2),
      `${format.count(4 * parameters + activationBytes)}B`,
      ...(wide ? [of.line(point)] : [])
    ])
  }
  return table.toString()
}

/** The coefficients, and where they come from. */
const origin = ({ fixedImage, method }: Plan, coefficients: Coefficients.Coefficients | null): string => {
  if (coefficients === null) return "The published family."
  const unused = fixedImage ? "; γ is not used, since the image size is fixed" : ""
  const numbers = `${Coefficients.print(coefficients)}, α·β²·γ² = ${Coefficients.product(coefficients).toFixed(2)}${unused}`
  if (method._tag === "Searched") return `Coefficients found by the search: ${numbers}`
  return Equal.equals(coefficients, Coefficients.efficientNet)
    ? `Coefficients: ${numbers} (EfficientNet's; --search finds the network's own)`
    : `Coefficients: ${numbers}`
}

/** Writes a member's file, and its weights if they are inherited; returns the content of the file. */
const write = Effect.fnUntraced(function* (
  { baseline, folder, seed }: Plan,
  member: Member,
  start: trained.Trained | undefined
) {
  const path = yield* Path.Path
  const file = path.join(folder, scaleFolder.stem(member))
  const again = command.uninet("scale", "--resume", yield* runFolder.shown(folder))
  const remedy = `Free disk space, then continue with: ${again}`
  let approximate: ReadonlyArray<Scaling.Approximation> | undefined
  if (start !== undefined) {
    const { metadata, point, weights } = start
    const { of } = baseline
    const larger = { ...baseline, point: member.point }
    const inherited = yield* Effect.fromResult(
      Inherit.weights(of, { smaller: point, trained: weights, larger: member.point }, { seed })
    )
    approximate = inherited.approximate
    const about = ["classes", "picture", "mean", "deviation", "cropRatio"].flatMap((key) => {
      const value = metadata[key]
      return value === undefined ? [] : [[key, value] as const]
    })
    const content = Effect.gen(function* () {
      const { model } = yield* Effect.fromResult(ModelSpace.trainable(member.point)(of))
      const program = yield* Effect.fromResult(Model.evaluation()(model))
      const made = yield* Effect.fromResult(
        Weights.toSafetensors(program, {
          ...Object.fromEntries(about),
          network: JSON.stringify(networks.toJson(larger))
        })(inherited.weights)
      )
      return Safetensors.encode(made)
    })
    yield* runFolder.write(`${file}.safetensors`, yield* content, remedy)
  }
  const described = scaleFolder.describe(member, baseline, approximate)
  yield* runFolder.write(`${file}.json`, `${JSON.stringify(described, null, 2)}\n`, remedy)
  return described
})

/** The flag to name in an error that a member's size caused. */
const flagOf = ({ method, targetMacs }: Plan, error: ScaleError): string =>
  error._tag === "TargetBelowBaseline" || targetMacs !== null
    ? "--target-macs"
    : method._tag === "Published" || error._tag === "LimitReached" || error._tag === "StepsTooCoarse"
      ? "--phi"
      : "the network"

/** The members, made by a scaler. */
const membersBy = <E>(plan: Plan, layer: Layer.Layer<Scaler, E>) =>
  Effect.gen(function* () {
    const { baseline, phis, targetMacs } = plan
    const { of, point } = baseline
    const scaler = yield* Scaler
    const family: Effect.Effect<ReadonlyArray<Member>, ScaleError> = targetMacs === null
      ? scaler.family(of, point, phis)
      : Effect.map(scaler.toMacs(of, point, targetMacs), (member) => [member])
    return yield* Effect.mapError(family, (error) => at(flagOf(plan, error))(error))
  }).pipe(Effect.provide(layer))

/** The coefficients (`null` for the published table), the members, and the result of the search if there was one. */
const scaled = Effect.fnUntraced(function* (plan: Plan, given: Pick<Flags, "allowMixed" | "json">) {
  const { fixedImage, method } = plan
  if (method._tag === "Published")
    return { coefficients: null, members: yield* membersBy(plan, Scaler.published), found: undefined }
  if (method._tag === "Given") {
    const { coefficients } = method
    const members = yield* Effect.catchTag(
      membersBy(plan, Scaler.given(coefficients, { fixedImage })),
      "UnbalancedCoefficients",
      (error) => Effect.fail(usage(`--coefficients: ${error.message}`))
    )
    return { coefficients, members, found: undefined }
  }
  const found = yield* searched(plan, method, given)
  const members = yield* membersBy(plan, Scaler.given(found.coefficients, { fixedImage }))
  return { coefficients: found.coefficients, members, found }
})

const execute = Effect.fnUntraced(function* (asked: Plan, { allowMixed, config: given, json }: Flags) {
  const { baseline, targetMacs } = asked
  let plan = asked
  const { of, point } = baseline
  const root = yield* Effect.mapError(
    Effect.fromResult(Compound.member(of, point, 0, { coefficients: Coefficients.efficientNet })),
    at(plan.network)
  )
  if (targetMacs !== null && targetMacs < root.macs)
    return yield* at("--target-macs")(new TargetBelowBaseline({ target: targetMacs, baseline: root.macs }))
  const start = plan.inherit === null ? undefined : yield* trained.read(plan.inherit, given)
  // A search keeps its journal in the folder; otherwise nothing is written until the result is known.
  const begin = Effect.gen(function* () {
    const { method, network, phis, fixedImage, inherit } = plan
    if (plan.resume) return
    const settings = { network, baseline: networks.kept(baseline), method, phis, targetMacs, fixedImage, inherit }
    plan = { ...plan, folder: yield* scaleFolder.begin(plan, settings) }
  })
  if (plan.method._tag === "Searched") {
    yield* Effect.scoped(fits(plan.method, plan))
    yield* begin
  }
  const { coefficients, found, members } = yield* scaled(plan, { allowMixed, json })
  if (plan.method._tag !== "Searched") yield* begin
  const name = yield* runFolder.shown(plan.folder)

  const described = yield* Effect.forEach(members, (member) => Effect.mapError(write(plan, member, start), said))
  if (json)
    return yield* Console.log(
      JSON.stringify(
        {
          out: plan.folder,
          method: plan.method._tag,
          coefficients,
          ...(found === undefined
            ? {}
            : {
                grid: found.candidates.map(({ coefficients, measure, member }) => ({
                  coefficients,
                  [of.task.decides]: measure,
                  costs: member.costs,
                  hash: Space.hash(member.point)(of.space)
                }))
              }),
          baseline: scaleFolder.describe(root, baseline),
          members: described
        },
        null,
        2
      )
    )
  const first = members[0]
  const file = first === undefined ? "" : `${name}/${scaleFolder.stem(first)}`
  yield* Console.log(
    [
      familyTable(of, root, members),
      origin(plan, coefficients),
      "memory: weights and the peak of the activations of one example, as 32-bit floats",
      ...(start === undefined
        ? []
        : [
            described.every(({ inherited }) => inherited?.exact === true)
              ? "The members' weights compute what the baseline does."
              : "The members' weights compute what the baseline does, except in the layers named in their JSON files."
          ]),
      `${name}/ has ${members.map((member) => `${scaleFolder.stem(member)}.json`).join(", ")}; train one with: ${command.uninet("train", `${file}.json`, ...(start === undefined ? [] : ["--weights", `${file}.safetensors`]))}`
    ].join("\n")
  )
})

export const scale = Command.make(
  "scale",
  config,
  Effect.fnUntraced(
    function* (flags) {
      if (Option.isSome(flags.resume)) yield* execute(yield* planResumed(flags.resume.value, flags), flags)
      else yield* execute(yield* planNew(flags), flags)
    },
    Effect.scoped,
    Effect.mapError(said)
  )
).pipe(
  Command.withDescription("Scale a network into a family: deeper, wider, on larger images"),
  Command.withExamples([
    { command: "uninet scale B0 --phi 1..6", description: "The published family" },
    {
      command: "uninet scale runs/demo --phi 1..3 --inherit",
      description: "A family of what a search found, with weights to start from"
    },
    {
      command: "uninet scale runs/demo --image 28 --search",
      description: "With coefficients of its own, on images of one size"
    },
    { command: "uninet scale runs/demo/best.json --target-macs 10M", description: "One network of a size" }
  ])
)

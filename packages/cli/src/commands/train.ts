/** `uninet train`: trains one network, and resumes a training that was interrupted. */
import { Dataset, Datasets } from "@uninet/data"
import { Distillation, Facts, ModelSpace, Recipe } from "@uninet/model-space"
import { Setup, Telemetry } from "@uninet/search"
import { Checkpoints, type FitOptions, Trainer, type TrainEvent, TrainLog } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Argument, Command, Flag } from "effect/cli"
import { availableParallelism } from "node:os"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as plans from "../internal/plan.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as teachers from "../internal/teachers.ts"
import * as trained from "../internal/trained.ts"
import * as trainFolder from "../internal/trainFolder.ts"
import * as trainProgress from "../internal/trainProgress.ts"

const recipes = Object.keys(Recipe.presets)
const standard = "quick"

const config = {
  network: Argument.String("network").pipe(
    Argument.map(networks.named),
    Argument.withDescription(`${networks.family.join(", ")}, a network's JSON file, or a run's folder`),
    Argument.optional
  ),
  dataset: Flag.String("dataset").pipe(
    Flag.withMetavar("name|folder"),
    Flag.optional,
    Flag.withDescription(
      `${Datasets.names.join(", ")}, a folder of images, or a module with a data set (default: the run's own, else mnist)`
    )
  ),
  recipe: Flag.String("recipe").pipe(
    Flag.withMetavar("name|file"),
    Flag.optional,
    Flag.withDescription(`${recipes.join(", ")}, or a JSON file (default ${standard})`)
  ),
  epochs: flags
    .whole("epochs", 1, 1_000_000)
    .pipe(Flag.optional, Flag.withDescription("Epochs instead of the recipe's")),
  batch: flags.batch.pipe(
    Flag.optional,
    Flag.withDescription("Examples per step instead of the recipe's; the learning rate follows")
  ),
  weights: Flag.Path("weights").pipe(
    Flag.withMetavar("file"),
    Flag.optional,
    Flag.withDescription("Start from these weights (safetensors), as uninet scale --inherit writes them")
  ),
  teacher: Flag.Path("teacher").pipe(
    Flag.withMetavar("run|file"),
    Flag.optional,
    Flag.withDescription(
      "Learn from this trained network as well: a run's folder, or weights that uninet wrote (safetensors)"
    )
  ),
  seed: Flag.String("seed").pipe(
    Flag.withMetavar("text"),
    Flag.optional,
    Flag.withDescription("Decides everything random (default 0)")
  ),
  threads: flags.threads.pipe(Flag.optional, Flag.withDescription("Of the engine (default: one for each core)")),
  skipBad: flags.skipBad,
  out: Flag.Path("out").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("A new folder for checkpoints, metrics and the best weights (default: a new one in runs/)")
  ),
  resume: Flag.Path("resume").pipe(
    Flag.withMetavar("folder"),
    Flag.optional,
    Flag.withDescription("Continue the training in this folder from its last checkpoint, bit for bit")
  ),
  saveSteps: flags
    .whole("save-steps")
    .pipe(
      Flag.optional,
      Flag.withDescription("Save a checkpoint every n steps (default: every minute) and after every epoch")
    ),
  config: networks.config,
  device: flags.device.pipe(Flag.optional),
  allowMixed: flags.allowMixed,
  json: flags.json
}
type Flags = Command.Command.Config.Infer<typeof config>

const or = <A>(flag: Option.Option<A>, other: A): A => Option.getOrElse(flag, () => other)

/** A preset is adapted to the task; a user's own recipe is refused if it does not fit. */
const isPreset = (name: string): name is Recipe.PresetName => Object.hasOwn(Recipe.presets, name)

const recipeOf = Effect.fnUntraced(function* (name: string) {
  if (isPreset(name)) return Recipe.presets[name]
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = yield* Effect.mapError(fs.readFileString(path.resolve(name)), () =>
    usage(`--recipe is "${name}". Give one of ${recipes.join(", ")}, or a JSON file that can be read.`)
  )
  return yield* Effect.mapError(
    Schema.decodeEffect(Schema.fromJsonString(Recipe.Recipe))(text, { onExcessProperty: "error" }),
    (error) =>
      fault(
        `--recipe ${name} is not a recipe: ${error.message.replace(/\s+/g, " ")}. Fix it, or give one of ${recipes.join(", ")}.`
      )
  )
})

interface Plan extends trainFolder.Settings, runFolder.Place {
  readonly resume: boolean
}

/** The data set: the requested one, or the one that the network's run was trained on. */
const datasetOf = Effect.fnUntraced(function* (given: Flags, name: string) {
  if (Option.isSome(given.dataset)) return yield* plans.datasetNamed(given.dataset.value, process.cwd())
  return (yield* trained.settingsOf(name)).dataset ?? "mnist"
})

const planNew = Effect.fnUntraced(function* (given: Flags) {
  if (Option.isNone(given.network))
    return yield* usage(
      `there is no network to train. Give one of ${networks.family.join(", ")} or a network's JSON file, or --resume.`
    )
  const name = given.network.value
  const preset = yield* recipeOf(or(given.recipe, standard))
  const sized = Option.isSome(given.batch) ? Recipe.withBatch(given.batch.value)(preset) : preset
  return {
    ...(Option.isSome(given.out) ? runFolder.asked(given.out.value) : yield* runFolder.fresh("train")),
    resume: false,
    name,
    network: (yield* networks.kindOf(name)).network,
    ...Option.match(given.weights, { onNone: () => ({}), onSome: (weights) => ({ weights }) }),
    ...Option.match(given.teacher, { onNone: () => ({}), onSome: (teacher) => ({ teacher }) }),
    dataset: yield* datasetOf(given, name),
    skipBad: given.skipBad,
    recipe: { ...sized, epochs: or(given.epochs, sized.epochs) },
    seed: or(given.seed, "0"),
    threads: or(given.threads, availableParallelism()),
    device: yield* Device.choose(or(given.device, Device.standard))
  } satisfies Plan
})

/** Flags that a resumed training takes from its folder. */
const fixed = [
  "network",
  "weights",
  "teacher",
  "dataset",
  "recipe",
  "epochs",
  "batch",
  "seed",
  "threads",
  "device",
  "out"
] as const

const planResumed = Effect.fnUntraced(function* (folder: string, given: Flags) {
  const extra = fixed.find((flag) => given[flag]._tag === "Some")
  if (extra !== undefined) {
    const name = extra === "network" ? "a network" : `--${extra}`
    return yield* usage(
      `${name} cannot be given with --resume, which continues with what the training was begun with. Leave it out.`
    )
  }
  return {
    ...(yield* trainFolder.settings(folder, "--resume")),
    ...runFolder.asked(folder),
    resume: true
  } satisfies Plan
})

/** The network of a plan. A member of the family adapts to the data set's images and classes; any other network has to fit them. */
const networkOf = Effect.fnUntraced(function* (
  { folder, name, network, resume }: Plan,
  data: Dataset.DatasetShape,
  override: Flags["config"]
) {
  const isMember = networks.isFamily(name)
  const beside = resume ? folder : isMember ? process.cwd() : (yield* networks.kindOf(name)).beside
  const kept = !resume && isMember ? networks.memberFor(name, Facts.of(data)) : network
  return yield* networks.open(kept, { beside, name, override })
})

/** The parts of the recipe that the command line gives. */
const asked = ({ batch, epochs }: Recipe.Recipe, given: Flags): Partial<Recipe.Recipe> => ({
  ...(Option.isSome(given.epochs) ? { epochs } : {}),
  ...(Option.isSome(given.batch) ? { batch } : {})
})

const resultOf = ({ best, seconds, steps, stoppedEarly, validation, averaged }: TrainEvent.Finished, plan: Plan) => ({
  out: plan.folder,
  best: { epoch: best.epoch, averaged: best.averaged, ...best.validation.measures },
  last: { validation: validation.measures, averaged: averaged?.validation.measures ?? null },
  steps,
  stoppedEarly,
  seconds
})

/** A training, its folder if it has one yet, and what to do if it is refused. */
interface Run {
  folder: string
  refuse: Effect.Effect<void>
}

/** Printed at the end of a training that was stopped. */
const interrupted = Effect.fnUntraced(function* ({ folder }: Pick<Run, "folder">, given: Flags) {
  const again = resumeOf(yield* runFolder.shown(folder), given)
  const isBegun = yield* runFolder.has(folder, trainFolder.files.settings)
  yield* Console.error(isBegun ? `\nStopped. Continue with: ${again}` : "\nStopped before anything was begun.")
})

/** The command that resumes it, including flags that its folder does not store. */
const resumeOf = (name: string, { config, saveSteps }: Flags): string =>
  command.uninet(
    "train",
    "--resume",
    name,
    ...(Option.isSome(config) ? ["--config", config.value] : []),
    ...(Option.isSome(saveSteps) ? ["--save-steps", String(saveSteps.value)] : [])
  )

/** A plan's teacher, which has to know the classes of the data set. */
const teacherOf = ({ folder, resume }: Plan, teacher: string) =>
  Effect.catchIf(
    teachers.network(teacher, "--teacher"),
    () => resume,
    () =>
      Effect.flatMap(Effect.all([runFolder.shown(folder), runFolder.shown(teacher)]), ([name, gone]) =>
        fault(
          `--resume ${name}: its teacher ${gone} is gone or damaged. Put it back, or start a new training with another.`
        )
      )
  )

const execute = Effect.fnUntraced(function* (plan: Plan, given: Flags, run: Run) {
  const own = yield* networkOf(plan, yield* Dataset.Dataset, given.config)
  const { of, point } = own
  const network = yield* Effect.mapError(
    Effect.fromResult(ModelSpace.trainable(point, networks.toJson(own))(of)),
    at(plan.name)
  )
  const { weights, teacher, dataset, skipBad, seed, threads, device } = plan
  // The point's own training settings override the recipe, and the command line overrides both.
  const base = isPreset(or(given.recipe, standard)) ? Recipe.forTask(of.task)(plan.recipe) : plan.recipe
  const said = yield* Effect.mapError(Effect.fromResult(ModelSpace.recipeOf(point)(of)), at(plan.name))
  const distillation =
    teacher === undefined || base.distillation !== undefined ? {} : { distillation: Distillation.Distillation.make({}) }
  const recipe = plan.resume ? plan.recipe : { ...base, ...distillation, ...said, ...asked(base, given) }
  const start = {
    ...(weights === undefined ? {} : { weights: (yield* trained.readFor(own, weights)).weights }),
    ...(teacher === undefined ? {} : { teacher: yield* teacherOf(plan, teacher) })
  }
  if (plan.resume) yield* trainFolder.hold(plan.folder, "--resume")
  else
    Object.assign(
      run,
      yield* trainFolder.begin(plan, {
        name: plan.name,
        network: networks.kept(own),
        ...(weights === undefined ? {} : { weights }),
        ...(teacher === undefined ? {} : { teacher }),
        dataset,
        skipBad,
        recipe,
        seed,
        threads,
        device
      })
    )
  return yield* fitted({ ...plan, ...run }, given, own, network, recipe, start)
})

/** Trains, from the folder's last checkpoint if there is one, and writes the result. */
const fitted = Effect.fnUntraced(function* (
  plan: Plan & Run,
  given: Flags,
  { of }: networks.Found,
  network: ModelSpace.Trainable,
  recipe: Recipe.Recipe,
  { teacher, weights }: Pick<FitOptions, "teacher" | "weights">
) {
  const path = yield* Path.Path
  const trainer = yield* Trainer
  const name = yield* runFolder.shown(plan.folder)
  const again = resumeOf(name, given)
  const { seed } = plan
  const store = yield* Checkpoints.make(plan.folder)
  // A training that was killed before its first checkpoint starts afresh.
  const found = plan.resume
    ? yield* Effect.catchTag(Effect.asSome(store.latest), "NoCheckpoint", () => Effect.succeedNone)
    : Option.none()
  const resume = Option.getOrUndefined(found)?.checkpoint
  const append = yield* TrainLog.open(path.join(plan.folder, trainFolder.files.metrics), resume?.state).pipe(
    Effect.mapError(at(`--out ${name}`))
  )
  const display = yield* trainProgress.make(of.task)
  let isBegun = false
  const last = yield* trainer
    .fit(network, {
      recipe,
      seed,
      gradientNorm: true,
      checkpoints: {
        store,
        ...Option.match(given.saveSteps, {
          onNone: () => ({ everySeconds: 60 }),
          onSome: (everySteps) => ({ everySteps })
        })
      },
      ...(teacher === undefined ? {} : { teacher }),
      ...(resume !== undefined ? { resume } : weights === undefined ? {} : { weights }),
      allowMixed: given.allowMixed,
      replay: again,
      onEvent: (event) => {
        isBegun = true
        return Effect.mapError(append(event), (error) =>
          fault(
            `${name}/${trainFolder.files.metrics} cannot be written: ${error.message}. Free disk space, then: ${again}`
          )
        )
      }
    })
    .pipe(
      Stream.tap(display.onEvent),
      Stream.runLast,
      // A training that diverged in its first step is kept: its message says how to reproduce it.
      Effect.tapError(({ _tag }) => (isBegun || _tag === "Diverged" ? Effect.void : plan.refuse))
    )
  const finished = Option.getOrUndefined(last)
  if (finished?._tag !== "Finished") return yield* fault(`the training ended without a result. Continue with: ${again}`)
  const result = resultOf(finished, plan)
  yield* runFolder.write(
    path.join(plan.folder, trainFolder.files.result),
    `${JSON.stringify(result, null, 2)}\n`,
    `Free disk space, then: ${again}`
  )
  const { best } = finished
  yield* Console.log(
    given.json
      ? JSON.stringify(result, null, 2)
      : [
          `Best: epoch ${best.epoch + 1} of ${recipe.epochs}${best.averaged ? ", averaged weights" : ""}${finished.stoppedEarly ? ", stopped early" : ""}`,
          best.validation.examples === 0
            ? "  the last weights: there was nothing to validate on"
            : `  ${format.measures(best.validation.measures, of.task)} on the validation split`,
          `  ${finished.steps} steps in ${format.time(finished.seconds)}`,
          `${name}/ has ${Object.values(trainFolder.files).join(", ")} and the last checkpoints; test it with: ${command.uninet("evaluate", name)}`
        ].join("\n")
  )
})

export const train = Command.make(
  "train",
  config,
  Effect.fnUntraced(function* (given) {
    const plan = Option.isSome(given.resume) ? yield* planResumed(given.resume.value, given) : yield* planNew(given)
    const run: Run = { folder: plan.folder, refuse: Effect.void }
    yield* Effect.scoped(
      Effect.gen(function* () {
        const [, height] = plan.network.facts.inputs["image"]?.shape ?? []
        const dataset = Setup.dataset(undefined, plan.dataset, {
          ...(height === undefined ? {} : { size: height }),
          skipBad: plan.skipBad
        })
        const services = yield* Trainer.layer.pipe(
          Layer.provideMerge(Layer.mergeAll(dataset, Device.layer(plan.device, { threads: plan.threads }))),
          Layer.build,
          Effect.mapError(Device.orElse(at("--dataset")))
        )
        yield* execute(plan, given, run).pipe(Effect.provide(services), Effect.provide(Telemetry.layer))
      })
    ).pipe(Effect.onInterrupt(() => interrupted(run, given)))
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Train a network, with checkpoints from which an interrupted training continues"),
  Command.withExamples([
    {
      command: "uninet train runs/demo/best.json",
      description: "What a search found, on MNIST, with the quick recipe"
    },
    {
      command: "uninet train B0 --dataset photos/ --recipe paper --batch 64 --out runs/b0",
      description: "A network of the family on a folder of images"
    },
    {
      command: "uninet train runs/family/phi-2.json --weights runs/family/phi-2.safetensors",
      description: "A scaled network, from the weights that uninet scale --inherit made for it"
    },
    {
      command: "uninet train runs/demo/best.json --teacher runs/b0",
      description: "A small network that also learns from a large one"
    },
    { command: "uninet train --resume runs/b0", description: "Continue after Ctrl-C, a crash or a power cut" }
  ])
)

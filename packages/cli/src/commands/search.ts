/** `uninet search`: searches, then compares, tests and exports the best network. */
import { Dataset } from "@uninet/data"
import { Int8, Specimens } from "@uninet/export"
import { Measures } from "@uninet/latency"
import { Facts, ModelSpace, Progressive, type Recipe, type Task } from "@uninet/model-space"
import { type Evaluator, Finals, Journal, Search, Telemetry, WorkerEvaluator } from "@uninet/search"
import { Fitting, Surroundings } from "@uninet/trainer"
import Table from "cli-table3"
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Command } from "effect/cli"
import * as best from "../internal/best.ts"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as deployed from "../internal/deployed.ts"
import * as domain from "../internal/domain.ts"
import * as dry from "../internal/dry.ts"
import * as exports from "../internal/exports.ts"
import * as format from "../internal/format.ts"
import * as givens from "../internal/given.ts"
import * as live from "../internal/live.ts"
import * as log from "../internal/log.ts"
import * as machines from "../internal/machines.ts"
import * as networks from "../internal/networks.ts"
import * as paths from "../internal/paths.ts"
import * as plans from "../internal/plan.ts"
import * as progress from "../internal/progress.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as screenedBy from "../internal/screenedBy.ts"
import * as training from "../internal/training.ts"

/** Costs that are shown for every trial: those that the search uses, and the usual ones if there is room. */
const shownCosts = (of: ModelSpace.Any, { objectives }: plans.Plan, within: Readonly<Record<string, unknown>>) => {
  const named = new Set([
    "latency",
    "int8Latency",
    "macs",
    "parameters",
    ...Object.keys(within),
    ...objectives.filter((o) => typeof o === "string")
  ])
  return ModelSpace.costNames(of).filter((name) => named.has(name))
}

const trainedFor = ({ outcome }: Search.Scored<unknown>) =>
  outcome.evaluation.stoppedAfter ?? outcome.evaluation.epochs ?? 0

/** The best trials, best first; with their networks if the terminal has room. */
const table = (
  { of, within }: Pick<Effect.Success<ReturnType<typeof domain.make>>, "of" | "within">,
  records: ReadonlyArray<Search.Record<unknown>>,
  plan: plans.Plan
): string => {
  const wide = (process.stdout.columns ?? Number.POSITIVE_INFINITY) >= 160
  const ranked = Search.ranking(of, plan.objectives)(records).slice(0, 10)
  // They differ only if there are rungs, or if a recipe stops early.
  const differ = plan.fidelity._tag !== "Full" || new Set(ranked.map(trainedFor)).size > 1
  const epochs = <A>(cell: A): ReadonlyArray<A> => (differ ? [cell] : [])
  const costs = shownCosts(of, plan, within)
  const { also = {}, decides, shares } = of.task
  const beside = Object.keys(also)
  const out = new Table({
    head: [
      "trial",
      ...epochs("epochs"),
      shares.includes(decides) ? "validation" : `validation ${decides}`,
      ...beside,
      ...costs.map(format.costHead),
      "reward",
      ...(wide ? ["network"] : [])
    ],
    colAligns: [
      "right",
      ...epochs("right" as const),
      "right",
      ...[...beside, ...costs].map(() => "right" as const),
      "right",
      "left"
    ],
    style: { head: [], border: [], compact: true }
  })
  for (const record of ranked) {
    const { costs: own, line, outcome, trial } = record
    out.push([
      trial,
      ...epochs(trainedFor(record)),
      ...[decides, ...beside].map((name) =>
        format.measure(outcome.evaluation.measures[name] ?? Number.NaN, shares.includes(name))
      ),
      ...costs.map((name) => format.costCell(name, own[name] ?? Number.NaN)),
      outcome.reward.toFixed(4),
      ...(wide ? [line] : [])
    ])
  }
  return format.fitted(out.toString())
}

/** The number of trials: proposals that were not refused, counting each network once. */
const trialsOf = ({ records }: Search.Found<unknown>) =>
  new Set(records.flatMap(({ hash, outcome }) => (outcome._tag === "Refused" ? [] : [hash]))).size

/** What the strategy's model believes best, next to the best measured. */
const believedBest = ({ believed, best }: Search.Found<unknown>): string => {
  if (believed === undefined) return ""
  const { high, low, record, reward } = believed
  const of = `a reward of ${reward.toFixed(4)} (${low.toFixed(4)} … ${high.toFixed(4)})`
  return record.trial === best.trial
    ? `\nThe strategy's model, too, believes trial ${best.trial} best: ${of}`
    : `\nThe strategy's model believes trial ${record.trial} best: ${of}; trial ${best.trial} measured best, perhaps by luck`
}

/** What happened to the trials, in words. */
const tally = ({ exhausted, over, records }: Search.Found<unknown>): string => {
  const of = (tag: Search.Outcome["_tag"]) => records.filter(({ outcome }) => outcome._tag === tag).length
  const leftOut = records.filter(({ outcome }) => outcome._tag === "Refused" && outcome.expected !== undefined).length
  const [failed, refused] = [of("Failed"), of("Refused") - leftOut]
  return [
    `${format.plural(of("Scored"), "network")} trained`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(refused > 0 ? [`${refused} refused before training`] : []),
    ...(leftOut > 0 ? [`${leftOut} left out by the screen`] : []),
    ...(exhausted ? ["the space has no more"] : []),
    ...(over ? ["ended before all trials, as asked"] : [])
  ].join(", ")
}

interface Done {
  readonly best: best.Best
  readonly front: ReadonlyArray<number>
  readonly name: string
  readonly task: Task.Task
}

const summary = ({ best: found, front, name, task }: Done): string =>
  [
    ...(front.length > 1
      ? [
          `Front: ${format.plural(front.length, "trial")} that no other trial beats in every objective: ${front.join(", ")}`,
          "The most isolated of them were trained again; of these, the best by reward is kept."
        ]
      : []),
    `Best: trial ${found.trial}${["macs", "parameters", ...Measures.names].flatMap((cost) => (found.costs[cost] === undefined ? [] : [`, ${format.cost(cost, found.costs[cost])}`])).join("")}, trained again for ${format.plural(found.epochs, "epoch")}:`,
    `  ${found.line}`,
    `  ${format.measures(found.measures.validation, task)} on the validation split, trained on the training split: it was chosen by this`,
    Object.keys(found.measures.test).length === 0
      ? "  not tested: the test split has no examples"
      : `  ${format.measures(found.measures.test, task)} on the test split, trained on ${found.trainedOn === "train+validation" ? "the training and validation splits" : "the training split"}: nothing was chosen by this`,
    `${name}/ has ${Object.values(runFolder.files).join(", ")}`
  ].join("\n")

/** The best network's ONNX file in eight bits. */
const int8Of = Effect.fnUntraced(function* (
  found: networks.Found,
  weights: Finals.Winner<unknown>["weights"],
  { imageSize }: Pick<Recipe.Recipe, "imageSize">,
  given: Dataset.DatasetShape
) {
  const network = yield* Effect.fromResult(ModelSpace.trainable(found.point)(found.of))
  const data = yield* Fitting.of(network, given, imageSize)
  const trained = yield* exports.trained(found, weights, { data, metadata: {} })
  const { file } = yield* Int8.onnx(yield* Specimens.ofDataset(Int8.calibration, "train")(data))(trained)
  return file.content
}, Effect.mapError(said))

/** The folder so far, and a way to remove it while it holds nothing that could be resumed. */
interface Begun {
  folder: string
  undo: Effect.Effect<void>
}

const searching = Effect.fnUntraced(function* (plan: plans.Plan, { database, json }: plans.Flags, begun: Begun) {
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const began = performance.now()
  const data = yield* Dataset.Dataset
  const {
    ahead,
    fidelity,
    finalEpochs,
    finalists,
    maxTime,
    maxTotalMacs,
    objectives,
    recipe,
    screen,
    screenBy,
    seed,
    trialMemory,
    trialTime,
    trials
  } = plan
  const { device, macsOf, of, reward, services: searched, settings, within } = yield* domain.make(plan)
  const surroundings = yield* Surroundings.here
  const given = yield* givens.of(of, plan)

  const asked = {
    trials,
    seed,
    reward,
    within,
    fidelity,
    objectives,
    ahead,
    ...(screen === undefined ? {} : { screen }),
    ...(screenBy === undefined ? {} : { screenBy: yield* screenedBy.make(screenBy, of, seed) }),
    settings,
    surroundings,
    ...given,
    notes: plans.notesOf(plan, of.task)
  }
  // Slower steps come after the journal exists: from then on the search can be resumed.
  if (!plan.resume) Object.assign(begun, yield* runFolder.create(plan))
  const { folder } = begun
  const name = yield* runFolder.shown(folder)
  const journal = yield* Layer.build(
    Journal.sqlite(path.join(folder, runFolder.files.journal), {
      existing: plan.resume ? "resume" : "refuse",
      mixed: plan.allowMixed ? "allow" : "refuse",
      strategy: plan.isReplaced ? "replace" : "refuse"
    })
  )
  yield* Effect.gen(function* () {
    yield* (yield* Journal.Journal).open(yield* Search.identity(of, asked))
  }).pipe(Effect.provide(Context.merge(journal, searched)))

  /** What workers, here and elsewhere, have to agree on at all times. */
  const agreed = plan.allowMixed ? {} : { surroundings }
  let note = machines.say
  const elsewhere = Option.isNone(database)
    ? undefined
    : yield* machines.run(
        database.value,
        folder,
        plans.training(plan),
        { time: trialTime, memory: trialMemory, ...agreed },
        ahead,
        (line) => note(line)
      )
  if (elsewhere === undefined)
    for (const line of machines.idle(Math.min(plan.workers, trials), ahead)) yield* Console.error(`note: ${line}`)
  const checkpoints = path.resolve(folder, runFolder.checkpoints)
  const trains: Layer.Layer<Evaluator.Evaluator, machines.Unable | WorkerEvaluator.WorkerFailed> =
    elsewhere?.layer ??
    WorkerEvaluator.layer({
      module: training.module,
      options: training.toJson(plans.training(plan, { checkpoints, ...agreed })),
      workers: Math.min(plan.workers, trials, ahead),
      ...(trialTime === null ? {} : { timeLimit: `${trialTime} seconds` as const }),
      ...(trialMemory === null ? {} : { memoryLimit: trialMemory })
    })
  const services = Context.merge(journal, yield* Layer.build(trains))

  const files = yield* Effect.context<runFolder.Services>()
  const main = Effect.gen(function* () {
    const work = { trials, fidelity, task: of.task }
    const display = yield* progress.make(work, (trial) => command.uninet("replay", name, String(trial)))
    const told = yield* live.make(folder, work)
    note = display.note
    const found = yield* Search.run(of, {
      ...asked,
      ...(maxTotalMacs === null ? {} : { budget: { most: maxTotalMacs, of: macsOf } }),
      until: Effect.map(
        live.isAskedToFinish(folder),
        (asked) => asked || (maxTime !== null && told.seconds() >= maxTime)
      ),
      onEvent: (event) => Effect.andThen(told.onEvent(event), display.onEvent(event))
    })
    yield* display.stop
    const candidates = yield* Finals.candidates(finalists)(Search.ranking(of, objectives)(found.records))
    const front = objectives.length > 1 ? Search.front(of, objectives)(found.records).map(({ trial }) => trial) : []
    const searchSeconds = (performance.now() - began) / 1000
    const isData = json || log.isJson()
    if (!isData)
      yield* Console.log(
        `\n${tally(found)} in ${format.time(searchSeconds)}\n${table({ of, within }, found.records, plan)}${believedBest(found)}\n`
      )
    const finished = yield* Finals.run(of, {
      candidates,
      epochs: finalEpochs,
      seed,
      reward,
      recipe: (point) => ({ ...recipe, ...of.recipe(point) }),
      // Machines that are not ours alone may have something better to do.
      ahead: elsewhere === undefined,
      kept: ({ trial }) => Effect.provideContext(best.weightsOf(folder, trial), files),
      onProgress: (candidate, done, what) =>
        Effect.andThen(told.onFinal(candidate, done, what), display.onFinal(candidate, done, what)),
      onStopped: (candidate) => Effect.andThen(told.onStopped(candidate), display.onStopped(candidate))
    })
    yield* display.stop
    const before = candidates.find(({ trial }) => trial === finished.winner.trial)
    const facts = Facts.of(data)
    const written = yield* best.write(folder, finished, {
      found: { of, facts, source: plan.space },
      data,
      dataset: plan.dataset ?? (plan.config === undefined ? data.name : paths.portable(plan.config.path)),
      skipBad: plan.skipBad,
      seed,
      searched: before?.outcome.evaluation.measures ?? {},
      trials: trialsOf(found)
    })
    if (elsewhere !== undefined) yield* elsewhere.finish
    // Everything they were kept for is in the files of the best network.
    yield* Effect.ignore(fs.remove(checkpoints, { recursive: true, force: true }))
    const { point, weights } = finished.winner
    const latency =
      device === undefined
        ? undefined
        : yield* deployed.latency(
            device,
            written.costs,
            device.precision === "int8"
              ? int8Of({ of, facts, source: plan.space, point }, weights, { ...recipe, ...of.recipe(point) }, data)
              : Effect.mapError(fs.readFile(path.join(folder, runFolder.files.onnx)), said)
          )
    const seconds = (performance.now() - began) / 1000
    const count = (tag: Search.Outcome["_tag"]) => found.records.filter(({ outcome }) => outcome._tag === tag).length
    yield* isData
      ? Console.log(
          JSON.stringify(
            {
              out: folder,
              trials: { scored: count("Scored"), failed: count("Failed"), refused: count("Refused") },
              ...(front.length > 0 ? { front } : {}),
              ...(found.believed === undefined
                ? {}
                : {
                    believed: {
                      trial: found.believed.record.trial,
                      reward: found.believed.reward,
                      low: found.believed.low,
                      high: found.believed.high
                    }
                  }),
              seconds,
              ...(latency === undefined ? {} : { latency }),
              best: written
            },
            null,
            log.isJson() ? undefined : 2
          )
        )
      : Console.log(
          `${summary({ best: written, front, name, task: of.task })}\n${latency === undefined ? "" : `${deployed.print(latency)}\n`}${format.time(seconds)} in all`
        )
  }).pipe(Effect.scoped, Effect.provide(services), Effect.provide(searched))
  return yield* Effect.raceFirst(main, Effect.andThen(live.stopped(folder), Effect.interrupt))
})

/** Searches, and after an interruption says how to resume the search. */
const execute = (plan: plans.Plan, given: plans.Flags) =>
  Effect.suspend(() => {
    const begun: Begun = { folder: plan.folder, undo: Effect.void }
    const interrupted = Effect.gen(function* () {
      yield* begun.undo
      if (!(yield* runFolder.has(begun.folder, runFolder.files.journal)))
        return yield* log.say("\nStopped before anything was begun.", { event: "Stopped" })
      const name = yield* runFolder.shown(begun.folder)
      const again = yield* plans.resumeCommand(begun.folder, given)
      yield* log.say(`\nStopped. The trials so far are kept in ${name}; continue with: ${again}`, { event: "Stopped" })
    })
    /** The failures after which the run can be resumed, with the command for it. */
    const named = Effect.fnUntraced(function* (error: {
      readonly _tag: string
      readonly message: string
      readonly field?: string
    }) {
      // A space that differs by its name or module was refused before.
      if (error._tag === "JournalForeign" && error.field === "space" && plan.deviceFile !== undefined)
        return fault(
          `the device file ${yield* runFolder.shown(plan.deviceFile)} is not the one that ${yield* runFolder.shown(begun.folder)} was begun with. Put that one back, or start a search in another folder.`
        )
      if (error._tag !== "EvaluatorLost" && error._tag !== "JournalNotWritten") return said(error)
      return fault(`${error.message} Continue with: ${yield* plans.resumeCommand(begun.folder, given)}`)
    })
    return searching(plan, given, begun).pipe(
      Effect.scoped,
      Effect.catch((error) => Effect.flatMap(named(error), Effect.fail)),
      // A folder that was created and holds nothing is not left behind, however the search ended.
      Effect.onError((cause) => (Cause.hasInterruptsOnly(cause) ? interrupted : Effect.suspend(() => begun.undo)))
    )
  })

export const search = Command.make(
  "search",
  plans.config,
  Effect.fnUntraced(function* (given) {
    if (Option.isSome(given.resume) && Option.isSome(given.out))
      return yield* usage("--out cannot be given with --resume, which uses its own folder. Leave one of them out.")
    if (Option.isSome(given.database) && Option.isSome(given.workers))
      return yield* usage(
        "--workers cannot be given with --database: each worker says how many trials it trains at a time."
      )
    const begun = Option.isSome(given.resume)
      ? yield* plans.resumed(given.resume.value, given)
      : yield* plans.fresh(given)
    const smaller = Progressive.epochsOf(begun.recipe.progressive ?? [])
    if (smaller > begun.finalEpochs)
      return yield* usage(
        `--final-epochs ${begun.finalEpochs} is fewer than the ${smaller} epochs of smaller pictures in the recipe (progressive). Give ${smaller} or more.`
      )
    yield* Effect.scoped(
      Effect.gen(function* () {
        const services = yield* domain.training(begun)
        const plan = yield* Effect.provide(domain.fitted(begun), services)
        if (given.dryRun) return yield* Effect.provide(dry.run(plan, given.json), services)
        return yield* execute(plan, given).pipe(Effect.provide(services), Effect.provide(Telemetry.layer))
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Search a space of networks by training them, and export the best one"),
  Command.withExamples([
    { command: "uninet search", description: "32 trials on MNIST with PPO, into a new folder in runs/" },
    {
      command: "uninet search --strategy evolution --trials 100 --seed 7 --out runs/evolution",
      description: "Another strategy"
    },
    { command: "uninet search --target-macs 800K --epochs 2", description: "Smaller networks, trained for longer" },
    {
      command: "uninet search --reward int8Accuracy --device-file int8.json --within 'int8Latency<=1ms'",
      description: "For a device that computes in eight bits, profiled with uninet profile --int8"
    },
    { command: "uninet search --space my-space.ts --dataset my-data.ts", description: "Your own space and data" },
    {
      command: "uninet search --config wide.config.ts",
      description: "A search described by a module, with your own layers"
    },
    {
      command: "uninet search --database postgresql://uninet@db.lab/uninet --trials 200",
      description: "On all machines that run uninet worker"
    },
    { command: "uninet search --resume runs/evolution --trials 200", description: "Continue with more trials" },
    {
      command: "uninet search --resume runs/evolution --trials 300 --strategy gp --retry-failed",
      description: "Continue with another strategy, and try failed trials once more"
    },
    {
      command: "uninet search --start-with runs/a/best.json --learn-from runs/b --strategy gp",
      description: "Start with a known network and what another search has learned"
    }
  ])
)

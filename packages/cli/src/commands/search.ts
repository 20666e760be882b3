/** `uninet search`: searches, then compares, tests and exports the best network. */
import { Dataset } from "@uninet/data"
import { Finals, Journal, NothingFound, Search, WorkerEvaluator } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Command } from "effect/cli"
import * as best from "../internal/best.ts"
import { at, said, usage } from "../internal/CliFault.ts"
import * as domain from "../internal/domain.ts"
import * as dry from "../internal/dry.ts"
import * as format from "../internal/format.ts"
import * as live from "../internal/live.ts"
import * as machines from "../internal/machines.ts"
import * as plans from "../internal/plan.ts"
import * as progress from "../internal/progress.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as training from "../internal/training.ts"

const stages = "stages 1 – 5: module, operator, expansion, channels × repeats, / stride"

/** The best trials, best first; their networks with them where the terminal has room. */
const table = (records: ReadonlyArray<Search.Record>, { fidelity, objectives }: plans.Plan): string => {
  const wide = (process.stdout.columns ?? Number.POSITIVE_INFINITY) >= 160
  // They differ only where there are rungs.
  const epochs = <A>(cell: A): ReadonlyArray<A> => (fidelity._tag === "Full" ? [] : [cell])
  const out = new Table({
    head: ["trial", ...epochs("epochs"), "validation", "MACs", "parameters", "reward", ...(wide ? [stages] : [])],
    colAligns: ["right", ...epochs("right" as const), "right", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true }
  })
  for (const { architecture, costs, outcome, trial } of Search.ranking(records, objectives).slice(0, 10))
    out.push([
      trial,
      ...epochs(outcome.evaluation.epochs ?? 0),
      format.percent(outcome.evaluation.accuracy),
      format.count(costs.macs),
      format.count(costs.parameters),
      outcome.reward.toFixed(4),
      ...(wide ? [searched(architecture)] : [])
    ])
  return out.toString()
}

/** The stages that are searched, in a line. */
const searched = (architecture: Architecture.Architecture) =>
  Architecture.line({ ...architecture, stages: architecture.stages.slice(1) })

/** What has become of the trials, in words. */
const tally = ({ exhausted, over, records }: Search.Found): string => {
  const of = (tag: Search.Outcome["_tag"]) => records.filter(({ outcome }) => outcome._tag === tag).length
  const [failed, refused] = [of("Failed"), of("Refused")]
  return [
    `${format.plural(of("Scored"), "architecture")} trained`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(refused > 0 ? [`${refused} refused before training`] : []),
    ...(exhausted ? ["the space has no more"] : []),
    ...(over ? ["ended before all trials, as asked"] : [])
  ].join(", ")
}

const summary = ({ best: found, front, name }: Done): string =>
  [
    ...(front.length > 1
      ? [
          `Front: ${format.plural(front.length, "trial")} that no other is better than in every objective: ${front.join(", ")}`
        ]
      : []),
    `Best: trial ${found.trial}, ${format.count(found.costs.macs)} MACs, ${format.count(found.costs.parameters)} parameters, trained again for ${format.plural(found.metrics.epochs, "epoch")}:`,
    `  ${searched(found.architecture)}`,
    `  ${format.percent(found.metrics.validationAccuracy, 2)} on the validation split, trained on the training split: by this it was chosen`,
    `  ${format.percent(found.metrics.testAccuracy, 2)} on the test split, trained on ${found.trainedOn === "train+validation" ? "the training and validation splits" : "the training split"}: nothing was chosen by this`,
    `${name}/ has ${Object.values(runFolder.files).join(", ")}`
  ].join("\n")

interface Done {
  readonly best: best.Best
  readonly front: ReadonlyArray<number>
  readonly name: string
}

const execute = Effect.fnUntraced(function* (plan: plans.Plan, { database, json }: plans.Flags) {
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const began = performance.now()
  const name = yield* runFolder.shown(plan.folder)
  const dataset = yield* Effect.mapError(Dataset.images(yield* Dataset.Dataset), at("--dataset"))
  const { fidelity, finalEpochs, finalists, maxTime, maxTotalMacs, objectives, seed, trialMemory, trialTime, trials } =
    plan
  const { constraints, macsOf, reward, services: searched, settings } = yield* domain.make(plan)

  if (!plan.resume) yield* runFolder.create(plan.folder)
  let note = machines.say
  const elsewhere = Option.isNone(database)
    ? undefined
    : yield* machines.run(
        database.value,
        plan.folder,
        plans.training(plan),
        { time: trialTime, memory: trialMemory },
        (line) => note(line)
      )
  const checkpoints = path.resolve(plan.folder, runFolder.checkpoints)
  const services = yield* Layer.build(
    Layer.mergeAll(
      Journal.sqlite(path.join(plan.folder, runFolder.files.journal), { existing: plan.resume ? "resume" : "refuse" }),
      elsewhere?.layer ??
        WorkerEvaluator.layer({
          module: training.module,
          options: training.toJson(plans.training(plan, checkpoints)),
          workers: Math.min(plan.workers, trials, Search.defaultAhead),
          ...(trialTime === null ? {} : { timeLimit: `${trialTime} seconds` as const }),
          ...(trialMemory === null ? {} : { memoryLimit: trialMemory })
        })
    )
  )

  const interrupted = Effect.suspend(() =>
    Console.error(`\nStopped. The trials so far are kept in ${name}; go on with: uninet search --resume ${name}`)
  )
  const main = Effect.gen(function* () {
    const work = { trials, fidelity }
    const display = yield* progress.make(work, (trial) => `uninet replay ${name} ${trial}`)
    const told = yield* live.make(plan.folder, work)
    note = display.note
    const found = yield* Search.run({
      trials,
      seed,
      reward,
      constraints,
      fidelity,
      objectives,
      settings,
      notes: plans.notesOf(plan),
      ...(maxTotalMacs === null ? {} : { budget: { macs: maxTotalMacs, of: macsOf } }),
      until: Effect.map(
        live.isAskedToFinish(plan.folder),
        (asked) => asked || (maxTime !== null && told.seconds() >= maxTime)
      ),
      onEvent: (event) => Effect.andThen(told.onEvent(event), display.onEvent(event))
    })
    yield* display.stop
    const candidates = Search.ranking(found.records, objectives).slice(0, finalists)
    const front = objectives.length > 1 ? Search.front(found.records, objectives).map(({ trial }) => trial) : []
    const searchSeconds = (performance.now() - began) / 1000
    if (!json) yield* Console.log(`\n${tally(found)} in ${format.time(searchSeconds)}\n${table(found.records, plan)}\n`)
    if (candidates.length === 0) {
      const last = found.records.findLast(({ outcome }) => outcome._tag === "Failed")?.outcome
      return yield* new NothingFound({
        trials: found.records.length,
        last: last?._tag === "Failed" ? last.detail : "it was refused"
      })
    }
    const finished = yield* Finals.run({
      candidates,
      epochs: finalEpochs,
      seed,
      reward,
      // Machines that are not one's own may have something better to do.
      ahead: elsewhere === undefined,
      onProgress: (candidate, done, what) =>
        Effect.andThen(told.onFinal(candidate, done, what), display.onFinal(candidate, done, what)),
      onStopped: (candidate) => Effect.andThen(told.onStopped(candidate), display.onStopped(candidate))
    })
    yield* display.stop
    const before = candidates.find(({ trial }) => trial === finished.winner.trial)
    const written = yield* best.write(plan.folder, finished, {
      dataset,
      datasetName: plan.dataset ?? dataset.name,
      seed,
      searchAccuracy: before?.outcome.evaluation.accuracy ?? 0
    })
    if (elsewhere !== undefined) yield* elsewhere.finish
    // All that they were kept for is in the files of the best.
    yield* Effect.ignore(fs.remove(checkpoints, { recursive: true, force: true }))
    const seconds = (performance.now() - began) / 1000
    const count = (tag: Search.Outcome["_tag"]) => found.records.filter(({ outcome }) => outcome._tag === tag).length
    yield* json
      ? Console.log(
          JSON.stringify(
            {
              out: plan.folder,
              trials: { scored: count("Scored"), failed: count("Failed"), refused: count("Refused") },
              ...(front.length > 0 ? { front } : {}),
              seconds,
              best: written
            },
            null,
            2
          )
        )
      : Console.log(`${summary({ best: written, front, name })}\n${format.time(seconds)} in all`)
  }).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.provide(searched),
    Effect.onInterrupt(() => interrupted)
  )
  return yield* Effect.raceFirst(main, Effect.andThen(live.stopped(plan.folder), Effect.interrupt))
}, Effect.scoped)

export const search = Command.make(
  "search",
  plans.config,
  Effect.fnUntraced(function* (given) {
    if (Option.isSome(given.resume) && Option.isSome(given.out))
      return yield* usage("--out cannot be given with --resume, whose folder is used. Leave one of them out.")
    if (Option.isSome(given.database) && Option.isSome(given.workers))
      return yield* usage(
        "--workers cannot be given with --database: each worker says how many trials it trains at a time."
      )
    const plan = Option.isSome(given.resume)
      ? yield* plans.resumed(given.resume.value, given)
      : yield* plans.fresh(given)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const services = yield* domain.training(plan)
        if (given.dryRun) return yield* Effect.provide(dry.run(plan, given.json), services)
        return yield* Effect.provide(execute(plan, given), services)
      })
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Search architectures by training them, and export the best one"),
  Command.withExamples([
    { command: "uninet search", description: "32 trials on MNIST with PPO, into a new folder in runs/" },
    {
      command: "uninet search --strategy evolution --trials 100 --seed 7 --out runs/evolution",
      description: "Another strategy"
    },
    { command: "uninet search --target-macs 800K --epochs 2", description: "Smaller networks, trained for longer" },
    { command: "uninet search --config wide.config.ts", description: "As a module says, with layers of one's own" },
    {
      command: "uninet search --database postgresql://uninet@db.lab/uninet --trials 200",
      description: "On all machines with a uninet worker"
    },
    { command: "uninet search --resume runs/evolution --trials 200", description: "Go on, with more trials" }
  ])
)

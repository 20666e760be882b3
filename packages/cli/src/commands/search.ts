/** `uninet search`: searches, then compares, tests and exports the best network. */
import { Dataset } from "@uninet/data"
import { Finals, Journal, NothingFound, Search, WorkerEvaluator } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Command } from "effect/cli"
import * as best from "../internal/best.ts"
import { said, usage } from "../internal/CliFault.ts"
import * as domain from "../internal/domain.ts"
import * as format from "../internal/format.ts"
import * as machines from "../internal/machines.ts"
import * as plans from "../internal/plan.ts"
import * as progress from "../internal/progress.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as training from "../internal/training.ts"

const stages = "stages 1 – 5: module, operator, expansion, channels × repeats, / stride"

/** The best trials, best first; their networks with them where the terminal has room. */
const table = (records: ReadonlyArray<Search.Record>): string => {
  const wide = (process.stdout.columns ?? Number.POSITIVE_INFINITY) >= 160
  const out = new Table({
    head: ["trial", "validation", "MACs", "parameters", "reward", ...(wide ? [stages] : [])],
    colAligns: ["right", "right", "right", "right", "right", "left"],
    style: { head: [], border: [], compact: true }
  })
  for (const { architecture, costs, outcome, trial } of Search.ranking(records).slice(0, 10))
    out.push([
      trial,
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
const tally = ({ exhausted, records }: Search.Found): string => {
  const of = (tag: Search.Outcome["_tag"]) => records.filter(({ outcome }) => outcome._tag === tag).length
  const [failed, refused] = [of("Failed"), of("Refused")]
  return [
    `${format.plural(of("Scored"), "architecture")} trained`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(refused > 0 ? [`${refused} refused before training`] : []),
    ...(exhausted ? ["the space has no more"] : [])
  ].join(", ")
}

const summary = (found: best.Best, name: string): string =>
  [
    `Best: trial ${found.trial}, ${format.count(found.costs.macs)} MACs, ${format.count(found.costs.parameters)} parameters, trained again for ${format.plural(found.metrics.epochs, "epoch")}:`,
    `  ${searched(found.architecture)}`,
    `  ${format.percent(found.metrics.validationAccuracy, 2)} on the validation split, by which it was chosen`,
    `  ${format.percent(found.metrics.testAccuracy, 2)} on the test split, which nothing was chosen by`,
    `${name}/ has ${Object.values(runFolder.files).join(", ")}`
  ].join("\n")

const execute = Effect.fnUntraced(function* (plan: plans.Plan, { database, json }: plans.Flags) {
  const path = yield* Path.Path
  const began = performance.now()
  const name = yield* runFolder.shown(plan.folder)
  const dataset = yield* Dataset.Dataset
  const { finalEpochs, finalists, seed, trials } = plan
  const { constraints, reward, services: searched, settings } = yield* domain.make(plan)

  if (!plan.resume) yield* runFolder.create(plan.folder)
  let note = machines.say
  const elsewhere = Option.isNone(database)
    ? undefined
    : yield* machines.run(database.value, plan.folder, plans.training(plan), (line) => note(line))
  const services = yield* Layer.build(
    Layer.mergeAll(
      Journal.sqlite(path.join(plan.folder, runFolder.files.journal), { existing: plan.resume ? "resume" : "refuse" }),
      elsewhere?.layer ??
        WorkerEvaluator.layer({
          module: training.module,
          options: training.toJson(plans.training(plan)),
          workers: Math.min(plan.workers, trials, Search.defaultAhead)
        })
    )
  )

  const interrupted = Effect.suspend(() =>
    Console.error(`\nStopped. The trials so far are kept in ${name}; go on with: uninet search --resume ${name}`)
  )
  return yield* Effect.gen(function* () {
    const display = yield* progress.make(trials)
    note = display.note
    const found = yield* Search.run({
      trials,
      seed,
      reward,
      constraints,
      settings,
      notes: { trials, finalists, finalEpochs, config: plan.config?.path ?? null },
      onEvent: display.onEvent
    })
    yield* display.stop
    const candidates = Search.ranking(found.records).slice(0, finalists)
    const searchSeconds = (performance.now() - began) / 1000
    if (!json) yield* Console.log(`\n${tally(found)} in ${format.time(searchSeconds)}\n${table(found.records)}\n`)
    if (candidates.length === 0) {
      const last = found.records.findLast(({ outcome }) => outcome._tag === "Failed")?.outcome
      return yield* new NothingFound({
        trials: found.records.length,
        last: last?._tag === "Failed" ? last.detail : "it was refused"
      })
    }
    const finished = yield* Finals.run({ candidates, epochs: finalEpochs, seed, reward, onProgress: display.onFinal })
    yield* display.stop
    const before = candidates.find(({ trial }) => trial === finished.winner.trial)
    const written = yield* best.write(plan.folder, finished, {
      dataset,
      datasetName: plan.dataset ?? dataset.name,
      seed,
      searchAccuracy: before?.outcome.evaluation.accuracy ?? 0
    })
    if (elsewhere !== undefined) yield* elsewhere.finish
    const seconds = (performance.now() - began) / 1000
    const count = (tag: Search.Outcome["_tag"]) => found.records.filter(({ outcome }) => outcome._tag === tag).length
    yield* json
      ? Console.log(
          JSON.stringify(
            {
              out: plan.folder,
              trials: { scored: count("Scored"), failed: count("Failed"), refused: count("Refused") },
              seconds,
              best: written
            },
            null,
            2
          )
        )
      : Console.log(`${summary(written, name)}\n${format.time(seconds)} in all`)
  }).pipe(
    Effect.scoped,
    Effect.provide(services),
    Effect.provide(searched),
    Effect.onInterrupt(() => interrupted)
  )
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
        yield* Effect.provide(execute(plan, given), services)
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

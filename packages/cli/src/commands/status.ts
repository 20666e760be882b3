/** `uninet status`, `uninet runs`, `uninet stop`: the state of searches, and how to stop one. */
import { Journal, Lock, Trial } from "@uninet/search"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schedule from "effect/Schedule"
import { Argument, Command, Flag } from "effect/cli"
import { fault, said } from "../internal/CliFault.ts"
import * as chart from "../internal/chart.ts"
import * as command from "../internal/command.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as live from "../internal/live.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as runState from "../internal/runs.ts"
import * as trainFolder from "../internal/trainFolder.ts"
import * as trainings from "../internal/trainings.ts"

const run = Argument.String("run").pipe(Argument.withDescription("The folder of a search"))

const replayOf = (name: string, trial: number) => command.uninet("replay", name, String(trial))
const resumeOf = (name: string) => command.uninet("search", "--resume", name)

/** As JSON: the journal's figures, and the driver's current status. */
const toJson = ({ best, failures, fidelity, history: _history, live: now, ...rest }: runState.Status) => ({
  ...rest,
  holder: rest.holder ?? null,
  best:
    best === undefined
      ? null
      : {
          trial: best.trial,
          ...best.outcome.evaluation,
          reward: best.outcome.reward,
          costs: best.costs,
          line: best.line,
          point: best.point
        },
  fidelity,
  failures: failures.map((failure) => ({ ...failure, replay: replayOf(rest.name, failure.trial) })),
  live: now ?? null
})

const bar = (share: number) => {
  const full = Math.round(20 * share)
  return `${"█".repeat(full)}${"░".repeat(20 - full)}`
}

/** How the best reward has grown, if there is room for it. */
const charted = ({ history }: runState.Status, columns: number): ReadonlyArray<string> => {
  const drawn = chart.lines(history, columns)
  return drawn.length === 0
    ? []
    : [`best reward so far, after each of ${format.plural(history.length, "result")}:`, ...drawn]
}

/** A run in a few lines. */
const describe = (status: runState.Status, columns: number, hasChart: boolean): string => {
  const { best, done, failures, holder, live: now, name, refused, state, trials } = status
  const who = holder === undefined ? "" : ` by ${Lock.print(holder)}`
  const counts = [
    `${done} of ${format.plural(trials, "trial")}`,
    ...(failures.length > 0 ? [`${failures.length} failed`] : []),
    ...(refused > 0 ? [`${refused} refused before training`] : [])
  ].join(", ")
  return [
    `${name}: ${state}${who}, ${status.strategy}, ${counts}, ${format.time(status.seconds)}`,
    ...(best === undefined
      ? ["no result yet"]
      : [
          `best: trial ${best.trial}, ${format.measured(best.outcome.evaluation.measures, status.task)}${format.after(best.outcome.evaluation)}${best.costs["macs"] === undefined ? "" : `, ${format.cost("macs", best.costs["macs"])}`}, reward ${best.outcome.reward.toFixed(4)}`,
          `  ${best.line}`
        ]),
    ...(hasChart ? charted(status, columns) : []),
    ...(now === undefined
      ? []
      : [
          `${bar(now.share)} ${format.percent(now.share, 0)} of the ${now.phase}${now.left === null ? "" : `, ${format.time(now.left)} left`}`,
          ...now.running.map(({ done, trial }) => `${bar(done)} trial ${trial}`)
        ]),
    ...failures
      .slice(-5)
      .flatMap(({ detail, line, reason, trial }) => [
        `trial ${trial} ${Trial.says[reason]}: ${detail}`,
        ...(line === undefined ? [] : [`  ${line}`]),
        `  run it again: ${replayOf(name, trial)}`
      ]),
    ...(status.isMixed
      ? ["a mixture: its trials ran with different data, software, engines or kinds of machines, as was allowed"]
      : []),
    ...(status.isCut ? ["its journal.db-wal is missing, and its last trials may be missing with it"] : []),
    ...(state === "stopped" ? [`continue with: ${resumeOf(name)}`] : [])
  ]
    .map((line) => format.cut(line, columns))
    .join("\n")
}

/** Refreshes the display until the search ends. */
const watch = Effect.fnUntraced(function* (folder: string) {
  let lines = 0
  yield* Effect.gen(function* () {
    const status = yield* runState.status(folder)
    const text = describe(status, (process.stdout.columns ?? 80) - 1, (process.stdout.rows ?? 0) >= 24)
    process.stdout.write(`${lines === 0 ? "" : `\u001b[${lines}F\u001b[J`}${text}\n`)
    lines = text.split("\n").length
    return status.state
  }).pipe(Effect.repeat({ schedule: Schedule.spaced("1 second"), until: (state) => state !== "running" }))
})

export const status = Command.make(
  "status",
  {
    run,
    once: Flag.Boolean("once").pipe(Flag.withDefault(false), Flag.withDescription("Print it once and exit")),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ json, once, run }) {
    if (!json && !once && process.stdout.isTTY) return yield* watch(run)
    const found = yield* runState.status(run)
    yield* Console.log(
      json ? JSON.stringify(toJson(found), null, 2) : describe(found, Number.POSITIVE_INFINITY, process.stdout.isTTY)
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription(
    "Show how a search stands: its best, what is running, what failed; on a terminal, live until it ends"
  ),
  Command.withExamples([
    { command: "uninet status runs/demo", description: "Follow a search" },
    { command: "uninet status runs/demo --json", description: "For a script" }
  ])
)

export const runs = Command.make(
  "runs",
  {
    folder: Argument.String("folder").pipe(
      Argument.withDefault("runs"),
      Argument.withDescription("Where the runs' folders are (default runs)")
    ),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ folder, json }) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const names = yield* Effect.mapError(fs.readDirectory(folder), () =>
      fault(`${folder} is not a folder that can be read. Give the one that holds the runs' folders.`)
    )
    const found: Array<runState.Status> = []
    const trained: Array<trainings.Training> = []
    const unread: Array<string> = []
    for (const name of names.toSorted()) {
      const below = path.join(folder, name)
      if (yield* runFolder.has(below, trainFolder.files.settings)) {
        yield* Effect.matchEffect(trainings.status(below), {
          onSuccess: (training) => Effect.sync(() => void trained.push(training)),
          onFailure: (error) => Effect.sync(() => void unread.push(error.message))
        })
        continue
      }
      if (!(yield* Effect.orElseSucceed(fs.exists(path.join(below, runFolder.files.journal)), () => false))) continue
      yield* Effect.matchEffect(runState.status(below), {
        onSuccess: (status) => Effect.sync(() => void found.push(status)),
        onFailure: (error) => Effect.sync(() => void unread.push(error.message))
      })
    }
    if (json)
      return yield* Console.log(
        JSON.stringify(
          [
            ...found.map((status) => ({ kind: "search", ...toJson(status) })),
            ...trained.map((training) => ({ kind: "training", ...training, holder: training.holder ?? null }))
          ],
          null,
          2
        )
      )
    if (found.length === 0 && trained.length === 0 && unread.length === 0)
      return yield* Console.log(`${folder} has no runs. Start one with: ${command.uninet("search")}`)
    const table = new Table({
      head: ["run", "state", "strategy", "trials", "failed", "best", "reward"],
      colAligns: ["left", "left", "left", "right", "right", "right", "right"],
      style: { head: [], border: [], compact: true }
    })
    for (const { best, done, failures, name, state, strategy, task, trials } of found)
      table.push([
        name,
        state,
        strategy,
        `${done} of ${trials}`,
        failures.length,
        best === undefined ? "" : format.measured(best.outcome.evaluation.measures, task),
        best === undefined ? "" : best.outcome.reward.toFixed(4)
      ])
    if (found.length > 0) yield* Console.log(format.fitted(table.toString()))
    const others = new Table({
      head: ["training", "state", "network", "data set", "epochs", "best"],
      colAligns: ["left", "left", "left", "left", "right", "right"],
      style: { head: [], border: [], compact: true }
    })
    for (const training of trained) {
      const { dataset, epochs, name, network, of, state } = training
      others.push([
        name,
        state,
        path.basename(network),
        path.basename(dataset),
        `${epochs} of ${of}`,
        trainings.bestOf(training)
      ])
    }
    if (trained.length > 0) yield* Console.log(format.fitted(others.toString()))
    for (const problem of unread) yield* Console.error(problem)
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("List all searches and trainings in a folder"),
  Command.withExamples([{ command: "uninet runs", description: "Those in runs/" }])
)

export const stop = Command.make(
  "stop",
  {
    run,
    finish: Flag.Boolean("finish").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Let the running trials finish, then compare, test and export the best")
    )
  },
  Effect.fnUntraced(function* ({ finish, run }) {
    const { name, state } = yield* runState.status(run)
    if (state !== "running")
      return yield* fault(
        `${name} is not running: it is ${state}.${state === "stopped" ? ` Continue with: ${resumeOf(name)}` : ""}`
      )
    yield* Effect.mapError(live.ask(run, finish ? "finish" : "now"), (problem) =>
      fault(`${name} cannot be asked to stop: ${problem}. Give yourself write permission there.`)
    )
    if (finish)
      return yield* Console.log(`${name} starts no more trials; follow it with: ${command.uninet("status", name)}`)
    // Uses only its lock: reading the journal would prevent its writer from closing it properly.
    const path = yield* Path.Path
    const journal = path.join(run, runFolder.files.journal)
    const holder = yield* Effect.sync(() => Journal.holder(journal)).pipe(
      Effect.repeat({
        schedule: Schedule.spaced("250 millis").pipe(Schedule.upTo({ times: 120 })),
        until: (holder) => holder === undefined
      })
    )
    if (holder !== undefined) return yield* fault(`${name} was asked to stop, but still runs after 30 s.`)
    yield* Console.log(`Stopped. Continue with: ${resumeOf(name)}`)
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Stop a running search, as Ctrl-C does; it can be resumed"),
  Command.withExamples([
    { command: "uninet stop runs/demo", description: "At once" },
    { command: "uninet stop runs/demo --finish", description: "With the best network so far" }
  ])
)

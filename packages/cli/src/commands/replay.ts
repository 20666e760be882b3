/** `uninet replay`: trains one trial of a search again, exactly, and compares the result with the journal's. */
import { Evaluator, Fidelity, type Journal, Trial } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import { Argument, Command } from "effect/cli"
import { fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as counting from "../internal/counting.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as plans from "../internal/plan.ts"
import * as runFolder from "../internal/runFolder.ts"
import * as training from "../internal/training.ts"

const config = {
  run: Argument.String("run").pipe(Argument.withDescription("The folder of a search")),
  trial: Argument.String("trial").pipe(Argument.withDescription("A trial's number, as printed")),
  config: plans.config.config,
  device: plans.config.device,
  allowMixed: flags.allowMixed,
  json: flags.json
}

type Outcome = Journal.EntryOf<"Finished" | "Failed">

const outcomeIn = (entry: Outcome, task: plans.Recorded["notes"]["task"]): string =>
  entry._tag === "Finished"
    ? `${format.measured(entry.evaluation.measures, task, 2)} on the validation split${format.after(entry.evaluation)}`
    : `${Trial.says[entry.reason]}: ${entry.detail}`

/** Whether two outcomes are the same: the same numbers to the last bit, or the same kind of failure. */
const isSame = (a: Outcome, b: Outcome): boolean => {
  if (a._tag === "Finished" && b._tag === "Finished") return Equal.equals(a.evaluation.measures, b.evaluation.measures)
  return a._tag === "Failed" && b._tag === "Failed" && a.reason === b.reason
}

export const replay = Command.make(
  "replay",
  config,
  Effect.fnUntraced(function* ({ allowMixed, config: file, device, json, run, trial: text }) {
    const name = yield* runFolder.shown(run)
    const index = Number(text)
    if (!/^\d+$/.test(text)) return yield* usage(`the trial is "${text}". Give a trial's number, such as 7.`)
    const recorded = yield* plans.recorded(run, "")
    const plan = yield* plans.ofRun(run, recorded, file)
    const entries = recorded.entries.map(({ entry }) => entry).filter(({ trial }) => trial === index)
    const proposed = entries.find((entry) => entry._tag === "Proposed")
    if (proposed === undefined) {
      const [other] = entries
      if (other?._tag === "Refused") return yield* fault(`trial ${index} was refused before training: ${other.why}.`)
      if (other?._tag === "Repeated")
        return yield* fault(
          `trial ${index} is the same network as trial ${other.of}. Give that: ${command.uninet("replay", name, String(other.of))}`
        )
      return yield* fault(`${name} has no trial ${index}. See which there are with: ${command.uninet("status", name)}`)
    }
    // The last one: a trial that was promoted is trained as far as it got.
    const known = entries.findLast((entry) => entry._tag === "Finished" || entry._tag === "Failed")
    const { line, point, seed } = proposed
    const { task } = recorded.notes
    const rungs = Fidelity.rungsOf(plan.fidelity)
    const until = rungs[known?._tag === "Finished" || known?._tag === "Failed" ? (known.rung ?? 0) : 0]
    const total = rungs.at(-1)
    // In a mixture, nobody knows under which surroundings a trial was trained.
    const [surroundings, ...others] = recorded.surroundings
    const wanted = allowMixed || plan.isMixed || surroundings === undefined || others.length > 0 ? {} : { surroundings }
    yield* Console.error(`trial ${index}: ${line}, seed ${seed}`)
    const started = performance.now()
    const result = yield* Effect.scoped(
      Effect.gen(function* () {
        const doing = `training trial ${index}`
        const heard = yield* counting.make(doing)
        const report: Evaluator.Report = ({ done }) => heard(done, 1, doing)
        const { evaluate } = yield* Evaluator.Evaluator
        return yield* Effect.result(
          evaluate(
            {
              index,
              point,
              seed,
              // Nothing was kept: it is trained from the start.
              ...(until === undefined || total === undefined ? {} : { epochs: total, until })
            },
            report
          )
        )
      })
    ).pipe(
      Effect.provide(training.evaluator({ ...plans.training(plan, wanted), device: yield* Device.choose(device) })),
      Effect.mapError(failed)
    )
    const seconds = (performance.now() - started) / 1000
    if (Result.isFailure(result) && result.failure._tag === "EvaluatorLost") return yield* result.failure
    const now: Outcome = Result.isSuccess(result)
      ? { _tag: "Finished", trial: index, reward: 0, evaluation: result.success }
      : {
          _tag: "Failed",
          trial: index,
          reason: result.failure._tag === "TrialFailed" ? result.failure.reason : "Failed",
          detail: result.failure._tag === "TrialFailed" ? result.failure.detail : result.failure.message
        }
    const journal = known?._tag === "Finished" || known?._tag === "Failed" ? known : undefined
    const same = journal === undefined ? null : isSame(journal, now)
    yield* Console.log(
      json
        ? JSON.stringify({ trial: index, line, point, seed, seconds, now, journal: journal ?? null, same }, null, 2)
        : [
            `now:     ${outcomeIn(now, task)} (${format.time(seconds)})`,
            journal === undefined ? "journal: not finished" : `journal: ${outcomeIn(journal, task)}`,
            ...(same === null ? [] : [same ? "The same." : "Not the same."])
          ].join("\n")
    )
    if (same === false)
      return yield* fault(
        `trial ${index} came out differently than in the journal of ${name}. Look for what differs: the machine, the version, the config module or the data.`
      )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Train one trial of a search again, exactly, and compare it with the journal"),
  Command.withExamples([{ command: "uninet replay runs/demo 7", description: "Train trial 7 again, in this process" }])
)

const failed = (error: unknown) => fault(error instanceof Error ? error.message : String(error))

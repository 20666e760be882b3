/** The command `uninet`. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Predicate from "effect/Predicate"
import * as Runtime from "effect/Runtime"
import { CliError, CliOutput, Command } from "effect/cli"
import { bench } from "./commands/bench.ts"
import { benchmark } from "./commands/benchmark.ts"
import { calibrate } from "./commands/calibrate.ts"
import { classify } from "./commands/classify.ts"
import { compare } from "./commands/compare.ts"
import { dashboard } from "./commands/dashboard.ts"
import { data } from "./commands/data.ts"
import { doctor } from "./commands/doctor.ts"
import { evaluate } from "./commands/evaluate.ts"
import { exporting } from "./commands/export.ts"
import { exportTrials } from "./commands/export-trials.ts"
import { experiment } from "./commands/experiment.ts"
import { explain } from "./commands/explain.ts"
import { inspect } from "./commands/inspect.ts"
import { profile } from "./commands/profile.ts"
import { rank } from "./commands/rank.ts"
import { report } from "./commands/report.ts"
import { replay } from "./commands/replay.ts"
import { scale } from "./commands/scale.ts"
import { search } from "./commands/search.ts"
import { runs, status, stop } from "./commands/status.ts"
import { train } from "./commands/train.ts"
import { verify } from "./commands/verify.ts"
import { worker } from "./commands/worker.ts"
import { version } from "@uninet/trainer"
import { CliFault, usage } from "./internal/CliFault.ts"
import * as log from "./internal/log.ts"

export { version }

/** All commands. */
export const command = Command.make("uninet").pipe(
  Command.withDescription("Search, inspect and train networks of convolutions, transformers and MLPs"),
  Command.withSubcommands([
    search,
    status,
    runs,
    stop,
    compare,
    experiment,
    report,
    dashboard,
    replay,
    worker,
    train,
    evaluate,
    exporting,
    exportTrials,
    classify,
    scale,
    inspect,
    rank,
    explain,
    calibrate,
    bench,
    profile,
    data,
    benchmark,
    verify,
    doctor
  ])
)

/** A mistake in the command line, as one sentence. */
const sentence = (error: CliError.CliError): string => {
  if (error._tag !== "InvalidValue") return error.message
  const given = `${error.kind === "flag" ? "--" : ""}${error.option} is "${error.value}"`
  // Effect's wording for paths is not something that can be given.
  if (error.expected.startsWith("Failed to check "))
    return `${given}, which cannot be used: part of the path is a file, or you have no access to it. Give another path.`
  const path = /^(?:Path|File) (does not exist|is not a (?:file|directory)): /.exec(error.expected)
  return path === null ? `${given}. Give ${error.expected}.` : `${given}, which ${path[1]}. Give another path.`
}

/** Mistakes in the command line are reported as one sentence each, on standard error; help is shown with `--help`. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? log.say(
          [
            ...event.errors.map((error) => `uninet: ${sentence(error)}`),
            `Try: ${event.commandPath.join(" ")} --help`
          ].join("\n"),
          { event: "Fault" }
        )
      : CliOutput.defaultPresenter.present(event)
}

/** Longer than any two paths: a longer message quotes a file with unexpected content. */
const longest = 10_000

/** Shortens a message to what a person can read: its beginning, which names the problem, and its end, which gives the remedy. */
const brief = (text: string): string =>
  text.length <= longest
    ? text
    : `${text.slice(0, 400)} … (${text.length - 1000} more characters) … ${text.slice(-600)}`

/** Warnings from the packages, printed separately from the result. */
const notes = Logger.layer([
  Logger.withConsoleError(
    Logger.make(({ message }) => `note: ${(Array.isArray(message) ? message : [message]).map(String).join(", ")}`)
  )
])

/** Runs a command line. Failures have already been reported on standard error, as JSON if the environment's `UNINET_LOG` is `json`. */
export const run = (args: ReadonlyArray<string>) =>
  Effect.suspend(() => {
    const problem = log.problem()
    return problem === undefined ? Command.runWith(command, { version })(args) : usage(problem)
  }).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provide(notes),
    Effect.tapCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      const error = Cause.squash(cause)
      return CliError.isCliError(error)
        ? Effect.void
        : log.say(`uninet: ${brief(error instanceof Error ? error.message : String(error))}`, { event: "Fault" })
    }),
    log.spoken
  )

/** 2 for a mistake in the command line, 1 for other failures, 130 after an interruption. */
export const exitCode = <A, E>(exit: Exit.Exit<A, E>): number => {
  if (Exit.isSuccess(exit)) return 0
  const error = Cause.squash(exit.cause)
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  if (error instanceof CliFault) return error.usage ? 2 : 1
  if (CliError.isCliError(error)) return Predicate.isTagged(error, "ShowHelp") && error.errors.length === 0 ? 0 : 2
  return 1
}

/** Ends the process with `exitCode`. */
export const teardown: Runtime.Teardown = (exit, onExit) => onExit(exitCode(exit))

/** The progress of a search: a bar on a terminal, otherwise plain lines. Written to standard error, so that results can be piped. */
import type { Task } from "@uninet/model-space"
import type { Finals, Screen, Search, Trial } from "@uninet/search"
import { MultiBar, Presets, type SingleBar } from "cli-progress"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"
import * as log from "./log.ts"
import * as tracker from "./tracker.ts"

/** The search to follow, and its measures. */
export interface Work extends tracker.Work {
  readonly task: Pick<Task.Task, "decides" | "shares">
}

export interface Display {
  readonly onEvent: (event: Search.SearchEvent<unknown>) => Effect.Effect<void>
  /** In the finals: reports how far one of several trainings is. */
  readonly onFinal: (
    candidate: Search.Candidate<unknown>,
    progress: Trial.Progress,
    what: Finals.Purpose
  ) => Effect.Effect<void>
  /** One of them, on all examples, is not needed after all. */
  readonly onStopped: (candidate: Search.Candidate<unknown>) => Effect.Effect<void>
  /** Prints a line in addition to the display. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Ends the display; later output starts a new one. */
  readonly stop: Effect.Effect<void>
}

/** A trial's deciding measure. */
const measureOf = ({ outcome }: Search.Scored<unknown>, { fidelity, task }: Work) =>
  `${format.measured(outcome.evaluation.measures, task)}${
    fidelity._tag === "Full" && outcome.evaluation.stoppedAfter === undefined ? "" : format.after(outcome.evaluation)
  }`

/** Multiply-accumulates, if the space counts them. */
const macsOf = ({ macs }: Readonly<Record<string, number>>) =>
  macs === undefined ? "" : `, ${format.cost("macs", macs)}`

const leftOf = (state: tracker.State, work: Work) => {
  if (state.done >= work.trials && state.running.size === 0) return "the finals are next"
  const seconds = tracker.left(state, work)
  return seconds === undefined ? "time left unknown" : `${format.time(seconds)} left`
}

const bestOf = ({ best }: tracker.State, work: Work) =>
  best === undefined
    ? "no result yet"
    : `best reward ${best.outcome.reward.toFixed(4)} (trial ${best.trial}, ${measureOf(best, work)})`

/** The command that trains a trial again, if there is one. */
type Replay = ((trial: number) => string) | undefined

const failed = (failure: Trial.TrialFailed, replay: Replay) =>
  `${failure.message}${replay === undefined ? "" : `; run it again: ${replay(failure.trial)}`}`

/** The verdict on the screen's predictor, on one line. */
const screening = ({ trusted, why }: Screen.Verdict) =>
  trusted ? `screen: ${why}; only the better proposals are trained` : `screen: all proposals are trained: ${why}`

const finalOf = (what: Finals.Purpose) => (what === "compare" ? "again" : "once more, on all examples")

const write = (line: string, facts: log.Facts = { event: "Progress" }) => log.say(line, facts)

/** Milliseconds without output after which a line says that work is going on. */
const silence = 10_000

const lines = (work: Work, replay: Replay): Display => {
  const state = tracker.begin()
  const status = () => `${state.done} of ${work.trials}, ${bestOf(state, work)}, ${leftOf(state, work)}`
  const finals = new Set<string>()
  let refused = 0
  let isBegun = false
  let said = performance.now()
  return {
    note: (line) => write(line, { event: "Note" }),
    stop: Effect.void,
    onStopped: () => Effect.void,
    onFinal: ({ trial }, { done }, what) =>
      Effect.suspend(() => {
        const said = `trained trial ${trial} ${finalOf(what)}`
        if (done < 1 || finals.has(said)) return Effect.void
        finals.add(said)
        return write(said, { event: "Trained", trial, for: what })
      }),
    onEvent: (event) =>
      Effect.suspend(() => {
        tracker.follow(state, event, work)
        if (event._tag === "Started" && !isBegun) {
          isBegun = true
          said = performance.now()
          return write(`training up to ${format.plural(work.trials, "network")}`)
        }
        if (event._tag === "Progress" && performance.now() - said > silence) {
          said = performance.now()
          const running = [...state.running].map(([trial, { done }]) => `trial ${trial} ${format.percent(done, 0)}`)
          return write(`${running.join(", ")} | ${status()}`)
        }
        if (event._tag === "Finished" || event._tag === "Failed") said = performance.now()
        if (event._tag === "Resumed") return write(`${format.plural(event.trials, "trial")} already in the journal`)
        if (event._tag === "Finished") {
          const { costs, outcome, trial } = event.record
          const said = `${measureOf(event.record, work)}${macsOf(costs)}, reward ${outcome.reward.toFixed(4)}`
          return write(`trial ${trial}: ${said}, ${format.time(event.seconds)} | ${status()}`, {
            event: event._tag,
            trial,
            measures: outcome.evaluation.measures,
            costs,
            reward: outcome.reward,
            seconds: event.seconds,
            done: state.done,
            of: work.trials
          })
        }
        if (event._tag === "Failed")
          return write(`${failed(event.failure, replay)} | ${status()}`, {
            event: event._tag,
            trial: event.failure.trial,
            reason: event.failure.reason,
            detail: event.failure.detail
          })
        if (event._tag === "Screening") return write(screening(event.verdict))
        // What the screen leaves out is recorded in the journal.
        if (event._tag === "Refused" && event.expected === undefined) {
          refused++
          if (refused <= 3) return write(`trial ${event.candidate.trial} refused before training: ${event.why}`)
          return /^10*$/.test(String(refused)) ? write(`${refused} refused before training so far`) : Effect.void
        }
        return Effect.void
      })
  }
}

/** Bars at the bottom of the terminal, lines above them. */
const bars = (format: string) =>
  new MultiBar(
    {
      format,
      stream: process.stderr,
      hideCursor: true,
      barsize: Bar.size(),
      fps: 8,
      linewrap: false,
      emptyOnZero: true,
      gracefulExit: false
    },
    Presets.shades_classic
  )

const terminal = (work: Work, replay: Replay): Effect.Effect<Display, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state = tracker.begin()
    const payload = () => ({
      trials: `${state.done}/${work.trials} trials`,
      best: bestOf(state, work),
      left: leftOf(state, work)
    })
    let shown: MultiBar | undefined = bars("{bar} {trials} | {left} | {best}")
    const bar = shown.create(1000, 0, payload())
    const finals = new Map<string, SingleBar>()
    const stop = Effect.sync(() => {
      shown?.stop()
      shown = undefined
    })
    yield* Effect.addFinalizer(() => stop)
    const above = (line: string) => Effect.sync(() => shown?.log(`${format.cut(line, Bar.columns())}\n`))
    return {
      note: above,
      stop,
      onFinal: ({ trial }, { done }, what) =>
        Effect.sync(() => {
          shown ??= bars("{bar} {percentage}% | {eta_formatted} left | training trial {which}")
          const which = `${trial} ${finalOf(what)}`
          const known = finals.get(which) ?? shown.create(1000, 0, { which })
          finals.set(which, known)
          known.update(Math.round(1000 * done))
        }),
      onStopped: ({ trial }) =>
        Effect.sync(() => {
          const which = `${trial} ${finalOf("retrain")}`
          const known = finals.get(which)
          if (known !== undefined) shown?.remove(known)
          finals.delete(which)
        }),
      onEvent: (event) =>
        Effect.suspend(() => {
          const before = state.best
          tracker.follow(state, event, work)
          bar.update(Math.round(1000 * tracker.share(state, work)), payload())
          if (event._tag === "Failed") return above(failed(event.failure, replay))
          if (event._tag === "Screening") return above(screening(event.verdict))
          if (event._tag === "Finished" && state.best !== before)
            return above(
              `trial ${event.record.trial}: ${measureOf(event.record, work)}${macsOf(event.record.costs)}: ${event.record.line}`
            )
          return Effect.void
        })
    } satisfies Display
  })

/** A display for a search. `replay`: the command that trains a trial again. */
export const make = (work: Work, replay?: Replay): Effect.Effect<Display, never, Scope.Scope> =>
  log.isBar() ? terminal(work, replay) : Effect.succeed(lines(work, replay))

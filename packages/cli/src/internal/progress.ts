/** How a search is going: a bar on a terminal, plain lines elsewhere. Written to standard error, so that results can be piped. */
import type { Search, Trial } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import { MultiBar, Presets, type SingleBar } from "cli-progress"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as format from "./format.ts"

export interface Display {
  readonly onEvent: (event: Search.SearchEvent) => Effect.Effect<void>
  /** The finals: one of so many trainings is so far. */
  readonly onFinal: (candidate: Search.Candidate, progress: Trial.Progress) => Effect.Effect<void>
  /** Says something beside it. */
  readonly note: (line: string) => Effect.Effect<void>
  /** Ends what is displayed; what comes after it begins anew. */
  readonly stop: Effect.Effect<void>
}

interface State {
  /** Trials that are done, those of an earlier run with them. */
  done: number
  resumed: number
  readonly running: Map<number, number>
  /** Of those that are done, whether the strategy was told of them or not. */
  best: Search.Scored | undefined
}

const accuracyOf = (record: Search.Scored) => format.percent(record.outcome.evaluation.accuracy)

/** Shares of trials done in this run, the running ones' parts with them. */
const work = (state: State) => state.done - state.resumed + [...state.running.values()].reduce((sum, n) => sum + n, 0)

/** The time left, if the rest goes as fast as the part that this run has done. */
const left = (state: State, trials: number, started: number): string => {
  const share = work(state) / Math.max(1, trials - state.resumed)
  const seconds = (performance.now() - started) / 1000
  return share < 0.01 ? "time left unknown" : `${format.time((seconds * (1 - share)) / share)} left`
}

const bestOf = ({ best }: State) =>
  best === undefined
    ? "no result yet"
    : `best reward ${best.outcome.reward.toFixed(4)} (trial ${best.trial}, ${accuracyOf(best)})`

/** Follows an event in the counts. */
const follow = (state: State, event: Search.SearchEvent) => {
  if (event._tag === "Resumed") state.done = state.resumed = event.trials
  if (event._tag === "Started") state.running.set(event.candidate.trial, 0)
  if (event._tag === "Progress") state.running.set(event.candidate.trial, event.progress.done)
  if (event._tag === "Finished" || event._tag === "Failed") {
    state.running.delete(event._tag === "Finished" ? event.record.trial : event.failure.trial)
    state.done++
  }
  if (event._tag === "Best" || event._tag === "Finished")
    if (state.best === undefined || event.record.outcome.reward > state.best.outcome.reward) state.best = event.record
}

const write = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`))

const lines = (trials: number): Display => {
  const state: State = { done: 0, resumed: 0, running: new Map(), best: undefined }
  const started = performance.now()
  const status = () => `${state.done} of ${trials}, ${bestOf(state)}, ${left(state, trials, started)}`
  const finals = new Set<number>()
  let refused = 0
  return {
    note: write,
    stop: Effect.void,
    onFinal: ({ trial }, { done }) =>
      Effect.suspend(() => {
        if (done < 1 || finals.has(trial)) return Effect.void
        finals.add(trial)
        return write(`trained trial ${trial} again`)
      }),
    onEvent: (event) =>
      Effect.suspend(() => {
        follow(state, event)
        if (event._tag === "Resumed") return write(`${format.plural(event.trials, "trial")} in the journal already`)
        if (event._tag === "Finished") {
          const { costs, outcome, trial } = event.record
          const said = `${accuracyOf(event.record)}, ${format.count(costs.macs)} MACs, reward ${outcome.reward.toFixed(4)}`
          return write(`trial ${trial}: ${said}, ${format.time(event.seconds)} | ${status()}`)
        }
        if (event._tag === "Failed") return write(`${event.failure.message} | ${status()}`)
        if (event._tag === "Refused") {
          refused++
          if (refused <= 3) return write(`trial ${event.candidate.trial} refused before training: ${event.why}`)
          return Math.log10(refused) % 1 === 0 ? write(`${refused} refused before training so far`) : Effect.void
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
      barsize: 24,
      fps: 8,
      linewrap: false,
      emptyOnZero: true,
      gracefulExit: false
    },
    Presets.shades_classic
  )

const terminal = (trials: number): Effect.Effect<Display, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state: State = { done: 0, resumed: 0, running: new Map(), best: undefined }
    const started = performance.now()
    const payload = () => ({
      trials: `${state.done}/${trials} trials`,
      best: bestOf(state),
      left: left(state, trials, started)
    })
    let shown: MultiBar | undefined = bars("{bar} {trials} | {best} | {left}")
    const bar = shown.create(trials, 0, payload())
    const finals = new Map<number, SingleBar>()
    const stop = Effect.sync(() => {
      shown?.stop()
      shown = undefined
    })
    yield* Effect.addFinalizer(() => stop)
    const above = (line: string) => Effect.sync(() => shown?.log(`${line}\n`))
    return {
      note: above,
      stop,
      onFinal: ({ trial }, { done }) =>
        Effect.sync(() => {
          shown ??= bars("{bar} {percentage}% | training trial {trial} again | {eta_formatted} left")
          const known = finals.get(trial) ?? shown.create(1000, 0, { trial })
          finals.set(trial, known)
          known.update(Math.round(1000 * done))
        }),
      onEvent: (event) =>
        Effect.suspend(() => {
          const before = state.best
          follow(state, event)
          bar.update(Math.min(trials, state.resumed + work(state)), payload())
          if (event._tag === "Failed") return above(event.failure.message)
          if (event._tag === "Finished" && state.best !== before)
            return above(
              `trial ${event.record.trial}: ${accuracyOf(event.record)}, ${format.count(event.record.costs.macs)} MACs: ${Architecture.line(event.record.architecture)}`
            )
          return Effect.void
        })
    } satisfies Display
  })

/** A display for a search of so many trials. */
export const make = (trials: number): Effect.Effect<Display, never, Scope.Scope> =>
  process.stderr.isTTY ? terminal(trials) : Effect.succeed(lines(trials))

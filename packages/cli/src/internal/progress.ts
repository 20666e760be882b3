/** How a search is going: a bar on a terminal, plain lines elsewhere. Written to standard error, so that results can be piped. */
import type { Search, Trial } from "@uninet/search"
import { Architecture } from "@uninet/search-space"
import { Presets, SingleBar } from "cli-progress"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as format from "./format.ts"

export interface Display {
  readonly onEvent: (event: Search.SearchEvent) => Effect.Effect<void>
  /** The finals: one of so many trainings is so far. */
  readonly onFinal: (candidate: Search.Candidate, progress: Trial.Progress) => Effect.Effect<void>
  /** Ends the display of the trials. */
  readonly stop: Effect.Effect<void>
}

interface State {
  /** Trials that are done, those of an earlier run with them. */
  done: number
  resumed: number
  readonly running: Map<number, number>
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
  if (event._tag === "Best") state.best = event.record
}

const write = (line: string) => Effect.sync(() => void process.stderr.write(`${line}\n`))

const lines = (trials: number): Display => {
  const state: State = { done: 0, resumed: 0, running: new Map(), best: undefined }
  const started = performance.now()
  const status = () => `${state.done} of ${trials}, ${bestOf(state)}, ${left(state, trials, started)}`
  const finals = new Set<number>()
  return {
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
        if (event._tag === "Refused")
          return write(`trial ${event.candidate.trial} refused before training: ${event.why}`)
        return Effect.void
      })
  }
}

const bar = (trials: number): Effect.Effect<Display, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state: State = { done: 0, resumed: 0, running: new Map(), best: undefined }
    const started = performance.now()
    const drawn = new SingleBar(
      {
        format: "{bar} {trials} | {best} | {left}",
        stream: process.stderr,
        hideCursor: true,
        barsize: 24,
        fps: 8,
        clearOnComplete: false,
        stopOnComplete: false,
        linewrap: false,
        gracefulExit: false
      },
      Presets.shades_classic
    )
    const payload = () => ({
      trials: `${state.done}/${trials} trials`,
      best: bestOf(state),
      left: left(state, trials, started)
    })
    drawn.start(trials, 0, payload())
    const stop = Effect.sync(() => drawn.stop())
    yield* Effect.addFinalizer(() => stop)
    const finals = new Map<number, number>()
    const above = (line: string) =>
      Effect.sync(() => {
        process.stderr.write(`\r\u001b[K${line}\n`)
        drawn.update(payload())
      })
    return {
      stop,
      onFinal: ({ trial }, { done }) =>
        Effect.sync(() => {
          finals.set(trial, done)
          const all = [...finals].map(([index, share]) => `trial ${index} ${format.percent(share, 0)}`)
          process.stderr.write(`\r\u001b[Ktraining the best again: ${all.join(", ")}`)
          if ([...finals.values()].every((share) => share === 1)) process.stderr.write("\r\u001b[K")
        }),
      onEvent: (event) =>
        Effect.suspend(() => {
          follow(state, event)
          drawn.update(Math.min(trials, state.resumed + work(state)), payload())
          if (event._tag === "Failed") return above(event.failure.message)
          if (event._tag === "Best")
            return above(
              `trial ${event.record.trial}: ${accuracyOf(event.record)}, ${format.count(event.record.costs.macs)} MACs: ${Architecture.line(event.record.architecture)}`
            )
          return Effect.void
        })
    } satisfies Display
  })

/** A display for a search of so many trials. */
export const make = (trials: number): Effect.Effect<Display, never, Scope.Scope> =>
  process.stderr.isTTY ? bar(trials) : Effect.succeed(lines(trials))

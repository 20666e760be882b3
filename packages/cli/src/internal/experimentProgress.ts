/** The progress of an experiment: a bar on a terminal, otherwise a line now and then. Written to standard error, so that results can be piped. */
import type { Experiment, Search } from "@uninet/search"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"
import * as log from "./log.ts"

/** An arm, and a seed of its searches. */
export interface Which {
  readonly arm: string
  readonly seed: string
}

/** What a search has used up. */
export interface Used {
  readonly trials: number
  readonly seconds: number
  readonly macs: number
}

export interface Display {
  /** Called when a search begins that has already used this much; returns a function that follows its events. */
  readonly search: (
    which: Which,
    before: Used
  ) => (event: Search.SearchEvent<unknown>, used: Pick<Used, "seconds" | "macs">) => Effect.Effect<void>
  /** Called when a retraining begins with this many trainings already done; returns a function that is told how far each is. */
  readonly retrain: (which: Which, before: number) => (training: number, done: number) => Effect.Effect<void>
}

/** The budget, and its kind, of which a search's share is reported. */
const budgetOf = ({ budget = {} }: Experiment.Experiment): readonly [keyof Used, number] =>
  budget.macs !== undefined
    ? ["macs", budget.macs]
    : budget.seconds !== undefined
      ? ["seconds", budget.seconds]
      : ["trials", budget.trials ?? 1]

/** The number of trials assumed for a search with a time or MACs budget, for estimating the total time. */
const guess = 32

/** Milliseconds between two lines. */
const pause = 10_000

/** A part of the work: how far it was when this process started on it, and how far it is now. */
interface Part {
  readonly weight: number
  readonly before: number
  done: number
}

/** A display for an experiment with this many searches. */
export const make = Effect.fnUntraced(function* (
  experiment: Experiment.Experiment,
  searches: number,
  trainings: number
): Effect.fn.Return<Display, never, Scope.Scope> {
  const { epochs, retrain } = experiment
  const [kind, most] = budgetOf(experiment)
  const weights = {
    search: epochs * (kind === "trials" ? most : guess),
    retrain: retrain.seeds * retrain.epochs
  }
  const whole = searches * weights.search + trainings * weights.retrain
  const parts = new Map<string, Part>()
  const started = performance.now()
  const sum = (of: (part: Part) => number) => [...parts.values()].reduce((all, part) => all + part.weight * of(part), 0)
  /** Seconds left, once enough is done to tell. */
  const left = () => {
    const [done, own] = [sum(({ done }) => done), sum(({ before, done }) => done - before)]
    return own < 0.005 * whole ? null : ((performance.now() - started) / 1000 / own) * (whole - done)
  }
  const leftIn = () => {
    const seconds = left()
    return seconds === null ? "time left unknown" : `${format.time(seconds)} left`
  }
  const share = () => Math.min(1, sum(({ done }) => done) / Math.max(1e-9, whole))
  const bar = log.isBar() ? yield* Bar.make("{bar} {percentage}% | {left} | {doing}") : undefined
  bar?.start(1000, 0, { left: leftIn(), doing: "" })
  let said = performance.now()
  const say = (doing: string, isOver = false) =>
    Effect.suspend(() => {
      if (bar !== undefined) {
        bar.update(Math.round(1000 * share()), { left: leftIn(), doing })
        return Effect.void
      }
      if (!isOver && performance.now() - said < pause) return Effect.void
      said = performance.now()
      return log.say(`${doing} | ${format.percent(share(), 0)} | ${leftIn()}`, {
        event: "Progress",
        share: share(),
        secondsLeft: left()
      })
    })
  const begin = (key: string, weight: number, before: number): Part => {
    const part = { weight, before, done: before }
    parts.set(key, part)
    return part
  }
  return {
    search: ({ arm, seed }, before) => {
      const part = begin(`search ${arm} ${seed}`, weights.search, Math.min(1, before[kind] / most))
      let { trials } = before
      const running = new Map<number, number>()
      return (event, used) =>
        Effect.suspend(() => {
          if (event._tag === "Progress") running.set(event.candidate.trial, event.progress.done)
          if (event._tag === "Finished" || event._tag === "Failed") {
            running.delete((event._tag === "Finished" ? event.record : event.candidate).trial)
            trials++
          }
          const now = [...running.values()].reduce((a, b) => a + b, 0)
          part.done = event._tag === "Done" ? 1 : Math.min(1, (kind === "trials" ? trials + now : used[kind]) / most)
          return say(
            `${arm}, seed ${seed}: ${kind === "trials" ? `${trials} of ${most} trials` : format.plural(trials, "trial")}`,
            event._tag === "Done"
          )
        })
    },
    retrain: ({ arm, seed }, before) => {
      const { seeds } = retrain
      const part = begin(`retrain ${arm} ${seed}`, weights.retrain, before / seeds)
      const running = new Map<number, number>()
      return (training, done) =>
        Effect.suspend(() => {
          running.set(training, done)
          const now = [...running.values()].reduce((a, b) => a + b, 0)
          part.done = Math.min(1, (before + now) / seeds)
          const over = before + [...running.values()].filter((each) => each === 1).length
          return say(`${arm}, seed ${seed}: ${over} of ${seeds} retrained`, over === seeds && done === 1)
        })
    }
  }
})

/** Follows a search by its events: how far it is, and how long it will take. */
import { Fidelity, type Search } from "@uninet/search"

/** What was asked for, as far as it says how much there is to do. */
export interface Work {
  readonly trials: number
  readonly fidelity: Fidelity.Fidelity
}

export interface State {
  /** Trials with a first result or none, including those of an earlier run. */
  done: number
  failed: number
  resumed: number
  /** The work done in this run, in complete trainings, not counting what is still running. */
  worked: number
  readonly running: Map<number, { rung: number; done: number }>
  /** Among those that are done, whether or not they have been reported to the strategy. */
  best: Search.Scored<unknown> | undefined
  readonly started: number
}

export const begin = (): State => ({
  done: 0,
  failed: 0,
  resumed: 0,
  worked: 0,
  running: new Map(),
  best: undefined,
  started: performance.now()
})

const standing = ({ outcome: { evaluation, reward } }: Search.Scored<unknown>) => ({
  epochs: evaluation.epochs,
  reward
})

const isBetter = (record: Search.Scored<unknown>, best: Search.Scored<unknown> | undefined) => {
  if (best === undefined) return true
  const [mine, its] = [standing(record), standing(best)]
  const compared = Fidelity.compare(mine, its)
  return compared === undefined ? (mine.epochs ?? 0) > (its.epochs ?? 0) : compared > 0
}

/** Counts an event. */
export const follow = (state: State, event: Search.SearchEvent<unknown>, { fidelity }: Work): void => {
  if (event._tag === "Resumed") state.done = state.resumed = event.trials
  if (event._tag === "Started") state.running.set(event.candidate.trial, { rung: event.rung, done: 0 })
  if (event._tag === "Progress") {
    const running = state.running.get(event.candidate.trial)
    if (running !== undefined) running.done = event.progress.done
  }
  if (event._tag === "Finished" || event._tag === "Failed") {
    state.running.delete(event._tag === "Finished" ? event.record.trial : event.failure.trial)
    state.worked += Fidelity.partOf(event.rung)(fidelity)
    // Retried trials do not count in addition to the first attempt.
    if (event.rung === 0 && (event._tag === "Finished" ? event.record : event.candidate).again === undefined)
      state.done++
    if (event._tag === "Failed") state.failed++
  }
  if ((event._tag === "Best" || event._tag === "Finished") && isBetter(event.record, state.best))
    state.best = event.record
}

/** The share of the whole search that is done, 0 … 1. */
export const share = (state: State, { fidelity, trials }: Work): number => {
  const running = [...state.running.values()].reduce(
    (sum, { done, rung }) => sum + done * Fidelity.partOf(rung)(fidelity),
    0
  )
  const earlier = Fidelity.expected(state.resumed)(fidelity)
  return Math.min(1, (earlier + state.worked + running) / Math.max(1e-9, Fidelity.expected(trials)(fidelity)))
}

/** Seconds left, if the rest goes as fast as this run so far; `undefined` while too little is done to say. */
export const left = (state: State, work: Work): number | undefined => {
  const before = Fidelity.expected(state.resumed)(work.fidelity) / Fidelity.expected(work.trials)(work.fidelity)
  const done = share(state, work) - before
  if (done < 0.01 * (1 - before)) return undefined
  return (((performance.now() - state.started) / 1000) * (1 - before - done)) / done
}

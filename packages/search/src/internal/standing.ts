/** The ranking of a rung's trials as their results arrive: the same order as `Fidelity.order` gives for all of them, kept up to date. */
import * as Fronts from "./fronts.ts"
import * as Ranked from "./ranked.ts"

/** A trial's result on a rung. Objectives: larger is better. */
export interface Entrant {
  /** The trial's number, from 0. */
  readonly trial: number
  readonly objectives: ReadonlyArray<number>
  /** Whether its training has ended through early stopping: it counts on its rung, and goes on to no other. Default false. */
  readonly ended?: boolean
}

export interface Standing {
  readonly add: (entrant: Entrant) => void
  /** The number of trials ahead of a trial; any number from `limit` on if there are that many. */
  readonly place: (trial: number, limit: number) => number
  /** The first trial that has not gone on, with its place; may be undefined if it is not among the first `limit`. */
  readonly first: (limit: number) => { readonly trial: number; readonly place: number } | undefined
  /** Records that a trial goes on. */
  readonly leave: (trial: number) => void
}

interface Scored {
  readonly trial: number
  readonly objective: number
}

const better = (a: Scored, b: Scored): number => b.objective - a.objective || a.trial - b.trial

const byOne = (): Standing => {
  const ranked = Ranked.make(better)
  const byTrial = new Map<number, Scored>()
  return {
    add: ({ objectives, trial }) => {
      const scored = { trial, objective: objectives[0] ?? 0 }
      byTrial.set(trial, scored)
      ranked.add(scored, true)
    },
    place: (trial) => {
      const scored = byTrial.get(trial)
      return scored === undefined ? byTrial.size : ranked.place(scored)
    },
    first: () => {
      const found = ranked.first()
      return found === undefined ? undefined : { trial: found.item.trial, place: found.place }
    },
    leave: (trial) => {
      const scored = byTrial.get(trial)
      if (scored !== undefined) ranked.leave(scored)
    }
  }
}

/** @param width the number of objectives of every trial. */
export const make = (width: number): Standing => {
  if (width === 1) return byOne()
  const fronts = Fronts.make(width)
  return { ...fronts, add: ({ objectives, trial }) => fronts.add(trial, objectives) }
}

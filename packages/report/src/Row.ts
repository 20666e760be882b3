/** What a journal holds on every trial, as one row, updated entry by entry. Runs in Node and in a browser page. */
import type { Journal } from "@uninet/search"

/**
 * The state of a trial.
 *
 * - `finished`: it has a result after as many epochs as the search trains for.
 * - `stopped early`: its result is after fewer epochs: it was not promoted, or its recipe's early stopping ended it.
 * - `failed`, `refused` (before any training), `repeated` (the point of an earlier trial), `running` (no result so far).
 */
export type State = (typeof states)[number]
/** The possible states of a trial. */
export const states = ["finished", "stopped early", "failed", "refused", "repeated", "running"] as const

/** A result after some epochs. */
export interface Step {
  /** Epochs trained by then. */
  readonly epochs: number
  readonly values: Readonly<Record<string, number>>
}

/** A training: what ran it, and when, in milliseconds since 1970. */
export interface Work {
  readonly worker: string
  /** Milliseconds since 1970. */
  readonly begun: number
  /** Milliseconds since 1970. */
  readonly ended: number
}

/** A trial. `null`: no value. */
export interface Row {
  /** The trial's number, from 0. */
  readonly trial: number
  readonly state: State
  /** Milliseconds since 1970 when it was proposed, and when it got its last result. */
  readonly begun: number | null
  readonly ended: number | null
  readonly epochs: number | null
  readonly reward: number | null
  readonly measures: Readonly<Record<string, number>>
  readonly costs: Readonly<Record<string, number>>
  readonly point: unknown
  /** The point on one line. */
  readonly line: string
  /** Why it has no result of its own. */
  readonly why: string
  readonly seed: string
  /** Its results by epochs, ascending. */
  readonly curve: ReadonlyArray<Step>
  /** Its trainings, one per rung; empty if they were not recorded. */
  readonly work: ReadonlyArray<Work>
  /** What happened to it after the search: compared, trained again, tested. */
  readonly finals: string
}

const begun = (trial: number): Row => ({
  trial,
  state: "running",
  begun: null,
  ended: null,
  epochs: null,
  reward: null,
  measures: {},
  costs: {},
  point: null,
  line: "",
  why: "",
  seed: "",
  curve: [],
  work: [],
  finals: ""
})

const listed = (measures: Readonly<Record<string, number>>): string =>
  Object.entries(measures)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(5))}`)
    .join(", ")

const and = (before: string, more: string) => (before === "" ? more : `${before}; ${more}`)

/** A row after one more entry of its trial. `most`: the epochs that the search trains for, if it says so. */
export const after = (row: Row | undefined, { at, entry }: Journal.Stored, most: number | null): Row | undefined => {
  const known = row ?? begun(entry.trial)
  switch (entry._tag) {
    case "Proposed":
      return {
        ...known,
        begun: at,
        point: entry.point,
        line: entry.line,
        costs: entry.costs,
        seed: entry.seed
      }
    case "Refused":
      return { ...known, begun: at, ended: at, state: "refused", point: entry.point, why: entry.why }
    case "Repeated":
      return {
        ...known,
        begun: at,
        ended: at,
        state: "repeated",
        point: entry.point,
        why: `the same as trial ${entry.of}`
      }
    case "Finished": {
      const { epochs, measures, stoppedAfter } = entry.evaluation
      // If trials are trained to the end, early stopping is part of the recipe.
      const trained = most === null ? epochs : (stoppedAfter ?? epochs)
      return {
        ...known,
        ended: at,
        state: most !== null && trained !== null && trained < most ? "stopped early" : "finished",
        epochs: trained,
        reward: entry.reward,
        measures,
        curve:
          trained === null
            ? known.curve
            : merged(known.curve, [{ epochs: trained, values: { ...measures, reward: entry.reward } }])
      }
    }
    case "Failed":
      return { ...known, ended: at, state: "failed", why: `${entry.reason}: ${entry.detail}` }
    case "Compared":
      return { ...known, finals: and(known.finals, `trained again and compared: ${listed(entry.evaluation.measures)}`) }
    case "Retrained":
      return {
        ...known,
        finals: and(known.finals, `trained once more for ${entry.epochs} epoch${entry.epochs === 1 ? "" : "s"}`)
      }
    case "Tested":
      return { ...known, finals: and(known.finals, `tested: ${listed(entry.measures)}`) }
    // A change in how the search continues from this trial on; the trial itself may never come.
    case "HandedOver":
    case "Retrying":
      return row
  }
}

/** Merges two curves: if both have an epoch, the second one's values count. */
const merged = (a: ReadonlyArray<Step>, b: ReadonlyArray<Step>): ReadonlyArray<Step> => {
  const steps = new Map(a.map((step) => [step.epochs, step.values]))
  for (const { epochs, values } of b) steps.set(epochs, { ...steps.get(epochs), ...values })
  return [...steps].sort(([a], [b]) => a - b).map(([epochs, values]) => ({ epochs, values }))
}

/** The worker that trained, in words: machine, process and engine. */
export const workerOf = ({ engine, formulation, host, process }: Journal.Trained["place"]): string => {
  const how = [engine, formulation].filter((each) => each !== undefined).join(", ")
  return `${host} ${process}${how === "" ? "" : ` (${how})`}`
}

/** A trial's steps from here on belong to what follows the search. */
const afterSearch = 1000

/** A row with how it was trained; trainings after the search are not part of it. */
export const trained =
  ({ begun, curve, ended, place, step }: Journal.Trained) =>
  (row: Row): Row => {
    if (step >= afterSearch) return row
    const steps = (curve?.epochs ?? []).map((epochs, i): Step => {
      const values: Array<readonly [string, number]> = []
      const add = (name: string, value: number | null | undefined) => {
        if (value !== null && value !== undefined) values.push([name, value])
      }
      add("training loss", curve?.loss[i])
      for (const [name, series] of Object.entries(curve?.measures ?? {})) add(name, series[i])
      return { epochs, values: Object.fromEntries(values) }
    })
    return {
      ...row,
      // The journal's own numbers have all their digits.
      curve: steps.length === 0 ? row.curve : merged(steps, row.curve),
      work: [...row.work, { worker: workerOf(place), begun, ended }]
    }
  }

/** The rows of a journal as it grows. */
export interface Log {
  /** Rows by trial. */
  readonly rows: ReadonlyMap<number, Row>
  /** Adds an entry: trials in any order, but each trial's entries in theirs. */
  readonly add: (stored: Journal.Stored) => void
  /** Adds how an entry's evaluation was done, after the entry, and only once. */
  readonly train: (trained: Journal.Trained) => void
}

/**
 * A log without rows. `most`: the epochs that the search trains for, if it says so.
 *
 * @example
 * ```ts
 * import { Row, Run } from "@uninet/report"
 *
 * // A journal's rows as it grows, entry by entry.
 * const log = Row.log(null)
 * const proposed = { trial: 0, hash: "a", point: { width: 8 }, line: "width 8", costs: { macs: 1000 }, seed: "demo/trial/0" }
 * log.add({ at: 1000, entry: { _tag: "Proposed", ...proposed } })
 * console.log(log.rows.get(0)?.state) // running
 * console.log(Row.workerOf({ host: "here", process: 12, engine: "loops portable" }))
 * log.train({ trial: 0, step: 1, place: { host: "here", process: 12 }, begun: 1000, ended: 3000 })
 * console.log(log.rows.get(0)?.work)
 * ```
 */
export const log = (most: number | null): Log => {
  const rows = new Map<number, Row>()
  const known = new Set<string>()
  return {
    rows,
    add: (stored) => {
      const row = after(rows.get(stored.entry.trial), stored, most)
      if (row !== undefined) rows.set(row.trial, row)
    },
    train: (each) => {
      const row = rows.get(each.trial)
      const key = `${each.trial} ${each.step}`
      if (row === undefined || known.has(key)) return
      known.add(key)
      rows.set(each.trial, trained(each)(row))
    }
  }
}

/** What a journal has of every trial, as one row, kept up to date entry by entry. Runs in Node and in a page. */
import type { Journal } from "@uninet/search"

/**
 * How a trial stands.
 *
 * - `finished`: it has a result of as many epochs as the search trains for.
 * - `stopped early`: its result is one of fewer epochs: it was not let on, or its recipe's early stopping ended it.
 * - `failed`, `refused` (before any training), `repeated` (the point of an earlier trial), `running` (no result by now).
 */
export type State = (typeof states)[number]
/** What may have become of a trial. */
export const states = ["finished", "stopped early", "failed", "refused", "repeated", "running"] as const

/** A result after some epochs. */
export interface Step {
  /** Epochs that it had been trained. */
  readonly epochs: number
  readonly values: Readonly<Record<string, number>>
}

/** A training: who did it, and when, in milliseconds since 1970. */
export interface Work {
  readonly worker: string
  /** Milliseconds since 1970. */
  readonly begun: number
  /** Milliseconds since 1970. */
  readonly ended: number
}

/** A trial. `null`: there is none. */
export interface Row {
  /** The trial's number, from 0. */
  readonly trial: number
  readonly state: State
  /** Milliseconds since 1970 at which it was proposed, and at which it had its last result. */
  readonly begun: number | null
  readonly ended: number | null
  readonly epochs: number | null
  readonly reward: number | null
  readonly measures: Readonly<Record<string, number>>
  readonly costs: Readonly<Record<string, number>>
  readonly point: unknown
  /** The point in a line. */
  readonly line: string
  /** Why it has no result of its own. */
  readonly why: string
  readonly seed: string
  /** What is known of it by epochs, rising. */
  readonly curve: ReadonlyArray<Step>
  /** Its trainings, one a rung; empty where nobody kept them. */
  readonly work: ReadonlyArray<Work>
  /** What became of it after the search: compared, trained again, tested. */
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

/** A row after one more entry of its trial. `most`: the epochs that the search trains for, where it says so. */
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
      // Trained to the end, early stopping is a part of the recipe.
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
    // How the search went on from a trial, which may never come.
    case "HandedOver":
    case "Retrying":
      return row
  }
}

/** Two curves as one: what is known of an epoch twice is that of the second. */
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

/** Steps of a trial from here on are of what follows the search. */
const afterSearch = 1000

/** A row with how it was trained; what was trained after the search is no part of it. */
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
  /** Takes an entry in, in any order of trials but each trial's in its own. */
  readonly add: (stored: Journal.Stored) => void
  /** Takes in how an entry came about, after it, and once. */
  readonly train: (trained: Journal.Trained) => void
}

/**
 * A log without rows. `most`: the epochs that the search trains for, where it says so.
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

/** The current state of a run's folder: what its journal holds, which process is working on it, and the final result. */
import { Comparison, Fidelity, Journal, type Lock, Search, type Trial } from "@uninet/search"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import { hostname } from "node:os"
import { join } from "node:path"
import * as best from "./best.ts"
import * as live from "./live.ts"
import * as plans from "./plan.ts"
import * as runFolder from "./runFolder.ts"

export interface Failure {
  readonly trial: number
  readonly reason: Trial.Reason
  readonly detail: string
  /** The network on one line. */
  readonly line: string | undefined
}

export interface Status {
  readonly folder: string
  readonly name: string
  /** `running` while a process holds the journal. */
  readonly state: "running" | "finished" | "stopped"
  /** `null` for a process that has only just started. */
  readonly holder: Lock.Holder | null | undefined
  readonly strategy: string
  readonly trials: number
  readonly done: number
  readonly refused: number
  readonly failures: ReadonlyArray<Failure>
  readonly best: Search.Scored<Schema.Json> | undefined
  /** The best reward so far, after every result. */
  readonly history: ReadonlyArray<number>
  readonly task: (typeof plans.Notes.Type)["task"]
  readonly fidelity: Fidelity.Fidelity
  /** Seconds from the first to the last entry. */
  readonly seconds: number
  readonly begun: number
  /** Whether its trials may have been trained with different data, software, engines or kinds of machines. */
  readonly isMixed: boolean
  /** Whether the end of the journal may be missing. */
  readonly isCut: boolean
  readonly live: live.Live | undefined
}

type Proposed = Journal.EntryOf<"Proposed">

/** Results as records: the last one of each trial. */
const recordsOf = (
  entries: ReadonlyArray<Journal.Entry>,
  fidelity: Fidelity.Fidelity
): ReadonlyArray<Search.Scored<Schema.Json>> => {
  const proposed = new Map<number, Proposed>()
  const records = new Map<number, Search.Scored<Schema.Json>>()
  for (const entry of entries) {
    if (entry._tag === "Proposed") proposed.set(entry.trial, entry)
    const from = proposed.get(entry.trial)
    if (entry._tag !== "Finished" || from === undefined) continue
    const { costs, hash, line, point, trial } = from
    const evaluation = Fidelity.trained(entry.evaluation)(fidelity)
    const outcome = { _tag: "Scored", evaluation, reward: entry.reward } as const
    records.set(trial, { trial, hash, point, line, costs, outcome })
  }
  return [...records.values()]
}

/** A run's results, best first. */
export const ranked = Effect.fnUntraced(function* (folder: string) {
  const { entries, fidelity, notes, objectives } = yield* plans.recorded(folder, "")
  const records = recordsOf(
    entries.map(({ entry }) => entry),
    fidelity
  )
  return rankingOf(records, notes.task, objectives)
})

/** Only its module knows a custom objective: such runs are ranked by the reward. */
const rankingOf = (
  records: ReadonlyArray<Search.Scored<Schema.Json>>,
  task: Status["task"],
  objectives: ReadonlyArray<{ readonly name: string }>
) => {
  const named = { costs: records[0]?.costs ?? {}, task }
  const names = objectives.map(({ name }) => name)
  const isKnown = names.every((name) => name in named.costs || name in task.measures)
  return Search.ranking(named, isKnown ? names : [])(records)
}

/** Whether the best network of all trials is there: a search that was resumed gets a new one at the end. */
export const isFinished = (folder: string, begun: number) =>
  Effect.map(best.found(folder), (found) => found !== undefined && (found.of ?? begun) >= begun)

/** The status of a folder; fails if it does not belong to a search. */
export const status = Effect.fnUntraced(function* (folder: string) {
  const name = yield* runFolder.shown(folder)
  const { entries, fidelity, isCut, notes, objectives, strategy, surroundings } = yield* plans.recorded(folder, "")
  const all = entries.map(({ entry }) => entry)
  const holder = Journal.holder(join(folder, runFolder.files.journal))
  const found = live.read(folder)
  const lines = new Map(all.flatMap((entry) => (entry._tag === "Proposed" ? [[entry.trial, entry.line]] : [])))
  const records = recordsOf(all, fidelity)
  const at = entries.map((stored) => stored.at)
  const first = at.reduce((least, time) => Math.min(least, time), Infinity)
  const last = at.reduce((most, time) => Math.max(most, time), 0)
  const begun = Search.begunIn(entries)
  const again = new Set(
    all.flatMap((entry) => (entry._tag === "Proposed" && entry.again !== undefined ? [entry.trial] : []))
  )
  const trialsDone = new Set(
    all.flatMap((entry) =>
      (entry._tag === "Finished" || entry._tag === "Failed") && !again.has(entry.trial) ? [entry.trial] : []
    )
  )
  const result: Status = {
    folder,
    name,
    state: holder !== undefined ? "running" : (yield* isFinished(folder, begun)) ? "finished" : "stopped",
    holder,
    strategy,
    trials: notes.trials,
    done: trialsDone.size,
    refused: all.filter(({ _tag }) => _tag === "Refused").length,
    failures: all.flatMap((entry) =>
      entry._tag === "Failed"
        ? [
            {
              trial: entry.trial,
              reason: entry.reason,
              detail: entry.detail,
              line: lines.get(entry.trial)
            }
          ]
        : []
    ),
    best: rankingOf(records, notes.task, objectives)[0],
    history: Comparison.runOf(
      name,
      { entries, identity: { space: "", seed: "", settings: {} } },
      { name: "reward", direction: "higher" }
    ).steps.map(({ best }) => best),
    task: notes.task,
    fidelity,
    seconds: at.length === 0 ? 0 : (last - first) / 1000,
    begun: at.length === 0 ? 0 : first,
    isMixed: notes.mixed === true || surroundings.length > 1,
    isCut,
    live: holder === undefined ? undefined : found
  }
  return result
})

/** Whether the process that holds the run is on this machine. */
export const isHere = ({ holder }: Status): boolean => holder?.host === hostname()

/**
 * Compares searches: the best that each had found after equal numbers of trials, equal time and equal multiply-accumulates (MACs), and how
 * much of the difference chance alone could explain. Runs of one search that differ only in the seed form one group, and its spread tells
 * how far a difference can be trusted.
 *
 * Pure: its inputs are journals that have already been read, and the same journals give the same figures.
 *
 * @example
 * ```ts
 * import { Random, RegularizedEvolution } from "@uninet/controller"
 * import { Classification, ModelSpace } from "@uninet/model-space"
 * import { Comparison, Evaluator, Journal, Search } from "@uninet/search"
 * import { Choice, Space } from "@uninet/search-space"
 * import { Console, Effect, Result } from "effect"
 *
 * // Instead of training: the wider the ten layers of a chain, the better.
 * const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.ordered([1, 2, 3, 4]), 10)))
 * const chains = ModelSpace.table({ name: "chains", space, task: Classification.make({ classes: 10 }) })
 * const evaluator = Evaluator.fromFunction(chains, (widths) =>
 *   Effect.succeed({ accuracy: widths.reduce((a, b) => a + b, 0) / 40, top5: 1, loss: 1, calibrationError: 0 })
 * )
 * const by: Comparison.By = { name: "accuracy", direction: "higher" }
 * const options = (seed: number) => ({ trials: 60, seed, ahead: 1 })
 *
 * // A search, and its journal as a run to be compared.
 * const run = (name: string, seed: number, strategy: ReturnType<typeof Random.layer>) =>
 *   Effect.gen(function* () {
 *     yield* Search.run(chains, options(seed))
 *     const identity = yield* Search.identity(chains, options(seed))
 *     const { entries } = yield* Journal.Journal
 *     return Comparison.runOf(name, { identity, entries: yield* entries }, by)
 *   }).pipe(Effect.scoped, Effect.provide([strategy, evaluator, Journal.memory]))
 *
 * const program = Effect.gen(function* () {
 *   const runs = yield* Effect.forEach(Array.from({ length: Comparison.fewest }, (_, i) => i), (seed) =>
 *     Effect.all([run(`random ${seed}`, seed, Random.layer()), run(`evolution ${seed}`, seed, RegularizedEvolution.layer())])
 *   )
 *   const { differences } = Comparison.of(runs.flat(), by, { resamples: 200 })
 *   for (const { by: budget, at, difference, verdict } of differences)
 *     if (budget === "trials") yield* Console.log(`after ${at} trials ${difference.toFixed(3)}: ${verdict}`)
 * })
 * Effect.runPromise(program)
 * ```
 */
import type { Task } from "@uninet/model-space"
import { Digest, Prng } from "@uninet/search-space"
import type { Identity, Stored } from "./Journal.ts"
import * as Student from "./internal/student.ts"

/** What runs are compared by: the reward, or one of their task's measures. */
export interface By {
  readonly name: string
  readonly direction: Task.Direction
}

/** The budgets that a run can use up. */
export const budgets = ["trials", "seconds", "macs"] as const
/** The budget at which searches are compared: equal trials, time or MACs. */
export type Budget = (typeof budgets)[number]

/** The best reward or measure so far, after one more trial ended. */
export interface Step {
  /** Trials that have ended. */
  readonly trials: number
  /** By the clock, from the first entry; pauses count. */
  readonly seconds: number
  /** MACs of one example through each trial's network, times its epochs. Proportional to the MACs of the training; the factor depends on the data set. */
  readonly macs: number
  /** The best reward so far. */
  readonly best: number
}

/** One run, in the form in which it is compared. */
export interface Run {
  readonly name: string
  readonly seed: string
  /** What is the same for all seeds of a search. */
  readonly search: { readonly space: string; readonly settings: Identity["settings"] }
  /** In order of time; empty if no trial gave a result. */
  readonly steps: ReadonlyArray<Step>
}

/** A journal's search as a run to compare by a measure or by the reward. Once it has results after more epochs, those after fewer no longer count. */
export const runOf = (
  name: string,
  { entries, identity }: { readonly identity: Identity; readonly entries: ReadonlyArray<Stored> },
  { direction, name: by }: By
): Run => {
  const inOrder = entries.toSorted((a, b) => a.at - b.at || a.entry.trial - b.entry.trial)
  const first = inOrder[0]?.at ?? 0
  const macs = new Map<number, number>()
  const trained = new Map<number, number>()
  const ended = new Set<number>()
  const steps: Array<Step> = []
  let [spent, epochs, best] = [0, -1, Number.NaN]
  for (const { at, entry } of inOrder) {
    if (entry._tag === "Proposed") macs.set(entry.trial, entry.costs["macs"] ?? 0)
    if (entry._tag !== "Finished" && entry._tag !== "Failed") continue
    ended.add(entry.trial)
    if (entry._tag === "Failed") continue
    const { evaluation } = entry
    const here = evaluation.stoppedAfter ?? evaluation.epochs ?? 1
    spent += (macs.get(entry.trial) ?? 0) * Math.max(0, here - (trained.get(entry.trial) ?? 0))
    trained.set(entry.trial, here)
    const value = by === "reward" ? entry.reward : evaluation.measures[by]
    if (value === undefined) continue
    const fidelity = evaluation.epochs ?? 0
    const isBetter = direction === "higher" ? value > best : value < best
    if (fidelity > epochs || (fidelity === epochs && (isBetter || Number.isNaN(best))))
      [epochs, best] = [fidelity, value]
    steps.push({ trials: ended.size, seconds: (at - first) / 1000, macs: spent, best })
  }
  return {
    name,
    seed: identity.seed,
    search: { space: identity.space, settings: { ...identity.settings, ...handedOver(entries) } },
    steps
  }
}

/** Strategies that took over later, which make it a different search. */
const handedOver = (entries: ReadonlyArray<Stored>): Identity["settings"] => {
  const all = entries.flatMap(({ entry }) =>
    entry._tag === "HandedOver" ? [{ strategy: entry.strategy, from: entry.trial }] : []
  )
  return all.length === 0 ? {} : { handedOver: all }
}

/** A mean with its 95% confidence interval; no interval for fewer than two runs. */
export interface Band {
  /** Over the group's runs. */
  readonly mean: number
  readonly low: number | null
  readonly high: number | null
}

/** A group's best at some points of a budget. */
export interface Curve {
  readonly at: ReadonlyArray<number>
  readonly bands: ReadonlyArray<Band>
}

/** Runs that differ only in the seed. */
export interface Group {
  /** A, B, …, in the order given. */
  readonly name: string
  readonly runs: ReadonlyArray<string>
  /** What differs from the first group, by name, as JSON; empty for the first. */
  readonly differs: Readonly<Record<string, string>>
  readonly curves: { readonly [B in Budget]: Curve }
}

/** Two groups at an equal budget: the second's best minus the first's, with the sign chosen so that more is better. */
export interface Difference {
  readonly by: Budget
  /** The most that every run has used. */
  readonly at: number
  readonly first: { readonly group: string } & Band
  readonly second: { readonly group: string } & Band
  /** In units of the reward. */
  readonly difference: number
  /** 95%; `null` if a group has only one run. */
  readonly low: number | null
  readonly high: number | null
  /**
   * `better` and `worse` describe the second group. They require that the interval excludes 0, and that there are enough runs for that to
   * mean anything. `open`: these runs cannot tell.
   */
  readonly verdict: "better" | "worse" | "open"
}

/** The result of comparing searches by one budget. */
export interface Compared {
  readonly by: By
  readonly groups: ReadonlyArray<Group>
  /** Every pair, at every budget. MACs are left out if they are not known. */
  readonly differences: ReadonlyArray<Difference>
  /** Runs without a result so far. */
  readonly empty: ReadonlyArray<string>
}

/** How differences are tested. */
export interface Options {
  /** Seeds the resampling. Default `compare`. */
  readonly seed?: string
  /** Points on each curve. Default 60. */
  readonly points?: number
  /** Resamples for each interval. Default 2000. */
  readonly resamples?: number
}

/** With three runs on each side, complete separation happens by chance one time in ten; with four, one time in 35. */
export const fewest = 4

const sum = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)
const meanOf = (values: ReadonlyArray<number>) => sum(values) / values.length

/** A run's best when it had used this much of the budget; `undefined` before its first result. */
const bestAt = ({ steps }: Run, by: Budget, at: number): number | undefined =>
  steps.findLast((step) => step[by] <= at)?.best

/**
 * The interval of a statistic of resampled runs: the bootstrap's percentiles, widened as small samples require (Hesterberg, "What Teachers
 * Should Know About the Bootstrap", 2015).
 */
const interval = (
  groups: ReadonlyArray<ReadonlyArray<number>>,
  statistic: (means: ReadonlyArray<number>) => number,
  resamples: number,
  prng: Prng.Prng
): readonly [number, number] | undefined => {
  const least = Math.min(...groups.map(({ length }) => length))
  if (least < 2) return undefined
  const tail = Student.expandedTail(least, 0.025)
  const found = Array.from({ length: resamples }, () =>
    statistic(groups.map((values) => meanOf(values.map(() => values[prng.nextInt(values.length)] ?? Number.NaN))))
  ).toSorted((a, b) => a - b)
  const place = Math.floor(tail * resamples)
  return [found[place] ?? Number.NaN, found[resamples - 1 - place] ?? Number.NaN]
}

const bandOf = (values: ReadonlyArray<number>, resamples: number, prng: Prng.Prng): Band => {
  const found = interval([values], ([mean = Number.NaN]) => mean, resamples, prng)
  return { mean: meanOf(values), low: found?.[0] ?? null, high: found?.[1] ?? null }
}

/** The most that every run has used: all runs can be compared up to here. */
const most = (runs: ReadonlyArray<Run>, by: Budget) => Math.min(...runs.map(({ steps }) => steps.at(-1)?.[by] ?? 0))

/** From the point where every run has a first result to the most that all have used, evenly spaced; for trials every one, up to this many points. */
const gridOf = (runs: ReadonlyArray<Run>, by: Budget, points: number): ReadonlyArray<number> => {
  const from = Math.max(...runs.map(({ steps }) => steps[0]?.[by] ?? 0))
  const to = most(runs, by)
  if (!(to >= from)) return []
  const count = Math.max(1, Math.min(points, by === "trials" ? to - from + 1 : points))
  const grid = Array.from({ length: count }, (_, i) => from + ((to - from) * i) / Math.max(1, count - 1))
  return by === "trials" ? [...new Set(grid.map(Math.round))] : [...new Set(grid)]
}

const flat = ({ search: { settings, space } }: Run): Readonly<Record<string, string>> => ({
  space,
  ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, JSON.stringify(value)]))
})

/** The names A, B, …, Z, A2, … */
const nameOf = (index: number) =>
  `${String.fromCharCode(65 + (index % 26))}${index < 26 ? "" : Math.floor(index / 26) + 1}`

/**
 * Compares runs by one measure: groups those that differ only in the seed, and compares every two groups at equal budgets. The caller has
 * to make sure that all runs are measured by the same measure.
 */
export const of = (
  runs: ReadonlyArray<Run>,
  by: By,
  { points = 60, resamples = 2000, seed = "compare" }: Options = {}
): Compared => {
  const prng = Prng.fromSeed(seed)
  const grouped = new Map<string, Array<Run>>()
  for (const run of runs) {
    if (run.steps.length === 0) continue
    const key = Digest.of(JSON.stringify(run.search))
    grouped.set(key, [...(grouped.get(key) ?? []), run])
  }
  const members = [...grouped.values()]
  const [firstOfAll] = members.flat()
  const known = (group: ReadonlyArray<Run>) => group.every(({ steps }) => (steps.at(-1)?.macs ?? 0) > 0)
  const valuesAt = (group: ReadonlyArray<Run>, budget: Budget, at: number) =>
    group.flatMap((run) => bestAt(run, budget, at) ?? [])
  const groups = members.map((group, i): Group => {
    const curve = (budget: Budget): Curve => {
      const at = budget === "macs" && !known(group) ? [] : gridOf(group, budget, points)
      const own = prng.split(`${i}/${budget}`)
      return { at, bands: at.map((x) => bandOf(valuesAt(group, budget, x), Math.min(resamples, 500), own)) }
    }
    const [firstOfGroup] = group
    const mine = firstOfGroup === undefined ? {} : flat(firstOfGroup)
    const its = firstOfAll === undefined ? {} : flat(firstOfAll)
    return {
      name: nameOf(i),
      runs: group.map(({ name }) => name),
      differs: Object.fromEntries(
        [...new Set([...Object.keys(mine), ...Object.keys(its)])].flatMap((field) =>
          mine[field] === its[field] ? [] : [[field, mine[field] ?? "not set"]]
        )
      ),
      curves: { trials: curve("trials"), seconds: curve("seconds"), macs: curve("macs") }
    }
  })
  const sign = by.direction === "higher" ? 1 : -1
  const differences = members.flatMap((first, i) =>
    members.slice(i + 1).flatMap((second, offset) => {
      const j = i + 1 + offset
      return budgets.flatMap((budget): ReadonlyArray<Difference> => {
        if (budget === "macs" && !(known(first) && known(second))) return []
        const at = most([...first, ...second], budget)
        const values = [valuesAt(first, budget, at), valuesAt(second, budget, at)] as const
        // A run that used more before its first result than another used in total cannot be compared by this budget.
        if (values[0].length < first.length || values[1].length < second.length) return []
        const own = prng.split(`${i}/${j}/${budget}`)
        const found = interval(values, ([a = 0, b = 0]) => sign * (b - a), resamples, own)
        const [low, high] = found ?? [null, null]
        const isEnough = Math.min(first.length, second.length) >= fewest
        return [
          {
            by: budget,
            at,
            first: { group: nameOf(i), ...bandOf(values[0], resamples, own.split("first")) },
            second: { group: nameOf(j), ...bandOf(values[1], resamples, own.split("second")) },
            difference: sign * (meanOf(values[1]) - meanOf(values[0])),
            low,
            high,
            verdict:
              isEnough && low !== null && low > 0 ? "better" : isEnough && high !== null && high < 0 ? "worse" : "open"
          }
        ]
      })
    })
  )
  return { by, groups, differences, empty: runs.flatMap(({ name, steps }) => (steps.length === 0 ? [name] : [])) }
}

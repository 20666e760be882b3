/** What came of an experiment, of its journals alone: figures and curves. */
import type { Dataset } from "@uninet/data"
import { ModelSpace, type Task } from "@uninet/model-space"
import { Comparison, Contrast, Experiment, Journal } from "@uninet/search"
import { Site, Space } from "@uninet/search-space"
import { Surroundings } from "@uninet/trainer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { Arm, Recorded, Stood } from "./experiment.ts"

/**
 * How often networks have each option of each choice without an order, in whichever of their places: `{ operator: { SA: 2, DWConv: 3 } }`.
 */
export type Choices = Readonly<Record<string, Readonly<Record<string, number>>>>

/** What a search found. */
export interface Searched {
  readonly seed: string
  readonly trials: number
  readonly failed: number
  /** Of training, all workers' together. */
  readonly seconds: number
  /** Of all networks that gave a result. */
  readonly choices: Choices
  readonly best: {
    readonly trial: number
    readonly line: string
    readonly point: Schema.Json
    readonly costs: Readonly<Record<string, number>>
    readonly choices: Choices
    readonly validation: Readonly<Record<string, number>>
  } | null
}

/** A training from fresh weights. */
export interface Trained {
  /** The search's, and its own number. */
  readonly seed: string
  readonly training: number
  readonly seconds: number | null
  readonly validation: Readonly<Record<string, number>>
  readonly test: Readonly<Record<string, number>>
}

export interface ArmResult {
  readonly name: string
  /** The network that was given, where nothing was searched. */
  readonly network: {
    readonly line: string
    readonly costs: Readonly<Record<string, number>>
    readonly choices: Choices
  } | null
  /** The strategy that proposes, and among how many networks; `null` where nothing is searched. */
  readonly strategy: string | null
  readonly networks: string | null
  /** Networks trained, and the seconds of training. */
  readonly trainings: number
  readonly seconds: number
  readonly searches: ReadonlyArray<Searched>
  readonly trained: ReadonlyArray<Trained>
  readonly validation: Contrast.Estimate | null
  readonly test: Contrast.Estimate | null
}

/** A journal whose trainings came about under others than those of the first. */
export interface Mixed extends Surroundings.Difference {
  readonly arm: string
  readonly seed: string
}

export interface Results {
  readonly dataset: string
  /** Of each split. */
  readonly examples: Readonly<Record<Dataset.SplitName, number>>
  /** Under which all came about. */
  readonly surroundings: ReadonlyArray<Surroundings.Surroundings>
  readonly measure: string
  readonly direction: Task.Direction
  /** Whether everything that the experiment asks for is there. */
  readonly isWhole: boolean
  /** What came about under other data, software, engines or kinds of machines than the first. */
  readonly mixed: ReadonlyArray<Mixed>
  /** What is paired: searches with all that was trained of them, or trainings of the one search. */
  readonly pairs: "searches" | "trainings"
  readonly trainings: number
  readonly seconds: number
  readonly arms: ReadonlyArray<ArmResult>
  readonly contrasts: ReadonlyArray<Contrast.Contrast>
}

const secondsOf = (recorded: Recorded | undefined) =>
  (recorded?.trainings ?? []).reduce((sum, { begun, ended }) => sum + (ended - begun) / 1000, 0)

/** A choice's name, whichever element of its lists it is made for. */
const choiceName = ({ path }: Site.Site) => path.findLast((step) => typeof step === "string") ?? "choice"

/** Several networks' choices together. */
export const together = (all: ReadonlyArray<Choices>): Choices => {
  const found: Record<string, Record<string, number>> = {}
  for (const choices of all)
    for (const [name, counts] of Object.entries(choices))
      for (const [option, count] of Object.entries(counts)) {
        const own = (found[name] ??= {})
        own[option] = (own[option] ?? 0) + count
      }
  return found
}

const choicesOf = ({ space }: ModelSpace.Any, point: unknown): Choices => {
  const vector = Result.getOrElse(Space.vector(point)(space), () => [])
  return together(
    space.sites.flatMap((site) => {
      const token = vector[site.index] ?? Site.absent
      return site.kind !== "categorical" || token === Site.absent
        ? []
        : [{ [choiceName(site)]: { [site.label(token)]: 1 } }]
    })
  )
}

const searchedOf = ({ search, unit: { arm, seed } }: Stood, by: Comparison.By): ReadonlyArray<Searched> => {
  if (search === undefined) return []
  const { of } = arm.domain
  const all: Array<Choices> = []
  const proposed = new Map<number, Journal.EntryOf<"Proposed">>()
  let best: Searched["best"] = null
  let [failed, most] = [0, -Infinity]
  for (const { entry } of search.entries) {
    if (entry._tag === "Proposed") proposed.set(entry.trial, entry)
    if (entry._tag === "Failed") failed++
    const from = proposed.get(entry.trial)
    if (entry._tag !== "Finished" || from === undefined) continue
    const { costs, line, point, trial } = from
    const choices = choicesOf(of, Result.getOrUndefined(ModelSpace.read(point)(of)))
    all.push(choices)
    // The earlier one where they are equal.
    if (!(entry.reward > most)) continue
    most = entry.reward
    best = { trial, line, point, costs, choices, validation: entry.evaluation.measures }
  }
  const { steps } = Comparison.runOf("", search, by)
  const trials = steps.at(-1)?.trials ?? failed
  return [{ seed, trials, failed, seconds: secondsOf(search), choices: together(all), best }]
}

const trainedOf = ({ again, unit: { seed } }: Stood): ReadonlyArray<Trained> => {
  if (again === undefined) return []
  const compared = new Map<number, Readonly<Record<string, number>>>()
  const seconds = new Map(again.trainings.map(({ begun, ended, trial }) => [trial, (ended - begun) / 1000]))
  return again.entries.flatMap(({ entry }) => {
    if (entry._tag === "Compared") compared.set(entry.trial, entry.evaluation.measures)
    if (entry._tag !== "Tested") return []
    const { measures, trial } = entry
    const validation = compared.get(trial) ?? {}
    return [{ seed, training: trial, seconds: seconds.get(trial) ?? null, validation, test: measures }]
  })
}

/** An arm's given network. */
const networkOf = ({ domain: { of }, point }: Arm): ArmResult["network"] =>
  Option.match(point, {
    onNone: () => null,
    onSome: (given) => ({
      line: of.line(given),
      costs: Result.getOrElse(ModelSpace.costsOf(given)(of), () => ({})),
      choices: choicesOf(of, given)
    })
  })

const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / values.length

/** The figures of one split by what is paired; a search counts when everything of it was trained. */
const figuresOf = (
  { retrain, seeds }: Experiment.Experiment,
  trained: ReadonlyArray<Trained>,
  of: (each: Trained) => number | undefined
): Contrast.Figures => {
  const values = trained.flatMap((each) => {
    const value = of(each)
    return value === undefined ? [] : [{ ...each, value }]
  })
  if (seeds.length === 1) return new Map(values.map(({ training, value }) => [String(training), value]))
  return new Map(
    seeds.flatMap((seed) => {
      const own = values.filter((each) => each.seed === seed).map(({ value }) => value)
      return own.length === retrain.seeds ? [[seed, mean(own)] as const] : []
    })
  )
}

const estimated = (figures: Contrast.Figures) => (figures.size === 0 ? null : Contrast.estimate([...figures.values()]))

/** Under what the trainings came about, and which journals have others than the first. */
const surroundingsOf = (stood: ReadonlyArray<Stood>) => {
  let all: ReadonlyArray<Surroundings.Surroundings> = []
  const mixed: Array<Mixed> = []
  for (const { again, search, unit } of stood)
    for (const recorded of [search, again])
      for (const each of recorded?.identity.surroundings ?? []) {
        const found = Surroundings.difference(all.slice(0, 1), each)
        if (found !== undefined) mixed.push({ arm: unit.arm.name, seed: unit.seed, ...found })
        all = Surroundings.together(all, each)
      }
  return { surroundings: all, mixed }
}

/** What all journals have, as figures. */
export const of = (
  experiment: Experiment.Experiment,
  arms: ReadonlyArray<Arm>,
  stood: ReadonlyArray<Stood>,
  { name: dataset, test, train, validation }: Pick<Dataset.DatasetShape, "name" | Dataset.SplitName>
): Results => {
  const [first] = arms
  const measure = first?.domain.of.task.decides ?? ""
  const direction = first?.domain.of.task.measures[measure] ?? "higher"
  const tests = new Map<string, Contrast.Figures>()
  const found = arms.map((arm): ArmResult => {
    const { name } = arm
    const own = stood.filter(({ unit }) => unit.arm.name === name)
    const trained = own.flatMap(trainedOf)
    const split = (of: (each: Trained) => Readonly<Record<string, number>>) =>
      figuresOf(experiment, trained, (each) => of(each)[measure])
    const tested = split((each) => each.test)
    tests.set(name, tested)
    const searches = own.flatMap((each) => searchedOf(each, { name: measure, direction }))
    const isSearched = Option.isNone(arm.point)
    return {
      name,
      network: networkOf(arm),
      strategy: isSearched ? arm.domain.strategyName : null,
      networks: isSearched ? Space.showCount(Space.distinct(arm.domain.of.space)) : null,
      trainings: trained.length + searches.reduce((sum, { trials }) => sum + trials, 0),
      seconds: own.reduce((sum, { again, search }) => sum + secondsOf(search) + secondsOf(again), 0),
      searches,
      trained,
      validation: estimated(split((each) => each.validation)),
      test: estimated(tested)
    }
  })
  const wanted = arms.length * experiment.seeds.length * experiment.retrain.seeds
  const all = found.flatMap(({ trained }) => trained)
  return {
    dataset,
    examples: { train: train.size, validation: validation.size, test: test.size },
    measure,
    direction,
    isWhole: all.length === wanted,
    ...surroundingsOf(stood),
    pairs: experiment.seeds.length > 1 ? "searches" : "trainings",
    trainings: found.reduce((sum, { trainings }) => sum + trainings, 0),
    seconds: found.reduce((sum, { seconds }) => sum + seconds, 0),
    arms: found,
    contrasts: Contrast.of(tests, experiment.against ?? first?.name ?? "", direction)
  }
}

const csv = (rows: ReadonlyArray<ReadonlyArray<string | number>>) => `${rows.map((row) => row.join(",")).join("\n")}\n`

/** The best found so far of every search, by what it had used up. */
export const bestSoFar = (stood: ReadonlyArray<Stood>, by: Comparison.By): string =>
  csv([
    ["arm", "seed", "trials", "seconds", "macs", by.name],
    ...stood.flatMap(({ search, unit }) =>
      search === undefined
        ? []
        : Comparison.runOf("", search, by).steps.map((step): ReadonlyArray<string | number> => [
            unit.arm.name,
            unit.seed,
            step.trials,
            step.seconds,
            step.macs,
            step.best
          ])
    )
  ])

/** The learning curves of what was trained again. */
export const learning = (stood: ReadonlyArray<Stood>, measure: string): string =>
  csv([
    ["arm", "seed", "training", "epoch", "loss", measure],
    ...stood.flatMap(({ again, unit }) =>
      (again?.trainings ?? []).flatMap(({ curve, trial }) =>
        (curve?.epochs ?? []).map((epoch, i): ReadonlyArray<string | number> => [
          unit.arm.name,
          unit.seed,
          trial,
          epoch,
          curve?.loss[i] ?? "",
          curve?.measures[measure]?.[i] ?? ""
        ])
      )
    )
  ])

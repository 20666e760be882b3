/** What came of an experiment, of its journals alone: figures, tables and curves. */
import { Measures } from "@uninet/latency"
import { ModelSpace, type Task } from "@uninet/model-space"
import { Comparison, Contrast, Experiment, Journal } from "@uninet/search"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import type { Arm, Recorded, Stood } from "./experiment.ts"
import * as format from "./format.ts"

/** What a search found. */
export interface Searched {
  readonly seed: string
  readonly trials: number
  readonly failed: number
  /** Of training, all workers' together. */
  readonly seconds: number
  readonly best: {
    readonly trial: number
    readonly line: string
    readonly point: Schema.Json
    readonly costs: Readonly<Record<string, number>>
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
  readonly network: { readonly line: string; readonly costs: Readonly<Record<string, number>> } | null
  readonly searches: ReadonlyArray<Searched>
  readonly trained: ReadonlyArray<Trained>
  readonly validation: Contrast.Estimate | null
  readonly test: Contrast.Estimate | null
}

export interface Results {
  readonly dataset: string
  readonly measure: string
  readonly direction: Task.Direction
  /** Whether everything that the experiment asks for is there. */
  readonly isWhole: boolean
  /** Whether some of it came about under other data, software, engines or kinds of machines. */
  readonly isMixed: boolean
  /** What is paired: searches with all that was trained of them, or trainings of the one search. */
  readonly pairs: "searches" | "trainings"
  readonly trainings: number
  readonly seconds: number
  readonly arms: ReadonlyArray<ArmResult>
  readonly contrasts: ReadonlyArray<Contrast.Contrast>
}

const secondsOf = (recorded: Recorded | undefined) =>
  (recorded?.trainings ?? []).reduce((sum, { begun, ended }) => sum + (ended - begun) / 1000, 0)

const searchedOf = ({ search, unit: { seed } }: Stood, by: Comparison.By): ReadonlyArray<Searched> => {
  if (search === undefined) return []
  const proposed = new Map<number, Journal.EntryOf<"Proposed">>()
  let best: Searched["best"] = null
  let [failed, most] = [0, -Infinity]
  for (const { entry } of search.entries) {
    if (entry._tag === "Proposed") proposed.set(entry.trial, entry)
    if (entry._tag === "Failed") failed++
    const from = proposed.get(entry.trial)
    // The earlier one where they are equal.
    if (entry._tag !== "Finished" || from === undefined || !(entry.reward > most)) continue
    const { costs, line, point, trial } = from
    most = entry.reward
    best = { trial, line, point, costs, validation: entry.evaluation.measures }
  }
  const { steps } = Comparison.runOf("", search, by)
  return [{ seed, trials: steps.at(-1)?.trials ?? failed, failed, seconds: secondsOf(search), best }]
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
      costs: Result.getOrElse(ModelSpace.costsOf(given)(of), () => ({}))
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

/** What all journals have, as figures. */
export const of = (
  experiment: Experiment.Experiment,
  arms: ReadonlyArray<Arm>,
  stood: ReadonlyArray<Stood>,
  dataset: string
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
    const test = split((each) => each.test)
    tests.set(name, test)
    return {
      name,
      network: networkOf(arm),
      searches: own.flatMap((each) => searchedOf(each, { name: measure, direction })),
      trained,
      validation: estimated(split((each) => each.validation)),
      test: estimated(test)
    }
  })
  const wanted = arms.length * experiment.seeds.length * experiment.retrain.seeds
  const all = found.flatMap(({ trained }) => trained)
  return {
    dataset,
    measure,
    direction,
    isWhole: all.length === wanted,
    isMixed: stood
      .flatMap(({ again, search }) => [search, again])
      .some((recorded) => (recorded?.identity.surroundings ?? []).length > 1),
    pairs: experiment.seeds.length > 1 ? "searches" : "trainings",
    trainings: all.length + found.flatMap(({ searches }) => searches).reduce((sum, { trials }) => sum + trials, 0),
    seconds: stood.reduce((sum, { again, search }) => sum + secondsOf(search) + secondsOf(again), 0),
    arms: found,
    contrasts: Contrast.of(tests, experiment.against ?? first?.name ?? "", direction)
  }
}

/** Rows as Markdown has them. */
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> =>
  [head, head.map((_, i) => (i === 0 ? ":--" : "--:")), ...rows].map((row) => `| ${row.join(" | ")} |`)

const among = (values: ReadonlyArray<number>, shown: (value: number) => string) => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return values.length === 0 ? "" : least === most ? shown(least) : `${shown(least)} – ${shown(most)}`
}

const p = (value: number | null) => (value === null ? "" : value < 0.0001 ? "< 0.0001" : value.toFixed(4))

/** Costs of an arm's networks: of what was given, or of the best of each search. */
const costsOf = ({ network, searches }: ArmResult) => [
  ...(network === null ? [] : [network.costs]),
  ...searches.flatMap(({ best }) => (best === null ? [] : [best.costs]))
]

/** Tables for people, in Markdown. */
export const markdown = (
  { arms, contrasts, dataset, isMixed, isWhole, measure, pairs, seconds, trainings }: Results,
  experiment: Experiment.Experiment,
  shares: ReadonlyArray<string>
): string => {
  const isShare = shares.includes(measure)
  const value = (n: number) => (isShare ? format.percent(n, 2) : format.number(n))
  const signed = (n: number) => `${n > 0 ? "+" : ""}${value(n)}`
  const estimate = (found: Contrast.Estimate | null, shown = value) =>
    found === null ? "" : `${shown(found.mean)}${found.error === null ? "" : ` ± ${value(found.error)}`}`
  const interval = ({ high, low }: Contrast.Estimate, shown = value) =>
    low === null || high === null ? "" : `${shown(low)} … ${shown(high)}`
  const { budget, retrain, seeds } = experiment
  const counted = arms.flatMap(costsOf)
  const isSearched = arms.some(({ network }) => network === null)
  const bounded = arms.flatMap(({ name }) => Object.keys(Experiment.withinOf(name)(experiment)))
  const costs = [...new Set(["macs", "parameters", ...Measures.names, ...bounded])].filter((name) =>
    counted.some((each) => each[name] !== undefined)
  )
  const spent = Object.entries(budget ?? {}).map(
    ([kind, most]) =>
      `${kind === "trials" ? format.plural(most, "trial") : kind === "macs" ? `${format.count(most)} MACs` : format.time(most)} of ${format.lengthOf(experiment)}`
  )
  return [
    `# ${dataset}: ${format.plural(arms.length, "arm")}`,
    "",
    ...(isWhole
      ? []
      : ["**Not finished: these are the figures so far, and their significance is not to be read yet.**", ""]),
    ...(isMixed
      ? ["**Mixed: some trainings came about under other data, software, engines or machines than the rest.**", ""]
      : []),
    [
      ...(spent.length === 0 ? [] : [`Each search: ${spent.join("")}, ${format.plural(seeds.length, "seed")}.`]),
      `Trained again: ${format.plural(retrain.seeds, "time")} for ${format.plural(retrain.epochs, "epoch")} from fresh weights, tested once each.`,
      `${format.plural(trainings, "training")} in all, ${format.time(seconds)} of training.`
    ].join(" "),
    "",
    pairs === "trainings"
      ? `± is the standard error over the trainings of one network of each arm${isSearched ? ": it does not tell how another search would have come out" : ""}.`
      : "± is the standard error over the searches, each with the mean of what was trained of it.",
    "",
    ...table(
      [
        "arm",
        ...(isSearched ? ["trials"] : []),
        ...costs.map(format.costHead),
        `validation ${measure}`,
        `test ${measure}`,
        "95%",
        "each"
      ],
      arms.map(({ test, trained, validation, ...arm }) => [
        arm.name,
        ...(isSearched
          ? [arm.searches.map(({ failed, trials }) => `${trials}${failed > 0 ? ` (${failed} failed)` : ""}`).join(", ")]
          : []),
        ...costs.map((cost) =>
          among(
            costsOf({ test, trained, validation, ...arm }).flatMap((own) => own[cost] ?? []),
            (own) => format.costCell(cost, own)
          )
        ),
        estimate(validation),
        estimate(test),
        test === null ? "" : interval(test),
        trained.map(({ test }) => value(test[measure] ?? Number.NaN)).join(", ")
      ])
    ),
    "",
    ...(contrasts.length === 0
      ? []
      : [
          `Differences of the test ${measure}, paired by seed; above 0 the arm is better. p is of the paired t-test, and corrected for ${format.plural(contrasts.length, "comparison")} (Holm).`,
          "",
          ...table(
            ["arm", "against", "pairs", "difference", "95%", "p", "corrected", "the arm is"],
            contrasts.map((contrast) => [
              contrast.arm,
              contrast.against,
              String(contrast.count),
              estimate(contrast, signed),
              interval(contrast, signed),
              p(contrast.p),
              p(contrast.adjusted),
              contrast.verdict === "open" ? "not told apart" : contrast.verdict
            ])
          ),
          ""
        ]),
    ...(arms.every(({ searches }) => searches.every(({ best }) => best === null))
      ? []
      : [
          "Chosen:",
          "",
          ...arms.flatMap(({ name, searches }) =>
            searches.flatMap(({ best, seed }) =>
              best === null ? [] : [`- ${name}, seed ${seed}: trial ${best.trial}, \`${best.line}\``]
            )
          ),
          ""
        ])
  ].join("\n")
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

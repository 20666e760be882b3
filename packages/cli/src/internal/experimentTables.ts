/** What came of an experiment as tables for people, in Markdown. */
import { Measures } from "@uninet/latency"
import { type Contrast, Experiment } from "@uninet/search"
import { type ArmResult, type Choices, type Results, together, type Trained } from "./experimentResults.ts"
import * as format from "./format.ts"

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

/** What an arm has of its own, as its file says it. */
const ownOf = (arm: Experiment.Arm = {}) =>
  Object.entries(arm)
    .filter(([field]) => field !== "strategy")
    .map(([field, value]) => `${field} \`${JSON.stringify(value)}\``)
    .join(", ")

/** Options of a choice, those first that networks have most often: `DWConv 3, SA 2`. */
const listed = (counts: Choices[string] = {}, shown: (count: number, all: number) => string = String) => {
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return Object.entries(counts)
    .toSorted(([, a], [, b]) => b - a)
    .map(([option, count]) => `${option} ${shown(count, all)}`)
    .join(", ")
}

const share = (count: number, all: number) => format.percent(count / all, 0)

/** How the measure that is compared is written: a share in per cent, anything else as it is. */
const written = (isShare: boolean) => {
  const value = (n: number) => (isShare ? format.percent(n, 2) : format.number(n))
  const signed = (n: number) => `${n > 0 ? "+" : ""}${value(n)}`
  const estimate = (found: Contrast.Estimate | null, shown = value) =>
    found === null ? "" : `${shown(found.mean)}${found.error === null ? "" : ` ± ${value(found.error)}`}`
  const interval = ({ high, low }: Contrast.Estimate, shown = value) =>
    low === null || high === null ? "" : `${shown(low)} … ${shown(high)}`
  return { value, signed, estimate, interval }
}

/** What every table is made of. */
interface Told {
  readonly results: Results
  readonly experiment: Experiment.Experiment
  readonly show: ReturnType<typeof written>
  /** Names of the costs that are shown. */
  readonly costs: ReadonlyArray<string>
}

/** What keeps a reader from reading on: it is not whole, or not all of it can be compared. */
const warnings = ({ results: { isWhole, mixed } }: Told): ReadonlyArray<string> => {
  const places = new Set(
    mixed.map(({ arm, before, now, seed, what }) => `${arm}, seed ${seed} (${what}: ${now} for ${before})`)
  )
  return [
    ...(isWhole ? [] : ["**Not finished: these are the figures so far; do not judge their significance yet.**", ""]),
    ...(mixed.length === 0
      ? []
      : [
          `**Mixed: some trainings ran with other data, software, engines or machines than the rest: ${[...places].join("; ")}.**`,
          ""
        ])
  ]
}

/** What was done, in a few sentences. */
const setting = ({ experiment, results: { examples, seconds, surroundings, trainings } }: Told) => {
  const { budget, retrain, reward, seeds } = experiment
  const spent = Object.entries(budget ?? {}).map(
    ([kind, most]) =>
      `${kind === "trials" ? format.plural(most, "trial") : kind === "macs" ? `${format.count(most)} MACs` : format.time(most)} of ${format.lengthOf(experiment)}`
  )
  return [
    [
      ...(spent.length === 0 ? [] : [`Each search: ${spent.join("")}, ${format.plural(seeds.length, "seed")}.`]),
      ...(reward === undefined ? [] : [`Its reward: \`${JSON.stringify(reward)}\`.`]),
      `Retrained ${format.plural(retrain.seeds, "time")} for ${format.plural(retrain.epochs, "epoch")} from fresh weights, tested once each.`,
      `${format.plural(trainings, "training")} in all, ${format.time(seconds)} of training.`
    ].join(" "),
    `${examples.train} examples to train on, ${examples.validation} to choose by, ${examples.test} to test on.`,
    ...surroundings.slice(0, 1).map(({ engine, host, software }) => `Trained with ${software} on ${engine}, ${host}.`)
  ]
}

/** What the arms are. */
const armsTable = ({ experiment, results: { arms } }: Told) => [
  "Everything else is the same for all arms: see `experiment.json`.",
  "",
  ...table(
    ["arm", "searched by", "networks in its space", "its own settings", "trainings", "time"],
    arms.map(({ name, networks, seconds, strategy, trainings }) => [
      name,
      strategy ?? "not searched",
      networks ?? "",
      ownOf(experiment.arms[name]),
      String(trainings),
      format.time(seconds)
    ])
  ),
  ""
]

const isSearched = ({ arms }: Results) => arms.some(({ network }) => network === null)

/** The standard error of a share by which examples it was found on, the largest of all arms; 0 where there is none. */
const sampling = ({ arms, examples }: Results) =>
  Math.max(
    0,
    ...arms.flatMap(({ test }) =>
      test === null || examples.test === 0 ? [] : [Math.sqrt((test.mean * (1 - test.mean)) / examples.test)]
    )
  )

/** How many trials each of an arm's searches had. */
const trialsOf = ({ searches }: ArmResult) =>
  searches.map(({ failed, trials }) => `${trials}${failed > 0 ? ` (${failed} failed)` : ""}`).join(", ")

/** What came out of every arm. */
const figuresTable = ({ costs, experiment: { seeds }, results, show }: Told, isShare: boolean) => {
  const { arms, examples, measure, pairs } = results
  const { estimate, interval, value } = show
  const sampled = isShare ? sampling(results) : 0
  const eachOf = (trained: ReadonlyArray<Trained>) =>
    seeds
      .flatMap((seed) => {
        const own = trained.filter((each) => each.seed === seed).map(({ test }) => value(test[measure] ?? Number.NaN))
        return own.length === 0 ? [] : [seeds.length > 1 ? `${seed}: ${own.join(", ")}` : own.join(", ")]
      })
      .join("; ")
  return [
    pairs === "trainings"
      ? `± is the standard error over the trainings of one network of each arm${isSearched(results) ? ": it does not say how another search would have come out" : ""}.`
      : "± is the standard error over the searches, where each counts with the mean of its retrainings.",
    ...(sampled === 0
      ? []
      : [
          `Other ${examples.test} test examples would change each figure by another ${value(sampled)} or so (one standard error), most of it common to all arms.`
        ]),
    "",
    ...table(
      [
        "arm",
        ...(isSearched(results) ? ["trials"] : []),
        ...costs.map(format.costHead),
        `validation ${measure}`,
        `test ${measure}`,
        "95%",
        seeds.length > 1 ? "each, by seed" : "each"
      ],
      arms.map((arm) => [
        arm.name,
        ...(isSearched(results) ? [trialsOf(arm)] : []),
        ...costs.map((cost) =>
          among(
            costsOf(arm).flatMap((own) => own[cost] ?? []),
            (own) => format.costCell(cost, own)
          )
        ),
        estimate(arm.validation),
        estimate(arm.test),
        arm.test === null ? "" : interval(arm.test),
        eachOf(arm.trained)
      ])
    ),
    ""
  ]
}

/** The arms against one another. */
const contrastsTable = ({ results: { contrasts, measure }, show: { estimate, interval, signed } }: Told) =>
  contrasts.length === 0
    ? []
    : [
        `Differences in test ${measure}, paired by seed; above 0 the arm is better. p is from the paired t-test, and also corrected for ${format.plural(contrasts.length, "comparison")} (Holm).`,
        "",
        ...table(
          ["arm", "against", "pairs", "difference", "in standard errors", "95%", "p", "corrected", "the arm is"],
          contrasts.map((contrast) => [
            contrast.arm,
            contrast.against,
            String(contrast.count),
            estimate(contrast, signed),
            contrast.p === null || !contrast.error ? "" : (contrast.mean / contrast.error).toFixed(1),
            interval(contrast, signed),
            p(contrast.p),
            p(contrast.adjusted),
            contrast.verdict === "open" ? "not distinguishable" : contrast.verdict
          ])
        ),
        ""
      ]

/** The networks that were trained again: given ones, and the best of every search. */
const chosenOf = ({ results: { arms, measure }, show: { value } }: Told) =>
  arms.flatMap(({ name, network, searches }) => [
    ...(network === null ? [] : [{ ...network, name, seed: "", trial: "given", found: "" }]),
    ...searches.flatMap(({ best, seed }) =>
      best === null
        ? []
        : [{ ...best, name, seed, trial: String(best.trial), found: value(best.validation[measure] ?? Number.NaN) }]
    )
  ])

type Chosen = ReturnType<typeof chosenOf>

const chosenTable = (
  { costs, results: { measure } }: Told,
  chosen: Chosen,
  choices: ReadonlyArray<string>
): ReadonlyArray<string> =>
  chosen.length === 0
    ? []
    : [
        "The retrained networks, with their figures from the searches: each is the best of many noisy figures, and so too high.",
        "",
        ...table(
          ["arm", "seed", "trial", `validation ${measure}`, ...costs.map(format.costHead), ...choices, "network"],
          chosen.map((each) => [
            each.name,
            each.seed,
            each.trial,
            each.found,
            ...costs.map((cost) => (each.costs[cost] === undefined ? "" : format.costCell(cost, each.costs[cost]))),
            ...choices.map((name) => listed(each.choices[name])),
            `\`${each.line.replaceAll("|", "\\|")}\``
          ])
        ),
        ""
      ]

/** Which options the searches chose, and which they tried. */
const choicesTable = ({ results }: Told, choices: ReadonlyArray<string>): ReadonlyArray<string> =>
  choices.length === 0 || !isSearched(results)
    ? []
    : [
        "How often each option was chosen, as a share of all places where it could be, next to its share in all trials of the arm.",
        "",
        ...table(
          ["arm", ...choices.flatMap((name) => [`${name}, chosen`, `${name}, all trials`])],
          results.arms
            .filter(({ network }) => network === null)
            .map(({ name, searches }) => {
              const best = together(searches.flatMap(({ best }) => (best === null ? [] : [best.choices])))
              const all = together(searches.map(({ choices }) => choices))
              return [name, ...choices.flatMap((choice) => [listed(best[choice], share), listed(all[choice], share)])]
            })
        ),
        ""
      ]

/** Everything, one table after the other; `shares` are the measures that are written in per cent. */
export const markdown = (
  results: Results,
  experiment: Experiment.Experiment,
  shares: ReadonlyArray<string>
): string => {
  const { arms, dataset, measure } = results
  const isShare = shares.includes(measure)
  const counted = arms.flatMap(costsOf)
  const bounded = arms.flatMap(({ name }) => Object.keys(Experiment.withinOf(name)(experiment)))
  const costs = [...new Set(["macs", "parameters", ...Measures.names, ...bounded])].filter((name) =>
    counted.some((each) => each[name] !== undefined)
  )
  const told: Told = { results, experiment, show: written(isShare), costs }
  const chosen = chosenOf(told)
  const choices = [...new Set(chosen.flatMap(({ choices }) => Object.keys(choices)))]
  return [
    `# ${dataset}: ${format.plural(arms.length, "arm")}`,
    "",
    ...warnings(told),
    ...setting(told),
    ...armsTable(told),
    ...figuresTable(told, isShare),
    ...contrastsTable(told),
    ...chosenTable(told, chosen, choices),
    ...choicesTable(told, choices)
  ].join("\n")
}

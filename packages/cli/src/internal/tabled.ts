/** A search's trials as a table for `uninet benchmark`, with a card that says how it was made. */
import { Table } from "@uninet/controller"
import { ModelSpace, Task } from "@uninet/model-space"
import { Correlation } from "@uninet/predictor"
import { Journal } from "@uninet/search"
import { type Site, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { gzipSync } from "node:zlib"
import { type CliFault, fault } from "./CliFault.ts"
import * as format from "./format.ts"
import type { Recorded } from "./plan.ts"

/** A choice in the form that a table has. */
const choiceOf = (site: Site.Site): Table.Json["choices"][number] => {
  const options = Array.from({ length: site.count }, (_, token) => {
    const value = site.value(token)
    return typeof value === "string" || typeof value === "number" ? value : String(value)
  })
  return {
    name: site.name,
    options,
    ...(site.kind !== "categorical" && Table.isRising(options) ? { ordered: true as const } : {})
  }
}

/** As few digits as tell values apart. */
const short = (value: number) => Number(value.toPrecision(8))

export interface Made {
  readonly json: Table.Json
  readonly bytes: Uint8Array
  readonly card: string
}

/** What a run's journal holds, and what is said about it. */
export interface Given<A, C extends string, M extends string> {
  readonly name: string
  readonly of: ModelSpace.ModelSpace<A, C, M>
  readonly recorded: Recorded
  readonly trainings: ReadonlyArray<Journal.Trained>
  readonly license: string | undefined
}

/** A network of the table, and what its journal has of it. */
interface Network<A> {
  readonly point: A
  readonly vector: ReadonlyArray<number>
  readonly worth: number
  readonly costs: Readonly<Record<string, number>>
  readonly measures: Readonly<Record<string, number>>
  readonly trainings: ReadonlyArray<Journal.Trained>
}

/** A column in addition to the choices and the deciding measure; a column in which a row has no number is left out. */
interface Column<A> {
  readonly name: string
  /** What its name does not say. */
  readonly about?: string
  readonly of: (network: Network<A>) => number | null | undefined
}

/** Costs, the other measures, the learning curve, seconds. */
const columnsOf = <A, C extends string, M extends string>(
  space: ModelSpace.ModelSpace<A, C, M>,
  { decides, measures }: Recorded["notes"]["task"],
  epochs: number
): ReadonlyArray<Column<A>> => {
  const at = (values: ReadonlyArray<number | null> | undefined, { trainings }: Network<A>, epoch: number) =>
    values?.[Journal.curveOf(trainings)?.epochs.indexOf(epoch) ?? -1]
  return [
    ...ModelSpace.costNames(space).map((name): Column<A> => ({
      name,
      // One that the search did not know: from a device that was given later.
      of: ({ costs, point }) => costs[name] ?? space.costs[name](point)
    })),
    ...Object.keys(measures)
      .filter((name) => name !== decides)
      .map((name): Column<A> => ({ name, of: (network) => network.measures[name] })),
    ...Array.from({ length: epochs }, (_, i) => i + 1).flatMap((epoch): ReadonlyArray<Column<A>> => [
      {
        name: `training loss ${epoch}`,
        about: "of that epoch, a mean over its steps",
        of: (network) => at(Journal.curveOf(network.trainings)?.loss, network, epoch)
      },
      ...(epoch === epochs
        ? []
        : [
            {
              name: `${decides} ${epoch}`,
              about: "after that epoch",
              of: (network: Network<A>) => at(Journal.curveOf(network.trainings)?.measures[decides], network, epoch)
            }
          ])
    ]),
    {
      name: "seconds",
      about: "of training, on a machine that others may have used",
      of: ({ trainings }) =>
        trainings.length === 0
          ? undefined
          : trainings.reduce((sum, { begun, ended }) => sum + (ended - begun) / 1000, 0)
    }
  ]
}

/** The table of a run. Fails if a table cannot represent its space, or if its trials gave no results. */
export const of = Effect.fnUntraced(function* <A, C extends string, M extends string>({
  license,
  name,
  of: space,
  recorded: { entries, notes, seed, settings, strategy, surroundings },
  trainings
}: Given<A, C, M>): Effect.fn.Return<Made, CliFault> {
  const { sites } = space.space
  const odd = sites.find(({ conditions, count, slots }) => conditions.length > 0 || slots !== undefined || count > 1024)
  if (odd !== undefined)
    return yield* fault(
      `${name} cannot be exported as a table: in its space the choice ${odd.name} ${odd.conditions.length > 0 ? "depends on another" : "has too many options"}. Export it as csv or jsonl.`
    )
  const { decides, measures } = notes.task
  const direction = measures[decides] ?? "higher"
  const proposed = new Map<number, Journal.EntryOf<"Proposed">>()
  const results = new Map<number, Journal.EntryOf<"Finished">>()
  for (const { entry } of entries) {
    if (entry._tag === "Proposed") proposed.set(entry.trial, entry)
    if (entry._tag === "Finished") results.set(entry.trial, entry)
  }
  const most = Math.max(0, ...[...results.values()].map(({ evaluation }) => evaluation.epochs ?? 0))
  const trained = Map.groupBy(trainings, ({ trial }) => trial)
  const networks: Array<Network<A>> = []
  const seen = new Set<string>()
  for (const [trial, { evaluation }] of results) {
    const from = proposed.get(trial)
    const value = evaluation.measures[decides]
    // After fewer epochs than others, or the same network again.
    if (from === undefined || value === undefined || (evaluation.epochs ?? 0) < most || seen.has(from.hash)) continue
    const point = ModelSpace.read(from.point)(space)
    const vector = Result.flatMap(point, (point) =>
      Result.flatMap(Space.encode(point)(space.space), (tokens) => Space.toVector(tokens)(space.space))
    )
    if (Result.isFailure(vector) || Result.isFailure(point))
      return yield* fault(
        `${name}: trial ${trial} is not a point of the space ${space.name}. Give the run's own module.`
      )
    seen.add(from.hash)
    networks.push({
      point: point.success,
      vector: [...vector.success],
      worth: Task.worth(direction)(value),
      costs: from.costs,
      measures: evaluation.measures,
      trainings: trained.get(trial) ?? []
    })
  }
  const columns = columnsOf(space, notes.task, most).filter(({ of }) =>
    networks.every((network) => Number.isFinite(of(network)))
  )
  const rows = networks.map((network): Table.Json["rows"][number] => [
    network.vector,
    network.worth,
    network.worth,
    ...columns.map(({ of }) => short(of(network) ?? 0))
  ])
  if (rows.length === 0) return yield* fault(`${name} has no results yet. Export it once it has some.`)
  const isWhole = BigInt(rows.length) === Space.distinct(space.space) && Space.isOneToOne(space.space)
  const json: Table.Json = {
    name,
    source: "a search of UniNet for TypeScript (uninet export-trials --format table)",
    ...(license === undefined ? {} : { license }),
    ...(settings.dataset === null ? {} : { dataset: settings.dataset }),
    choices: sites.map(choiceOf),
    ...(isWhole ? {} : { missing: "nearest" as const }),
    columns: ["choice", "search", "report", ...columns.map(({ name }) => name)],
    rows
  }
  const values = networks.map(({ worth }) => worth)
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) =>
    format.measure(
      Task.worth(direction)(sorted[Math.round(share * (sorted.length - 1))] ?? 0),
      notes.task.shares.includes(decides),
      2
    )
  const correlation = isWhole || rows.length < 10 ? undefined : Correlation.spearman(Table.leftOut(json), values)
  const { recipe } = settings
  const bytes = gzipSync(JSON.stringify(json), { level: 9 })
  const card = [
    `# ${name}: ${format.plural(rows.length, "trained network")} of the space ${space.name}`,
    "",
    `- **Networks.** ${isWhole ? "All of the space." : `A sample of ${Space.showCount(Space.distinct(space.space))}, proposed by the strategy ${strategy} with the seed ${seed}${strategy === "random" ? "" : ", which looks where it expects good ones, so the sample is not a fair one"}.`} ${sites.length} choices${Object.keys(settings.within).length === 0 ? "" : `, within ${JSON.stringify(settings.within)}`}.`,
    `- **Training.** ${settings.dataset ?? "A custom data set"}, ${format.lengthOf({ ...recipe, epochs: most })}, batch ${recipe.batch} at a learning rate of ${recipe.learningRate}, once each, from the seed \`${seed}/trial/<trial>\`. ${surroundings.map(({ engine, software }) => `${software}, ${engine}`).join("; ")}`,
    `- **Columns.** \`search\` and \`report\` are both the ${decides} on the validation split${direction === "lower" ? ", negative, so that more is better" : ""}: nothing was tested. ${columns.map(({ about, name }) => (about === undefined ? name : `${name} (${about})`)).join(", ")}.`,
    `- **Values.** ${decides} from ${at(0)} to ${at(1)}; a quarter of them are below ${at(0.25)}, half below ${at(0.5)}, three quarters below ${at(0.75)}.`,
    ...(isWhole
      ? []
      : [
          `- **Networks without a row** have the mean of their nearest five.${correlation === undefined ? "" : ` Rank correlation of such answers with the rows that were left out for them: ${correlation.toFixed(3)} (Spearman).`}`
        ]),
    `- **What it is fit for.** ${isWhole ? "Comparing strategies at no cost" : "Comparing strategies and predictors at little cost, as far as the correlation above goes"}, on a ranking after ${format.plural(most, "epoch")}. It says nothing about the ranking after a long training, or on other data.`,
    `- **Licence.** ${license ?? "Not stated: ask whoever made it."}`,
    "",
    "    uninet benchmark table.json.gz --strategies random,evolution,gp --budgets 50,100 --seeds 20",
    ""
  ].join("\n")
  return { json, bytes, card }
})

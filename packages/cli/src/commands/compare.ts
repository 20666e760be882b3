/** `uninet compare`: compares searches at equal trials, time and multiply-accumulates. */
import { Comparison, Journal } from "@uninet/search"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { Argument, Command, Flag } from "effect/cli"
import { at, said, usage } from "../internal/CliFault.ts"
import * as comparing from "../internal/comparing.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as plans from "../internal/plan.ts"
import * as runFolder from "../internal/runFolder.ts"

const budgets = { trials: "trials", seconds: "time", macs: "MACs" } as const satisfies Record<Comparison.Budget, string>

const amount = (budget: Comparison.Budget, value: number) =>
  budget === "seconds"
    ? format.time(value)
    : budget === "macs"
      ? `${format.count(value)} MACs · epochs`
      : format.plural(value, "trial")

type Task = plans.Recorded["notes"]["task"]

/** A value in readable form, or the difference of two. */
const shown = ({ shares }: Task, { name }: Comparison.By) => {
  const isShare = shares.includes(name)
  return (value: number, isSigned = false) =>
    `${isSigned && value > 0 ? "+" : ""}${isShare ? format.percent(value, 2) : String(Number(value.toPrecision(4)))}`
}

const verdicts = {
  better: "better",
  worse: "worse",
  open: "not distinguishable"
} as const satisfies Record<Comparison.Difference["verdict"], string>

const tableOf = (head: ReadonlyArray<string>) =>
  new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i === 0 ? ("left" as const) : ("right" as const))),
    style: { head: [], border: [], compact: true }
  })

const describe = (found: Comparison.Compared, task: Task): string => {
  const value = shown(task, found.by)
  const band = ({ high, low, mean }: Comparison.Band) =>
    low === null || high === null ? value(mean) : `${value(mean)} (${value(low)} … ${value(high)})`
  const groups = found.groups.map(({ differs, name, runs }) => {
    const what = Object.entries(differs).map(([field, text]) => `${field} ${format.cut(text, 60)}`)
    return `${name}: ${runs.join(", ")}${what.length === 0 ? "" : `; it differs in ${what.join(", ")}`}`
  })
  const table = tableOf(["at equal", "first", "best", "second", "best", "difference", "95%", "the second is"])
  for (const { at, by: budget, difference, first, high, low, second, verdict } of found.differences)
    table.push([
      `${budgets[budget]}: ${amount(budget, at)}`,
      first.group,
      band(first),
      second.group,
      band(second),
      value(difference, true),
      low === null || high === null ? "one run only" : `${value(low, true)} … ${value(high, true)}`,
      verdicts[verdict]
    ])
  const few = found.groups.filter(({ runs }) => runs.length < Comparison.fewest)
  return [
    `Best ${found.by.name} on the validation split; a difference above 0 favours the second.`,
    ...groups,
    ...(found.differences.length > 0 ? [format.fitted(table.toString())] : []),
    ...(found.groups.length < 2 ? ["All are seeds of one search, so there is nothing to compare."] : []),
    ...(found.groups.length > 1 && few.length > 0
      ? [
          `note: ${few.map(({ name, runs }) => `${name} has ${format.plural(runs.length, "seed")}`).join(", ")}; with ${Comparison.fewest} or more each, a difference can be told from chance`
        ]
      : []),
    ...found.empty.map((name) => `note: ${name} has no result yet`)
  ].join("\n")
}

export const compare = Command.make(
  "compare",
  {
    runs: Argument.String("run").pipe(
      Argument.variadic({ min: 2 }),
      Argument.withDescription("The folders of two searches or more; those that differ only in the seed form one group")
    ),
    measure: Flag.String("measure").pipe(
      Flag.withMetavar("name"),
      Flag.optional,
      Flag.withDescription("What is compared: a measure of the task, or reward (default: the deciding measure)")
    ),
    seed: Flag.String("seed").pipe(
      Flag.withDefault("compare"),
      Flag.withDescription("Seed for resampling the intervals (default compare)")
    ),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ json, measure, runs, seed }) {
    const path = yield* Path.Path
    const recorded: Array<{ readonly name: string; readonly task: Task; readonly read: Journal.Read }> = []
    for (const folder of runs) {
      const name = yield* runFolder.shown(folder)
      const { notes } = yield* plans.recorded(folder, "")
      const read = yield* Effect.mapError(Journal.read(path.join(folder, runFolder.files.journal)), at(name))
      recorded.push({ name, task: notes.task, read })
    }
    const [first] = recorded
    if (first === undefined) return yield* usage("Give the folders of two searches or more.")
    const wanted = Option.getOrElse(measure, () => first.task.decides)
    const measured = recorded.map(({ name, task }) => ({ name, measures: task.measures }))
    const by = yield* Effect.fromResult(comparing.by(wanted, measured))
    const found = Comparison.of(
      recorded.map(({ name, read }) => Comparison.runOf(name, read, by)),
      by,
      { seed }
    )
    yield* Console.log(json ? JSON.stringify(found, null, 2) : describe(found, first.task))
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Compare searches: the best at equal trials, time and MACs, with intervals"),
  Command.withExamples([
    { command: "uninet compare runs/ppo runs/evolution", description: "Two searches" },
    {
      command: "uninet compare runs/ppo-* runs/gp-* --json",
      description: "Two searches with several seeds, for a script"
    }
  ])
)

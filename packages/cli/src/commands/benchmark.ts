/** `uninet benchmark`: strategies on a table of trained networks. */
import { Benchmark, Strategies, Table } from "@uninet/controller"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { Argument, Command, Flag } from "effect/cli"
import { fault, usage } from "../internal/CliFault.ts"
import * as counting from "../internal/counting.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as runFolder from "../internal/runFolder.ts"

/** Every evaluation is a point on a curve. */
const mostEvaluations = 10_000_000

const counts = (text: string): Option.Option<ReadonlyArray<number>> => {
  const numbers = text.split(",").map(Number)
  return numbers.every((n) => Number.isSafeInteger(n) && n >= 1 && n <= mostEvaluations)
    ? Option.some(numbers)
    : Option.none()
}

/** Strategies that work on any table. */
const usual = ["random", "evolution", "local-search", "tpe", "gp", "reinforce", "ppo"].join(",")

/** Checks that the curves can be written, before anything runs. */
const writable = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const name = yield* runFolder.shown(file)
  if (yield* Effect.orElseSucceed(fs.exists(file), () => false))
    return yield* fault(`--out ${name} already exists. Give the name of a new file; nothing was changed.`)
  const probe = `${file}.part`
  yield* Effect.mapError(Effect.andThen(fs.writeFileString(probe, ""), fs.remove(probe)), ({ message }) =>
    fault(`--out ${name} cannot be written: ${message}. Give a file in an existing folder that you may write to.`)
  )
})

export const benchmark = Command.make(
  "benchmark",
  {
    table: Argument.File("table", { mustExist: true }).pipe(
      Argument.withDescription("A table of trained networks, .json or .json.gz")
    ),
    strategies: Flag.String("strategies").pipe(
      Flag.withMetavar("a,b,…"),
      Flag.withDefault(usual),
      Flag.withDescription(`Strategies to compare, out of ${Strategies.names.join(", ")}`)
    ),
    budgets: Flag.String("budgets").pipe(
      Flag.withMetavar("n,m,…"),
      Flag.filterMap(counts, () => `whole numbers from 1 to ${mostEvaluations}, such as 100,200`),
      Flag.withDefault([100, 200]),
      Flag.withDescription("Numbers of evaluations at which to compare (default 100,200)")
    ),
    seeds: flags
      .whole("seeds", 1, 100_000)
      .pipe(Flag.withDefault(10), Flag.withDescription("How many times each strategy is run (default 10)")),
    out: Flag.Path("out").pipe(
      Flag.withMetavar("file.json"),
      Flag.optional,
      Flag.withDescription("Write everything, including the curves, as JSON to a new file")
    ),
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ budgets, device, json, out, seeds, strategies, table: path }) {
    const names = strategies.split(",").map((name) => name.trim())
    const unknown = names.find((name) => !Strategies.isName(name))
    if (unknown !== undefined)
      return yield* usage(`--strategies has "${unknown}". Give some of ${Strategies.names.join(", ")}.`)
    if (Option.isSome(out)) yield* writable(out.value)
    const table = yield* Effect.mapError(Table.read(path), ({ message }) => fault(message))
    const played = yield* Effect.flatMap(counting.make("seeds"), (heard) =>
      Benchmark.play({
        table,
        strategies: Object.fromEntries(names.filter(Strategies.isName).map((name) => [name, Strategies.all[name]])),
        budgets,
        seeds,
        onSeed: ({ done }) => heard(done, seeds)
      })
    ).pipe(
      Effect.scoped,
      Effect.provide(Device.layer(yield* Device.choose(device))),
      Effect.mapError(({ message }) => fault(message))
    )
    if (Option.isSome(out))
      yield* runFolder.write(out.value, `${JSON.stringify(played, null, 2)}\n`, "Give another file with --out.")
    yield* Console.log(json ? JSON.stringify(played, null, 2) : Benchmark.print(played))
  })
).pipe(
  Command.withDescription("Compare strategies on a table of trained networks"),
  Command.withExamples([
    {
      command: "uninet benchmark nas-bench-macro.json.gz --strategies random,evolution,ppo --seeds 100",
      description: "Mean and deviation of the best found after 100 and 200 evaluations"
    }
  ])
)

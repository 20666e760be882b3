/** `uninet verify`: checks the laws of a search space on many random points. */
import { Laws, ModelSpace } from "@uninet/model-space"
import { Runtime, type RuntimeError } from "@uninet/runtime"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { SpaceSource } from "@uninet/search"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import * as fc from "fast-check"
import { setImmediate } from "node:timers/promises"
import { at, fault, said, usage } from "../internal/CliFault.ts"
import * as command from "../internal/command.ts"
import * as counting from "../internal/counting.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as spaces from "../internal/spaces.ts"

/** `12:0:3`: the number of a run, and how its point was shrunk. Everything before it is drawn again. */
const isPath = (text: string) => text === "" || (/^\d{1,5}(:\d{1,5})*$/.test(text) && text.split(":").length <= 1000)

/** A point that breaks a law, shrunk as far as possible. */
interface Counterexample {
  readonly violation: Laws.LawViolation
  readonly path: string | null
}

interface Options {
  readonly runs: number
  readonly seed: number
  readonly path: string
}

const parameters = ({ path, runs, seed }: Options) => ({ numRuns: runs, seed, ...(path === "" ? {} : { path }) })

/** Checks what needs no engine; now and then it yields to everything else, such as Ctrl-C. */
const search = Effect.fnUntraced(function* (of: ModelSpace.Any, options: Options) {
  const heard = yield* counting.make("networks")
  const run = Effect.runPromiseWith(yield* Effect.context())
  const broken = (point: unknown) => {
    const checked = Laws.check(point)(of)
    return Result.isFailure(checked) ? checked.failure : undefined
  }
  let checked = 0
  let since = performance.now()
  let isOver = false
  const holds = async (point: unknown): Promise<boolean> => {
    if (isOver) return true
    if (performance.now() - since > 50) {
      // Shrinking a counterexample takes more runs than were requested.
      await run(heard(Math.min(checked, options.runs), options.runs))
      await setImmediate()
      since = performance.now()
    }
    checked++
    return broken(point) === undefined
  }
  const details = yield* Effect.callback<fc.RunDetails<[unknown]>>((resume) => {
    void fc
      .check(fc.asyncProperty(fromSpace(of.space), holds), parameters(options))
      .then((found) => resume(Effect.succeed(found)))
    return Effect.sync(() => (isOver = true))
  })
  const [smallest] = details.counterexample ?? []
  const violation = details.counterexample === null ? undefined : broken(smallest)
  const counterexample: Counterexample | undefined =
    violation === undefined ? undefined : { violation, path: details.counterexamplePath }
  return { counterexample, runs: details.numRuns }
})

/** Runs a network's program on the engine. */
const engine: Laws.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const executable = yield* (yield* Runtime).compile({ program })
      yield* executable.write(variables)
      return yield* executable.run("program", inputs)
    })
  )

/** Opening a network on the engine is expensive compared with the other laws: this many of the points are run. */
const engineRuns = 10

/** Like `search`, for the laws that run the network. */
const searchOnEngine = Effect.fnUntraced(function* (of: ModelSpace.Any, options: Options) {
  const runtime = yield* Runtime
  const broken = (point: unknown) =>
    Laws.checkOn(engine)(point)(of).pipe(
      Effect.as(undefined),
      Effect.catch((error) =>
        Effect.succeed(
          error._tag === "LawViolation"
            ? error
            : new Laws.LawViolation({
                law: "runs",
                at: "network",
                reason: error.message,
                space: of.name,
                line: of.line(point),
                picture: of.picture(point),
                point: ModelSpace.write(point)(of)
              })
        )
      ),
      Effect.provideService(Runtime, runtime)
    )
  const heard = yield* counting.make("networks run on the engine")
  const run = Effect.runPromiseWith(yield* Effect.context())
  const runs = Math.min(options.runs, engineRuns)
  let checked = 0
  // fast-check draws and shrinks through promises.
  const details = yield* Effect.promise(() =>
    fc.check(
      fc.asyncProperty(fromSpace(of.space), async (point) => {
        await run(heard(Math.min(checked++, runs), runs))
        return (await run(broken(point))) === undefined
      }),
      parameters({ ...options, runs })
    )
  )
  const [smallest] = details.counterexample ?? []
  const violation = details.counterexample === null ? undefined : yield* broken(smallest)
  return violation === undefined
    ? undefined
    : ({ violation, path: details.counterexamplePath } satisfies Counterexample)
})

/** Small pictures, with which a space that is made for examples is checked. */
const small = {
  inputs: { image: { shape: [1, 28, 28], dtype: "float32" } },
  targets: { shape: [], dtype: "int32" },
  classes: 10
} as const

export const verify = Command.make(
  "verify",
  {
    space: Argument.String("space").pipe(
      Argument.withDescription(
        `${spaces.names.join(", ")}, or a module whose default export is a ModelSpace (default uninet)`
      ),
      Argument.optional
    ),
    runs: flags
      .whole("runs", 1, 100_000)
      .pipe(Flag.withDefault(100), Flag.withDescription("Networks to check (default 100)")),
    seed: flags
      .whole("seed", 0, 2 ** 31 - 1)
      .pipe(Flag.withDefault(0), Flag.withDescription("Decides which networks are checked (default 0)")),
    path: Flag.String("path").pipe(
      Flag.withMetavar("path"),
      Flag.withDefault(""),
      Flag.withDescription("Check only the network for which a failure printed this path")
    ),
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ device, json, path, runs, seed, space }) {
    const source = Option.isSome(space) ? yield* spaces.named(space.value) : spaces.standard
    const of = yield* Effect.mapError(SpaceSource.load(small, spaces.known)(source), at("the space"))
    if (!of.isTrainable)
      return yield* fault(`the networks of ${of.name} cannot be built, so there is nothing to verify but its choices.`)
    const laws = [...Laws.pure(of), ...Laws.onEngine(of)].map(({ name }) => name)
    if (!isPath(path))
      return yield* usage(
        `--path is "${path}". Give the one that was printed with the network that breaks a law, such as 12:0:3.`
      )
    const engineLayer = Device.layer(yield* Device.choose(device))
    const { checked, counterexample } = yield* Effect.scoped(
      Effect.gen(function* () {
        // A missing engine is reported before anything is checked.
        const services = yield* Layer.build(engineLayer)
        yield* Console.error(`checking ${format.plural(runs, "network")} …`)
        const { counterexample: pure, runs: checked } = yield* Effect.scoped(search(of, { runs, seed, path }))
        const broken = pure ?? (yield* Effect.provide(searchOnEngine(of, { runs, seed, path }), services))
        return { checked, counterexample: broken }
      })
    )
    if (counterexample === undefined) {
      yield* Console.log(
        json
          ? JSON.stringify({ holds: true, space: of.name, checked, laws, seed }, null, 2)
          : `${format.plural(checked, "network")} of ${of.name} keep the laws: ${laws.join(", ")} (laws that run a network, on the engine, for ${Math.min(checked, engineRuns)} of them)`
      )
      return
    }
    const { violation } = counterexample
    const replay = command.uninet(
      "verify",
      ...(Option.isSome(space) ? [space.value] : []),
      "--seed",
      String(seed),
      "--path",
      counterexample.path ?? "0"
    )
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              holds: false,
              space: of.name,
              law: violation.law,
              at: violation.at,
              reason: violation.reason,
              point: violation.point,
              replay
            },
            null,
            2
          )
        : `The smallest network that breaks the law "${violation.law}":\n${violation.picture}\nReplay: ${replay}`
    )
    return yield* fault(violation.message)
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Check the laws of a search space and of its networks on random points"),
  Command.withExamples([
    { command: "uninet verify", description: "UniNet's own space and operators" },
    { command: "uninet verify my-space.ts --runs 1000 --seed 7", description: "Your own space" }
  ])
)

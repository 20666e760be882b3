/** `uninet verify`: laws of a search space, by many random architectures. */
import { DsmSet } from "@uninet/dsm"
import { Network } from "@uninet/network"
import * as Verify from "@uninet/network/verify"
import { OperatorSet } from "@uninet/operators"
import { Runtime, type RuntimeError } from "@uninet/runtime"
import { Architecture, type Space, UniNetSpace } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import * as fc from "fast-check"
import { pathToFileURL } from "node:url"
import { fault } from "../internal/CliFault.ts"
import * as Device from "../internal/device.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as runFolder from "../internal/runFolder.ts"

/** What a module of a space exports. */
interface Module {
  readonly space: Space.Space<Architecture.Architecture>
  readonly sets: Network.Sets
}

// The module's exports come from outside the type checker: what is looked at is their shape.
const isSpace = (u: unknown): u is Space.Space<Architecture.Architecture> =>
  Predicate.hasProperty(u, "sites") && Predicate.hasProperty(u, "root")
const isOperators = (u: unknown): u is OperatorSet.OperatorSet => Predicate.isObject(u)
const isDsms = (u: unknown): u is DsmSet.DsmSet => Predicate.isObject(u)

const load = Effect.fnUntraced(function* (file: string) {
  const name = yield* runFolder.shown(file)
  const module: unknown = yield* Effect.tryPromise({
    try: (): Promise<unknown> => import(pathToFileURL(file).href),
    catch: (cause) => fault(`${name} cannot be imported: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
  const given: unknown = Predicate.hasProperty(module, "default") ? module.default : undefined
  if (Result.isResult(given) && Result.isFailure(given)) {
    const { failure } = given
    return yield* fault(`${name}: ${failure instanceof Error ? failure.message : String(failure)}`)
  }
  const space = Result.isResult(given) && Result.isSuccess(given) ? given.success : given
  if (!isSpace(space))
    return yield* fault(`${name} has no default export that is a space of architectures. Export what Space.make gives.`)
  const operators = Predicate.hasProperty(module, "operators") && isOperators(module.operators) ? module.operators : {}
  const dsms = Predicate.hasProperty(module, "dsms") && isDsms(module.dsms) ? module.dsms : {}
  return { space, sets: { operators: OperatorSet.with(operators), dsms: DsmSet.with(dsms) } } satisfies Module
})

const builtIn: Effect.Effect<Module, unknown> = Effect.map(
  Effect.fromResult(UniNetSpace.make({ image: 28, channels: 1, classes: 10 })),
  (space) => ({ space, sets: Network.standard })
)

/** An architecture that breaks a law, as small as it could be made. */
interface Counterexample {
  readonly violation: Verify.LawViolation
  readonly path: string | null
}

const search = (
  { sets, space }: Module,
  options: { readonly runs: number; readonly seed: number; readonly path: string }
) => {
  const details = fc.check(
    fc.property(fromSpace(space), (architecture) => Result.isSuccess(Verify.check(architecture, sets))),
    { numRuns: options.runs, seed: options.seed, ...(options.path === "" ? {} : { path: options.path }) }
  )
  const smallest = details.counterexample?.[0]
  if (smallest === undefined) return { counterexample: undefined, runs: details.numRuns }
  const checked = Verify.check(smallest, sets)
  const violation = Result.isFailure(checked) ? checked.failure : undefined
  const counterexample: Counterexample | undefined =
    violation === undefined ? undefined : { violation, path: details.counterexamplePath }
  return { counterexample, runs: details.numRuns }
}

/** Runs a program of a network on the engine. */
const engine: Verify.Engine<RuntimeError, Runtime> = (program, { inputs, variables }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const executable = yield* (yield* Runtime).compile({ program })
      yield* executable.write(variables)
      return yield* executable.run("program", inputs)
    })
  )

/** Opening a network on the engine is dear beside the other laws: this many of the architectures are run. */
const engineRuns = 10

/** As `search`, for the law that a network runs on the engine and gives finite logits. */
const searchOnEngine = Effect.fnUntraced(function* (
  { sets, space }: Module,
  options: { readonly runs: number; readonly seed: number; readonly path: string }
) {
  const runtime = yield* Runtime
  const broken = (architecture: Architecture.Architecture) =>
    Verify.runs(engine, architecture, sets).pipe(
      Effect.as(undefined),
      Effect.catch((error) =>
        Effect.succeed(
          error._tag === "LawViolation"
            ? error
            : new Verify.LawViolation({ law: "runs", at: "network", reason: error.message, architecture })
        )
      ),
      Effect.provideService(Runtime, runtime)
    )
  const numRuns = Math.min(options.runs, engineRuns)
  // fast-check draws and shrinks by promises.
  const details = yield* Effect.promise(() =>
    fc.check(
      fc.asyncProperty(
        fromSpace(space),
        async (architecture) => (await Effect.runPromise(broken(architecture))) === undefined
      ),
      { numRuns, seed: options.seed, ...(options.path === "" ? {} : { path: options.path }) }
    )
  )
  const smallest = details.counterexample?.[0]
  const violation = smallest === undefined ? undefined : yield* broken(smallest)
  return violation === undefined
    ? undefined
    : ({ violation, path: details.counterexamplePath } satisfies Counterexample)
})

export const verify = Command.make(
  "verify",
  {
    space: Argument.File("space", { mustExist: true }).pipe(
      Argument.withDescription(
        "A module that exports a space of architectures by default, and its own operators and dsms"
      ),
      Argument.optional
    ),
    runs: flags.whole("runs").pipe(Flag.withDefault(100), Flag.withDescription("Architectures to check (default 100)")),
    seed: flags.whole("seed", 0).pipe(Flag.withDefault(0), Flag.withDescription("Which ones (default 0)")),
    path: Flag.String("path").pipe(
      Flag.withMetavar("path"),
      Flag.withDefault(""),
      Flag.withDescription("Only the architecture that a failure printed this for")
    ),
    device: flags.device.pipe(Flag.withDefault(Device.standard)),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ device, json, path, runs, seed, space }) {
    const module = yield* Option.match(space, { onNone: () => builtIn, onSome: load })
    const laws = [...Verify.laws.map(({ name }) => name), "runs"]
    const { counterexample: pure, runs: checked } = yield* Effect.sync(() => search(module, { runs, seed, path }))
    const engineLayer = Device.layer(yield* Device.choose(device))
    const counterexample = pure ?? (yield* Effect.provide(searchOnEngine(module, { runs, seed, path }), engineLayer))
    if (counterexample === undefined) {
      yield* Console.log(
        json
          ? JSON.stringify({ holds: true, checked, laws, seed }, null, 2)
          : `${format.plural(checked, "architecture")} keep the laws: ${laws.join(", ")} (the last on the engine, for ${Math.min(checked, engineRuns)} of them)`
      )
      return
    }
    const { violation } = counterexample
    const file = Option.isSome(space) ? ` ${yield* runFolder.shown(space.value)}` : ""
    const replay = `uninet verify${file} --seed ${seed} --path ${counterexample.path ?? "0"}`
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              holds: false,
              law: violation.law,
              at: violation.at,
              reason: violation.reason,
              architecture: violation.architecture,
              replay
            },
            null,
            2
          )
        : `The smallest architecture that breaks the law "${violation.law}":\n${Architecture.print(violation.architecture)}\nReplay: ${replay}`
    )
    return yield* fault(violation.message)
  })
).pipe(
  Command.withDescription("Check the laws of a search space and of its operators on random architectures"),
  Command.withExamples([
    { command: "uninet verify", description: "UniNet's own space and operators" },
    { command: "uninet verify my-space.ts --runs 1000 --seed 7", description: "A space of one's own" }
  ])
)

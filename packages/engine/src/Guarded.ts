/** What every engine does around its own work: it runs one program at a time, only programs that were compiled, and only with inputs that fit. */
import type { Program, Tensor } from "@uninet/graph"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Check from "./Check.ts"
import * as FirstValues from "./FirstValues.ts"
import type { Data, Executable } from "./Runtime.ts"
import { RunFailed, type RuntimeError, UninitialisedVariables } from "./RuntimeError.ts"

/** What an engine does itself, with its own form of each program. */
export interface Own<Entry> {
  readonly engine: string
  /** The variables of all programs, by name. */
  readonly variables: ReadonlyMap<string, Tensor.Tensor<"variable">>
  readonly run: (
    entry: Entry,
    inputs: Readonly<Record<string, Data>>,
    name: string
  ) => Effect.Effect<Readonly<Record<string, Data>>, RuntimeError>
  readonly read: Effect.Effect<ReadonlyMap<string, Data>, RuntimeError>
  readonly write: (values: ReadonlyMap<string, Data>) => Effect.Effect<void, RuntimeError>
}

/** The engine's answer, unless its inputs are wrong. */
const checked = <A>(wrong: RuntimeError | undefined, effect: () => Effect.Effect<A, RuntimeError>) =>
  wrong === undefined ? effect() : Effect.fail(wrong)

/**
 * Makes an `Executable` from compiled programs. It fails with `WrongInput`, `WrongVariables` and `UninitialisedVariables` before it calls the engine, and with `RunFailed` for a program
 * that was not compiled. A run is never interrupted: an engine's buffers must outlive it.
 */
export const make = <Name extends string, Entry extends { readonly program: Program.Program }>(
  entries: ReadonlyMap<Name, Entry>,
  { engine, read, run, variables, write }: Own<Entry>
): Effect.Effect<Executable<Name>> =>
  Effect.map(Semaphore.make(1), (turn) => {
    // Variables without a value: their initial values are drawn, and have not been written yet.
    const missing = new Set([...variables].flatMap(([name, v]) => (FirstValues.isDrawn(v) ? [name] : [])))
    const reads = new Map([...entries].map(([name, { program }]) => [name, FirstValues.readBy(program)]))
    const uninitialised = (program: Name) => {
      const names = missing.size === 0 ? [] : (reads.get(program) ?? []).filter((name) => missing.has(name))
      return names.length === 0 ? undefined : new UninitialisedVariables({ program, names })
    }
    const written = (names: Iterable<string>) => {
      for (const name of names) missing.delete(name)
    }
    const inTurn = <A, E>(effect: Effect.Effect<A, E>) => turn.withPermits(1)(Effect.uninterruptible(effect))
    return {
      run: (name, inputs) =>
        inTurn(
          Effect.suspend((): Effect.Effect<Readonly<Record<string, Data>>, RuntimeError> => {
            const entry = entries.get(name)
            return entry === undefined
              ? Effect.fail(new RunFailed({ engine, program: name, cause: "it was not compiled" }))
              : checked(uninitialised(name) ?? Check.inputs(name, entry.program, inputs), () =>
                  Effect.tap(run(entry, inputs, name), () =>
                    Effect.sync(() => written(entry.program.updates.map((u) => u.variable.attributes.name)))
                  )
                )
          })
        ),
      read: inTurn(read),
      write: (values) =>
        inTurn(
          Effect.suspend(() =>
            checked(Check.variables(variables, values), () =>
              Effect.tap(write(values), () => Effect.sync(() => written(values.keys())))
            )
          )
        )
    }
  })

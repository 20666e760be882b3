/**
 * The `Runtime` service: programs in, numbers out.
 *
 * An engine compiles a set of programs that share their variables, runs them by name, and releases everything when the scope ends.
 */
import type { Program } from "@uninet/graph"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RuntimeError } from "./RuntimeError.ts"

/** A tensor's elements in row-major order; its shape is the program's. */
export type Data = Float32Array | Int32Array

/** Compiled programs with the variables they share. */
export interface Executable<Name extends string> {
  /**
   * Runs a program: feeds its inputs by name, takes over its updates, and gives its outputs by name.
   *
   * Runs of one executable follow one another. The outputs are the caller's own. Fails with `UninitialisedVariables` where the program reads a variable that has no value yet.
   */
  readonly run: (
    name: Name,
    inputs: Readonly<Record<string, Data>>
  ) => Effect.Effect<Readonly<Record<string, Data>>, RuntimeError>
  /** Copies of the variables' present values, by name; zeros of those that have none yet. */
  readonly read: Effect.Effect<ReadonlyMap<string, Data>, RuntimeError>
  /** Replaces values of variables; those not named keep theirs. Fails with `WrongVariables`, having changed nothing. */
  readonly write: (values: ReadonlyMap<string, Data>) => Effect.Effect<void, RuntimeError>
}

/** How programs are compiled. */
export interface Compiling {
  /**
   * Whether the programs are run once or a few times, such as a proxy's of an untrained network: an engine may then leave out what makes runs faster and costs more than a run. The numbers are
   * the same but for rounding. Default false.
   */
  readonly once?: boolean
}

/**
 * An engine that runs programs of `@uninet/graph`.
 *
 * @example
 * ```ts
 * import { Runtime } from "@uninet/engine"
 * import { Op, Program } from "@uninet/graph"
 * import { Loops } from "@uninet/loops"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const runtime = yield* Runtime
 *   const double = yield* Effect.fromResult(Program.make({ outputs: { y: Op.scale(Op.input("x", [2]), 2) } }))
 *   const { run } = yield* runtime.compile({ double })
 *   yield* Console.log(yield* run("double", { x: Float32Array.of(1, 2) })) // { y: Float32Array(2) [ 2, 4 ] }
 *   // What an engine would compute nonsense from is refused, by every engine in the same words.
 *   yield* run("double", { x: Float32Array.of(1) }).pipe(Effect.catchTag("WrongInput", ({ message }) => Console.log(message)))
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Loops.portable())))
 * ```
 */
export class Runtime extends Context.Service<
  Runtime,
  {
    /** The engine and its device, such as `onnxruntime cpu`. */
    readonly name: string
    /**
     * What decides an engine's numbers beside the programs, in a line: its version, and how it computes on this machine, such as `onnxruntime 1.30.0 cpu, blocks of 16`. Two that are equal in it
     * give the same numbers. Default: the name.
     */
    readonly numerics?: Effect.Effect<string, RuntimeError>
    /**
     * Whether two that are equal in `numerics` give the same numbers to the bit on every processor and system, so that unlike machines may share a training or a search. Default: no.
     */
    readonly isPortable?: boolean
    /**
     * Programs that share their variables by name. A variable whose first value is a number starts at it; one whose first values are drawn has none until `write`, or a run that
     * gives it one. Fails with `CompileFailed` where two programs have variables of one name and two shapes.
     */
    readonly compile: <Name extends string>(
      programs: Readonly<Record<Name, Program.Program>>,
      options?: Compiling
    ) => Effect.Effect<Executable<Name>, RuntimeError, Scope.Scope>
  }
>()("@uninet/runtime/Runtime") {}

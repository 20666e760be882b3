/**
 * The `Runtime` service: programs in, numbers out.
 *
 * An engine compiles a set of programs that share their variables, runs them by name, and releases everything when the scope closes.
 */
import type { Program } from "@uninet/graph"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RuntimeError } from "./RuntimeError.ts"

/** A tensor's elements in row-major order; the program gives its shape. */
export type Data = Float32Array | Int32Array

/** Compiled programs with the variables they share. */
export interface Executable<Name extends string> {
  /**
   * Runs a program: takes its inputs by name, applies its updates, and returns its outputs by name.
   *
   * Runs of one executable follow one another. The outputs belong to the caller. Fails with `UninitialisedVariables` if the program reads a variable that has no value yet.
   */
  readonly run: (
    name: Name,
    inputs: Readonly<Record<string, Data>>
  ) => Effect.Effect<Readonly<Record<string, Data>>, RuntimeError>
  /** Copies of the variables' current values, by name; zeros for those that have none yet. */
  readonly read: Effect.Effect<ReadonlyMap<string, Data>, RuntimeError>
  /** Replaces the values of variables; those not named keep theirs. Fails with `WrongVariables` without changing anything. */
  readonly write: (values: ReadonlyMap<string, Data>) => Effect.Effect<void, RuntimeError>
}

/** Options for compiling programs. */
export interface Compiling {
  /**
   * Whether the programs run only once or a few times, such as those of a proxy on an untrained network. An engine may then skip anything that makes runs faster but costs more than a run. The
   * numbers are the same except for rounding. Default false.
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
     * What determines an engine's numbers besides the programs, on one line: its version, and how it computes on this machine, such as `onnxruntime 1.30.0 cpu, blocks of 16`. Two engines with
     * the same text give the same numbers. Default: the name.
     */
    readonly numerics?: Effect.Effect<string, RuntimeError>
    /**
     * Whether engines with equal `numerics` give the same numbers to the bit on every CPU and system, so that different machines can share a training run or a search. Default: no.
     */
    readonly isPortable?: boolean
    /**
     * Compiles programs that share their variables by name. A variable whose initial value is a number starts at it; one whose initial values are drawn has none until `write`,
     * or until a run gives it one. Fails with `CompileFailed` if two programs have variables with the same name but different shapes.
     */
    readonly compile: <Name extends string>(
      programs: Readonly<Record<Name, Program.Program>>,
      options?: Compiling
    ) => Effect.Effect<Executable<Name>, RuntimeError, Scope.Scope>
  }
>()("@uninet/runtime/Runtime") {}

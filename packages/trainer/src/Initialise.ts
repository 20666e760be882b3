/** Initial values of variables. */
import { Shape, type Tensor } from "@uninet/graph"
import type { Executable, RuntimeError } from "@uninet/engine"
import type { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"

/**
 * Draws a variable's initial value. Every variable has its own generator, derived from its name, so its value does not depend on which
 * other variables there are.
 *
 * @example
 * ```ts
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Initialise } from "@uninet/trainer"
 * import { Prng } from "@uninet/search-space"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([2]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 2 })(x) })
 * })
 * const { variables } = Result.getOrThrow(Model.evaluation()(model))
 * const prng = Prng.fromSeed("demo")
 * for (const variable of variables) console.log(variable.attributes.name, Initialise.value(prng)(variable))
 * console.log(Initialise.values(prng)(variables).size) // 2: of all at once
 * ```
 */
export const value =
  (prng: Prng.Prng) =>
  (variable: Tensor.Tensor<"variable">): Float32Array<ArrayBuffer> => {
    const { initialiser, name } = variable.attributes
    const data = new Float32Array(Shape.size(variable.shape))
    if (initialiser.kind === "constant") return data.fill(initialiser.value)
    const own = prng.split(name)
    const draw =
      initialiser.kind === "uniform"
        ? () => (2 * own.nextFloat() - 1) * initialiser.bound
        : () => initialiser.deviation * truncatedNormal(own)
    for (let i = 0; i < data.length; i++) data[i] = draw()
    return data
  }

/** Standard normal, redrawn outside ±2. */
const truncatedNormal = (prng: Prng.Prng): number => {
  for (;;) {
    const z = prng.nextNormal()
    if (Math.abs(z) <= 2) return z
  }
}

/** Initial values of all variables, by name. */
export const values =
  (prng: Prng.Prng) =>
  (variables: ReadonlyArray<Tensor.Tensor<"variable">>): ReadonlyMap<string, Float32Array<ArrayBuffer>> =>
    new Map(variables.map((v) => [v.attributes.name, value(prng)(v)]))

const startsAtZero = ({ attributes: { initialiser } }: Tensor.Tensor<"variable">) =>
  initialiser.kind === "constant" && initialiser.value === 0

/**
 * Sets an executable's variables to their initial values. Those that start at zero have to be zero already, as they are right after
 * compiling.
 *
 * @example
 * ```ts
 * import { Runtime } from "@uninet/engine"
 * import { Loops } from "@uninet/loops"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([2]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const program = Effect.gen(function* () {
 *   const evaluation = yield* Effect.fromResult(Model.evaluation()(model))
 *   const executable = yield* (yield* Runtime).compile({ evaluation })
 *   yield* Initialise.write(executable, evaluation.variables, Prng.fromSeed("demo"))
 *   yield* Console.log(yield* executable.run("evaluation", { x: Float32Array.of(1, 2) }))
 * })
 * Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Loops.portable())))
 * ```
 */
export const write = (
  executable: Pick<Executable<string>, "write">,
  variables: ReadonlyArray<Tensor.Tensor<"variable">>,
  prng: Prng.Prng
): Effect.Effect<void, RuntimeError> =>
  Effect.suspend(() => {
    const first = values(prng)(variables.filter((v) => !startsAtZero(v)))
    // Otherwise a large network's weights would be held a second time during its first step, until the garbage collector runs.
    return Effect.tap(executable.write(first), () =>
      Effect.sync(() => {
        for (const { buffer } of first.values()) buffer.transfer(0)
      })
    )
  })

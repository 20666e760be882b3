/** A network with its weights and its card: what is exported. */
import type { GraphError, Program } from "@uninet/graph"
import type { PyTorchForm } from "@uninet/model-space"
import { Model, type Weights } from "@uninet/nn"
import { Runtime, type RuntimeError } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Card } from "./Card.ts"
import * as Examples from "./Examples.ts"

/** A network with its weights and its description. */
export interface Trained {
  readonly model: Model.Model
  readonly weights: Weights.Weights
  readonly card: Card
  /** As a readable PyTorch module, if its author provides one; otherwise it is written from the graph, op by op. */
  readonly pytorch: Result.Result<PyTorchForm, { readonly message: string }> | null
}

/** The program that evaluates a batch of examples. */
export const program =
  (batch = 1) =>
  ({ model }: Pick<Trained, "model">): Result.Result<Program.Program, GraphError> =>
    Model.evaluation({ batch })(model)

/** Examples per run. */
const chunk = 16

/**
 * The network's own outputs for examples, on the engine that trains and evaluates: exports are compared with these. `onExamples` is called
 * after every few.
 *
 * @example
 * ```ts
 * import { Card, Specimens, Trained } from "@uninet/export"
 * import { Loops } from "@uninet/loops"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise } from "@uninet/trainer"
 * import { Console, Effect, Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const card = Result.getOrThrow(Card.of(model, { line: "one linear layer", task: "regression" }))
 * const { variables } = Result.getOrThrow(Trained.program()({ model }))
 * const weights = Initialise.values(Prng.fromSeed("demo"))(variables)
 * Trained.outputs(Specimens.drawn(3)(card.inputs))({ model, card, weights }).pipe(
 *   Effect.flatMap(({ y }) => Console.log(y)), // a number for each of the three
 *   Effect.provide(Loops.portable()),
 *   Effect.runPromise
 * )
 * ```
 */
export const outputs = (
  examples: Examples.Examples,
  onExamples: (count: number) => Effect.Effect<void> = () => Effect.void
) =>
  Effect.fn("Trained.outputs")(function* (
    trained: Pick<Trained, "model" | "weights" | "card">
  ): Effect.fn.Return<Examples.Outputs, Examples.ExamplesMismatch | GraphError | RuntimeError, Runtime> {
    const { inputs, outputs: gives } = trained.card
    const { size } = examples
    yield* Effect.fromResult(Examples.check(inputs)(examples))
    const evaluation = yield* Effect.fromResult(program(chunk)(trained))
    return yield* Effect.scoped(
      Effect.gen(function* () {
        const executable = yield* (yield* Runtime).compile({ evaluation })
        yield* executable.write(trained.weights)
        const out = Examples.nothing(gives, size)
        for (let from = 0; from < size; from += chunk) {
          const present = Math.min(chunk, size - from)
          // The last examples are padded with zeros to a whole batch.
          const found = yield* executable.run("evaluation", Examples.rows(inputs, examples, from, chunk))
          Examples.put(gives, out, from, present, found)
          yield* onExamples(present)
        }
        return out
      })
    )
  })

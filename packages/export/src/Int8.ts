/** A network's ONNX file in whole numbers of eight bits: calibrated on examples, made of the standard's own operators, which ONNX Runtime merges. */
import type { GraphError } from "@uninet/graph"
import type { Weights } from "@uninet/nn"
import { Export, Model, Quantise } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as ort from "onnxruntime-node"
import * as Card from "./Card.ts"
import * as Examples from "./Examples.ts"
import * as Format from "./Format.ts"
import { ModelUnusable } from "./OnnxModel.ts"
import * as Trained from "./Trained.ts"

/** Examples at a time: every value between operators is held. */
const chunk = 8

/** A file in eight bits, and what became of its nodes. */
export interface Int8 extends Pick<Quantise.Quantised, "taken" | "left"> {
  readonly file: Format.File
}

/** Everything that making one fails with. */
export type Int8Error =
  | GraphError
  | Card.CardMismatch
  | Export.NotBatchFree
  | Weights.WeightsMismatch
  | Examples.ExamplesMismatch
  | ModelUnusable

/** The least and the largest of values that are added to what was seen before. */
const seen = (before: Quantise.Range | undefined, values: ArrayLike<number>): Quantise.Range => {
  let { max, min } = before ?? { min: Infinity, max: -Infinity }
  for (let i = 0; i < values.length; i++) {
    if (values[i] < min) min = values[i]
    if (values[i] > max) max = values[i]
  }
  return { min, max }
}

const attempt = <A>(f: () => Promise<A>) =>
  Effect.tryPromise({
    try: f,
    catch: (cause) =>
      new ModelUnusable({
        file: "the network",
        reason: `ONNX Runtime cannot run it for calibration (${cause instanceof Error ? cause.message : String(cause)})`
      })
  })

/** What values come to on examples, by their names. */
const rangesOf = Effect.fnUntraced(function* (
  model: Model.Model,
  inputs: Card.Card["inputs"],
  examples: Examples.Examples,
  onExamples: (count: number) => Effect.Effect<void>
) {
  const given = new Set([...model.inputs, ...model.outputs].map(({ name }) => name))
  const watched = Quantise.observed(model).filter((name) => !given.has(name))
  const outputs = [
    ...model.outputs,
    ...watched.map((name): Model.ValueInfo => ({ name, type: "float32", shape: null }))
  ]
  const session = yield* Effect.acquireRelease(
    attempt(() => ort.InferenceSession.create(Model.encode({ ...model, outputs }), { logSeverityLevel: 3 })),
    (session) => Effect.ignore(Effect.promise(() => session.release()))
  )
  const ranges = new Map<string, Quantise.Range>()
  for (let from = 0; from < examples.size; from += chunk) {
    const count = Math.min(chunk, examples.size - from)
    const rows = Examples.rows(inputs, examples, from, count)
    const feeds = Object.fromEntries(
      Object.entries(inputs).flatMap(([name, { dtype, shape }]) =>
        session.inputNames.includes(name) ? [[name, new ort.Tensor(dtype, rows[name], [count, ...shape])]] : []
      )
    )
    const found = yield* Effect.uninterruptible(attempt(() => session.run(feeds)))
    for (const [name, { data, type }] of Object.entries({ ...found, ...feeds }))
      if (type === "float32") ranges.set(name, seen(ranges.get(name), data as Float32Array)) // as its type says
    yield* onExamples(count)
  }
  return ranges
}, Effect.scoped)

/**
 * The network's ONNX file in eight bits, with what could be computed in them and what was left in floats, by operator. `onExamples` hears of every few that calibrate.
 *
 * @example
 * ```ts
 * import { Card, Int8, Specimens } from "@uninet/export"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise } from "@uninet/trainer"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([16]) },
 *   forward: (scope, { x }) => {
 *     const hidden = Nn.relu(scope)(Nn.linear(Scope.at(scope, "hidden"), { out: 32 })(x))
 *     return { y: Nn.linear(Scope.at(scope, "y"), { out: 1 })(hidden) }
 *   }
 * })
 * const program = Effect.gen(function* () {
 *   const { variables } = yield* Effect.fromResult(Model.evaluation(model))
 *   const card = yield* Effect.fromResult(Card.of(model, { line: "one hidden layer", task: "regression" }))
 *   const trained = { model, card, weights: Initialise.values(variables, Prng.fromSeed("demo")), pytorch: null }
 *   // Calibrated on examples such as it was trained on; here drawn ones.
 *   const { file, left, taken } = yield* Int8.onnx(trained, Specimens.drawn(card.inputs, 64))
 *   yield* Console.log(file.extension, taken, left) // what is computed in eight bits, and what was left in floats
 * })
 * Effect.runPromise(program)
 * ```
 */
export const onnx = Effect.fn("Int8.onnx")(function* (
  trained: Trained.Trained,
  calibration: Examples.Examples,
  onExamples: (count: number) => Effect.Effect<void> = () => Effect.void
): Effect.fn.Return<Int8, Int8Error> {
  // Says what is wrong with weights and card.
  yield* Effect.fromResult(Format.onnx(trained))
  yield* Effect.fromResult(Examples.check(trained.card.inputs, calibration))
  const model = yield* Effect.fromResult(
    Export.toModel({
      program: (batch) => Trained.program(trained, batch),
      weights: trained.weights,
      name: "network",
      metadata: { ...Card.toMetadata(trained.card), precision: "int8" }
    })
  )
  const ranges = yield* rangesOf(model, trained.card.inputs, calibration, onExamples)
  const { left, model: quantised, taken } = Quantise.quantise(model, ranges)
  return { file: { extension: ".onnx", content: Model.encode(quantised) }, left, taken }
})

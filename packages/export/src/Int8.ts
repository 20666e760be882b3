/** A network's ONNX file in eight-bit integers: calibrated on examples, and made of the standard's own operators, which ONNX Runtime fuses. */
import type { DataError, Dataset } from "@uninet/data"
import type { GraphError } from "@uninet/graph"
import type { ModelSpace, Task } from "@uninet/model-space"
import type { Model as Ports, Weights } from "@uninet/nn"
import { Export, Model, Quantise } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ort from "onnxruntime-node"
import * as Card from "./Card.ts"
import * as Examples from "./Examples.ts"
import * as Format from "./Format.ts"
import { feedsOf } from "./internal/feeds.ts"
import { ModelUnusable } from "./OnnxModel.ts"
import * as Specimens from "./Specimens.ts"
import * as Trained from "./Trained.ts"

/** Examples per run: every value between operators is held in memory. */
const chunk = 8

/** A file in eight bits, and what was done with its nodes. */
export interface Int8 extends Pick<Quantise.Quantised, "taken" | "left"> {
  readonly file: Format.File
}

/** The errors of making one. */
export type Int8Error =
  | GraphError
  | Card.CardMismatch
  | Export.NotBatchFree
  | Weights.WeightsMismatch
  | Examples.ExamplesMismatch
  | ModelUnusable

/** The range of earlier values extended by new ones. */
const seen = (before: Quantise.Range | undefined, values: ArrayLike<number>): Quantise.Range => {
  let { max, min } = before ?? { min: Infinity, max: -Infinity }
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN
    if (value < min) min = value
    if (value > max) max = value
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

/** The outputs of one run for some rows. */
const runOf =
  (session: ort.InferenceSession, inputs: Ports.Ports) =>
  (rows: Readonly<Record<string, Examples.Values>>, count: number) => {
    const feeds = feedsOf(session, inputs, rows, count)
    // ONNX Runtime cannot be interrupted inside a run.
    return Effect.map(Effect.uninterruptible(attempt(() => session.run(feeds))), (found) => ({ feeds, found }))
  }

const opened = (bytes: Uint8Array) =>
  Effect.acquireRelease(
    attempt(() => ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, logSeverityLevel: 3 })),
    (session) => Effect.ignore(Effect.promise(() => session.release()))
  )

/** The range of each value over the examples, by name. */
const rangesOf = Effect.fnUntraced(function* (
  model: Model.Model,
  inputs: Ports.Ports,
  examples: Examples.Examples,
  onExamples: (count: number) => Effect.Effect<void>
) {
  const given = new Set([...model.inputs, ...model.outputs].map(({ name }) => name))
  const watched = Quantise.observed(model).filter((name) => !given.has(name))
  const outputs = [
    ...model.outputs,
    ...watched.map((name): Model.ValueInfo => ({ name, type: "float32", shape: null }))
  ]
  const run = runOf(yield* opened(Model.encode({ ...model, outputs })), inputs)
  const ranges = new Map<string, Quantise.Range>()
  for (let from = 0; from < examples.size; from += chunk) {
    const count = Math.min(chunk, examples.size - from)
    const { feeds, found } = yield* run(Examples.rows(inputs, examples, from, count), count)
    for (const [name, { data, type }] of Object.entries({ ...found, ...feeds }))
      if (type === "float32") ranges.set(name, seen(ranges.get(name), data as Float32Array)) // as its type says
    yield* onExamples(count)
  }
  return ranges
}, Effect.scoped)

/** A network in eight bits. */
const quantised = Effect.fnUntraced(function* (
  network: Pick<Trained.Trained, "model" | "weights">,
  calibration: Examples.Examples,
  metadata: Readonly<Record<string, string>>,
  onExamples: (count: number) => Effect.Effect<void> = () => Effect.void
) {
  const { inputs } = network.model
  yield* Effect.fromResult(Examples.check(inputs)(calibration))
  const model = yield* Effect.fromResult(
    Export.toModel({
      program: (batch) => Trained.program(batch)(network),
      weights: network.weights,
      name: "network",
      metadata
    })
  )
  return Quantise.quantise(yield* rangesOf(model, inputs, calibration, onExamples))(model)
})

/**
 * The network's ONNX file in eight bits, with the operators computed in eight bits and those left in floating point. `onExamples` is called
 * after every few examples of the calibration.
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
 *     const hidden = Nn.relu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 32 })(x))
 *     return { y: Nn.linear(Scope.at("y")(scope), { out: 1 })(hidden) }
 *   }
 * })
 * const program = Effect.gen(function* () {
 *   const { variables } = yield* Effect.fromResult(Model.evaluation()(model))
 *   const card = yield* Effect.fromResult(Card.of(model, { line: "one hidden layer", task: "regression" }))
 *   const trained = { model, card, weights: Initialise.values(Prng.fromSeed("demo"))(variables), pytorch: null }
 *   // Calibrated on examples such as it was trained on; here drawn ones.
 *   const { file, left, taken } = yield* Int8.onnx(Specimens.drawn(64)(card.inputs))(trained)
 *   yield* Console.log(file.extension, taken, left) // what is computed in eight bits, and what was left in floats
 * })
 * Effect.runPromise(program)
 * ```
 */
export const onnx = (
  calibration: Examples.Examples,
  onExamples: (count: number) => Effect.Effect<void> = () => Effect.void
) =>
  Effect.fn("Int8.onnx")(function* (trained: Trained.Trained): Effect.fn.Return<Int8, Int8Error> {
    // Reports what is wrong with weights and card.
    yield* Effect.fromResult(Format.onnx(trained))
    const metadata = { ...Card.toMetadata(trained.card), precision: "int8" }
    const { left, model, taken } = yield* quantised(trained, calibration, metadata, onExamples)
    return { file: { extension: ".onnx", content: Model.encode(model) }, left, taken }
  })

/** The name of the deciding measure for a network in eight bits: `int8Accuracy` for `accuracy`. */
export const measureOf = ({ decides }: Pick<Task.Task, "decides">): string =>
  `int8${decides.charAt(0).toUpperCase()}${decides.slice(1)}`

/** The task with this measure in addition to its own. */
export const beside = (task: Task.Task): Task.Task => {
  const name = measureOf(task)
  return {
    ...task,
    also: { ...task.also, [name]: task.measures[task.decides] ?? "higher" },
    shares: task.shares.includes(task.decides) ? [...task.shares, name] : task.shares
  }
}

/** How many training examples a network is calibrated on. */
export const calibration = 128

/** Examples per run when evaluating. */
const judged = 256

/**
 * How good a trained network is in eight bits: calibrated on training examples, the deciding measure on the validation split, with every
 * example as it is, without other views; `null` if there are no examples. On processors without instructions for eight bits, ONNX Runtime
 * may saturate and give a different figure.
 *
 * @example
 * const accuracy = yield* Int8.measured({ model, task, weights }, data)
 */
export const measured = Effect.fn("Int8.measured")(function* (
  network: Pick<ModelSpace.Trainable, "model" | "task"> & Pick<Trained.Trained, "weights">,
  /** As the network takes it. */
  data: Dataset.DatasetShape
): Effect.fn.Return<number | null, Int8Error | DataError.DataError, Scope.Scope> {
  const { model, task } = network
  if (data.validation.size === 0) return null
  const { model: made } = yield* quantised(network, yield* Specimens.ofDataset(calibration, "train")(data), {})
  const tally = task.tally()
  const run = runOf(yield* opened(Model.encode(made)), model.inputs)
  yield* data.validation.batches({ batch: judged }).pipe(
    Stream.runForEach(({ inputs, size, targets }) =>
      Effect.map(run(inputs, size), ({ found }) =>
        tally.add({
          outputs: Object.fromEntries(
            Object.entries(found).map(([name, { data }]) => [name, data as Float32Array]) // a network outputs floats
          ),
          targets,
          size
        })
      )
    )
  )
  return tally.measures()[task.decides] ?? null
}, Effect.scoped)

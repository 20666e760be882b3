/**
 * The formats in which a network can be exported, and the files of each.
 *
 * @example
 * ```ts
 * import { Card, Format, Trained } from "@uninet/export"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Prng } from "@uninet/search-space"
 * import { Initialise } from "@uninet/trainer"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
 * })
 * const card = Result.getOrThrow(Card.of(model, { line: "one linear layer", task: "regression" }))
 * const { variables } = Result.getOrThrow(Trained.program()({ model }))
 * const trained = { model, card, weights: Initialise.values(Prng.fromSeed("demo"))(variables), pytorch: null }
 *
 * // As bytes; `Exported.write` checks them before it keeps them.
 * for (const format of Format.all)
 *   for (const { content, extension } of Result.getOrThrow(Format.files(format)(trained)))
 *     console.log(format, extension, content.length > 0)
 * const [module] = Result.getOrThrow(Format.pytorch(trained))
 * console.log(new TextDecoder().decode(module?.content).split("\n").slice(0, 3).join("\n"))
 * console.log(Result.isSuccess(Format.onnx(trained)), Result.isSuccess(Format.safetensors(trained))) // true true
 * ```
 */
import type { GraphError } from "@uninet/graph"
import { Safetensors, Weights } from "@uninet/nn"
import { Export } from "@uninet/onnx"
import * as Result from "effect/Result"
import * as Card from "./Card.ts"
import * as PyTorch from "./PyTorch.ts"
import * as Trained from "./Trained.ts"

/**
 * - `onnx`: for any ONNX runtime, including in a browser.
 * - `safetensors`: weights and running statistics under the names of the model's parameters; for UniNet's networks, the names of the
 *   authors' code.
 * - `pytorch`: a Python file that builds the network, and its weights as safetensors.
 */
export type Format = "onnx" | "safetensors" | "pytorch"

/** All formats. */
export const all: ReadonlyArray<Format> = ["onnx", "safetensors", "pytorch"]

/** A file in an export. */
export interface File {
  /** Including the dot; all files of an export have the same name before it. */
  readonly extension: ".onnx" | ".safetensors" | ".py"
  readonly content: Uint8Array
}

/** Why a network cannot be exported in a format. */
export type FormatError =
  | GraphError
  | Card.CardMismatch
  | Export.NotBatchFree
  | Weights.WeightsMismatch
  | PyTorch.NoPyTorchForm

/** The model's inputs and outputs, each `[batch, …]` with a variable batch size. The card is stored as the model's metadata. */
export const onnx = (
  trained: Trained.Trained
): Result.Result<File, GraphError | Card.CardMismatch | Export.NotBatchFree | Weights.WeightsMismatch> =>
  Result.gen(function* () {
    // Reports missing weights, before the model takes them for inputs.
    yield* weights(trained)
    const content = yield* Export.toOnnx({
      program: (batch) => Trained.program(batch)(trained),
      weights: trained.weights,
      name: "network",
      metadata: Card.toMetadata(trained.card)
    })
    return { extension: ".onnx" as const, content }
  })

const weights = (trained: Trained.Trained) =>
  Result.gen(function* () {
    yield* Card.fits(trained.model)(trained.card)
    const program = yield* Trained.program()(trained)
    return yield* Weights.toSafetensors(program, Card.toMetadata(trained.card))(trained.weights)
  })

/** Weights and running statistics under the model's names, with the card as metadata. */
export const safetensors = (
  trained: Trained.Trained
): Result.Result<File, GraphError | Card.CardMismatch | Weights.WeightsMismatch> =>
  Result.map(weights(trained), (file) => ({
    extension: ".safetensors" as const,
    content: Safetensors.encode(file)
  }))

/** The Python file and the weights that it loads; they have to be in the same folder under the same name. */
export const pytorch = (trained: Trained.Trained): Result.Result<ReadonlyArray<File>, FormatError> =>
  Result.gen(function* () {
    const text = yield* PyTorch.module(trained)
    return [{ extension: ".py" as const, content: new TextEncoder().encode(text) }, yield* safetensors(trained)]
  })

/** The files of a format; the one to open comes first. */
export const files =
  (format: Format) =>
  (trained: Trained.Trained): Result.Result<ReadonlyArray<File>, FormatError> =>
    format === "pytorch"
      ? pytorch(trained)
      : Result.map(format === "onnx" ? onnx(trained) : safetensors(trained), (file) => [file])

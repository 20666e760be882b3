/** An ONNX file in ONNX Runtime, with its card. */
import { Model } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ort from "onnxruntime-node"
import * as Card from "./Card.ts"
import * as Examples from "./Examples.ts"
import { feedsOf } from "./internal/feeds.ts"

/** A file cannot be used as a network. */
export class ModelUnusable extends Schema.TaggedError<ModelUnusable>()("ModelUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

/** An opened file. */
export interface OnnxModel {
  readonly card: Card.Card
  /** The network's outputs for examples; `onExamples` is called after every few. */
  readonly outputs: (
    examples: Examples.Examples,
    onExamples?: (count: number) => Effect.Effect<void>
  ) => Effect.Effect<Examples.Outputs, ModelUnusable>
}

/** How it is run. */
export interface Options {
  /** Default 1. */
  readonly threads?: number
}

/** Examples per run. */
const chunk = 16

/**
 * Opens a file that an export wrote. ONNX Runtime prints its warnings, if any, to standard error.
 *
 * Fails with `ModelUnusable` if the file is missing, is not an ONNX model, or has no card.
 *
 * @example
 * ```ts
 * import { OnnxModel } from "@uninet/export"
 * import { Effect } from "effect"
 *
 * // Of what a network trained on rows of four numbers says `y`.
 * export const prices = (rows: Float32Array) =>
 *   OnnxModel.open("houses.onnx").pipe(
 *     Effect.flatMap(({ outputs }) => outputs({ size: rows.length / 4, inputs: { x: rows } })),
 *     Effect.scoped
 *   )
 * ```
 */
export const open = Effect.fn("OnnxModel.open")(function* (
  file: string,
  { threads = 1 }: Options = {}
): Effect.fn.Return<OnnxModel, ModelUnusable, FileSystem.FileSystem | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const unusable = (reason: string) => new ModelUnusable({ file, reason })
  const bytes = yield* Effect.mapError(fs.readFile(file), () =>
    unusable("it cannot be read; give an ONNX file that uninet export wrote")
  )
  const card = yield* Effect.fromResult(Model.metadataOf(bytes)).pipe(
    Effect.flatMap((metadata) => Effect.fromResult(Card.fromMetadata(metadata))),
    Effect.mapError(({ message }) => unusable(message))
  )
  const attempt = <A>(what: string, f: () => Promise<A>) =>
    Effect.tryPromise({
      try: f,
      catch: (cause) => unusable(`${what} (${cause instanceof Error ? cause.message : String(cause)}); export it again`)
    })
  const session = yield* Effect.acquireRelease(
    attempt("ONNX Runtime cannot load it", () =>
      ort.InferenceSession.create(bytes, { intraOpNumThreads: threads, logSeverityLevel: 2 })
    ),
    (session) => Effect.ignore(Effect.promise(() => session.release()))
  )
  const run = (inputs: Examples.Examples["inputs"], count: number) =>
    attempt("ONNX Runtime cannot run it", async () => {
      const found = await session.run(feedsOf(session, card.inputs, inputs, count))
      return Object.fromEntries(
        Object.entries(card.outputs).map(([name, port]) => {
          const data = found[name]?.data
          const isKnown = data instanceof Float32Array || data instanceof Int32Array
          if (!isKnown || data.length !== count * Examples.volume(port))
            throw new Error(`its output ${name} does not match its card`)
          return [name, data]
        })
      )
    })
  return {
    card,
    outputs: Effect.fnUntraced(function* (examples, onExamples = () => Effect.void) {
      const { size } = examples
      yield* Effect.mapError(Effect.fromResult(Examples.check(card.inputs)(examples)), ({ message }) =>
        unusable(message)
      )
      const out = Examples.nothing(card.outputs, size)
      for (let from = 0; from < size; from += chunk) {
        const count = Math.min(chunk, size - from)
        // ONNX Runtime cannot be interrupted inside a run.
        const found = yield* Effect.uninterruptible(run(Examples.rows(card.inputs, examples, from, count), count))
        Examples.put(card.outputs, out, from, count, found)
        yield* onExamples(count)
      }
      return out
    })
  }
})

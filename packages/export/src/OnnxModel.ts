/** An ONNX file in ONNX Runtime, with its card. */
import { Model } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as ort from "onnxruntime-node"
import * as Card from "./Card.ts"

/** A file that cannot be used as a network. */
export class ModelUnusable extends Schema.TaggedError<ModelUnusable>()("ModelUnusable", {
  file: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.reason}`
  }
}

export interface OnnxModel {
  readonly card: Card.Card
  /** Logits `[images, classes]` of normalised images `[images, channels, height, width]`. */
  readonly logits: (
    images: Float32Array,
    onImages?: (count: number) => Effect.Effect<void>
  ) => Effect.Effect<Float32Array, ModelUnusable>
}

export interface Options {
  /** Default 1. */
  readonly threads?: number
}

/** Images at a time. */
const chunk = 16

/**
 * Opens a file that an export wrote. ONNX Runtime says its warnings, if it has any, on standard error.
 *
 * Fails with `ModelUnusable` where the file is missing, no ONNX model, or has no card.
 *
 * @example
 * const model = yield* OnnxModel.open("digits.onnx")
 * const logits = yield* model.logits(yield* ImageFile.read(["seven.png"], { image: model.card.architecture.image, ...model.card }))
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
  const { classes, image } = card.architecture
  const shape = [image.channels, image.height, image.width]
  const volume = shape.reduce((n, axis) => n * axis, 1)
  const run = (images: Float32Array) =>
    attempt("ONNX Runtime cannot run it", async () => {
      const count = images.length / volume
      const { logits } = await session.run({ image: new ort.Tensor("float32", images, [count, ...shape]) })
      if (!(logits?.data instanceof Float32Array) || logits.data.length !== count * classes)
        throw new Error("its output logits are not what its card says")
      return logits.data
    })
  return {
    card,
    logits: Effect.fnUntraced(function* (images, onImages = () => Effect.void) {
      const count = images.length / volume
      const out = new Float32Array(count * classes)
      for (let from = 0; from < count; from += chunk) {
        // ONNX Runtime cannot be interrupted inside a run.
        const part = Effect.uninterruptible(run(images.subarray(from * volume, (from + chunk) * volume)))
        out.set(yield* part, from * classes)
        yield* onImages(Math.min(chunk, count - from))
      }
      return out
    })
  }
})

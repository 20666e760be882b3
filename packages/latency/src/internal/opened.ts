/** A model in ONNX Runtime, with an input to measure it on. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ort from "onnxruntime-node"
import { ModelNotRun } from "../LatencyError.ts"
import type { Target } from "../Target.ts"

// Errors are thrown; the library would print them as well.
ort.env.logLevel = "fatal"

export interface Opened {
  /** Runs it `times` times; gives the milliseconds per run. */
  readonly run: (times: number) => Effect.Effect<number, ModelNotRun>
  /** Ends its profile, if it was opened with one. */
  readonly end: Effect.Effect<void, ModelNotRun>
}

/** Session options as a program would set them to run an exported file fast. */
const optionsOf = ({ provider, threads }: Target): ort.InferenceSession.SessionOptions => ({
  executionProviders: [provider ?? "cpu"],
  graphOptimizationLevel: "all",
  executionMode: "sequential",
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 4
})

/** The first sentence of ONNX Runtime's message, without the position in its source. */
const reasonOf = (cause: unknown) =>
  (cause instanceof Error ? cause.message : String(cause)).split(/\s*\n\s*/)[0]?.replace(/^.* was false\. /, "") ??
  "it fails"

/** Numbers between −1 and 1 without a pattern. */
const floats = (length: number) => Float32Array.from({ length }, (_, i) => (((i * 2654435761) >>> 0) / 2 ** 32) * 2 - 1)

const filled = (type: string, shape: ReadonlyArray<number>): ort.Tensor => {
  const length = shape.reduce((n, m) => n * m, 1)
  if (type === "float32") return new ort.Tensor("float32", floats(length), shape)
  // Integers are 0 or 1, which every vocabulary has.
  if (type === "int32")
    return new ort.Tensor(
      "int32",
      Int32Array.from({ length }, (_, i) => i % 2),
      shape
    )
  if (type === "int64")
    return new ort.Tensor(
      "int64",
      BigInt64Array.from({ length }, (_, i) => BigInt(i % 2)),
      shape
    )
  throw new Error(`it has an input of type ${type}, for which no values can be generated here`)
}

const feedsOf = (session: ort.InferenceSession, batch: number) =>
  Object.fromEntries(
    session.inputMetadata.map((input) => {
      if (!input.isTensor) throw new Error(`its input ${input.name} is not a tensor`)
      const shape = input.shape.map((length, axis) => {
        if (typeof length === "number") {
          if (axis === 0 && length !== batch) throw new Error(`its batch size is fixed at ${length}, not ${batch}`)
          return length
        }
        if (axis > 0) throw new Error(`its input ${input.name} has a free length (${length}) in addition to the batch`)
        return batch
      })
      return [input.name, filled(input.type, shape)] as const
    })
  )

const attempting =
  (model: string) =>
  <A>(f: () => A | Promise<A>) =>
    Effect.tryPromise({
      try: async () => f(),
      catch: (cause) => new ModelNotRun({ model, reason: reasonOf(cause) })
    })

/** Opens a model's bytes until the scope closes. `more`: options in addition to the common ones. */
export const open = (
  name: string,
  file: Uint8Array,
  target: Target,
  more: ort.InferenceSession.SessionOptions = {}
): Effect.Effect<Opened, ModelNotRun, Scope.Scope> =>
  Effect.gen(function* () {
    const attempt = attempting(name)
    const session = yield* Effect.acquireRelease(
      attempt(() => ort.InferenceSession.create(file, { ...optionsOf(target), ...more })),
      (session) => Effect.ignore(Effect.tryPromise(() => session.release()))
    )
    const feeds = yield* attempt(() => feedsOf(session, target.batch))
    return {
      end: attempt(() => session.endProfiling()),
      run: (times) =>
        attempt(async () => {
          const [cpu, start] = [process.cpuUsage(), performance.now()]
          for (let i = 0; i < times; i++) await session.run(feeds)
          const wall = performance.now() - start
          const { system, user } = process.cpuUsage(cpu)
          // With one thread of the CPU, time that it did not spend on this process was spent on others: the model did not need it.
          const isAlone = target.threads === 1 && target.provider === undefined
          return (isAlone ? Math.min(wall, (system + user) / 1000) : wall) / times
        }).pipe(Effect.uninterruptible)
    }
  })

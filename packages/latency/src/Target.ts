/** What a model runs on: threads of this machine's CPU or its GPU, and a number of examples at a time. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NotHere } from "./LatencyError.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** The target of a measurement: ONNX Runtime on this many threads of the CPU, or on the GPU through WebGPU, with this many examples at once. */
export const Target = Schema.Struct({
  threads: Count,
  batch: Count,
  /** Absent: the CPU. */
  provider: Schema.optionalKey(Schema.Literal("webgpu"))
})
export type Target = typeof Target.Type

/**
 * `cpu` and `cpu:n`, where n is the number of threads, by default 1, or `webgpu`, which one thread feeds. Fails with `NotHere` for anything else; whether there is a GPU is told by
 * `Stopwatch.available`.
 *
 * @example
 * ```ts
 * import { Target } from "@uninet/latency"
 * import { Result } from "effect"
 *
 * const target = Target.parse(8)("cpu:2")
 * console.log(Result.map(target, Target.print)) // cpu:2, batch 8
 * const elsewhere = Target.parse(1)("browser")
 * if (Result.isFailure(elsewhere)) console.log(elsewhere.failure.message)
 * ```
 */
export const parse =
  (batch: number) =>
  (text: string): Result.Result<Target, NotHere> => {
    if (text.trim() === "webgpu") return Result.succeed({ threads: 1, batch, provider: "webgpu" })
    const found = /^cpu(?::([1-9]\d{0,3}))?$/.exec(text.trim())
    return found === null
      ? Result.fail(new NotHere({ target: text, reason: "models are measured on cpu, cpu:n or webgpu" }))
      : Result.succeed({ threads: Number(found[1] ?? 1), batch })
  }

/** A target as text: `cpu:2, batch 8`, `webgpu, batch 1`. */
export const print = ({ batch, provider, threads }: Target): string => `${provider ?? `cpu:${threads}`}, batch ${batch}`

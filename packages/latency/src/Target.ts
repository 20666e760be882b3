/** What a model runs on: a number of threads of this machine's CPU, and a number of examples at a time. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NotHere } from "./LatencyError.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** The target of a measurement: ONNX Runtime on the CPU, with this many threads and this many examples at once. */
export const Target = Schema.Struct({ threads: Count, batch: Count })
export type Target = typeof Target.Type

/**
 * `cpu` and `cpu:n`, where n is the number of threads, by default 1. Fails with `NotHere` for anything else: `webgpu`, `browser`, …
 *
 * @example
 * ```ts
 * import { Target } from "@uninet/latency"
 * import { Result } from "effect"
 *
 * const target = Target.parse(8)("cpu:2")
 * console.log(Result.map(target, Target.print)) // cpu:2, batch 8
 * const elsewhere = Target.parse(1)("webgpu")
 * if (Result.isFailure(elsewhere)) console.log(elsewhere.failure.message)
 * ```
 */
export const parse =
  (batch: number) =>
  (text: string): Result.Result<Target, NotHere> => {
    const found = /^cpu(?::([1-9]\d{0,3}))?$/.exec(text.trim())
    return found === null
      ? Result.fail(new NotHere({ target: text }))
      : Result.succeed({ threads: Number(found[1] ?? 1), batch })
  }

/** A target as text: `cpu:2, batch 8`. */
export const print = ({ batch, threads }: Target): string => `cpu:${threads}, batch ${batch}`

/** What a model is to run on: threads of this machine's processor and examples at a time. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NotHere } from "./LatencyError.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** What is measured on: ONNX Runtime on the processor, with so many threads, and so many examples at once. */
export const Target = Schema.Struct({ threads: Count, batch: Count })
export type Target = typeof Target.Type

/**
 * `cpu` and `cpu:n`, n being threads, which are 1 where it is not said. Fails with `NotHere` of anything else: `webgpu`, `browser`, …
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

/** A target in words: `cpu:2, batch 8`. */
export const print = ({ batch, threads }: Target): string => `cpu:${threads}, batch ${batch}`

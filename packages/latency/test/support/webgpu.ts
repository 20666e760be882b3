/** Milliseconds of one turn of the reference network on the GPU, in a process of its own: a driver is chosen by its environment. */
import * as Effect from "effect/Effect"
import { Stopwatch, Target } from "@uninet/latency"

const turn = Effect.gen(function* () {
  const target = yield* Effect.fromResult(Target.parse(1)("webgpu"))
  return yield* yield* Stopwatch.referenceNetwork(target)
})
console.log(await Effect.runPromise(Effect.scoped(turn)))

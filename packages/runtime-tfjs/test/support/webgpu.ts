/**
 * ONNX Runtime's WebGPU provider held against the reference interpreter and the processor, for a process of its own whose environment names a Vulkan driver:
 * `node webgpu.ts <runs> <families…>` prints, as its last line of JSON, what disagrees. Without families: all.
 */
import { OnnxRuntime } from "@uninet/runtime"
import { Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Starting from "../../../runtime/test/support/starting.ts"
import { families, withoutGradients } from "./cases.ts"
import { disagreement } from "./compare.ts"
import * as Steps from "./steps.ts"

const [runs = "3", ...wanted] = process.argv.slice(2)
const all = { ...families, optimiser: withoutGradients }

const program = Effect.gen(function* () {
  const found: Record<string, string> = {}
  for (const [name, cases] of Object.entries(all)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const gradients = cases !== withoutGradients
    const sentence = yield* disagreement(cases, { runs: Number(runs), tolerance: 2e-4, gradients })
    if (sentence !== undefined) found[name] = sentence
  }
  if (wanted.length === 0 || wanted.includes("variables"))
    for (const [law, check] of Object.entries(Starting.laws)) {
      const broken = yield* Effect.scoped(check)
      if (broken !== undefined) found[`variables ${law}`] = broken
    }
  if (wanted.length === 0 || wanted.includes("step")) {
    const architecture = Space.sample(Prng.fromSeed("webgpu"))(Steps.space)
    const actual = yield* Steps.train(architecture, "step", 2)
    const expected = yield* Steps.train(architecture, "step", 2).pipe(Effect.provide(OnnxRuntime.cpu()))
    const sentence = Steps.disagreement(expected, actual, 1e-4)
    if (sentence !== undefined) found["step"] = sentence
  }
  return found
}).pipe(Effect.provide(OnnxRuntime.webgpu()))

console.log(JSON.stringify(await Effect.runPromise(program)))

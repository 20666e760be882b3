/**
 * Random programs on ONNX Runtime's WebGPU provider, for a process of its own whose environment names a Vulkan driver: prints, as a line of JSON, what
 * disagrees with the reference interpreter in every family of ops named by the arguments (all by default).
 */
import { OnnxRuntime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import { families, withoutGradients } from "./cases.ts"
import { disagreement } from "./compare.ts"

const [runs = "10", ...wanted] = process.argv.slice(2)
const all = { ...families, "moments and the optimiser": withoutGradients }

const program = Effect.gen(function* () {
  const found: Record<string, string> = {}
  for (const [name, cases] of Object.entries(all)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue
    const sentence = yield* disagreement(cases, {
      runs: Number(runs),
      tolerance: 2e-4,
      gradients: cases !== withoutGradients
    })
    if (sentence !== undefined) found[name] = sentence
    console.error(name, sentence ?? "agrees")
  }
  console.log(JSON.stringify(found))
}).pipe(Effect.provide(OnnxRuntime.webgpu()))

await Effect.runPromise(program)

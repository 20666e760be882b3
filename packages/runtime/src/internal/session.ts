/** Sessions of ONNX Runtime. */
import type { Data } from "@uninet/engine"
import { Op, Program, type Shape } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as Result from "effect/Result"
import * as ort from "onnxruntime-node"

// What goes wrong is thrown; the library would print it as well.
ort.env.logLevel = "fatal"

/** Elements as a tensor of ONNX Runtime, which views them. */
export const tensor = (data: Data, shape: Shape.Shape): ort.Tensor =>
  data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int32", data, shape)

/** What ONNX Runtime computes by. */
export type Provider = "cpu" | "webgpu" | "cuda"

/** Up to so many bytes of results, memory is planned at the first run: 4% faster, and half as much memory again. */
const plannedBytes = 2 ** 28

/** Options that were found fastest; see docs/decisions/engine.md. */
export const sessionOptions = (
  { model, peakBytes }: Pick<Lowering.Lowered, "model" | "peakBytes">,
  threads: number,
  provider: Provider = "cpu"
): ort.InferenceSession.SessionOptions => ({
  executionProviders: [provider],
  // A model lowered to blocked kernels holds what the optimiser would make: without it a session opens three times as fast and runs the same.
  graphOptimizationLevel: model.nodes.some((node) => node.domain !== "") ? "disabled" : "all",
  executionMode: "sequential",
  enableMemPattern: provider === "cpu" && peakBytes <= plannedBytes,
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
  // Several threads share work in finer and finer pieces, so that none waits long for the last: 4% faster at two.
  ...(provider === "cpu" && threads > 1 ? { extra: { session: { dynamic_block_base: "4" } } } : {})
})

/** Options of a session that runs once: what ONNX Runtime's optimiser takes is twice what it opens a session in without, and a run is no faster for it than that. */
export const once = {
  graphOptimizationLevel: "disabled",
  enableMemPattern: false
} satisfies ort.InferenceSession.SessionOptions

export const create = (
  lowered: Lowering.Lowered,
  threads: number,
  provider: Provider = "cpu",
  more: Pick<ort.InferenceSession.SessionOptions, "preferredOutputLocation"> | typeof once = {},
  bytes: Uint8Array = Model.encode(lowered.model)
): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(bytes, { ...sessionOptions(lowered, threads, provider), ...more })

/** Runs a small program by a provider; rejects where it does not start or computes wrongly. */
export const probe = async (provider: Provider): Promise<void> => {
  const x = Op.input("x", [2, 3])
  const program = Result.getOrThrow(Program.make({ outputs: { y: Op.mul(Op.add(x, x), x) } }))
  const session = await create(Lowering.lower()(program), 1, provider)
  try {
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]) })
    if (Array.from(y?.data ?? [], Number).join() !== "0,2,8,18,32,50") throw new Error("it computes wrong numbers")
  } finally {
    await session.release()
  }
}

/** How a program is lowered for a processor with blocks of this size: images of whole blocks lie in lanes. */
export const optionsOf = (program: Program.Program, block: number): Pick<Lowering.Options, "block" | "lanes"> => {
  const convolutions = program.nodes.filter((node) => node.kind === "conv2d")
  const whole =
    block > 1 && convolutions.length > 0 && convolutions.every(({ shape: [batch = 1] }) => batch % block === 0)
  return { block, lanes: whole ? block : 1 }
}

/** Lowers a program for a processor with blocks of this size. */
export const lower = (
  program: Program.Program,
  name: string,
  block: number,
  more: Pick<Lowering.Options, "packedInputs" | "packedOutputs" | "traced"> = {}
): Lowering.Lowered => Lowering.lower({ name, ...optionsOf(program, block), ...more })(program)

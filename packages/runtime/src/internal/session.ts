/** Sessions of ONNX Runtime. */
import type { Data } from "@uninet/engine"
import { Op, Program, type Shape } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as Result from "effect/Result"
import * as ort from "onnxruntime-node"

// Errors are thrown; the library would print them as well.
ort.env.logLevel = "fatal"

/** Wraps elements in an ONNX Runtime tensor, which views them. */
export const tensor = (data: Data, shape: Shape.Shape): ort.Tensor =>
  data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int32", data, shape)

/** The providers with which ONNX Runtime computes. */
export type Provider = "cpu" | "webgpu" | "cuda"

/** Up to this many bytes of results, memory is planned at the first run, which is 4% faster but takes half as much memory again. */
const plannedBytes = 2 ** 28

/** The options that proved fastest; see docs/decisions/engine.md. */
export const sessionOptions = (
  { model, peakBytes }: Pick<Lowering.Lowered, "model" | "peakBytes">,
  threads: number,
  provider: Provider = "cpu"
): ort.InferenceSession.SessionOptions => ({
  executionProviders: [provider],
  // A model lowered to blocked kernels already has the form that the optimiser would produce: without it, a session opens three times as fast and runs just as fast.
  graphOptimizationLevel: model.nodes.some((node) => node.domain !== "") ? "disabled" : "all",
  executionMode: "sequential",
  enableMemPattern: provider === "cpu" && peakBytes <= plannedBytes,
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
  // Several threads share work in finer and finer pieces, so that none waits long for the last one: 4% faster with two.
  ...(provider === "cpu" && threads > 1 ? { extra: { session: { dynamic_block_base: "4" } } } : {})
})

/** Options for a session that runs once: ONNX Runtime's optimiser takes twice as long as opening a session without it, and does not make up for that in one run. */
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

/** Runs a small program with a provider; rejects if it does not start or computes wrong numbers. */
export const probe = async (provider: Provider): Promise<void> => {
  const x = Op.input("x", [2, 3])
  const program = Result.getOrThrow(Program.make({ outputs: { y: Op.mul(Op.add(x, x), x) } }))
  const session = await create(Lowering.lower()(program), 1, provider)
  try {
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]) })
    if (Array.from(y?.data ?? [], Number).join() !== "0,2,8,18,32,50") throw new Error("it computes wrong results")
  } finally {
    await session.release()
  }
}

/** How to lower a program for a CPU with this block size: batches that divide into whole blocks are put in lanes. */
export const optionsOf = (program: Program.Program, block: number): Pick<Lowering.Options, "block" | "lanes"> => {
  const convolutions = program.nodes.filter((node) => node.kind === "conv2d")
  const whole =
    block > 1 && convolutions.length > 0 && convolutions.every(({ shape: [batch = 1] }) => batch % block === 0)
  return { block, lanes: whole ? block : 1 }
}

/** Lowers a program for a CPU with this block size. */
export const lower = (
  program: Program.Program,
  name: string,
  block: number,
  more: Pick<Lowering.Options, "packedInputs" | "packedOutputs" | "traced"> = {}
): Lowering.Lowered => Lowering.lower({ name, ...optionsOf(program, block), ...more })(program)

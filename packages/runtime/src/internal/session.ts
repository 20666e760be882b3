/** Sessions of ONNX Runtime. */
import { Op, Program } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as Result from "effect/Result"
import * as ort from "onnxruntime-node"

// What goes wrong is thrown; the library would print it as well.
ort.env.logLevel = "fatal"

/** What ONNX Runtime computes by. */
export type Provider = "cpu" | "webgpu" | "cuda"

/** Options that were found fastest; see docs/decisions/engine.md. */
export const sessionOptions = (
  model: Model.Model,
  threads: number,
  provider: Provider = "cpu"
): ort.InferenceSession.SessionOptions => ({
  executionProviders: [provider],
  // A model lowered to blocked kernels holds what the optimiser would make: without it a session opens three times as fast and runs the same.
  graphOptimizationLevel: model.nodes.some((node) => node.domain !== "") ? "disabled" : "all",
  executionMode: "sequential",
  // The same speed with it, and half as much memory again.
  enableMemPattern: false,
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3
})

export const create = (
  model: Model.Model,
  threads: number,
  provider: Provider = "cpu",
  more: Pick<ort.InferenceSession.SessionOptions, "preferredOutputLocation"> = {}
): Promise<ort.InferenceSession> => createEncoded(Model.encode(model), model, threads, provider, more)

/** From a model's bytes that are there already. */
export const createEncoded = (
  bytes: Uint8Array,
  model: Model.Model,
  threads: number,
  provider: Provider = "cpu",
  more: Pick<ort.InferenceSession.SessionOptions, "preferredOutputLocation"> = {}
): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(bytes, { ...sessionOptions(model, threads, provider), ...more })

/** Runs a small program by a provider; rejects where it does not start or computes wrongly. */
export const probe = async (provider: Provider): Promise<void> => {
  const x = Op.input("x", [2, 3])
  const program = Result.getOrThrow(Program.make({ outputs: { y: Op.mul(Op.add(x, x), x) } }))
  const session = await create(Lowering.lower(program).model, 1, provider)
  try {
    const { y } = await session.run({ x: new ort.Tensor("float32", Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]) })
    if (Array.from(y.data, Number).join() !== "0,2,8,18,32,50") throw new Error("it computes wrong numbers")
  } finally {
    await session.release()
  }
}

/** Lowers a program for a processor with blocks of this size: images of whole blocks lie in lanes. */
export const lower = (
  program: Program.Program,
  name: string,
  block: number,
  packs: Pick<Lowering.Options, "packedInputs" | "packedOutputs"> = {}
): Lowering.Lowered => {
  const convolutions = program.nodes.filter((node) => node.kind === "conv2d")
  const whole = block > 1 && convolutions.length > 0 && convolutions.every((node) => node.shape[0] % block === 0)
  return Lowering.lower(program, { name, block, lanes: whole ? block : 1, ...packs })
}

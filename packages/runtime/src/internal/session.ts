/** Sessions of ONNX Runtime on the CPU. */
import type { Program } from "@uninet/graph"
import { Lowering, Model } from "@uninet/onnx"
import * as ort from "onnxruntime-node"

/** Options that were found fastest; see docs/decisions/engine.md. */
export const sessionOptions = (model: Model.Model, threads: number): ort.InferenceSession.SessionOptions => ({
  executionProviders: ["cpu"],
  // A model lowered to blocked kernels holds what the optimiser would make: without it a session opens three times as fast and runs the same.
  graphOptimizationLevel: model.nodes.some((node) => node.domain !== "") ? "disabled" : "all",
  executionMode: "sequential",
  // The same speed with it, and half as much memory again.
  enableMemPattern: false,
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3
})

export const create = (model: Model.Model, threads: number): Promise<ort.InferenceSession> =>
  ort.InferenceSession.create(Model.encode(model), sessionOptions(model, threads))

/** Lowers a program for a processor with blocks of this size: images of whole blocks lie in lanes. */
export const lower = (program: Program.Program, name: string, block: number): Lowering.Lowered => {
  const convolutions = program.nodes.filter((node) => node.kind === "conv2d")
  const whole = block > 1 && convolutions.length > 0 && convolutions.every((node) => node.shape[0] % block === 0)
  return Lowering.lower(program, { name, block, lanes: whole ? block : 1 })
}

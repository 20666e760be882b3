/** What a measurement depends on besides the model: CPU, system and versions. */
import * as Schema from "effect/Schema"
import { arch, availableParallelism, cpus, platform } from "node:os"
import * as ort from "onnxruntime-node"

/** A machine, as far as it matters for latency. */
export const Machine = Schema.Struct({
  processor: Schema.String,
  cores: Schema.Int,
  /** For example `linux x64`. */
  system: Schema.String,
  onnxruntime: Schema.String,
  node: Schema.String
})
export type Machine = typeof Machine.Type

/** This machine: the name of its CPU, its cores, its system, and the versions of ONNX Runtime and Node. */
export const here = (): Machine => ({
  processor: cpus()[0]?.model.trim() || "a processor without a name",
  cores: availableParallelism(),
  system: `${platform()} ${arch()}`,
  onnxruntime: ort.env.versions.node ?? ort.env.versions.common,
  node: process.version
})

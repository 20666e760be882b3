/** What a measurement is of besides the model: processor, system and versions. */
import * as Schema from "effect/Schema"
import { arch, availableParallelism, cpus, platform } from "node:os"
import * as ort from "onnxruntime-node"

/** What a machine is, as far as latency goes by it. */
export const Machine = Schema.Struct({
  processor: Schema.String,
  cores: Schema.Int,
  /** `linux x64`. */
  system: Schema.String,
  onnxruntime: Schema.String,
  node: Schema.String
})
export type Machine = typeof Machine.Type

/** This machine: its processor by name, cores, system, and the versions of ONNX Runtime and Node. */
export const here = (): Machine => ({
  processor: cpus()[0]?.model.trim() || "a processor without a name",
  cores: availableParallelism(),
  system: `${platform()} ${arch()}`,
  onnxruntime: ort.env.versions.node ?? ort.env.versions.common,
  node: process.version
})

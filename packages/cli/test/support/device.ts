/** A device file that was not measured. */
import { Device } from "@uninet/latency"
import { ModelSpace } from "@uninet/model-space"

/** A device for a space whose networks take as long as a predictor says. */
export const deviceOf = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C, M>,
  predictor: Device.Device["predictor"]
): Device.Device => ({
  format: "uninet device",
  version: Device.version,
  space: { name: of.name, fingerprint: ModelSpace.fingerprint(of) },
  target: { threads: 1, batch: 1 },
  machine: { processor: "a processor", cores: 2, system: "linux x64", onnxruntime: "1.30.0", node: "v24" },
  reference: 1.3,
  measured: 60,
  others: 0,
  error: { median: 0.01, ninety: 0.03 },
  predictor
})

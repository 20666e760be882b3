/** The best network of a search as it runs: measured where it was predicted for. */
import { Device, Load, Machine, Statistics, Stopwatch, Target } from "@uninet/latency"
import * as Effect from "effect/Effect"
import * as format from "./format.ts"

export interface Latency {
  /** Milliseconds. */
  readonly predicted: number
  /** `null` where this is another machine than the device, or its ONNX Runtime another. */
  readonly measured: Statistics.Interval | null
  readonly precision: "float32" | "int8"
  readonly target: Target.Target
  readonly processor: string
  /** Cores that others had while it was measured. */
  readonly others: number
}

/** The latency of a search's best network: as it was predicted, and measured where that can be done here. `file`: as the device runs it, in floats or in eight bits. */
export const latency = Effect.fnUntraced(function* <E, R>(
  device: Device.Device,
  costs: Readonly<Record<string, number>>,
  file: Effect.Effect<Uint8Array, E, R>
) {
  const { machine, precision = "float32", target } = device
  const predicted = costs[Device.costOf(device)] ?? Number.NaN
  const here = Machine.here()
  const isHere =
    here.processor === machine.processor &&
    here.cores === machine.cores &&
    here.onnxruntime === machine.onnxruntime &&
    here.system === machine.system
  const told: Latency = {
    predicted,
    measured: null,
    precision,
    target,
    processor: machine.processor,
    others: 0
  }
  if (!isHere) return told
  const { models, others } = yield* Stopwatch.measure({ target })([{ name: "the best network", file: yield* file }])
  return { ...told, measured: models[0]?.latency ?? null, others } satisfies Latency
})

/** It in a line. */
export const print = ({ measured, others, precision, predicted, processor, target }: Latency): string => {
  const name = precision === "int8" ? "int8 latency" : "latency"
  return measured === null
    ? `${name} ${format.number(predicted)} ms predicted for ${Target.print(target)} of ${processor}, which this machine is not: uninet bench measures it there`
    : `${name} ${format.number(measured.value)} ms (${format.number(measured.low)} … ${format.number(measured.high)}) measured, ${format.number(predicted)} predicted: ${Target.print(target)}${others > Load.quiet ? `, while others had ${others.toFixed(1)} cores` : ""}`
}

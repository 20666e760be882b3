/** The best network of a search in use: measured on the device for which it was predicted. */
import { Device, Load, Machine, Statistics, Stopwatch, Target } from "@uninet/latency"
import * as Effect from "effect/Effect"
import * as format from "./format.ts"

export interface Latency {
  /** Milliseconds. */
  readonly predicted: number
  /** `null` if this machine is not the device, its ONNX Runtime is a different one, or its GPU cannot be used. */
  readonly measured: Statistics.Interval | null
  readonly precision: "float32" | "int8"
  readonly target: Target.Target
  readonly processor: string
  /** Cores that other programs used during the measurement. */
  readonly others: number
}

/**
 * The latency of a search's best network: the prediction, and a measurement where that is possible here. `file`: the form that the device
 * runs, in floating point or in eight bits.
 */
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
  const works = Effect.match(Stopwatch.available(target), { onSuccess: () => true, onFailure: () => false })
  if (!isHere || !(yield* works)) return told
  const { models, others } = yield* Stopwatch.measure({ target })([{ name: "the best network", file: yield* file }])
  return { ...told, measured: models[0]?.latency ?? null, others } satisfies Latency
})

/** The latency on one line. */
export const print = ({ measured, others, precision, predicted, processor, target }: Latency): string => {
  const name = precision === "int8" ? "int8 latency" : "latency"
  return measured === null
    ? `${name} ${format.number(predicted)} ms predicted for ${Target.print(target)} of ${processor}, which is not this machine: measure it there with uninet bench`
    : `${name} ${format.number(measured.value)} ms (${format.number(measured.low)} … ${format.number(measured.high)}) measured, ${format.number(predicted)} predicted: ${Target.print(target)}${others > Load.quiet ? `, while other programs used ${others.toFixed(1)} cores` : ""}`
}

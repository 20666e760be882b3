/** The best network of a search as it runs: measured where it was predicted for. */
import { Device, Load, Machine, Statistics, Stopwatch, Target } from "@uninet/latency"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as format from "./format.ts"
import * as runFolder from "./runFolder.ts"

export interface Latency {
  /** Milliseconds. */
  readonly predicted: number
  /** `null` where this is another machine than the device, or its ONNX Runtime another. */
  readonly measured: Statistics.Interval | null
  readonly target: Target.Target
  readonly processor: string
  /** Cores that others had while it was measured. */
  readonly others: number
}

/** The latency of the network in a search's folder: as it was predicted, and measured where that can be done here. */
export const latency = Effect.fnUntraced(function* (
  folder: string,
  { machine, target }: Device.Device,
  { latency: predicted = Number.NaN }: Readonly<Record<string, number>>
) {
  const here = Machine.here()
  const isHere =
    here.processor === machine.processor &&
    here.cores === machine.cores &&
    here.onnxruntime === machine.onnxruntime &&
    here.system === machine.system
  const told: Latency = { predicted, measured: null, target, processor: machine.processor, others: 0 }
  if (!isHere) return told
  const path = yield* Path.Path
  const fs = yield* FileSystem.FileSystem
  const file = yield* fs.readFile(path.join(folder, runFolder.files.onnx))
  const { models, others } = yield* Stopwatch.measure([{ name: "best.onnx", file }], { target })
  return { ...told, measured: models[0]?.latency ?? null, others } satisfies Latency
})

/** It in a line. */
export const print = ({ measured, others, predicted, processor, target }: Latency): string =>
  measured === null
    ? `latency ${format.number(predicted)} ms predicted for ${Target.print(target)} of ${processor}, which this machine is not: uninet bench measures it there`
    : `latency ${format.number(measured.value)} ms (${format.number(measured.low)} … ${format.number(measured.high)}) measured, ${format.number(predicted)} predicted: ${Target.print(target)}${others > Load.quiet ? `, while others had ${others.toFixed(1)} cores` : ""}`

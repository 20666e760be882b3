/** Devices by name: what a command computes with. */
import { Loops } from "@uninet/loops"
import { type DeviceUnavailable, OnnxRuntime, type Runtime } from "@uninet/runtime"
import { Tfjs } from "@uninet/runtime-tfjs"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import { platform } from "node:os"
import { type CliFault, fault } from "./CliFault.ts"

/** Threads matter if the device is the CPU. */
export interface Options {
  readonly threads?: number
}

/** The engine of every device. */
const engines = {
  cpu: (options: Options) => OnnxRuntime.cpu(options),
  portable: (options: Options) => Loops.portable(options),
  loops: (options: Options) => Loops.fast(options),
  webgpu: () => OnnxRuntime.webgpu(),
  cuda: () => OnnxRuntime.cuda(),
  "tfjs-node-gpu": () => Tfjs.nodeGpu(),
  "tfjs-node": () => Tfjs.node(),
  "tfjs-wasm": () => Tfjs.wasm(),
  "tfjs-cpu": () => Tfjs.cpu()
} satisfies Record<string, (options: Options) => Layer.Layer<Runtime, DeviceUnavailable>>

/** The devices. */
export type Chosen = keyof typeof engines
export const chosen = [
  "cpu",
  "portable",
  "loops",
  "webgpu",
  "cuda",
  "tfjs-node-gpu",
  "tfjs-node",
  "tfjs-wasm",
  "tfjs-cpu"
] as const satisfies ReadonlyArray<Chosen>

/** The values of the flag: `auto` is the fastest device that works here. */
export const names = ["auto", ...chosen] as const
export type Name = (typeof names)[number]

/** `cpu` gives the same numbers on every machine of the same kind, and few small networks are faster elsewhere. */
export const standard = "cpu" satisfies Chosen

/** The engine on a device. */
export const layer = (device: Chosen, options: Options = {}): Layer.Layer<Runtime, DeviceUnavailable> =>
  engines[device](options)

/** Whether there is hardware for a device: a software driver would be slower than the CPU itself. */
const hasHardware = (device: Chosen): boolean => {
  if (platform() !== "linux") return device === "webgpu"
  const nvidia = existsSync("/dev/nvidia0")
  return device === "webgpu" ? nvidia || existsSync("/dev/dri/renderD128") : nvidia
}

/** Devices in the order in which `auto` tries them. */
const preferred = ["cuda", "webgpu", "tfjs-node-gpu"] as const satisfies ReadonlyArray<Chosen>

/** The device to compute with. `auto` takes the first GPU that works, otherwise the CPU, and says on standard error which one and why. */
export const choose = Effect.fnUntraced(function* (name: Name): Effect.fn.Return<Chosen> {
  if (name !== "auto") return name
  const failures: Array<string> = []
  for (const device of preferred.filter(hasHardware)) {
    const started = yield* Effect.result(Effect.scoped(Layer.build(layer(device))))
    if (started._tag === "Success") {
      yield* Console.error(`--device auto: computing on ${device}`)
      return device
    }
    failures.push(started.failure.message)
  }
  const why = failures.length === 0 ? "no GPU was found" : failures.join("; ")
  yield* Console.error(`--device auto: computing on ${standard}; ${why}`)
  return standard
})

/** The message for a device that fails; other errors are left to `otherwise`. */
export const orElse =
  <E extends { readonly _tag: string; readonly message: string }>(otherwise: (error: E) => CliFault) =>
  (error: E | DeviceUnavailable): CliFault =>
    error._tag === "DeviceUnavailable" ? fault(`--device: ${error.message}`) : otherwise(error as E) // the tag says which

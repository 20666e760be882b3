/** Devices by name: what a command computes with. */
import { type DeviceUnavailable, OnnxRuntime, type Runtime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type CliFault, fault } from "./CliFault.ts"

/** What can be computed with. */
export const chosen = ["cpu"] as const
export type Chosen = (typeof chosen)[number]

/** What can be asked for: `auto` is the fastest device that works here. */
export const names = ["auto", ...chosen] as const
export type Name = (typeof names)[number]

/** `cpu` gives the same numbers on every machine of a kind, and no small network is faster elsewhere. */
export const standard: Chosen = "cpu"

/** The device to compute with. `auto` takes the fastest that works here and says so. */
export const choose = (name: Name): Effect.Effect<Chosen> => Effect.succeed(name === "auto" ? standard : name)

/** The engine on a device. Threads count where the device is the processor. */
export const layer = (
  _device: Chosen,
  options: { readonly threads?: number } = {}
): Layer.Layer<Runtime, DeviceUnavailable> => OnnxRuntime.cpu(options)

/** What is said of a device that fails; other errors are left to `otherwise`. */
export const orElse =
  <E extends { readonly _tag: string; readonly message: string }>(otherwise: (error: E) => CliFault) =>
  (error: E | DeviceUnavailable): CliFault =>
    error._tag === "DeviceUnavailable" ? fault(`--device: ${error.message}`) : otherwise(error as E) // the tag says which

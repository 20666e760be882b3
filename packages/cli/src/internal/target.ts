/** What models are measured on: the flag `--for`. */
import { Stopwatch, Target } from "@uninet/latency"
import * as Effect from "effect/Effect"
import { Flag } from "effect/cli"
import { usageAt } from "./CliFault.ts"

export const on: Flag.Flag<string> = Flag.String("for").pipe(
  Flag.withMetavar("cpu:n|webgpu"),
  Flag.withDefault("cpu:1"),
  Flag.withDescription("What models run on: threads of this machine's CPU, or its GPU through WebGPU (default cpu:1)")
)

/** The target of that name, if it can be used here. */
export const named = (name: string, batch: number) =>
  Effect.fromResult(Target.parse(batch)(name)).pipe(Effect.tap(Stopwatch.available), Effect.mapError(usageAt("--for")))

/**
 * OpenTelemetry export, if its standard environment variables say where to send it (`OTEL_EXPORTER_OTLP_ENDPOINT`, …): spans of a search,
 * its trials and their epochs, and the metrics of searches and trainings. If they are not set, nothing is loaded, made or sent.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** Variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** By the specification, an empty variable counts as unset. */
const given = (environment: Environment, name: string): string | undefined => {
  const value = environment[name]?.trim()
  return value === "" ? undefined : value
}

/** Whether a signal is to be sent: spans and metrics unless switched off, logs if they are asked for. */
export const wants = (environment: Environment, signal: "TRACES" | "METRICS" | "LOGS"): boolean =>
  given(environment, "OTEL_SDK_DISABLED")?.toLowerCase() !== "true" &&
  (given(environment, `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) ?? given(environment, "OTEL_EXPORTER_OTLP_ENDPOINT")) !==
    undefined &&
  (given(environment, `OTEL_${signal}_EXPORTER`) ?? (signal === "LOGS" ? "none" : "otlp"))
    .split(",")
    .some((each) => each.trim().toLowerCase() === "otlp")

/** Whether an environment asks for telemetry at all. Default: this process's environment. */
export const isConfigured = (environment: Environment = process.env): boolean =>
  (["TRACES", "METRICS", "LOGS"] as const).some((signal) => wants(environment, signal))

/**
 * Sends spans and metrics as an environment says, including those still pending when the scope ends. Settings that cannot be read cause a
 * warning, and nothing is sent.
 *
 * The processes of `WorkerEvaluator` do this by themselves, and continue the trace of the trial that they are given.
 *
 * @example
 * ```ts
 * import { Telemetry } from "@uninet/search"
 * import { Console, Effect } from "effect"
 *
 * const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318", OTEL_SDK_DISABLED: "true" }
 * console.log(Telemetry.wants(environment, "TRACES"), Telemetry.isConfigured(environment)) // false false: it is switched off
 *
 * // A search would stand in place of this message; nothing is loaded, made or sent for it.
 * Effect.runPromise(Console.log("searched").pipe(Effect.provide(Telemetry.layerFrom(environment))))
 * ```
 */
export const layerFrom = (environment: Environment): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.suspend(() =>
      isConfigured(environment)
        ? Effect.map(
            Effect.promise(() => import("./internal/otlp.ts")),
            (otlp) => otlp.layer(environment)
          )
        : Effect.succeed(Layer.empty)
    )
  )

/**
 * Follows this process's environment at the time it is provided.
 *
 * @example
 * ```ts
 * import { Telemetry } from "@uninet/search"
 * import { Console, Effect } from "effect"
 *
 * // As OTEL_EXPORTER_OTLP_ENDPOINT and the other variables say. A search would stand in place of this message.
 * Effect.runPromise(Console.log("searched").pipe(Effect.withSpan("mine"), Effect.provide(Telemetry.layer)))
 * ```
 */
export const layer: Layer.Layer<never> = Layer.suspend(() => layerFrom(process.env))

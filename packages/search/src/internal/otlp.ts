/** The exporter of spans and metrics. Loaded only if it is wanted, because it brings an HTTP client. */
import { version } from "@uninet/trainer"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"
import { hostname } from "node:os"
import * as SearchMetrics from "../SearchMetrics.ts"
import { type Environment, wants } from "../Telemetry.ts"
import { detailOf } from "./detail.ts"

/** Adds the specification's defaults that Effect does not apply by itself. */
const completed = (environment: Environment): Record<string, string> => {
  const set = Object.entries(environment).filter((each): each is [string, string] => (each[1] ?? "").trim() !== "")
  const isNamed = /(?:^|,)\s*service\.name=/.test(environment["OTEL_RESOURCE_ATTRIBUTES"] ?? "")
  return {
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_METRICS_EXPORTER: "otlp",
    ...(isNamed ? {} : { OTEL_SERVICE_NAME: "uninet" }),
    ...Object.fromEntries(set)
  }
}

export const layer = (environment: Environment): Layer.Layer<never> =>
  Otlp.layerFromConfig({
    resource: {
      serviceVersion: version,
      // Workers are processes of one service: this tells their metrics apart.
      attributes: {
        "service.instance.id": `${hostname()}/${process.pid}`,
        "host.name": hostname(),
        "process.pid": process.pid
      }
    }
  }).pipe(
    Layer.provide([
      FetchHttpClient.layer,
      OtlpSerialization.layerJson,
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: completed(environment) }))
    ]),
    Layer.merge(Layer.succeed(SearchMetrics.Wanted, wants(environment, "METRICS"))),
    Layer.catchCause((cause) =>
      Layer.effectDiscard(
        Effect.logWarning(
          `Nothing is sent to OpenTelemetry, because the environment's OTEL_ settings cannot be read (${detailOf(Cause.squash(cause))}): correct or unset them.`
        )
      )
    )
  )

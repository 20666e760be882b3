/** OpenTelemetry, where the standard environment variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, …) say where to. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Layer from "effect/Layer"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"

const isConfigured = Object.keys(process.env).some((name) => /^OTEL_EXPORTER_OTLP_(\w+_)?ENDPOINT$/.test(name))

/** Spans and metrics go by OTLP unless said otherwise: OpenTelemetry's default, which Effect leaves to be asked for. */
const environment = { OTEL_TRACES_EXPORTER: "otlp", OTEL_METRICS_EXPORTER: "otlp", ...process.env }

/** Sends spans and metrics on; nothing where it is not configured. */
export const layer: Layer.Layer<never> = isConfigured
  ? Otlp.layerFromConfig({ resource: { serviceName: "uninet" } }).pipe(
      Layer.provide([
        FetchHttpClient.layer,
        OtlpSerialization.layerJson,
        ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment }))
      ])
    )
  : Layer.empty

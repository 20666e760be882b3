/** OpenTelemetry, where the standard environment variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, …) say where to. */
import * as Layer from "effect/Layer"
import { FetchHttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"

const isConfigured = Object.keys(process.env).some((name) => /^OTEL_EXPORTER_OTLP_(\w+_)?ENDPOINT$/.test(name))

/** Sends spans, metrics and logs on; nothing where it is not configured. */
export const layer: Layer.Layer<never> = isConfigured
  ? Otlp.layerFromConfig({ resource: { serviceName: "uninet" } }).pipe(
      Layer.provide([FetchHttpClient.layer, OtlpSerialization.layerJson])
    )
  : Layer.empty

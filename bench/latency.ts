/**
 * Predicted against measured latency on this machine: profiles a space, then measures networks that the fit has not seen, in turns with the
 * reference network between them.
 *
 *     node bench/latency.ts [--space uninet] [--image 28] [--networks 200] [--minutes 5] [--threads 1] [--rounds 15] [--passes 1] [--device device.json] [--seed latency]
 *
 * Images of more than 64 pixels have three channels and 1000 classes. `--device`: a device file instead of profiling. `--passes 2` measures
 * all networks once more after all have been measured: errors are then relative to the mean, and separated into the measurement's part
 * (`between` passes) and the fit's. Prints a line of JSON.
 */
import { Device, Form, Statistics, Stopwatch } from "@uninet/latency"
import { Correlation } from "@uninet/predictor"
import { Prng, Space } from "@uninet/search-space"
import { MobileNet, VisionTransformer } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import { ModelSpace, type Facts } from "@uninet/model-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    space: { type: "string", default: "uninet" },
    image: { type: "string", default: "28" },
    networks: { type: "string", default: "200" },
    minutes: { type: "string", default: "5" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "15" },
    passes: { type: "string", default: "1" },
    device: { type: "string" },
    seed: { type: "string", default: "latency" }
  }
})
const edge = Number(values.image)
const facts: Facts.Facts = {
  inputs: { image: { shape: [edge > 64 ? 3 : 1, edge, edge], dtype: "float32" } },
  targets: { shape: [], dtype: "int32" },
  classes: edge > 64 ? 1000 : 10
}
const of =
  values.space === "mobilenet"
    ? ModelSpace.erased(Result.getOrThrow(MobileNet.forData()(facts)))
    : values.space === "vit"
      ? ModelSpace.erased(Result.getOrThrow(VisionTransformer.forData()(facts)))
      : ModelSpace.erased(Result.getOrThrow(UniNetSpace.forData()(facts)))
const target = { threads: Number(values.threads), batch: 1 }

const passes = Number(values.passes)

const mean = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0) / numbers.length

/** The deviation of the numbers from the middle, as a standard deviation. */
const deviation = (numbers: ReadonlyArray<number>, middle: number) =>
  Math.sqrt(mean(numbers.map((x) => (x - middle) * (x - middle))))

const program = Effect.gen(function* () {
  const began = performance.now()
  const device =
    values.device === undefined
      ? yield* Device.profile({ target, seconds: 60 * Number(values.minutes), seed: `${values.seed}/fit` })(of)
      : Result.getOrThrow(Device.parse(readFileSync(values.device, "utf8")))
  const profiled = (performance.now() - began) / 1000
  const predict = Device.latency(device)(of)
  const prng = Prng.fromSeed(values.seed)
  const points = Array.from({ length: Number(values.networks) }, () => Space.sample(prng)(of.space))
  const rows = points.map((point) => ({
    times: new Array<number>(),
    predicted: predict(point),
    macs: of.costs["macs"]?.(point) ?? Number.NaN
  }))
  let others = 0
  // As many as fit into memory at once.
  const together = edge > 64 ? 10 : 50
  for (let pass = 0; pass < passes; pass++)
    for (let from = 0; from < points.length; from += together) {
      const found = yield* Stopwatch.measure({ target, rounds: Number(values.rounds) })(
        points.slice(from, from + together).map((point) => ({
          name: of.line(point),
          file: Result.getOrThrow(Form.of(Result.getOrThrow(of.model(point))))
        }))
      )
      others = Math.max(others, found.others)
      for (const [i, { latency }] of found.models.entries())
        // Assumes the machine to be as fast as when it was profiled.
        rows[from + i]?.times.push((latency.value / found.reference.milliseconds) * device.reference)
    }
  const measured = rows.map(({ times }) => mean(times))
  const ratios = rows.map(({ predicted }, i) => predicted / (measured[i] ?? Number.NaN))
  const errors = ratios.map((ratio) => Math.abs(ratio - 1))
  const bias = Statistics.median(ratios)
  const apart = rows.map(({ times: [a = 0, b = Number.NaN] }) => a / b)
  // Two passes differ by the noise of both; a mean is off by the noise of one, divided by the root of the number of passes.
  const noise = deviation(apart, Statistics.median(apart)) / Math.SQRT2
  const off = deviation(
    ratios.map((ratio) => ratio / bias),
    1
  )
  const start = performance.now()
  for (const point of points) predict(point)
  return {
    space: `${of.name}, ${edge} px`,
    target,
    machine: device.machine,
    profiled: { networks: device.measured, seconds: profiled, others: device.others, error: device.error },
    tested: rows.length,
    others,
    error: { median: Statistics.median(errors), ninety: Statistics.quantile(0.9)(errors) },
    // The median of all predictions over measurements: how much slower the machine was in the meantime than the reference network shows.
    bias,
    unbiased: Statistics.median(ratios.map((ratio) => Math.abs(ratio / bias - 1))),
    ...(passes < 2
      ? {}
      : {
          between: Statistics.median(apart.map((ratio) => Math.abs(ratio - 1))),
          deviations: {
            measurement: noise,
            fit: Math.sqrt(Math.max(0, off * off - (noise * noise) / passes))
          }
        }),
    rank: Correlation.spearman(
      rows.map(({ predicted }) => predicted),
      measured
    ),
    macsRank: Correlation.spearman(
      rows.map(({ macs }) => macs),
      measured
    ),
    milliseconds: { low: Math.min(...measured), high: Math.max(...measured) },
    predictionMilliseconds: (performance.now() - start) / points.length
  }
})

console.log(JSON.stringify(await Effect.runPromise(program)))

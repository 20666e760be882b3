/**
 * Predicted against measured latency on this machine: a space is profiled, then networks that the fit has not seen are measured, all in turns with the reference network between.
 *
 *     node bench/latency.ts [--space uninet] [--image 28] [--networks 200] [--minutes 5] [--threads 1] [--rounds 15] [--seed latency]
 *
 * For images of more than 64 pixels three channels and 1000 classes. Prints a line of JSON.
 */
import { Device, Form, Statistics, Stopwatch } from "@uninet/latency"
import { Correlation } from "@uninet/predictor"
import { Prng, Space } from "@uninet/search-space"
import { MobileNet, VisionTransformer } from "@uninet/spaces"
import { UniNetSpace } from "@uninet/uninet"
import { ModelSpace, type Facts } from "@uninet/model-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    space: { type: "string", default: "uninet" },
    image: { type: "string", default: "28" },
    networks: { type: "string", default: "200" },
    minutes: { type: "string", default: "5" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "15" },
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

const program = Effect.gen(function* () {
  const began = performance.now()
  const device = yield* Device.profile(of, { target, seconds: 60 * Number(values.minutes), seed: `${values.seed}/fit` })
  const profiled = (performance.now() - began) / 1000
  const predict = Device.latency(device)(of)
  const prng = Prng.fromSeed(values.seed)
  const points = Array.from({ length: Number(values.networks) }, () => Space.sample(prng)(of.space))
  const rows: Array<{ readonly measured: number; readonly predicted: number; readonly macs: number }> = []
  let others = 0
  // As many as fit into memory together.
  const together = edge > 64 ? 10 : 50
  for (let from = 0; from < points.length; from += together) {
    const some = points.slice(from, from + together)
    const found = yield* Stopwatch.measure(
      some.map((point) => ({
        name: of.line(point),
        file: Result.getOrThrow(Form.of(Result.getOrThrow(of.model(point))))
      })),
      { target, rounds: Number(values.rounds) }
    )
    others = Math.max(others, found.others)
    for (const [i, point] of some.entries())
      rows.push({
        // The machine is held to be as fast as it was when it was profiled.
        measured: (found.models[i].latency.value / found.reference.milliseconds) * device.reference,
        predicted: predict(point),
        macs: of.costs["macs"]?.(point) ?? Number.NaN
      })
  }
  const errors = rows.map(({ measured, predicted }) => Math.abs(predicted / measured - 1))
  const measured = rows.map((row) => row.measured)
  const start = performance.now()
  for (const point of points) predict(point)
  return {
    space: `${of.name}, ${edge} px`,
    target,
    machine: device.machine,
    profiled: { networks: device.measured, seconds: profiled, others: device.others, error: device.error },
    tested: rows.length,
    others,
    error: { median: Statistics.median(errors), ninety: Statistics.quantile(errors, 0.9) },
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

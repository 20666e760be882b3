/**
 * What telemetry costs a search: `node bench/telemetry.ts [--rounds 10] [--trials 400]`, written to `bench/results/telemetry.md`.
 *
 * A search whose trials take no time (each with the spans of five epochs), with OpenTelemetry on and off, in alternating rounds, with a
 * receiver in a separate process: per trial, and as a share of a trial of 5 s. Off is measured twice, so that the difference of the two
 * shows how much such a difference means.
 */
import { Random } from "@uninet/controller"
import { type Evaluator, Journal, Search, Telemetry, WorkerEvaluator } from "@uninet/search"
import { Span } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { spawn } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import digits from "./searched.ts"
import nothing from "./telemetry-worker.ts"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, trials: { type: "string", default: "400" } }
})
const [rounds, trials] = [Number(values.rounds), Number(values.trials)]

const receiver = spawn(
  process.execPath,
  [
    "-e",
    `let bytes = 0
     const server = require("node:http").createServer((request, response) =>
       request.on("data", (part) => (bytes += part.length)).on("end", () => response.end("{}")))
     server.listen(0, "127.0.0.1", () => console.log(server.address().port))
     process.stdin.on("data", () => console.log(bytes))`
  ],
  { stdio: ["pipe", "pipe", "inherit"] }
)
const told = () => new Promise<number>((resolve) => receiver.stdout.once("data", (text) => resolve(Number(text))))
const port = await told()

const settings = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }

/** Milliseconds per trial, including what is sent at the end, and the milliseconds that the evaluator takes to end. */
const once = async (isOn: boolean, evaluator: Layer.Layer<Evaluator.Evaluator, unknown>, seed: string) => {
  if (isOn) Object.assign(process.env, settings)
  else for (const name of Object.keys(settings)) delete process.env[name]
  let [searched, closed] = [0, 0]
  await Effect.runPromise(
    Effect.gen(function* () {
      const began = performance.now()
      yield* Search.run(digits, { trials, seed, ahead: 1 }).pipe(Effect.provide(Telemetry.layer, { local: true }))
      searched = (performance.now() - began) / trials
      closed = performance.now()
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory], { local: true }))
  )
  return { searched, ended: performance.now() - closed }
}

const median = (numbers: ReadonlyArray<number>) => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** As a share of a trial of 5 s. */
const share = (milliseconds: number) => `${((milliseconds / 5000) * 100).toFixed(4)} %`

const module = new URL("./telemetry-worker.ts", import.meta.url)
const places = {
  "in this process": { evaluator: nothing, rounds },
  "in a worker process": { evaluator: WorkerEvaluator.layer({ module, workers: 1 }), rounds: Math.ceil(rounds / 2) }
}
const kinds = { off: false, on: true, "off again": false }

const lines: Array<string> = []
for (const [place, { evaluator, rounds }] of Object.entries(places)) {
  for (const isOn of [false, true]) await once(isOn, evaluator, "warm")
  const found = new Map(
    Object.keys(kinds).map((kind) => [kind, { searched: [], ended: [] } as Record<string, number[]>])
  )
  for (let round = 0; round < rounds; round++)
    for (const [kind, isOn] of Object.entries(kinds)) {
      const { ended, searched } = await once(isOn, evaluator, `round ${round}`)
      found.get(kind)!["searched"]!.push(searched)
      found.get(kind)!["ended"]!.push(ended)
    }
  const of = (kind: string, what: string) => median(found.get(kind)![what]!)
  const paired = (kind: string) =>
    median(found.get(kind)!["searched"]!.map((took, i) => took - found.get("off")!["searched"]![i]!))
  lines.push(
    `| ${place} | ${of("off", "searched").toFixed(3)} ms | ${of("on", "searched").toFixed(3)} ms | ${paired("on").toFixed(3)} ms | **${share(paired("on"))}** | ${paired("off again").toFixed(3)} ms | ${Math.max(0, of("on", "ended") - of("off", "ended")).toFixed(0)} ms |`
  )
}
/** Nanoseconds for the code in place of a span when nobody is listening. */
const unseen = (runs: number) => {
  const watched = Effect.void.pipe(Span.within("nobody sees it", () => ({ trial: runs })))
  const took = (effect: Effect.Effect<void>) => {
    const began = performance.now()
    Effect.runSync(
      Effect.whileLoop({
        while: () => (left -= 1) >= 0,
        body: () => effect,
        step: () => {}
      })
    )
    return performance.now() - began
  }
  let left = runs
  took(watched)
  left = runs
  const whole = took(watched)
  left = runs
  return ((whole - took(Effect.void)) / runs) * 1e6
}
const nanoseconds = unseen(200_000)

receiver.stdin.write("bytes\n")
const bytes = await told()
receiver.kill()

const text = `# What watching a search costs

\`node bench/telemetry.ts --rounds ${rounds} --trials ${trials}\` (${cpus()[0]?.model.trim()}, ${cpus().length} cores, Node ${process.version}; other work ran on the machine)

A search whose trials take no time, each with the spans of five epochs (seven spans per trial, eight through a worker process), and its metrics, with OpenTelemetry on and off in alternating rounds; medians. The cost of sending, also at the end, is
included; the receiver (a separate process) received ${(bytes / 2 ** 20).toFixed(1)} MiB. The difference between two runs with telemetry off shows how much of such a difference is noise. The limit is 1 % of a trial of 5 s.

| evaluated | off, a trial | on, a trial | difference | of a trial of 5 s | off again, difference | once, at the end |
| --- | --- | --- | --- | --- | --- | --- |
${lines.join("\n")}

The last column is the time that the pool's workers take to send their last spans before they end; without OpenTelemetry they are ended at once.

"On" includes the final sending, once per search, spread over its trials. When off, a search and its trainings make no span, attribute or count: all that is left is asking the fiber for its tracer, ${nanoseconds.toFixed(0)} ns for each span that would be made.
`
mkdirSync(new URL("./results", import.meta.url), { recursive: true })
writeFileSync(new URL("./results/telemetry.md", import.meta.url), text)
console.log(text)

/**
 * Times training steps of one network on one of this project's engines:
 *
 *   node bench/step-worker.ts <architecture.json> <batch> <threads> <steps> <device>
 *
 * For every line on standard input it runs that many steps, and prints the wall time and the processor time of each in seconds and the
 * process's peak memory as a line of JSON, so that the benchmark can alternate it with another engine.
 */
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { Architecture } from "@uninet/uninet"
import { Effect, Schema, Stream } from "effect"
import * as devices from "./devices.ts"
import { prepare } from "./first-steps.ts"

const [file, batchText, threads, steps, device] = process.argv.slice(2)
if (!devices.isName(device)) throw new Error(`there is no device ${device}`)
const architecture = Schema.decodeSync(Schema.fromJsonString(Architecture.Architecture))(readFileSync(file, "utf8"))
const batch = Number(batchText)

const begun = performance.now()
const program = Effect.gen(function* () {
  const { parameters, step } = yield* prepare(architecture, batch)
  for (let i = 0; i < 3; i++) yield* step
  const first = { parameters, firstSteps: (performance.now() - begun) / 1000 }
  process.stdout.write(`${JSON.stringify(first)}\n`)
  yield* Stream.fromAsyncIterable(createInterface({ input: process.stdin }), (cause) => cause).pipe(
    Stream.runForEach(() =>
      Effect.gen(function* () {
        const seconds: Array<number> = []
        const processor: Array<number> = []
        for (let i = 0; i < Number(steps); i++) {
          const start = performance.now()
          const before = process.cpuUsage()
          yield* step
          seconds.push((performance.now() - start) / 1000)
          const { system, user } = process.cpuUsage(before)
          processor.push((system + user) / 1e6)
        }
        process.stdout.write(
          `${JSON.stringify({ seconds, processor, peakBytes: process.resourceUsage().maxRSS * 1024 })}\n`
        )
      })
    )
  )
}).pipe(Effect.scoped)

const failure = await Effect.runPromise(
  program.pipe(
    Effect.provide(devices.layer(device, Number(threads))),
    Effect.match({ onFailure: (error) => String(error), onSuccess: () => undefined })
  )
)
if (failure !== undefined) console.error(failure)

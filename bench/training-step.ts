/**
 * The training step (forward, backward, AdamW, running statistics) of the proxy network and of UniNet-B0, in alternating rounds.
 *
 *   node bench/training-step.ts [--pytorch] [--network proxy,B0] [--threads 1,2] [--processes 1] [--rounds 5] [--steps 8] [--standard] [--clock wall]
 *
 * `--clock processor` counts the processor's seconds, for one thread on a machine that others use too. `--pytorch` needs PyTorch for /usr/bin/python3 (Debian: python3-torch and libopenblas0-pthread). Prints a Markdown table.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { networks } from "./networks.ts"
import { median, pytorch, quantile, round, start, stop, uninet, type Worker } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    pytorch: { type: "boolean", default: false },
    standard: { type: "boolean", default: false },
    network: { type: "string", default: "proxy,B0" },
    threads: { type: "string", default: "1,2" },
    processes: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "8" },
    clock: { type: "string", default: "wall" }
  }
})
const list = (text: string) => text.split(",")

const ms = (seconds: number) => `${(1000 * seconds).toFixed(1)} ms`

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}\n`)
console.log(
  "| network | batch | engine | processes × threads | step, median | 10–90% | steps/s together | ratio to PyTorch | peak memory |"
)
console.log("|---|---|---|---|---|---|---|---|---|")
try {
  for (const name of list(options.network)) {
    const { architecture, batch } = networks[name === "B0" ? "B0" : "proxy"]
    const json = join(folder, `${name}.json`)
    writeFileSync(json, JSON.stringify(architecture))
    for (const threads of list(options.threads))
      for (const processes of list(options.processes).map(Number)) {
        const engines = [
          uninet(json, batch, threads, options.steps),
          ...(options.standard ? [uninet(json, batch, threads, options.steps, "standard")] : []),
          ...(options.pytorch ? [pytorch(json, batch, threads, options.steps)] : [])
        ]
        const workers: Array<Array<Worker>> = []
        for (const engine of engines)
          workers.push(await Promise.all(Array.from({ length: processes }, () => start(engine))))
        const results = engines.map(() => ({ seconds: [] as Array<number>, peak: 0 }))
        for (let i = 0; i < Number(options.rounds); i++)
          for (const [e, group] of workers.entries())
            for (const { peakBytes, processor, seconds } of await Promise.all(group.map(round))) {
              results[e].seconds.push(...(options.clock === "processor" ? processor : seconds))
              results[e].peak = Math.max(results[e].peak, peakBytes)
            }
        await Promise.all(workers.flat().map(stop))
        const reference = options.pytorch ? median(results[results.length - 1].seconds) : undefined
        for (const [e, { seconds, peak }] of results.entries()) {
          const middle = median(seconds)
          const ratio = reference === undefined ? "–" : (middle / reference).toFixed(2)
          console.log(
            `| ${name} | ${batch} | ${engines[e].name} | ${processes} × ${threads} | ${ms(middle)} | ${ms(quantile(seconds, 0.1))}–${ms(quantile(seconds, 0.9))} | ${(processes / middle).toFixed(1)} | ${ratio} | ${(peak / 1e6).toFixed(0)} MB |`
          )
        }
      }
  }
} finally {
  rmSync(folder, { recursive: true })
}

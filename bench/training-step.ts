/**
 * The training step (forward, backward, AdamW, running statistics) of the proxy network and of UniNet-B0, in alternating rounds.
 *
 *   node bench/training-step.ts [--pytorch] [--network proxy,B0] [--threads 1,2] [--processes 1] [--rounds 5] [--steps 8] [--standard]
 *
 * `--pytorch` needs PyTorch for /usr/bin/python3 (Debian: python3-torch and libopenblas0-pthread). Prints a Markdown table.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { networks } from "./networks.ts"

const { values: options } = parseArgs({
  options: {
    pytorch: { type: "boolean", default: false },
    standard: { type: "boolean", default: false },
    network: { type: "string", default: "proxy,B0" },
    threads: { type: "string", default: "1,2" },
    processes: { type: "string", default: "1" },
    rounds: { type: "string", default: "5" },
    steps: { type: "string", default: "8" }
  }
})
const list = (text: string) => text.split(",")

interface Round {
  readonly seconds: ReadonlyArray<number>
  readonly peakBytes: number
}

/** A process that runs steps when told to. */
interface Worker {
  readonly process: ChildProcess
  readonly lines: AsyncIterator<string>
}

const start = async (command: string, args: ReadonlyArray<string>): Promise<Worker> => {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, OPENBLAS_NUM_THREADS: "1" }
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next() // ready
  return { process: child, lines }
}

const round = async ({ process: child, lines }: Worker): Promise<Round> => {
  child.stdin?.write("go\n")
  return JSON.parse((await lines.next()).value) as Round // what both workers print
}

const stop = async ({ process: child }: Worker) => {
  child.stdin?.end()
  await once(child, "exit")
}

const ms = (seconds: number) => `${(1000 * seconds).toFixed(1)} ms`
const median = (xs: ReadonlyArray<number>) => xs.toSorted((a, b) => a - b)[xs.length >> 1]
const quantile = (xs: ReadonlyArray<number>, q: number) => xs.toSorted((a, b) => a - b)[Math.floor(q * (xs.length - 1))]

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
const bench = (file: string) => new URL(file, import.meta.url).pathname
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
        const ours = (formulation: string) => ({
          engine: formulation === "blocked" ? "UniNet" : "UniNet, standard operators",
          command: process.execPath,
          args: [bench("step-worker.ts"), name, threads, options.steps, formulation]
        })
        const engines = [
          ours("blocked"),
          ...(options.standard ? [ours("standard")] : []),
          ...(options.pytorch
            ? [
                {
                  engine: "PyTorch",
                  command: "/usr/bin/python3",
                  args: [bench("pytorch/uninet.py"), json, String(batch), threads, options.steps]
                }
              ]
            : [])
        ]
        const workers: Array<Array<Worker>> = []
        for (const { command, args } of engines)
          workers.push(await Promise.all(Array.from({ length: processes }, () => start(command, args))))
        const results = engines.map(() => ({ seconds: [] as Array<number>, peak: 0 }))
        for (let i = 0; i < Number(options.rounds); i++)
          for (const [e, group] of workers.entries())
            for (const { seconds, peakBytes } of await Promise.all(group.map(round))) {
              results[e].seconds.push(...seconds)
              results[e].peak = Math.max(results[e].peak, peakBytes)
            }
        await Promise.all(workers.flat().map(stop))
        const reference = options.pytorch ? median(results[results.length - 1].seconds) : undefined
        for (const [e, { seconds, peak }] of results.entries()) {
          const middle = median(seconds)
          const ratio = reference === undefined ? "–" : (middle / reference).toFixed(2)
          console.log(
            `| ${name} | ${batch} | ${engines[e].engine} | ${processes} × ${threads} | ${ms(middle)} | ${ms(quantile(seconds, 0.1))}–${ms(quantile(seconds, 0.9))} | ${(processes / middle).toFixed(1)} | ${ratio} | ${(peak / 2 ** 20).toFixed(0)} MiB |`
          )
        }
      }
  }
} finally {
  rmSync(folder, { recursive: true })
}

/**
 * The training step on every engine that is present, in alternating rounds, against PyTorch on the same processor.
 *
 *   node bench/engines.ts [--pytorch] [--network proxy,B0] [--devices cpu,tfjs-wasm] [--threads 1] [--rounds 3] [--steps 4]
 *
 * A device that is not there is left out with a line on standard error. `--pytorch` needs PyTorch for /usr/bin/python3. Prints a Markdown table.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { devices } from "./engine-worker.ts"
import { networks } from "./networks.ts"

const { values: options } = parseArgs({
  options: {
    pytorch: { type: "boolean", default: false },
    network: { type: "string", default: "proxy" },
    devices: { type: "string", default: Object.keys(devices).join() },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "4" }
  }
})

interface Round {
  readonly seconds: ReadonlyArray<number>
  readonly peakBytes: number
}

/** A process that runs steps when told to. */
interface Worker {
  readonly engine: string
  readonly process: ChildProcess
  readonly lines: AsyncIterator<string>
  readonly seconds: Array<number>
  peakBytes: number
}

const start = async (engine: string, command: string, args: ReadonlyArray<string>): Promise<Worker | undefined> => {
  const env = { ...process.env, OPENBLAS_NUM_THREADS: "1" }
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"], env })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ready = await lines.next()
  if (ready.done === true) {
    console.error(`${engine} is left out`)
    return undefined
  }
  return { engine, process: child, lines, seconds: [], peakBytes: 0 }
}

const median = (xs: ReadonlyArray<number>) => xs.toSorted((a, b) => a - b)[xs.length >> 1]
const bench = (file: string) => new URL(file, import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))

console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${options.threads} thread(s)\n`)
console.log("| network | batch | engine | step, median | ratio to PyTorch | peak memory |")
console.log("|---|---|---|---|---|---|")
try {
  for (const name of options.network.split(",")) {
    const { architecture, batch } = networks[name === "B0" ? "B0" : "proxy"]
    const json = join(folder, `${name}.json`)
    writeFileSync(json, JSON.stringify(architecture))
    const started: Array<Worker> = []
    const add = (worker: Worker | undefined) => worker !== undefined && started.push(worker)
    const quiet = "--disable-warning=ExperimentalWarning"
    for (const device of options.devices.split(","))
      add(
        await start(device, process.execPath, [
          quiet,
          bench("engine-worker.ts"),
          name,
          device,
          options.threads,
          options.steps
        ])
      )
    if (options.pytorch)
      add(
        await start("PyTorch", "/usr/bin/python3", [
          bench("pytorch/uninet.py"),
          json,
          String(batch),
          options.threads,
          options.steps
        ])
      )
    for (let i = 0; i < Number(options.rounds); i++)
      for (const worker of started) {
        worker.process.stdin?.write("go\n")
        const round = JSON.parse((await worker.lines.next()).value) as Round // what every worker prints
        worker.seconds.push(...round.seconds)
        worker.peakBytes = Math.max(worker.peakBytes, round.peakBytes)
      }
    const reference = started.find(({ engine }) => engine === "PyTorch")
    for (const { engine, peakBytes, process: child, seconds } of started) {
      child.stdin?.end()
      await once(child, "exit")
      const step = median(seconds)
      const ratio = reference === undefined ? "–" : (step / median(reference.seconds)).toFixed(2)
      console.log(
        `| ${name} | ${batch} | ${engine} | ${(1000 * step).toFixed(1)} ms | ${ratio} | ${(peakBytes / 2 ** 20).toFixed(0)} MiB |`
      )
    }
  }
} finally {
  rmSync(folder, { recursive: true })
}

/**
 * The training step on every available engine, in alternating rounds, compared with PyTorch on the same processor.
 *
 *   node bench/engines.ts [--pytorch] [--network proxy,B0] [--devices cpu,tfjs-wasm] [--threads 1] [--rounds 3] [--steps 4]
 *
 * A device that is not available is left out, with a line on standard error. `--pytorch` includes PyTorch, eager with channels last; `pnpm
 * bench:pytorch` installs it. Prints a Markdown table.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as known from "./devices.ts"
import { networks } from "./networks.ts"
import { type Engine, median, pytorch, round, start, stop, uninet } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    pytorch: { type: "boolean", default: false },
    network: { type: "string", default: "proxy" },
    devices: { type: "string", default: known.names.join() },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "4" }
  }
})

/** The engine's process, if it is available. */
const started = async (engine: Engine) => {
  try {
    return { name: engine.name, worker: await start(engine), seconds: [] as Array<number>, peakBytes: 0 }
  } catch {
    console.error(`${engine.name} is left out`)
    return undefined
  }
}

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))

console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, ${options.threads} thread(s)\n`)
console.log("| network | batch | engine | step, median | ratio to PyTorch | peak memory |")
console.log("|---|---|---|---|---|---|")
try {
  for (const name of options.network.split(",")) {
    const { architecture, batch } = networks[name === "B0" ? "B0" : "proxy"]
    const json = join(folder, `${name}.json`)
    writeFileSync(json, JSON.stringify(architecture))
    const engines = [
      ...options.devices.split(",").map((device) => uninet(json, batch, options.threads, options.steps, device)),
      ...(options.pytorch ? [pytorch(json, batch, options.threads, options.steps)] : [])
    ]
    const present: Array<NonNullable<Awaited<ReturnType<typeof started>>>> = []
    for (const engine of engines) {
      const one = await started(engine)
      if (one !== undefined) present.push(one)
    }
    for (let i = 0; i < Number(options.rounds); i++)
      for (const one of present) {
        const { peakBytes, seconds } = await round(one.worker)
        one.seconds.push(...seconds)
        one.peakBytes = Math.max(one.peakBytes, peakBytes)
      }
    const reference = present.find((one) => one.name.startsWith("PyTorch"))
    for (const { name: engine, peakBytes, seconds, worker } of present) {
      await stop(worker)
      const step = median(seconds)
      const ratio = reference === undefined ? "–" : (step / median(reference.seconds)).toFixed(2)
      console.log(
        `| ${name} | ${batch} | ${engine} | ${(1000 * step).toFixed(1)} ms | ${ratio} | ${(peakBytes / 1e6).toFixed(0)} MB |`
      )
    }
  }
} finally {
  rmSync(folder, { recursive: true })
}

/**
 * The training step (forward, backward, AdamW, running statistics) of the proxy network and of UniNet-B0, in alternating rounds.
 *
 *   node bench/training-step.ts [--pytorch eager,compiled] [--devices cpu,standard] [--network proxy,B0] [--threads 1,2] [--processes 1] [--rounds 5] [--steps 8] [--clock wall]
 *
 * `--clock processor` measures processor time, for one thread on a machine that others use too. `--pytorch` includes PyTorch in those
 * modes, each with channels last and without, and gives our steps per second as a multiple of the better one in each mode; `pnpm
 * bench:pytorch` installs it. Prints a Markdown table. "First three steps" are those of a new network, including its construction and
 * compilation.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as devices from "./devices.ts"
import { networks } from "./networks.ts"
import { median, nameOf, pytorch, quantile, round, settings, start, stop, uninet, type Worker } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    pytorch: { type: "string", default: "" },
    devices: { type: "string", default: "cpu" },
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

const modes = list(options.pytorch).filter((mode) => mode !== "")
const chosen = settings.filter(({ mode }) => modes.includes(mode))
const unknown = [
  ...modes.filter((mode) => !settings.some((setting) => setting.mode === mode)),
  ...list(options.devices).filter((device) => !devices.isName(device))
]
if (unknown.length > 0)
  throw new Error(`There is no ${unknown.join()}: modes are eager and compiled, devices ${devices.names.join(", ")}.`)

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
const against = modes.map((mode) => ` | steps/s to PyTorch ${mode}`).join("")
console.log(`${cpus()[0].model}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0].toFixed(1)}\n`)
console.log(
  `| network | batch | engine | processes × threads | step, median | 10–90% | steps/s together${against} | first three steps | peak memory |`
)
console.log(`|${"---|".repeat(9 + modes.length)}`)
try {
  for (const name of list(options.network)) {
    const { architecture, batch } = networks[name === "B0" ? "B0" : "proxy"]
    const json = join(folder, `${name}.json`)
    writeFileSync(json, JSON.stringify(architecture))
    for (const threads of list(options.threads))
      for (const processes of list(options.processes).map(Number)) {
        const engines = [
          ...list(options.devices).map((device) => uninet(json, batch, threads, options.steps, device)),
          ...chosen.map((setting) => pytorch(json, batch, threads, options.steps, setting))
        ]
        const workers: Array<Array<Worker>> = []
        for (const engine of engines)
          workers.push(await Promise.all(Array.from({ length: processes }, () => start(engine))))
        const parameters = new Set(workers.flat().map((worker) => worker.parameters))
        if (parameters.size > 1) throw new Error(`Not the same network: ${[...parameters].join(" and ")} parameters.`)
        const results = engines.map(() => ({ seconds: [] as Array<number>, peak: 0 }))
        for (let i = 0; i < Number(options.rounds); i++)
          for (const [e, group] of workers.entries())
            for (const { peakBytes, processor, seconds } of await Promise.all(group.map(round))) {
              results[e].seconds.push(...(options.clock === "processor" ? processor : seconds))
              results[e].peak = Math.max(results[e].peak, peakBytes)
            }
        await Promise.all(workers.flat().map(stop))
        const medians = new Map(engines.map((engine, e) => [engine.name, median(results[e].seconds)]))
        const best = modes.map((mode) =>
          Math.min(...chosen.filter((one) => one.mode === mode).map((one) => medians.get(nameOf(one)) ?? Infinity))
        )
        for (const [e, { seconds, peak }] of results.entries()) {
          const middle = median(seconds)
          const [{ firstSteps, version }] = workers[e]
          const cells = [
            name,
            batch,
            `${engines[e].name}${version === undefined ? "" : `, ${version}`}`,
            `${processes} × ${threads}`,
            ms(middle),
            `${ms(quantile(seconds, 0.1))}–${ms(quantile(seconds, 0.9))}`,
            (processes / middle).toFixed(1),
            ...best.map((theirs) => (theirs / middle).toFixed(2)),
            `${firstSteps.toFixed(1)} s`,
            `${(peak / 1e6).toFixed(0)} MB`
          ]
          console.log(`| ${cells.join(" | ")} |`)
        }
      }
  }
} finally {
  rmSync(folder, { recursive: true })
}

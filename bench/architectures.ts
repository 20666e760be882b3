/**
 * Training steps per second on random architectures of the space for small images. Two processes with one thread each are compared with the
 * best of PyTorch's eager mode: two processes with one thread and one process with two, each with channels last and without, in alternating
 * rounds. (What a search trains is new each time, so compiling would take longer than training.)
 *
 *   node bench/architectures.ts [--from 0] [--count 50] [--rounds 3] [--steps 3] [--batch 64] [--seed architectures] [--devices cpu] [--clock wall]
 *
 * `--clock processor` measures processor time and leaves out the processes with two threads: for a machine that others use too.
 *
 * `pnpm bench:pytorch` installs PyTorch. Prints a Markdown table. Architecture i is the same whatever `--from` and `--count` are, so that a
 * long run can be divided.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Prng, Space } from "@uninet/search-space"
import { Architecture, UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import { type Engine, median, pytorch, round, settings, start, stop, uninet } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    from: { type: "string", default: "0" },
    count: { type: "string", default: "50" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "3" },
    batch: { type: "string", default: "64" },
    seed: { type: "string", default: "architectures" },
    devices: { type: "string", default: "cpu" },
    clock: { type: "string", default: "wall" }
  }
})
const { seed, steps } = options
const onProcessor = options.clock === "processor"
const [from, count, rounds, batch] = [options.from, options.count, options.rounds, options.batch].map(Number)

interface Configuration {
  readonly engine: Engine
  readonly processes: number
}

/** Steps per second of all processes of each configuration together, in alternating rounds. */
const measure = async (configurations: ReadonlyArray<Configuration>): Promise<ReadonlyArray<number>> => {
  const groups = []
  for (const { engine, processes } of configurations)
    groups.push(await Promise.all(Array.from({ length: processes }, () => start(engine))))
  const parameters = new Set(groups.flat().map((worker) => worker.parameters))
  if (parameters.size > 1) throw new Error(`Not the same network: ${[...parameters].join(" and ")} parameters.`)
  const seconds: Array<Array<number>> = groups.map(() => [])
  for (let i = 0; i < rounds; i++)
    for (const [g, group] of groups.entries())
      for (const found of await Promise.all(group.map(round)))
        seconds[g].push(...(onProcessor ? found.processor : found.seconds))
  await Promise.all(groups.flat().map(stop))
  return configurations.map(({ processes }, g) => processes / median(seconds[g]))
}

const space = Result.getOrThrow(UniNetSpace.small({ image: 32, channels: 3, classes: 10 }))
const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
const eager = settings.filter(({ mode }) => mode === "eager")
const devices = options.devices.split(",")
const ratios = devices.map((): Array<number> => [])
const named = devices.map((device) => (device === "cpu" ? "UniNet" : device))
console.log(
  `| # | architecture | ${named.map((name) => `${name} 2 × 1, steps/s`).join(" | ")} | PyTorch 2 × 1 | PyTorch 1 × 2 | ${named.map((name) => `${name} to the best`).join(" | ")} |`
)
console.log(`|${"---|".repeat(4 + 2 * devices.length)}`)
try {
  for (let i = from; i < from + count; i++) {
    const architecture = Space.sample(Prng.fromSeed(`${seed} ${i}`))(space)
    const json = join(folder, `${i}.json`)
    writeFileSync(json, JSON.stringify(architecture))
    const found = await measure([
      ...devices.map((device) => ({ engine: uninet(json, batch, "1", steps, device), processes: 2 })),
      ...eager.map((setting) => ({ engine: pytorch(json, batch, "1", steps, setting), processes: 2 })),
      ...(onProcessor
        ? []
        : eager.map((setting) => ({ engine: pytorch(json, batch, "2", steps, setting), processes: 1 })))
    ])
    const [ours, theirs] = [found.slice(0, devices.length), found.slice(devices.length)]
    const two = Math.max(...theirs.slice(0, eager.length))
    const wide = onProcessor ? Number.NaN : Math.max(...theirs.slice(eager.length))
    const own = ours.map((one) => one / Math.max(...theirs))
    for (const [d, ratio] of own.entries()) ratios[d].push(ratio)
    const line = Architecture.line(architecture).replaceAll("|", ";")
    const figures = [...ours, two, wide].map((x) => (Number.isNaN(x) ? "–" : x.toFixed(1)))
    console.log(`| ${[i, line, ...figures, ...own.map((ratio) => ratio.toFixed(2))].join(" | ")} |`)
  }
} finally {
  rmSync(folder, { recursive: true })
}
for (const [d, own] of ratios.entries()) {
  const geometric = Math.exp(own.reduce((sum, r) => sum + Math.log(r), 0) / own.length)
  console.log(
    `\n${named[d]}: geometric mean ${geometric.toFixed(2)}, least ${Math.min(...own).toFixed(2)}, greatest ${Math.max(...own).toFixed(2)}, ${own.filter((r) => r >= 2).length} of ${own.length} at 2 or more.`
  )
}

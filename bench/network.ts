/**
 * How fast architectures are built and costed on one core: random ones from the paper's space at 224 px.
 *
 *     node bench/network.ts [--architectures 1000] [--rounds 5]
 *
 * Writes `bench/results/network.md`.
 */
import { Costs } from "@uninet/graph"
import { Prng, Space } from "@uninet/search-space"
import { Network, NetworkCosts, UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { cpus } from "node:os"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: { architectures: { type: "string", default: "1000" }, rounds: { type: "string", default: "5" } }
})
const count = Number(values.architectures)
const rounds = Number(values.rounds)

const space = Result.getOrThrow(UniNetSpace.make({ image: 224 }))
const prng = Prng.fromSeed("bench")
/** Different architectures in every round, so that only what a search would cache is cached. */
const sample = () => Array.from({ length: count }, () => Space.sample(prng)(space))

const network = (architecture: ReturnType<typeof sample>[number]) => Result.getOrThrow(Network.make(architecture))

/** Per second of processor time, including the garbage collector's threads: a figure that other work on the machine hardly affects. */
const perSecond = (work: (architecture: ReturnType<typeof sample>[number]) => unknown): number => {
  const architectures = sample()
  const start = process.cpuUsage()
  for (const architecture of architectures) work(architecture)
  const { system, user } = process.cpuUsage(start)
  return (1e6 * count) / (system + user)
}

const cost = NetworkCosts.forSpace()
const tasks: Readonly<Record<string, (architecture: ReturnType<typeof sample>[number]) => unknown>> = {
  "costs from remembered parts (`NetworkCosts.of`), training memory and rows included": (a) =>
    Result.getOrThrow(NetworkCosts.of(network(a))),
  "costs as the search's constraints take them (`NetworkCosts.forSpace`)": (a) => cost.of(a),
  "whole evaluation graph built, checked and merged (`Network.evaluation`)": (a) =>
    Result.getOrThrow(Network.evaluation()(network(a))),
  "the same, and its ops' costs summed (`Costs.ofProgram`)": (a) =>
    Costs.ofProgram(Result.getOrThrow(Network.evaluation()(network(a))))
}

const show = (rate: number | undefined) => Math.round(rate ?? NaN).toLocaleString("en")

const rows = Object.entries(tasks).map(([name, work]) => {
  const rates = Array.from({ length: rounds }, () => perSecond(work))
  const sorted = rates.toSorted((a, b) => a - b)
  return `| ${name} | ${show(rates[0])} | ${show(sorted[rounds >> 1])} | ${show(sorted[0])} – ${show(sorted[rounds - 1])} |`
})

const report = `# Building and costing architectures

Random architectures of the paper's space (224 px), ${count} different ones in each of ${rounds} rounds, one core of ${cpus()[0]?.model ?? "an unknown processor"}, Node ${process.versions.node}.
Architectures per second of processor time (the garbage collector's threads included); the first round starts with nothing cached and nothing compiled, and the second row with the first row's parts cached. \`node bench/network.ts\`

| | first round | median | range |
|---|--:|--:|--:|
${rows.join("\n")}
`
await mkdir(new URL("results", import.meta.url), { recursive: true })
await writeFile(new URL("results/network.md", import.meta.url), report)
console.log(report)

/**
 * Inference of UniNet-B0 (batch 8, 160 px) from exported files, in alternating rounds: the ONNX file in ONNX Runtime, the PyTorch module in PyTorch, and
 * the ONNX file that PyTorch's own exporter makes of that module.
 *
 *     node bench/export.ts [--threads 2] [--batch 8] [--rounds 7] [--steps 3]
 *
 * Needs PyTorch for /usr/bin/python3 (Debian: python3-torch and libopenblas0-pthread). Writes `bench/results/export.md`.
 */
import { type Card, Format } from "@uninet/export"
import { Network, UniNet } from "@uninet/network"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import { Result } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { median, ms, quantile, round, start, stop } from "./workers.ts"

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    batch: { type: "string", default: "8" },
    rounds: { type: "string", default: "7" },
    steps: { type: "string", default: "3" }
  }
})
const { batch, rounds, steps, threads } = values
const python = "/usr/bin/python3"
const architecture = UniNet.B0
const bench = (file: string) => new URL(file, import.meta.url).pathname

const network = Result.getOrThrow(Network.make(architecture))
const { variables } = Result.getOrThrow(Network.evaluation(network))
const card: Card.Card = {
  architecture,
  classes: Array.from({ length: architecture.classes }, (_, i) => String(i)),
  mean: [0.485, 0.456, 0.406],
  deviation: [0.229, 0.224, 0.225],
  cropRatio: 0.875,
  provenance: {}
}
const trained = { network, weights: Initialise.values(variables, Prng.fromSeed("bench")), card }

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
try {
  const write = ({ content, extension }: Format.File) => writeFileSync(join(folder, `b0${extension}`), content)
  write(Result.getOrThrow(Format.onnx(trained)))
  Result.getOrThrow(Format.pytorch(trained)).forEach(write)
  const [onnx, module, theirs] = ["b0.onnx", "b0.py", "pytorch.onnx"].map((name) => join(folder, name))
  execFileSync(python, [bench("pytorch/export.py"), module, batch, theirs], { stdio: ["ignore", "ignore", "inherit"] })

  const settings = [batch, threads, steps]
  const engines = [
    {
      name: "PyTorch, the exported module",
      command: python,
      args: [bench("pytorch/inference.py"), module],
      file: module
    },
    {
      name: "ONNX Runtime, the exported file",
      command: process.execPath,
      args: [bench("export-worker.ts"), onnx],
      file: onnx
    },
    {
      name: "ONNX Runtime, PyTorch's own export",
      command: process.execPath,
      args: [bench("export-worker.ts"), theirs],
      file: theirs
    }
  ]
  const workers = await Promise.all(engines.map(({ args, command }) => start(command, [...args, ...settings])))
  const seconds = engines.map((): Array<number> => [])
  for (let i = 0; i < Number(rounds); i++)
    for (const [e, worker] of workers.entries())
      seconds[e].push(...(await round<{ readonly seconds: ReadonlyArray<number> }>(worker)).seconds)
  await Promise.all(workers.map(stop))

  const [reference] = seconds.map(median)
  const rows = engines.map(({ file, name }, e) => {
    const middle = median(seconds[e])
    return `| ${name} | ${ms(middle)} | ${ms(quantile(seconds[e], 0.1))} – ${ms(quantile(seconds[e], 0.9))} | ${(middle / reference).toFixed(3)} | ${(statSync(file).size / 2 ** 20).toFixed(1)} MiB |`
  })
  const report = `# Inference from exported files

UniNet-B0, ${batch} images of 160 px, ${threads} threads each, ${cpus().length} cores of ${cpus()[0]?.model ?? "an unknown processor"}, Node ${process.versions.node}. ${rounds} alternating rounds of ${steps} inferences.
\`node bench/export.ts${process.argv
    .slice(2)
    .map((arg) => ` ${arg}`)
    .join("")}\`

| | median | 10–90% | of PyTorch's time | file |
|---|--:|--:|--:|--:|
${rows.join("\n")}
`
  await mkdir(new URL("results", import.meta.url), { recursive: true })
  await writeFile(new URL("results/export.md", import.meta.url), report)
  console.log(report)
} finally {
  rmSync(folder, { recursive: true })
}

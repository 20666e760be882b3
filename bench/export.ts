/**
 * Inference of UniNet-B0 (batch 8, 160 px) from exported files, in alternating rounds: the ONNX file in ONNX Runtime, the PyTorch module in
 * PyTorch (eager, and with `torch.compile` and frozen weights, each with channels last and without), and the ONNX file that PyTorch's own
 * exporter makes from that module.
 *
 *     node bench/export.ts [--threads 1,2] [--batch 8] [--rounds 7] [--steps 3]
 *
 * `pnpm bench:pytorch` installs PyTorch. Writes `bench/results/export.md`.
 */
import { Format, type Trained } from "@uninet/export"
import { ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Prng } from "@uninet/search-space"
import { Initialise } from "@uninet/trainer"
import { UniNet, UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { median, nameOf, open, python, quantile, round, settings, stop } from "./workers.ts"

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "1,2" },
    batch: { type: "string", default: "8" },
    rounds: { type: "string", default: "7" },
    steps: { type: "string", default: "3" }
  }
})
const { batch, rounds, steps } = values
const architecture = UniNet.B0
const bench = (file: string) => new URL(file, import.meta.url).pathname

const of = Result.getOrThrow(UniNetSpace.models())
const { about, line, model, task } = Result.getOrThrow(ModelSpace.trainable(architecture)(of))
const { variables } = Result.getOrThrow(Model.evaluation()(model))
const trained: Trained.Trained = {
  model,
  weights: Initialise.values(Prng.fromSeed("bench"))(variables),
  card: {
    network: about,
    line,
    inputs: model.inputs,
    outputs: Result.getOrThrow(Model.outputs(model)),
    task: task.name,
    classes: Array.from({ length: architecture.classes }, (_, i) => String(i)),
    picture: { input: "image", mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225], cropRatio: 0.875 },
    provenance: {}
  },
  pytorch: of.pytorch?.(architecture) ?? null
}

const ms = (seconds: number) => `${(1000 * seconds).toFixed(1)} ms`

/** The workers' output for a round: the wall time and the processor time of every inference, in seconds. */
interface Round {
  readonly seconds: ReadonlyArray<number>
  readonly processor: ReadonlyArray<number>
}

/** An engine's median as a share of the first engine's. */
const ratio = (times: ReadonlyArray<ReadonlyArray<number>>, e: number) =>
  (median(times[e]) / median(times[0])).toFixed(3)

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
try {
  const write = ({ content, extension }: Format.File) => writeFileSync(join(folder, `b0${extension}`), content)
  write(Result.getOrThrow(Format.onnx(trained)))
  Result.getOrThrow(Format.pytorch(trained)).forEach(write)
  const [onnx, module, theirs] = ["b0.onnx", "b0.py", "pytorch.onnx"].map((name) => join(folder, name))
  execFileSync(python(), [bench("pytorch/export.py"), module, batch, theirs], {
    stdio: ["ignore", "ignore", "inherit"]
  })

  const engines = [
    ...settings.map((setting) => ({
      name: `${nameOf(setting)}, the exported module`,
      command: python(),
      args: [bench("pytorch/inference.py"), module, setting.mode, setting.layout]
    })),
    { name: "ONNX Runtime, the exported file", command: process.execPath, args: [bench("export-worker.ts"), onnx] },
    { name: "ONNX Runtime, PyTorch's own export", command: process.execPath, args: [bench("export-worker.ts"), theirs] }
  ]
  const rows: Array<string> = []
  for (const threads of values.threads.split(",")) {
    const workers = await Promise.all(
      engines.map(({ args, command }) => open({ command, args: [...args, batch, threads, steps] }))
    )
    const seconds = engines.map((): Array<number> => [])
    const processor = engines.map((): Array<number> => [])
    for (let i = 0; i < Number(rounds); i++)
      for (const [e, worker] of workers.entries()) {
        const found = await round<Round>(worker)
        seconds[e].push(...found.seconds)
        processor[e].push(...found.processor)
      }
    await Promise.all(workers.map(stop))
    for (const [e, { name }] of engines.entries())
      rows.push(
        `| ${name} | ${threads} | ${ms(median(seconds[e]))} | ${ms(quantile(seconds[e], 0.1))} – ${ms(quantile(seconds[e], 0.9))} | ${ratio(seconds, e)} | ${ms(median(processor[e]))} | ${ratio(processor, e)} |`
      )
  }

  const report = `# Inference from exported files

UniNet-B0, ${batch} images of 160 px, ${cpus().length} cores of ${cpus()[0]?.model ?? "an unknown processor"}, Node ${process.versions.node}. ${rounds} alternating rounds of ${steps} inferences.
\`node bench/export.ts${process.argv
    .slice(2)
    .map((arg) => ` ${arg}`)
    .join("")}\`

| | threads | median | 10–90% | of PyTorch's | processor time | of PyTorch's |
|---|--:|--:|--:|--:|--:|--:|
${rows.join("\n")}
`
  await mkdir(new URL("results", import.meta.url), { recursive: true })
  await writeFile(new URL("results/export.md", import.meta.url), report)
  console.log(report)
} finally {
  rmSync(folder, { recursive: true })
}

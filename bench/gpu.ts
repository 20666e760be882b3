/**
 * How this project's networks perform on a machine with an NVIDIA card: agreement with the CPU engine, then training steps on WebGPU and
 * CUDA compared with PyTorch's on the same card, in alternation. Takes as many minutes as it is given; what is missing on the machine is
 * reported and left out.
 *
 *   node bench/gpu.ts [--minutes 6] [--steps 5] [--rounds 4] [--random 10]
 *
 * Needs Node, the card's driver (for WebGPU: its Vulkan), for CUDA ONNX Runtime's CUDA provider (`uninet doctor` says how to get it), and a
 * Python with a PyTorch for CUDA (`pnpm bench:pytorch`, or one named by UNINET_PYTHON). Prints Markdown.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Prng, Space } from "@uninet/search-space"
import type { Architecture } from "@uninet/uninet"
import { UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"
import { networks } from "./networks.ts"
import { type Engine, median, python, pytorch, round, start, stop, uninet, type Worker } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "6" },
    steps: { type: "string", default: "5" },
    rounds: { type: "string", default: "4" },
    random: { type: "string", default: "10" }
  }
})
const { steps } = options
const [minutes, rounds, random] = [options.minutes, options.rounds, options.random].map(Number)
const begun = performance.now()
const left = () => 60 * minutes - (performance.now() - begun) / 1000

const folder = mkdtempSync(join(tmpdir(), "uninet-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
const here = (file: string) => new URL(file, import.meta.url).pathname
const say = (line: string) => console.log(line)
const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? ""
const printed = (command: string, args: ReadonlyArray<string>): string | undefined => {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8", timeout: 60_000 })
  return status === 0 ? stdout.trim() : undefined
}

const message = (cause: unknown) => lastLine(cause instanceof Error ? cause.message : String(cause))

say("## The machine\n")
const card = printed("nvidia-smi", ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
say(
  `- card: ${card ?? "none: nvidia-smi is not here, or finds no card. What follows on WebGPU is of a software driver"}`
)
say(`- Node: ${process.version}`)

/** The first three steps of the proxy on a device, in a separate process, so that a driver that hangs can be killed. */
const proxySteps = (device: "cpu" | "webgpu" | "cuda") => {
  const file = join(folder, `${device}.bin`)
  const { error, status, stderr, stdout } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", here("first-steps-worker.ts"), device, "8", file],
    { encoding: "utf8", timeout: 1000 * Math.min(120, left()) }
  )
  if (error !== undefined) throw new Error("three steps took longer than two minutes")
  if (status !== 0) throw new Error(lastLine(stderr))
  const { losses }: { readonly losses: ReadonlyArray<number> } = JSON.parse(stdout)
  const { buffer, byteLength, byteOffset } = readFileSync(file)
  return { losses, values: new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength)) }
}

const reference = proxySteps("cpu")
const ours: Array<"webgpu" | "cuda"> = []
const apart: Array<string> = []
for (const device of ["webgpu", "cuda"] as const) {
  try {
    const { losses, values } = proxySteps(device)
    const loss = Math.max(...losses.map((one, i) => Math.abs(one - reference.losses[i])))
    const difference = values.reduce((most, one, i) => Math.max(most, Math.abs(one - reference.values[i])), 0)
    ours.push(device)
    apart.push(
      `| ${device} | ${losses.map((one) => one.toFixed(4)).join(", ")} | ${loss.toExponential(1)} | ${difference.toExponential(1)} |`
    )
    say(`- ${device}: here`)
  } catch (cause) {
    say(`- ${device}: left out, ${message(cause)}`)
  }
}

let theirs = false
try {
  const found = printed(python(), [
    "-c",
    "import torch; print(torch.__version__, 'CUDA', torch.version.cuda, torch.cuda.get_device_name() if torch.cuda.is_available() else '–')"
  ])
  theirs = found !== undefined && !found.endsWith("–")
  say(
    `- PyTorch: ${found === undefined ? "left out, it cannot be imported" : theirs ? found : `left out, ${found.slice(0, -1)}finds no card`}`
  )
} catch (cause) {
  say(`- PyTorch: left out, ${message(cause)}`)
}

say("\n## Three training steps of the proxy, against the processor's engine\n")
if (apart.length === 0) say("Nothing to compare: neither WebGPU nor CUDA runs here.")
else {
  say(
    `The processor's losses: ${reference.losses.map((one) => one.toFixed(4)).join(", ")}.\n\n| device | losses | largest difference of a loss | of a parameter after the steps (each has moved by about 3e-3) |\n| --- | --- | --- | --- |`
  )
  for (const line of apart) say(line)
}

/** Milliseconds per step for every engine that starts, in alternating rounds. */
const measure = async (engines: ReadonlyArray<Engine>) => {
  const running: Array<{ readonly engine: Engine; readonly worker: Worker; readonly seconds: Array<number> }> = []
  const lines: Array<string> = []
  for (const engine of engines)
    try {
      if (left() < 20) throw new Error("no time is left")
      running.push({ engine, worker: await start(engine, left()), seconds: [] })
    } catch (cause) {
      lines.push(`left out: ${engine.name}, ${message(cause)}`)
    }
  for (let i = 0; i < rounds && left() > 5; i++)
    for (const { seconds, worker } of running) seconds.push(...(await round(worker)).seconds)
  for (const { worker } of running) await stop(worker)
  const found = running.map(({ engine, seconds, worker }) => ({
    name: engine.name,
    milliseconds: seconds.length === 0 ? Number.NaN : 1000 * median(seconds),
    first: worker.firstSteps
  }))
  return { found, lines }
}

const enginesFor = (json: string, batch: number, modes: ReadonlyArray<"eager" | "compiled" | "graphs">) => [
  ...ours.map((device) => uninet(json, batch, "1", steps, device)),
  ...(theirs
    ? modes.map((mode) => pytorch(json, batch, "1", steps, { mode, layout: "channels_last", device: "cuda" }))
    : [])
]

const compare = async (
  name: string,
  architecture: Architecture.Architecture,
  batch: number,
  modes: ReadonlyArray<"eager" | "compiled" | "graphs">
) => {
  const json = join(folder, "network.json")
  writeFileSync(json, JSON.stringify(architecture))
  const { found, lines } = await measure(enginesFor(json, batch, modes))
  const best = Math.min(...found.filter((one) => one.name.startsWith("PyTorch")).map((one) => one.milliseconds))
  for (const { first, milliseconds, name: engine } of found)
    say(
      `| ${[name, batch, engine, `${milliseconds.toFixed(2)} ms`, `${first.toFixed(1)} s`, Number.isFinite(best) ? (best / milliseconds).toFixed(2) : "–"].join(" | ")} |`
    )
  for (const line of lines) say(`| ${name} | ${batch} | ${line} | – | – | – |`)
}

say("\n## Training steps\n")
if (ours.length === 0 && !theirs) say("Nothing to time: neither WebGPU, nor CUDA, nor a PyTorch with a card is here.")
else {
  say(
    "| network | batch | engine | step, median | first three steps | steps/s to PyTorch's best |\n| --- | --- | --- | --- | --- | --- |"
  )
  {
    await compare("proxy", networks.proxy.architecture, networks.proxy.batch, ["eager", "graphs", "compiled"])
    const space = Result.getOrThrow(UniNetSpace.small({ image: 32, channels: 3, classes: 10 }))
    for (let i = 0; i < random && left() > 60; i++)
      await compare(`random ${i}`, Space.sample(Prng.fromSeed(`architectures ${i}`))(space), 64, ["eager", "graphs"])
    if (left() > 30) await compare("B0", networks.B0.architecture, networks.B0.batch, ["eager", "graphs", "compiled"])
    else say("| B0 | 8 | left out: no time is left | – | – | – |")
  }
}
say(`\n${Math.round((performance.now() - begun) / 1000)} s in all.`)

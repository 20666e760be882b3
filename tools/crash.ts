/**
 * Does a training lose anything in a crash? Trains a small network once without interruption. Trains it again, killed with SIGKILL at
 * random moments and resumed each time, with a checkpoint at every step so that many kills happen during a write. After every kill, each
 * checkpoint in the folder has to be whole, and the last one announced has to exist. At the end, both trainings must have the same bits.
 * Then a disk that is too small for a second checkpoint (a tmpfs; only where one may be mounted) has to end a training with an error that
 * says so, and the first checkpoint has to be whole.
 *
 *     node tools/crash.ts [kills]        (default: 50)
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Prng } from "@uninet/search-space"
import { Checkpoint } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { execFileSync, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Checkpoints } from "@uninet/trainer"

const bin = fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))
const kills = Number(process.argv[2] ?? 50)

const architecture = {
  image: { channels: 1, height: 28, width: 28 },
  classes: 10,
  stem: { channels: 8, stride: 2 },
  stages: [
    { operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 },
    { operator: "DWConv", dsm: "L", expansion: 3, channels: 16, repeats: 2, stride: 2 }
  ],
  head: { channels: 64 },
  headDim: 16
}

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

/** Runs `uninet train …`; `killAt`: it is killed this many milliseconds after its first new step. */
const train = (args: ReadonlyArray<string>, folder: string, killAt?: number): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [bin, "train", ...args], { stdio: ["ignore", "ignore", "pipe"] })
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    const before = steps(folder).length
    const watch =
      killAt === undefined
        ? undefined
        : setInterval(() => {
            if (steps(folder).length === before) return
            clearInterval(watch)
            setTimeout(() => child.kill("SIGKILL"), killAt)
          }, 5)
    child.on("close", (code, signal) => {
      clearInterval(watch)
      resolve({ code, signal, stderr })
    })
  })

/** The complete lines of a run's log. */
const log = (folder: string): ReadonlyArray<{ readonly _tag: string; readonly step: number }> => {
  const file = join(folder, "metrics.jsonl")
  if (!existsSync(file)) return []
  return readFileSync(file, "utf8")
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}
const steps = (folder: string) => log(folder).filter(({ _tag }) => _tag === "Step")

const fail = (problem: string): never => {
  console.error(problem)
  process.exit(1)
}

/** The steps of all checkpoints in a folder, each of which has to be whole. */
const checkpointsIn = (folder: string): ReadonlyArray<number> =>
  readdirSync(folder)
    .filter((name) => /^step-\d+\.safetensors$/.test(name))
    .map((name) =>
      Result.match(Checkpoint.decode(name)(readFileSync(join(folder, name))), {
        onFailure: (error) => fail(error.message),
        onSuccess: ({ state }) => state.step
      })
    )

const latest = (folder: string) =>
  Effect.runPromise(
    Checkpoints.make(folder).pipe(
      Effect.flatMap((store) => store.latest),
      Effect.provide(NodeServices.layer)
    )
  )

const bits = ({ best, variables }: Checkpoint.Checkpoint) =>
  [...variables, ...[...best].map(([name, value]) => [`best/${name}`, value] as const)].map(
    ([name, { data }]) => [name, Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex")] as const
  )

const same = (a: Checkpoint.Checkpoint, b: Checkpoint.Checkpoint) => {
  const other = new Map(bits(b))
  const differing = bits(a).filter(([name, hex]) => other.get(name) !== hex)
  if (differing.length > 0 || other.size !== bits(a).length)
    fail(`these differ from the uninterrupted training's: ${differing.map(([name]) => name).join(", ")}`)
  return other.size
}

const below = mkdtempSync(join(tmpdir(), "uninet-crash-"))
const network = join(below, "architecture.json")
writeFileSync(network, JSON.stringify(architecture))
const begin = (folder: string) => [network, "--epochs", "12", "--seed", "crash", "--threads", "1", "--out", folder]

const killed = async () => {
  const whole = join(below, "whole")
  const reference = await train(begin(whole), whole)
  if (reference.code !== 0) fail(reference.stderr)

  const folder = join(below, "killed")
  const prng = Prng.fromSeed("kills")
  let duringWrite = 0
  let count = 0
  while (count < kills) {
    // The folder's settings are written first; killed before that, there is nothing to resume.
    const resumes = existsSync(join(folder, "train.json"))
    if (!resumes) rmSync(folder, { recursive: true, force: true })
    const args = resumes ? ["--resume", folder] : begin(folder)
    const { code, signal, stderr } = await train([...args, "--save-steps", "1"], folder, prng.nextInt(300))
    if (signal !== "SIGKILL")
      fail(code === 0 ? `the training ended after ${count} kills; make it longer` : `after ${count} kills: ${stderr}`)
    count++
    if (readdirSync(folder).some((name) => name.endsWith(".part"))) duringWrite++
    const there = Math.max(0, ...checkpointsIn(folder))
    const announced = Math.max(0, ...log(folder).flatMap(({ _tag, step }) => (_tag === "Saved" ? [step] : [])))
    if (there < announced) fail(`checkpoint ${announced} was announced, but the last one there is ${there}`)
  }
  const reached = Math.max(...checkpointsIn(folder))
  const last = await train(["--resume", folder], folder)
  if (last.code !== 0) fail(last.stderr)
  const tensors = same((await latest(folder)).checkpoint, (await latest(whole)).checkpoint)
  const taken = steps(folder).map(({ step }) => step)
  if (taken.some((step, i) => step !== i)) fail("the log does not have every step once")
  console.log(
    `${count} kills, ${duringWrite} of them during a write, the last after step ${reached} of ${taken.length}: no checkpoint lost or damaged; ${tensors} tensors equal to the uninterrupted training's to the last bit`
  )
}

const diskFull = async () => {
  const disk = join(below, "disk")
  mkdirSync(disk)
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", disk], { stdio: "ignore" })
  } catch {
    console.log("full disk: not tried, a tmpfs cannot be mounted here")
    return
  }
  try {
    const folder = join(disk, "run")
    const { code, stderr } = await train([...begin(folder), "--save-steps", "20"], folder)
    if (code !== 1 || !/earlier checkpoints are unchanged|Make room/.test(stderr))
      fail(`full disk: exit code ${code}, ${stderr}`)
    const kept = checkpointsIn(folder)
    if (kept.length === 0) fail("full disk: no checkpoint was left")
    console.log(
      `full disk: exit code 1, checkpoints of steps ${kept.join(", ")} whole; said: ${stderr.trim().split("\n").at(-1)}`
    )
  } finally {
    execFileSync("umount", [disk])
  }
}

try {
  await killed()
  await diskFull()
} finally {
  rmSync(below, { recursive: true, force: true })
}

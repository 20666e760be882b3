/** The real command line in a separate process, and a data set that trains in no time. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Uninet } from "@uninet/cli"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { TestConsole } from "effect/testing"
import { spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../src/bin.ts", import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd?: string
  readonly until?: RegExp
  readonly signal?: NodeJS.Signals
  /** Called with the process's number once it is running. */
  readonly onStart?: (pid: number) => void
  /** Called whenever it prints something on standard error, before the signal for that text is sent. */
  readonly onText?: () => void
  readonly env?: NodeJS.ProcessEnv
}

/** Runs `uninet …` until it ends. `until`: sends the signal when standard error contains this text. */
export const uninet = (args: ReadonlyArray<string>, options: Options = {}): Effect.Effect<Ran> =>
  ran(process.execPath, [bin, ...args], options)

/** Runs a command that was printed, through a shell. */
export const pasted = (command: string, options: Options = {}): Effect.Effect<Ran> =>
  ran("sh", ["-c", command], options)

const ran = (program: string, args: ReadonlyArray<string>, options: Options): Effect.Effect<Ran> =>
  Effect.callback<Ran>((resume) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"]
    })
    if (child.pid !== undefined) options.onStart?.(child.pid)
    let stdout = ""
    let stderr = ""
    let signalled = false
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
      options.onText?.()
      if (!signalled && options.until?.test(stderr) === true) {
        signalled = true
        child.kill(options.signal ?? "SIGINT")
      }
    })
    child.on("close", (code) => resume(Effect.succeed({ code, stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Runs the command line in this process: the same output as a separate process, but cheaper. One at a time if it is to run in another folder. */
export const here = (
  args: ReadonlyArray<string>,
  { cwd, env = {} }: Pick<Options, "cwd" | "env"> = {}
): Effect.Effect<Ran> =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(Uninet.run(args))
    const [stdout, stderr] = [yield* TestConsole.logLines, yield* TestConsole.errorLines]
    return { code: Uninet.exitCode(exit), stdout: ended(stdout), stderr: ended(stderr) }
  }).pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, TestConsole.layer)), (run) =>
    Effect.acquireUseRelease(entered(cwd, env), () => run, left)
  )

const ended = (lines: ReadonlyArray<unknown>) => lines.map((line) => `${String(line)}\n`).join("")

/** Restores the previous folder and environment. */
const entered = (cwd: string | undefined, env: NodeJS.ProcessEnv) =>
  Effect.sync(() => {
    const before = {
      cwd: process.cwd(),
      env: Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]))
    }
    if (cwd !== undefined) process.chdir(cwd)
    Object.assign(process.env, env)
    return before
  })

const left = ({ cwd, env }: Effect.Success<ReturnType<typeof entered>>) =>
  Effect.sync(() => {
    process.chdir(cwd)
    for (const [name, value] of Object.entries(env)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })

/** A folder that is removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-cli-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const edge = 12

const idx = (dimensions: ReadonlyArray<number>, bytes: Uint8Array) => {
  const header = Buffer.alloc(4 + 4 * dimensions.length)
  header.writeUInt32BE(0x0800 + dimensions.length)
  dimensions.forEach((n, i) => header.writeUInt32BE(n, 4 + 4 * i))
  return Buffer.concat([header, bytes])
}

/** Images of two classes, with a bright left or right half and some noise. */
const samples = (count: number) => {
  const images = new Uint8Array(count * edge * edge)
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 2)
  for (let i = 0; i < images.length; i++) {
    const right = i % edge >= edge / 2
    const bright = right === (Math.floor(i / (edge * edge)) % 2 === 1)
    images[i] = (bright ? 150 : 60) + ((i * 2654435761) % 97)
  }
  return { images: idx([count, edge, edge], images), labels: idx([count], labels) }
}

/** A network for it: a folder of IDX files has ten classes. */
export const tinyNetwork = {
  image: { channels: 1, height: edge, width: edge },
  classes: 10,
  stem: { channels: 8, stride: 1 },
  stages: [{ operator: "DWConv", dsm: "L", expansion: 1, channels: 8, repeats: 1, stride: 2 }],
  head: { channels: 16 },
  headDim: 8
}

/** Creates a data set of IDX files inside the folder and returns its path. */
export const tinyDataset = (below: string): string => {
  const path = join(below, "tiny")
  mkdirSync(path)
  const train = samples(320)
  const test = samples(64)
  writeFileSync(join(path, "train-images-idx3-ubyte"), train.images)
  writeFileSync(join(path, "train-labels-idx1-ubyte"), train.labels)
  writeFileSync(join(path, "t10k-images-idx3-ubyte"), test.images)
  writeFileSync(join(path, "t10k-labels-idx1-ubyte"), test.labels)
  return path
}

/** Processes that run training steps on request, so that a benchmark can alternate engines. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createInterface } from "node:readline"

/** A worker's report on some steps. */
export interface Round {
  readonly seconds: ReadonlyArray<number>
  /** Processor time: less affected by other work on the machine, and for one thread the same as a step takes on an idle machine. */
  readonly processor: ReadonlyArray<number>
  readonly peakBytes: number
}

export interface Worker {
  readonly process: ChildProcess
  readonly lines: AsyncIterator<string>
  /** As counted by the worker. */
  readonly parameters: number
  /** Seconds from the network's description to the end of its third step: building it, compiling it, and everything that is slow the first time. */
  readonly firstSteps: number
  /** PyTorch's version. */
  readonly version?: string
}

/** An engine with a network: a command that starts a worker. */
export interface Engine {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const file = (name: string) => new URL(name, import.meta.url).pathname

/** The flags with which the processes of a search run. */
const asTrained = ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=16"]

/** The network in a JSON file on one of this project's engines, by default the default one. */
export const uninet = (json: string, batch: number, threads: string, steps: string, device = "cpu"): Engine => ({
  name: device === "cpu" ? "UniNet" : device === "standard" ? "UniNet, standard operators" : device,
  command: process.execPath,
  args: [...asTrained, file("step-worker.ts"), json, String(batch), threads, steps, device]
})

/** The Python with PyTorch: the one of `pnpm bench:pytorch`, or the one that UNINET_PYTHON names. */
export const python = (): string => {
  const own = process.env.UNINET_PYTHON ?? file("pytorch/.venv/bin/python")
  if (existsSync(own)) return own
  throw new Error(
    `There is no ${own}: \`pnpm bench:pytorch\` installs PyTorch, or name a Python that has it by UNINET_PYTHON.`
  )
}

/** How PyTorch is used. */
export interface Setting {
  /** `graphs`: the whole step as a CUDA graph. */
  readonly mode: "eager" | "compiled" | "graphs"
  readonly layout: "channels_last" | "contiguous"
  /** Default `cpu`. */
  readonly device?: "cpu" | "cuda"
}

/** All settings with which a step is tried: which one is fastest depends on the network. */
export const settings: ReadonlyArray<Setting> = (["eager", "compiled"] as const).flatMap((mode) =>
  (["channels_last", "contiguous"] as const).map((layout) => ({ mode, layout }))
)

export const nameOf = ({ layout, mode }: Setting): string => `PyTorch ${mode}, ${layout}`

/** The network in a JSON file in PyTorch. */
export const pytorch = (
  json: string,
  batch: number,
  threads: string,
  steps: string,
  setting: Setting = { mode: "eager", layout: "channels_last" }
): Engine => ({
  name: nameOf(setting),
  command: python(),
  args: [
    file("pytorch/uninet.py"),
    json,
    String(batch),
    threads,
    steps,
    setting.mode,
    setting.layout,
    setting.device ?? "cpu"
  ]
})

/** A process that waits for its rounds, and the first line that it printed, for which it has this many seconds. */
export const open = async (
  { args, command }: Pick<Engine, "command" | "args">,
  limit?: number
): Promise<Pick<Worker, "process" | "lines"> & { readonly first: string }> => {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    // The kernels for this processor, even if the environment asks for an older one's.
    env: { ...process.env, OPENBLAS_CORETYPE: undefined, OPENBLAS_L2_SIZE: undefined }
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const tooLate = limit === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), 1000 * limit)
  const first = await lines.next()
  clearTimeout(tooLate)
  if (first.done === true)
    throw new Error(
      child.killed
        ? `it had no first step after ${Math.round(limit ?? 0)} s`
        : `${command} ${args.join(" ")} ended before its first step.`
    )
  return { process: child, lines, first: first.value }
}

/** Ready once the worker has taken its first steps. */
export const start = async (engine: Engine, limit?: number): Promise<Worker> => {
  const { first, ...worker } = await open(engine, limit)
  return { ...worker, ...(JSON.parse(first) as Pick<Worker, "parameters" | "firstSteps" | "version">) } // both workers print this first
}

/** Runs some more steps. */
export const round = async <A = Round>({ process: child, lines }: Pick<Worker, "process" | "lines">): Promise<A> => {
  child.stdin?.write("go\n")
  return JSON.parse((await lines.next()).value) as A // the workers' output
}

export const stop = async ({ process: child }: Pick<Worker, "process">) => {
  child.stdin?.end()
  await once(child, "exit")
}

export const quantile = (xs: ReadonlyArray<number>, q: number) =>
  xs.toSorted((a, b) => a - b)[Math.floor(q * (xs.length - 1))]
export const median = (xs: ReadonlyArray<number>) => xs.toSorted((a, b) => a - b)[xs.length >> 1]

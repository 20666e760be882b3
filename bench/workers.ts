/** Processes that run training steps when told to, so that a benchmark can alternate engines. */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** What a worker says of some steps. */
export interface Round {
  readonly seconds: ReadonlyArray<number>
  /** Of the processor: less disturbed by others on the machine, and for one thread what a step takes on an idle one. */
  readonly processor: ReadonlyArray<number>
  readonly peakBytes: number
}

export interface Worker {
  readonly process: ChildProcess
  readonly lines: AsyncIterator<string>
  /** As the worker counted them. */
  readonly parameters: number
}

/** An engine with a network: a command that starts a worker. */
export interface Engine {
  readonly name: string
  readonly command: string
  readonly args: ReadonlyArray<string>
}

const file = (name: string) => new URL(name, import.meta.url).pathname

/** The network of a JSON file on one of this project's engines, by default on the default one. */
export const uninet = (json: string, batch: number, threads: string, steps: string, device = "cpu"): Engine => ({
  name: device === "cpu" ? "UniNet" : device === "standard" ? "UniNet, standard operators" : device,
  command: process.execPath,
  args: ["--disable-warning=ExperimentalWarning", file("step-worker.ts"), json, String(batch), threads, steps, device]
})

/** The network of a JSON file in PyTorch. */
export const pytorch = (json: string, batch: number, threads: string, steps: string): Engine => ({
  name: "PyTorch",
  command: "/usr/bin/python3",
  args: [file("pytorch/uninet.py"), json, String(batch), threads, steps]
})

/** A process that waits for its rounds, and the first line that it printed. */
export const open = async ({
  args,
  command
}: Pick<Engine, "command" | "args">): Promise<Pick<Worker, "process" | "lines"> & { readonly first: string }> => {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "inherit"],
    // PyTorch at its best: one thread of OpenBLAS's own, and the kernels of this processor, where the environment asks for an older one's.
    env: { ...process.env, OPENBLAS_NUM_THREADS: "1", OPENBLAS_CORETYPE: undefined, OPENBLAS_L2_SIZE: undefined }
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const first = await lines.next()
  if (first.done === true) throw new Error(`${command} ${args.join(" ")} ended before its first step.`)
  return { process: child, lines, first: first.value }
}

/** Ready once the worker has taken its first steps. */
export const start = async (engine: Engine): Promise<Worker> => {
  const { first, ...worker } = await open(engine)
  const { parameters } = JSON.parse(first) as { readonly parameters: number } // what both workers print first
  return { ...worker, parameters }
}

/** Some steps more. */
export const round = async <A = Round>({ process: child, lines }: Pick<Worker, "process" | "lines">): Promise<A> => {
  child.stdin?.write("go\n")
  return JSON.parse((await lines.next()).value) as A // what the workers print
}

export const stop = async ({ process: child }: Pick<Worker, "process">) => {
  child.stdin?.end()
  await once(child, "exit")
}

export const quantile = (xs: ReadonlyArray<number>, q: number) =>
  xs.toSorted((a, b) => a - b)[Math.floor(q * (xs.length - 1))]
export const median = (xs: ReadonlyArray<number>) => xs.toSorted((a, b) => a - b)[xs.length >> 1]

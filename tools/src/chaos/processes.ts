/** Processes that are started in order to be killed. */
import { type ChildProcess, spawn } from "node:child_process"

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds))

export const isRunning = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null

/** How a process ended, for people. */
export const endOf = (child: ChildProcess): string => String(child.exitCode ?? child.signalCode)

const children = new Set<ChildProcess>()

/** Makes a process end with this one, however this one ends. */
export const owned = (child: ChildProcess): ChildProcess => {
  children.add(child)
  return child.on("exit", () => children.delete(child))
}

for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1))
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL")
})

/** Starts a script from this checkout; reports each line that it prints. Its standard error is passed through. */
export const start = (
  command: ReadonlyArray<string>,
  { env = {}, onLine = () => {} }: { readonly env?: NodeJS.ProcessEnv; readonly onLine?: (line: string) => void } = {}
): ChildProcess => {
  const [program = process.execPath, ...args] = command
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...env } })
  owned(child)
  let rest = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) onLine(line)
  })
  return child
}

/** Kills a process as a crash would, and waits until it is gone. */
export const kill = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (!isRunning(child)) return resolve()
    child.on("exit", () => resolve())
    child.kill("SIGKILL")
  })

/**
 * How long until another worker takes over a lost worker's trial? Of two workers on a PostgreSQL server, the one that has the trial is
 * killed (SIGKILL), frozen (SIGSTOP), or stopped as by Ctrl-C (SIGINT), and the time until the other one starts is measured.
 *
 *     node bench/cluster-takeover.ts [times each]        (default 5; needs PostgreSQL's Debian packages)
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Postgres from "../packages/cluster/test/support/postgres.ts"

const times = Number(process.argv[2] ?? 5)
if (Postgres.missing !== undefined) {
  console.error(Postgres.missing)
  process.exit(1)
}

const start = (name: string, args: ReadonlyArray<string>) => {
  const path = fileURLToPath(new URL(`../packages/cluster/test/support/${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  const state = { child, taken: false }
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    state.taken ||= text.includes("Taken")
  })
  return state
}

const until = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const end = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.on("exit", () => resolve())
    child.kill("SIGKILL")
  })

const server = await Postgres.serve()
const folder = mkdtempSync(join(tmpdir(), "uninet-takeover-"))
try {
  for (const signal of ["SIGKILL", "SIGSTOP", "SIGINT"] as const) {
    const seconds: Array<number> = []
    for (let i = 0; i < times; i++) {
      const name = `${signal.toLowerCase()}${i}`
      const url = server.url(name)
      const driver = start("driver", [url, join(folder, name), "1", "60000", join(folder, "log")])
      const first = start("worker", [url, "1"])
      await until(() => first.taken)
      const second = start("worker", [url, "1"])
      // The worker is active, and its victim is anywhere between two heartbeats.
      await until(() => server.sql(name, "select count(*) from uninet_worker") === "2")
      await new Promise((resolve) => setTimeout(resolve, 500 * i))
      const began = performance.now()
      first.child.kill(signal)
      await until(() => second.taken)
      seconds.push((performance.now() - began) / 1000)
      await Promise.all([driver, first, second].map(({ child }) => end(child)))
    }
    const sorted = seconds.toSorted((a, b) => a - b)
    const said = sorted.map((s) => s.toFixed(1)).join(" ")
    console.log(`${signal}: median ${sorted[Math.floor(sorted.length / 2)]!.toFixed(1)} s, all: ${said} s`)
  }
} finally {
  await server.remove()
  rmSync(folder, { recursive: true })
}

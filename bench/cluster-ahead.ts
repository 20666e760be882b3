/**
 * How many proposals have to be pending to keep a hundred workers busy, and what load does the database have to bear? Runs a search with
 * trials of 3 to 9 s (they sleep) on a PostgreSQL server on this machine, with a hundred workers of one trial each, 25 to a process, every
 * worker with its own connections. Reports the share of the workers' time that was spent on trials once all workers had started, the
 * connections, and the transactions per second.
 *
 *     node bench/cluster-ahead.ts [--workers 100] [--trials 600] [--ahead 8,100,200,400]        (needs PostgreSQL's Debian packages)
 */
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Postgres from "../packages/cluster/test/support/postgres.ts"

const { values } = parseArgs({
  options: {
    workers: { type: "string", default: "100" },
    trials: { type: "string", default: "600" },
    ahead: { type: "string", default: "8,100,200,400" }
  }
})

/** The shortest trial; the longest takes three times that. */
const milliseconds = 3000

const measure = async (server: Postgres.Server, workers: number, trials: number, ahead: number) => {
  const name = `ahead${ahead}`
  const url = server.url(name)
  const folder = mkdtempSync(join(tmpdir(), "uninet-ahead-"))
  const children: Array<ChildProcess> = []
  const start = (name: string, ...args: ReadonlyArray<string>) => {
    const path = fileURLToPath(new URL(`../packages/cluster/test/support/${name}.ts`, import.meta.url))
    const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] })
    children.push(child)
    return child
  }
  try {
    for (let left = workers; left > 0; left -= 25) start("workers", url, String(Math.min(25, left)))
    const there = () =>
      server.sql(name, "select to_regclass('uninet_trial') is not null") === "t" &&
      server.sql(name, "select count(*) from uninet_worker") === String(workers)
    while (!there()) await new Promise((resolve) => setTimeout(resolve, 500))
    const driver = start(
      "driver",
      url,
      join(folder, "journal.db"),
      String(trials),
      String(milliseconds),
      join(folder, "log"),
      "--ahead",
      String(ahead)
    )
    let first: number | undefined
    let finished = 0
    driver.stdout?.setEncoding("utf8").on("data", (text: string) => {
      first ??= performance.now()
      finished += text.match(/^Finished/gm)?.length ?? 0
    })
    const commits = () => Number(server.sql(name, `select xact_commit from pg_stat_database where datname = '${name}'`))
    const before = commits()
    const begun = performance.now()
    let connections = 0
    while (driver.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 1000))
      connections = Math.max(
        connections,
        Number(server.sql(name, `select count(*) from pg_stat_activity where datname = '${name}'`))
      )
    }
    const seconds = (performance.now() - (first ?? begun)) / 1000
    const rate = (commits() - before) / ((performance.now() - begun) / 1000)
    const spent = Array.from({ length: trials }, (_, i) => (milliseconds / 1000) * (1 + ((i * 7) % 3))).reduce(
      (sum, each) => sum + each,
      0
    )
    const share = (100 * spent) / (workers * seconds)
    console.log(
      `| ${ahead} | ${finished} | ${seconds.toFixed(1)} s | ${share.toFixed(0)}% | ${connections} | ${rate.toFixed(0)} |`
    )
  } finally {
    for (const child of children) child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
}

if (Postgres.missing !== undefined) {
  console.error(Postgres.missing)
  process.exit(1)
}
const server = await Postgres.serve({ settings: ["max_connections=400"] })
try {
  console.log(
    `${values.workers} workers\n\n| ahead | trials | took | workers' time on trials | connections | transactions a second |\n| ---: | ---: | ---: | ---: | ---: | ---: |`
  )
  for (const ahead of values.ahead.split(","))
    // With few pending at a time, a few trials are enough.
    await measure(server, Number(values.workers), Math.min(Number(values.trials), 10 * Number(ahead)), Number(ahead))
} finally {
  await server.remove()
}

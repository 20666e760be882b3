/**
 * Does a search over many machines lose anything to crashes? A quiet search of 40 quick trials gives the journal that is expected. Then it is searched again, round after round,
 * on a PostgreSQL server with three workers and a driver, each a process of its own; every two to five seconds one thing is hit at random: a worker or
 * the driver is killed with SIGKILL and started again, a worker is frozen for ten seconds (SIGSTOP), all connections are ended from the server's side, or
 * the whole server is killed and started again. In the end each round's journal has to be complete and equal to the quiet one, times aside.
 *
 *     node tools/chaos-cluster.ts [rounds] [from]        (default: 20 rounds from round 1, whose number decides what is hit; needs PostgreSQL's Debian packages)
 */
import { Journal, Search } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { evaluator } from "../packages/cluster/test/support/evaluator.ts"
import * as Postgres from "../packages/cluster/test/support/postgres.ts"
import { setting, uninet } from "../packages/cluster/test/support/search.ts"

const rounds = Number(process.argv[2] ?? 20)
const from = Number(process.argv[3] ?? 1)
const trials = 40
/** The shortest trial; the longest takes three times that. */
const milliseconds = 500
/** A round that takes longer than this has failed (seconds). */
const limit = 300

if (Postgres.missing !== undefined) {
  console.error(Postgres.missing)
  process.exit(1)
}

const script = (name: string) => fileURLToPath(new URL(`../packages/cluster/test/support/${name}.ts`, import.meta.url))

const start = (name: string, args: ReadonlyArray<string>): ChildProcess =>
  spawn(process.execPath, [script(name), ...args], { stdio: ["ignore", "ignore", "inherit"] })

const isRunning = (child: ChildProcess) => child.exitCode === null && child.signalCode === null

const kill = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    if (!isRunning(child)) return resolve()
    child.on("exit", () => resolve())
    child.kill("SIGKILL")
  })

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const entriesOf = (path: string) =>
  Effect.runPromise(Effect.map(Journal.read(path), ({ entries }) => entries.map(({ entry }) => entry)))

/** The journal of a search that nothing happens to, in one process. */
const quiet = async () => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-quiet-"))
  const journal = join(folder, "journal.db")
  const evaluating = evaluator({ milliseconds: 0, log: null }, 4)
  await Effect.runPromise(
    Effect.provide(Search.run(uninet, { trials, seed: "test" }), [setting, evaluating, Journal.sqlite(journal)])
  )
  const entries = await entriesOf(journal)
  rmSync(folder, { recursive: true })
  return entries
}

type Blow = "worker killed" | "driver killed" | "worker frozen for 10 s" | "connections ended" | "server killed"
const blows: ReadonlyArray<Blow> = [
  "worker killed",
  "worker killed",
  "worker killed",
  "driver killed",
  "driver killed",
  "connections ended",
  "connections ended",
  "server killed",
  "worker frozen for 10 s"
]

interface Round {
  readonly seconds: number
  readonly blows: ReadonlyMap<Blow, number>
  /** How often trials were begun, beyond once each. */
  readonly again: number
  readonly problem: string | undefined
}

const round = async (server: Postgres.Server, number: number, expected: ReadonlyArray<string>): Promise<Round> => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-chaos-"))
  const prng = Prng.fromSeed(`chaos ${number}`)
  const database = `round${number}`
  const url = server.url(database)
  const [journal, log] = [join(folder, "journal.db"), join(folder, "log")]
  const worker = () => start("worker", [url, "1"])
  const driver = () => start("driver", [url, journal, String(trials), String(milliseconds), log])
  const workers = [worker(), worker(), worker()]
  let current = driver()
  const frozen = new Set<ChildProcess>()
  const counts = new Map<Blow, number>()
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const ended = (problem: string | undefined): Round => {
    const begun = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").length : 0
    return { seconds: seconds(), blows: counts, again: Math.max(0, begun - trials), problem }
  }
  try {
    while (true) {
      const until = performance.now() + 2000 + prng.nextInt(3000)
      while (isRunning(current) && performance.now() < until) await sleep(50)
      if (current.exitCode === 0) break
      if (current.exitCode !== null) return ended(`the driver ended with ${current.exitCode}`)
      if (seconds() > limit) return ended(`not done after ${limit} s`)
      const blow = blows[prng.nextInt(blows.length)]!
      const i = prng.nextInt(workers.length)
      counts.set(blow, (counts.get(blow) ?? 0) + 1)
      if (blow === "worker killed") {
        await kill(workers[i]!)
        workers[i] = worker()
      } else if (blow === "driver killed") {
        await kill(current)
        current = driver()
      } else if (blow === "connections ended")
        server.sql("postgres", `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`)
      else if (blow === "server killed") {
        await server.stop("SIGKILL")
        await server.start()
      } else {
        const victim = workers[i]!
        if (frozen.has(victim)) continue
        frozen.add(victim)
        victim.kill("SIGSTOP")
        setTimeout(() => {
          victim.kill("SIGCONT")
          frozen.delete(victim)
        }, 10_000).unref()
      }
      // Workers have no reason of their own to end.
      const gone = workers.find((child) => !isRunning(child))
      if (gone !== undefined) return ended(`a worker ended with ${gone.exitCode ?? gone.signalCode}`)
    }
    const found = (await entriesOf(journal)).map((entry) => JSON.stringify(entry))
    const other = expected.findIndex((entry, i) => entry !== found[i])
    return ended(
      other >= 0
        ? `entry ${other} is ${found[other]} where the quiet search has ${expected[other]}`
        : found.length > expected.length
          ? `the journal has ${found.length} entries where the quiet search has ${expected.length}`
          : undefined
    )
  } finally {
    await Promise.all([...workers, current].map(kill))
    rmSync(folder, { recursive: true, force: true })
  }
}

const server = await Postgres.serve()
try {
  const expected = (await quiet()).map((entry) => JSON.stringify(entry))
  let equal = 0
  const sums = new Map<Blow, number>()
  let again = 0
  for (let number = from; number < from + rounds; number++) {
    const { again: more, blows, problem, seconds } = await round(server, number, expected)
    if (problem === undefined) equal++
    again += more
    for (const [blow, times] of blows) sums.set(blow, (sums.get(blow) ?? 0) + times)
    const said = [...blows].map(([blow, times]) => `${blow} ${times}×`).join(", ")
    console.log(
      `round ${number}: ${problem ?? "complete and equal"}, ${seconds.toFixed(0)} s; ${said}; ${more} evaluations begun again`
    )
  }
  const total = [...sums].map(([blow, times]) => `${blow} ${times}×`).join(", ")
  console.log(
    `${equal} of ${rounds} journals complete and equal to the quiet search's. In all: ${total}; ${again} of ${rounds * trials} evaluations begun again`
  )
  if (equal < rounds) process.exitCode = 1
} finally {
  await server.remove()
}

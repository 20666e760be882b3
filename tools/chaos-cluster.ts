/**
 * Does a search over many machines lose anything, whatever is done to it? An undisturbed search of 40 quick trials gives the expected
 * journal. The search is then repeated, round after round, on a PostgreSQL server with three workers and a driver, each in its own process,
 * and every second or two one of them is disturbed at random. A worker, the driver or the server is killed with SIGKILL and restarted, and
 * often killed once more while it starts. A worker or the server is frozen (SIGSTOP). All connections are ended from the server's side. The
 * connection between one worker and the server falls silent. A machine with a full disk joins. Where this machine allows it, the server's
 * disk is filled, the clocks of the server and of a worker jump by up to an hour, and the network of one worker, which has its own
 * namespace, is cut. At the end of each round, the journal has to be complete and equal to the expected one, apart from times.
 *
 *     node tools/chaos-cluster.ts [--rounds 20] [--from 1] [--trials 40] [--kills n]
 *
 * The number of a round decides what is disturbed. With `--kills`, rounds continue until there were that many. Needs PostgreSQL's Debian
 * packages.
 */
import { Prng } from "@uninet/search-space"
import type { ChildProcess } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Postgres from "../packages/cluster/test/support/postgres.ts"
import { proxy } from "../packages/cluster/test/support/proxy.ts"
import { endOf, isRunning, kill, sleep, start } from "./src/chaos/processes.ts"
import { differing, entriesOf, quiet } from "./src/chaos/quiet.ts"
import * as Surroundings from "./src/chaos/surroundings.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    from: { type: "string", default: "1" },
    trials: { type: "string", default: "40" },
    kills: { type: "string" }
  }
})
const [rounds, from, trials] = [Number(values.rounds), Number(values.from), Number(values.trials)]
const wanted = values.kills === undefined ? undefined : Number(values.kills)
/** The shortest trial; the longest takes three times that. */
const milliseconds = 500
/** A round that takes longer than this has failed (seconds). */
const limit = 900

if (Postgres.missing !== undefined) {
  console.error(Postgres.missing)
  process.exit(1)
}

const script = (name: string) => fileURLToPath(new URL(`../packages/cluster/test/support/${name}.ts`, import.meta.url))

const clock = Surroundings.clock()
const disk = Surroundings.disk(300)
const network = Surroundings.network()

type Blow =
  | "worker killed"
  | "driver killed"
  | "server killed"
  | "worker frozen"
  | "server frozen"
  | "connections ended"
  | "way silent"
  | "broken machine"
  | "disk full"
  | "clock moved"
  | "network cut"

/** Each as often as it is listed here. */
const blows: ReadonlyArray<Blow> = [
  ...Array<Blow>(6).fill("worker killed"),
  ...Array<Blow>(4).fill("driver killed"),
  ...Array<Blow>(4).fill("server killed"),
  "worker frozen",
  "server frozen",
  "connections ended",
  "way silent",
  "broken machine",
  ...(disk === undefined ? [] : ["disk full" as const]),
  ...(clock === undefined ? [] : (["clock moved", "clock moved"] as const)),
  ...(network === undefined ? [] : (["network cut", "network cut"] as const))
]

interface Round {
  readonly seconds: number
  readonly blows: ReadonlyMap<Blow, number>
  /** Processes that were killed. */
  readonly kills: number
  /** How often trials were started, beyond once each. */
  readonly again: number
  readonly problem: string | undefined
}

const round = async (server: Postgres.Server, number: number, expected: ReadonlyArray<string>): Promise<Round> => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-chaos-"))
  const prng = Prng.fromSeed(`chaos ${number}`)
  const database = `round${number}`
  const url = server.url(database)
  const [journal, log] = [join(folder, "journal.db"), join(folder, "log")]
  const way = await proxy(server.port)
  const beyond = network === undefined ? url : url.replace("127.0.0.1", network.address)
  const node = [process.execPath]
  /** The first has a connection that can fall silent, the second a network that can be cut, the third a clock that can be moved. */
  const worker = [
    () => start([...node, script("worker"), way.url(url), "1", "--patience", "60"]),
    () => start([...(network?.beyond ?? node), script("worker"), beyond, "1", "--patience", "60"]),
    () => start([...node, script("worker"), url, "1", "--patience", "60"], { env: clock?.env ?? {} })
  ] as const
  const driver = () =>
    start([...node, script("driver"), url, journal, String(trials), String(milliseconds), log, "--patience", "60"])
  const workers: Array<ChildProcess> = worker.map((begin) => begin())
  let current = driver()
  let broken: ChildProcess | undefined
  const frozen = new Set<ChildProcess>()
  const counts = new Map<Blow, number>()
  const timers = new Set<ReturnType<typeof setTimeout>>()
  const later = (ms: number, act: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      act()
    }, ms)
    timers.add(timer)
  }
  let kills = 0
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const ended = (problem: string | undefined): Round => {
    const begun = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n").length : 0
    return { seconds: seconds(), blows: counts, kills, again: Math.max(0, begun - trials), problem }
  }
  /** Kills a process and restarts it, and often kills it once more while it starts. */
  const replaced = async (child: ChildProcess, begin: () => ChildProcess): Promise<ChildProcess> => {
    let next = child
    do {
      await kill(next)
      kills++
      next = begin()
      if (prng.nextFloat() < 0.6) return next
      await sleep(prng.nextInt(1200))
    } while (isRunning(next))
    return next
  }
  const hit = async (blow: Blow): Promise<void> => {
    const i = prng.nextInt(workers.length)
    switch (blow) {
      case "worker killed":
        workers[i] = await replaced(workers[i]!, worker[i]!)
        return
      case "driver killed":
        current = await replaced(current, driver)
        return
      case "server killed": {
        await server.stop("SIGKILL")
        kills++
        if (prng.nextFloat() < 0.3) {
          // While it recovers.
          const again = server.start()
          await sleep(prng.nextInt(300))
          await Promise.all([again, server.stop("SIGKILL")].map((each) => each.catch(() => {})))
          kills++
        }
        await sleep(prng.nextInt(3000))
        return server.start()
      }
      case "worker frozen": {
        const victim = workers[i]!
        if (frozen.has(victim)) return
        frozen.add(victim)
        victim.kill("SIGSTOP")
        return later(10_000, () => {
          victim.kill("SIGCONT")
          frozen.delete(victim)
        })
      }
      case "server frozen":
        server.signal("SIGSTOP")
        await sleep(200 + prng.nextInt(7000))
        return server.signal("SIGCONT")
      case "connections ended":
        server.sql("postgres", `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${database}'`)
        return
      case "way silent":
        way.set("silent")
        return later(200 + prng.nextInt(12_000), () => way.set("open"))
      case "broken machine":
        // One per round: three would end the search, as they should.
        broken ??= start([...node, script("worker"), url, "1", "--host", "broken", "--broken"])
        return
      case "disk full":
        disk?.fill()
        await sleep(1000 + prng.nextInt(4000))
        disk?.free()
        // It may have ended because of this.
        return server.start()
      case "clock moved":
        return clock?.move(prng.nextInt(7200) - 3600)
      case "network cut":
        network?.cut()
        return later(200 + prng.nextInt(12_000), () => network?.mend())
    }
  }
  try {
    while (true) {
      const until = performance.now() + 500 + prng.nextInt(2000)
      while (isRunning(current) && performance.now() < until) await sleep(50)
      if (current.exitCode === 0) break
      if (!isRunning(current)) return ended(`the driver ended with ${endOf(current)}`)
      if (seconds() > limit) return ended(`not done after ${limit} s`)
      const blow = blows[prng.nextInt(blows.length)]!
      counts.set(blow, (counts.get(blow) ?? 0) + 1)
      await hit(blow)
      // Workers have no reason to end by themselves.
      const gone = workers.find((child) => !isRunning(child))
      if (gone !== undefined) return ended(`a worker ended with ${endOf(gone)}`)
    }
    return ended(differing(await entriesOf(journal), expected))
  } finally {
    for (const timer of timers) clearTimeout(timer)
    await Promise.all([...workers, current, ...(broken === undefined ? [] : [broken])].map(kill))
    network?.mend()
    disk?.free()
    clock?.move(0)
    await way.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What is reported at the end: everything that was left out, and the reason. */
const missing = [
  clock === undefined ? "no C compiler, so clocks did not jump" : "",
  disk === undefined ? "no right to mount, so no disk was filled" : "",
  network === undefined ? "no right to make network namespaces, so none was cut" : ""
].filter(Boolean)

let server: Postgres.Server | undefined
try {
  server = await Postgres.serve({
    ...(disk === undefined ? {} : { below: disk.folder }),
    ...(clock === undefined ? {} : { env: clock.env }),
    ...(network === undefined ? {} : { network }),
    settings: ["max_wal_size=64MB", "wal_recycle=off"]
  })
  if (missing.length > 0) console.log(`Left out: ${missing.join("; ")}.`)
  const expected = await quiet(trials)
  let equal = 0
  let done = 0
  const sums = new Map<Blow, number>()
  let [again, killed] = [0, 0]
  for (let number = from; wanted === undefined ? done < rounds : killed < wanted; number++) {
    const result = await round(server, number, expected)
    done++
    if (result.problem === undefined) equal++
    again += result.again
    killed += result.kills
    for (const [blow, times] of result.blows) sums.set(blow, (sums.get(blow) ?? 0) + times)
    const said = [...result.blows].map(([blow, times]) => `${blow} ${times}×`).join(", ")
    console.log(
      `round ${number}: ${result.problem ?? "complete and equal"}, ${result.seconds.toFixed(0)} s, ${result.kills} kills; ${said}; ${result.again} evaluations begun again`
    )
  }
  const total = [...sums].map(([blow, times]) => `${blow} ${times}×`).join(", ")
  console.log(
    `${equal} of ${done} journals complete and equal to the quiet search's; ${killed} kills in all. In all: ${total}; ${again} of ${done * trials} evaluations begun again`
  )
  if (equal < done) process.exitCode = 1
} finally {
  await server?.remove()
  clock?.remove()
  disk?.remove()
  network?.remove()
}

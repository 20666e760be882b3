/**
 * How long after PostgreSQL is back do trials end? In every round, a search of 24 trials of 0.5 to 1.5 s runs on three workers and a
 * driver, each in its own process. Once per round the server is away for 0.2 to 20 s: killed, shut down at once, or frozen with all its
 * connections. In every fourth round a worker is killed in the meantime, and its trial has to be taken over. The tool reports how long
 * after the server's return the last of the trials that were running when it went away has ended, and whether the journal equals that of an
 * undisturbed search.
 *
 *     node tools/chaos-away.ts [--rounds 50] [--from 1] [--trials 24]        (needs PostgreSQL's Debian packages)
 */
import { Prng } from "@uninet/search-space"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Postgres from "../packages/cluster/test/support/postgres.ts"
import { endOf, isRunning, kill, sleep, start } from "./src/chaos/processes.ts"
import { differing, entriesOf, quiet } from "./src/chaos/quiet.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    from: { type: "string", default: "1" },
    trials: { type: "string", default: "24" }
  }
})
const [rounds, from, trials] = [Number(values.rounds), Number(values.from), Number(values.trials)]
/** The shortest trial; the longest takes three times that. */
const milliseconds = 500
/** A round that takes longer than this has failed (seconds). */
const limit = 300
/** Trials have to end within this after the server's return (seconds). */
const bar = 15

if (Postgres.missing !== undefined) {
  console.error(Postgres.missing)
  process.exit(1)
}

const script = (name: string) => fileURLToPath(new URL(`../packages/cluster/test/support/${name}.ts`, import.meta.url))

const ways = ["SIGKILL", "SIGQUIT", "SIGSTOP"] as const

interface Round {
  readonly how: string
  readonly away: number
  /** From the server's return to the end of the last trial that was running (seconds). */
  readonly slowest: number
  readonly out: number
  readonly problem: string | undefined
}

const round = async (server: Postgres.Server, number: number, expected: ReadonlyArray<string>): Promise<Round> => {
  const folder = mkdtempSync(join(tmpdir(), "uninet-away-"))
  const prng = Prng.fromSeed(`away ${number}`)
  const url = server.url(`away${number}`)
  const journal = join(folder, "journal.db")
  const worker = () => start([process.execPath, script("worker"), url, "1", "--patience", "60"])
  const workers = [worker(), worker(), worker()]
  let begun = 0
  const ended = new Map<number, number>()
  const driver = start(
    [
      process.execPath,
      script("driver"),
      url,
      journal,
      String(trials),
      String(milliseconds),
      join(folder, "log"),
      "--patience",
      "60"
    ],
    {
      onLine: (line) => {
        if (line === "Started") begun++
        const [, finished] = /^Finished (\d+)/.exec(line) ?? []
        if (finished !== undefined) ended.set(Number(finished), performance.now())
      }
    }
  )
  const how = ways[(number - 1) % ways.length]!
  const away = 200 * 100 ** prng.nextFloat()
  const loses = number % 4 === 0
  const done = (slowest: number, out: number, problem: string | undefined): Round => ({
    how: loses ? `${how}, a worker killed` : how,
    away: away / 1000,
    slowest,
    out,
    problem
  })
  try {
    const began = performance.now()
    const late = () => performance.now() - began > 1000 * limit
    while (ended.size < 3 + prng.nextInt(6) && isRunning(driver) && !late()) await sleep(10)
    await sleep(prng.nextInt(500))
    const out = Array.from({ length: begun }, (_, i) => i).filter((trial) => !ended.has(trial))
    if (how === "SIGSTOP") server.signal("SIGSTOP")
    else await server.stop(how)
    const lost = workers[prng.nextInt(workers.length)]!
    const back = performance.now() + away
    if (loses) {
      await sleep(away / 2)
      await kill(lost)
      workers[workers.indexOf(lost)] = worker()
    }
    while (performance.now() < back) await sleep(5)
    if (how === "SIGSTOP") server.signal("SIGCONT")
    else await server.start()
    const returned = performance.now()
    while (!out.every((trial) => ended.has(trial)) && isRunning(driver) && !late()) await sleep(10)
    const slowest = Math.max(0, ...out.map((trial) => ((ended.get(trial) ?? performance.now()) - returned) / 1000))
    while (isRunning(driver) && !late()) await sleep(50)
    if (isRunning(driver)) return done(slowest, out.length, `not done after ${limit} s`)
    if (driver.exitCode !== 0) return done(slowest, out.length, `the driver ended with ${endOf(driver)}`)
    const gone = workers.find((child) => !isRunning(child))
    if (gone !== undefined) return done(slowest, out.length, `a worker ended with ${endOf(gone)}`)
    return done(
      slowest,
      out.length,
      differing(await entriesOf(journal), expected) ??
        (slowest <= bar ? undefined : `a trial ended ${slowest.toFixed(1)} s after the server's return`)
    )
  } finally {
    await Promise.all([...workers, driver].map(kill))
    rmSync(folder, { recursive: true, force: true })
  }
}

const server = await Postgres.serve()
try {
  const expected = await quiet(trials)
  const results: Array<Round> = []
  for (let number = from; number < from + rounds; number++) {
    const result = await round(server, number, expected)
    results.push(result)
    const { away, how, out, problem, slowest } = result
    console.log(
      `round ${number}: ${how}, away for ${away.toFixed(1)} s, ${out} trials out, the last ended ${slowest.toFixed(1)} s after the return; ${problem ?? "journal equal"}`
    )
  }
  const slowest = results.map((result) => result.slowest).toSorted((a, b) => a - b)
  const passed = results.filter(({ problem }) => problem === undefined).length
  console.log(
    `${passed} of ${rounds} rounds passed; the last trial ended ${slowest[Math.floor(rounds / 2)]?.toFixed(1)} s after the return (median), at most ${slowest.at(-1)?.toFixed(1)} s`
  )
  if (passed < rounds) process.exitCode = 1
} finally {
  await server.remove()
}

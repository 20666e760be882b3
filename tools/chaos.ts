/**
 * Does a search on one machine lose anything, whatever is done to it? It first searches undisturbed. Then, in every round, it runs the same
 * search while every now and then a random one of its processes, driver or worker, is killed with SIGKILL. A driver that was killed is
 * resumed, and often killed once more while it starts, until the search is done. Where this machine allows it, the clock of all its
 * processes jumps by up to an hour, and the disk with the run is filled for a moment. At the end, the journal must equal the undisturbed
 * one entry by entry, and no result may have been computed twice.
 *
 *     node tools/chaos.ts [--rounds 20] [--from 1] [--trials 40] [--seconds s] [--kills n]
 *
 * The number of a round decides what is done. With `--kills`, rounds continue until there were that many. Disturbances are about
 * `--seconds` apart; by default a twelfth of the time of the undisturbed search. Linux only: it finds the workers in /proc. Prints one line
 * per round, as Markdown.
 */
import { Prng } from "@uninet/search-space"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { tinyDataset } from "../packages/cli/test/support/cli.ts"
import { owned } from "./src/chaos/processes.ts"
import { differing, entriesOf } from "./src/chaos/quiet.ts"
import * as Surroundings from "./src/chaos/surroundings.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    from: { type: "string", default: "1" },
    trials: { type: "string", default: "40" },
    seconds: { type: "string" },
    kills: { type: "string" }
  }
})
const bin = fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))
const clock = Surroundings.clock()
const disk = Surroundings.disk(64)
const below = mkdtempSync(join(tmpdir(), "uninet-chaos-"))
process.on("exit", () => rmSync(below, { recursive: true, force: true }))
const data = tinyDataset(below)
const begin = (run: string) => [
  "search",
  "--out",
  run,
  ..."--batch 32 --strategy evolution --seed chaos --workers 2 --finalists 2 --final-epochs 2".split(" "),
  `--dataset=${data}`,
  `--trials=${values.trials}`
]

interface Ended {
  readonly code: number | null
  readonly stderr: string
}

/** Runs a driver until it ends. */
const drive = (
  args: ReadonlyArray<string>,
  onStart: (pid: number) => void = () => {},
  onLine: () => void = () => {}
): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [bin, ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...clock?.env }
    })
    owned(child)
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
      onLine()
    })
    if (child.pid !== undefined) onStart(child.pid)
    child.on("close", (code) => resolve({ code, stderr }))
  })

const childrenOf = (pid: number): ReadonlyArray<number> => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)
  } catch {
    return []
  }
}

const kill = (pid: number): boolean => {
  try {
    return process.kill(pid, "SIGKILL")
  } catch {
    return false
  }
}

const fail = (problem: string): never => {
  console.error(problem)
  process.exit(1)
}

interface Round {
  readonly drivers: number
  readonly workers: number
  /** How many of these drivers were killed within their first seconds. */
  readonly starting: number
  readonly clocks: number
  readonly disks: number
  /** How often it was started afresh in the same folder: killed before its journal existed, there was nothing to resume. */
  readonly anew: number
  readonly problem: string | undefined
}

/** A disturbed search, until it is done. */
const round = async (run: string, prng: Prng.Prng, seconds: number): Promise<Round> => {
  const done = { drivers: 0, workers: 0, starting: 0, clocks: 0, disks: 0, anew: 0 }
  const found = new Map<string, number>()
  let driver = 0
  /** A process without output so far is killed only on purpose; otherwise it would never make progress. */
  let hasSpoken = false
  let isFull = false
  /** A driver may end because the disk was full while it ran. */
  let hasBeenFull = false
  let next: ReturnType<typeof setTimeout> | undefined
  const free = () => {
    disk?.free()
    isFull = false
  }
  const blow = () => {
    const chance = prng.nextFloat()
    if (chance < 0.1 && clock !== undefined) {
      clock.move(prng.nextInt(7200) - 3600)
      done.clocks++
    } else if (chance < 0.15 && disk !== undefined) {
      disk.fill()
      isFull = hasBeenFull = true
      done.disks++
      setTimeout(free, 500 + prng.nextInt(2000))
    } else {
      const workers = childrenOf(driver)
      const all = hasSpoken ? [driver, ...workers] : workers
      const victim = all[prng.nextInt(Math.max(1, all.length))]
      if (victim === undefined || !kill(victim)) return
      done[victim === driver ? "drivers" : "workers"]++
    }
  }
  const later = () => {
    next = setTimeout(
      () => {
        blow()
        later()
      },
      1000 * seconds * (0.2 + 1.6 * prng.nextFloat())
    )
  }
  const ended = (problem: string | undefined): Round => ({ ...done, problem })
  later()
  try {
    for (;;) {
      // Killed before its journal existed, it is started afresh in the same folder, whatever it left there.
      const resumes = existsSync(join(run, "journal.db"))
      if (!resumes && existsSync(run)) done.anew++
      hasBeenFull = isFull
      const { code, stderr } = await drive(
        resumes ? ["search", "--resume", run] : begin(run),
        (pid) => {
          driver = pid
          hasSpoken = false
          // Often once more while it starts.
          if (prng.nextFloat() < 0.25)
            setTimeout(
              () => {
                if (driver === pid && kill(pid)) {
                  done.drivers++
                  if (!hasSpoken) done.starting++
                }
              },
              2000 * seconds * prng.nextFloat()
            )
        },
        () => (hasSpoken = true)
      )
      for (const [line] of stderr.matchAll(/^trial \d+: /gm)) found.set(line, (found.get(line) ?? 0) + 1)
      if (code === 0) break
      if (code !== null) {
        if (!hasBeenFull) return ended(`the driver ended with code ${code}: ${stderr}`)
        free()
      }
    }
  } finally {
    clearTimeout(next)
    clock?.move(0)
    free()
  }
  const twice = [...found].filter(([, times]) => times > 1).map(([line]) => line)
  return ended(twice.length > 0 ? `found twice: ${twice.join(", ")}` : undefined)
}

try {
  const runs = disk?.folder ?? below
  const quiet = join(runs, "quiet")
  const since = performance.now()
  const reference = await drive(begin(quiet))
  // On a busy machine everything takes longer, and the search has to make progress between two disturbances.
  const seconds = Number(values.seconds ?? Math.max(0.5, (performance.now() - since) / 12_000))
  if (reference.code !== 0) fail(reference.stderr)
  const wanted = await entriesOf(join(quiet, "journal.db"))
  rmSync(quiet, { recursive: true, force: true })
  const columns = [
    "round",
    "seconds",
    "drivers killed",
    "of these starting",
    "workers killed",
    "clock moved",
    "disk filled",
    "begun anew",
    "journal"
  ]
  console.log(
    `quiet: ${wanted.length} entries; a blow every ${(0.2 * seconds).toFixed(1)} to ${(1.8 * seconds).toFixed(1)} s\n\n| ${columns.join(" | ")} |\n| ${columns.map(() => "---").join(" | ")} |`
  )
  const most = values.kills === undefined ? undefined : Number(values.kills)
  const sums = { rounds: 0, passed: 0, drivers: 0, starting: 0, workers: 0, clocks: 0, disks: 0, anew: 0 }
  const from = Number(values.from)
  for (let i = from; most === undefined ? i < from + Number(values.rounds) : sums.drivers + sums.workers < most; i++) {
    const run = join(runs, `round-${i}`)
    const began = performance.now()
    const { problem: early, ...done } = await round(run, Prng.fromSeed(`chaos ${i}`), seconds)
    const problem = early ?? differing(await entriesOf(join(run, "journal.db")), wanted)
    const took = Math.round((performance.now() - began) / 1000)
    sums.rounds++
    if (problem === undefined) sums.passed++
    for (const key of ["drivers", "starting", "workers", "clocks", "disks", "anew"] as const) sums[key] += done[key]
    console.log(
      `| ${i} | ${took} | ${done.drivers} | ${done.starting} | ${done.workers} | ${done.clocks} | ${done.disks} | ${done.anew} | ${problem ?? "equal"} |`
    )
    rmSync(run, { recursive: true, force: true })
  }
  console.log(
    `\n${sums.passed} of ${sums.rounds} journals equal; ${sums.drivers + sums.workers} kills: ${sums.drivers} of drivers, ${sums.starting} of them while they started, and ${sums.workers} of workers; the clock was moved ${sums.clocks} times, the disk filled ${sums.disks} times; ${sums.anew} times begun anew`
  )
  if (sums.passed < sums.rounds) process.exitCode = 1
} finally {
  clock?.remove()
  disk?.remove()
}

/**
 * Does a search lose anything to crashes? Searches once in quiet. Then, in every round, searches the same again while a random one of its processes,
 * driver or worker, is ended by SIGKILL every few seconds; a driver that was ended is resumed, until the search is done. In the end the journal must
 * equal the quiet one's entry by entry, and no result may have been found twice.
 *
 *     node tools/chaos.ts [--rounds 20] [--trials 40] [--seconds 3] [--seed chaos]
 *
 * Linux only: it finds the workers in /proc. Prints a line a round, as Markdown.
 */
import { Journal } from "@uninet/search"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isDeepStrictEqual, parseArgs } from "node:util"
import { tinyDataset } from "../packages/cli/test/support/cli.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "20" },
    trials: { type: "string", default: "40" },
    seconds: { type: "string", default: "3" },
    seed: { type: "string", default: "chaos" }
  }
})
const bin = fileURLToPath(new URL("../packages/cli/src/bin.ts", import.meta.url))
const below = mkdtempSync(join(tmpdir(), "uninet-chaos-"))
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

/** Runs a driver to its end. */
const drive = (args: ReadonlyArray<string>, onStart: (pid: number) => void = () => {}): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [bin, ...args], { stdio: ["ignore", "ignore", "pipe"] })
    let stderr = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
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

const entriesOf = (run: string) =>
  Effect.runPromise(
    Effect.map(Journal.read(join(run, "journal.db")), ({ entries }) => entries.map(({ entry }) => entry))
  )

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

/** A search with kills, to its end. */
const round = async (run: string, prng: Prng.Prng) => {
  const killed = { driver: 0, worker: 0 }
  const found = new Map<string, number>()
  let driver = 0
  let next: ReturnType<typeof setTimeout> | undefined
  const later = () => {
    next = setTimeout(
      () => {
        const workers = childrenOf(driver)
        const all = [driver, ...workers]
        const victim = all[prng.nextInt(all.length)]!
        if (kill(victim)) killed[victim === driver ? "driver" : "worker"]++
        later()
      },
      // Now and then in the first moments of one.
      1000 * Number(values.seconds) * 1.5 * prng.nextFloat()
    )
  }
  later()
  try {
    for (;;) {
      // Killed before its journal was there, it is begun anew in the same folder, whatever it left.
      const resumes = existsSync(join(run, "journal.db"))
      const { code, stderr } = await drive(resumes ? ["search", "--resume", run] : begin(run), (pid) => (driver = pid))
      for (const [line] of stderr.matchAll(/^trial \d+: /gm)) found.set(line, (found.get(line) ?? 0) + 1)
      if (code === 0) break
      if (code !== null) fail(`the driver ended with code ${code}: ${stderr}`)
    }
  } finally {
    clearTimeout(next)
  }
  const twice = [...found].filter(([, times]) => times > 1).map(([line]) => line)
  if (twice.length > 0) fail(`found twice: ${twice.join(", ")}`)
  return killed
}

try {
  const quiet = join(below, "quiet")
  const reference = await drive(begin(quiet))
  if (reference.code !== 0) fail(reference.stderr)
  const wanted = await entriesOf(quiet)
  console.log(
    `quiet: ${wanted.length} entries\n\n| round | seconds | drivers killed | workers killed | journal |\n| --- | --- | --- | --- | --- |`
  )
  const prng = Prng.fromSeed(values.seed)
  for (let i = 1; i <= Number(values.rounds); i++) {
    const run = join(below, `round-${i}`)
    const began = performance.now()
    const { driver, worker } = await round(run, prng)
    const entries = await entriesOf(run)
    const same = isDeepStrictEqual(entries, wanted)
    const seconds = Math.round((performance.now() - began) / 1000)
    console.log(`| ${i} | ${seconds} | ${driver} | ${worker} | ${same ? "equal" : "DIFFERS"} |`)
    if (!same) {
      const at = entries.findIndex((entry, j) => !isDeepStrictEqual(entry, wanted[j]))
      fail(`from entry ${at} on: ${JSON.stringify(entries[at])} and not ${JSON.stringify(wanted[at])}`)
    }
    rmSync(run, { recursive: true, force: true })
  }
} finally {
  rmSync(below, { recursive: true, force: true })
}

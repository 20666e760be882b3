/**
 * Many processes compete for one lock, a thousand times and more: no two ever hold it at once, and every error is a proper sentence.
 *
 *     node tools/locks.ts [--rounds 1000] [--stale 100]
 *
 * First, four processes take it from each other, `rounds` times each. Then, `stale` times, one is killed while it holds it, and three
 * compete for what it left at the same moment, ten times each.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "1000" }, stale: { type: "string", default: "100" } }
})
const [rounds, stale] = [Number(values.rounds), Number(values.stale)]
const holding = fileURLToPath(new URL("../packages/search/test/support/holding.ts", import.meta.url))

/** The output of a process that takes the lock this often; nothing if all went well. */
const holder = (file: string, times: number, die = "") =>
  new Promise<string>((resolve) => {
    const child = spawn(process.execPath, [holding, file, String(times), die], { stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text
    })
    child.on("close", (code, signal) =>
      resolve(code === 0 || (die !== "" && signal === "SIGKILL") ? "" : said || `it ended with ${code ?? signal}`)
    )
  })

const folder = mkdtempSync(join(tmpdir(), "uninet-locks-"))
const file = join(folder, "journal.db")
const faults: Array<string> = []
const together = async (times: number, processes: number) => {
  const said = await Promise.all(Array.from({ length: processes }, () => holder(file, times)))
  faults.push(...said.filter((text) => text !== ""))
}
try {
  await together(rounds, 4)
  console.log(`${4 * rounds} times taken from one another by 4 processes: ${faults.length} faults`)
  for (let i = 0; i < stale; i++) {
    faults.push(...[await holder(file, 1, "die")].filter((text) => text !== ""))
    await together(10, 3)
    if ((i + 1) % 10 === 0) console.log(`${i + 1} of ${stale} left behind and taken at once: ${faults.length} faults`)
  }
  const left = readdirSync(folder)
  if (left.length > 0) faults.push(`${left.join(", ")} stayed behind`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
console.log(faults.length === 0 ? "never two holders, and no error" : faults.join("\n"))
process.exitCode = faults.length === 0 ? 0 : 1

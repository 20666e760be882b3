/**
 * Runs the long tools one after another, several hours in all: what the test suite shows on a few examples, they show on many.
 *
 *     pnpm soak                    (all of them)
 *     pnpm soak fuzz crash         (some)
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** By name: the tool, its arguments, and what it shows. */
const tools: Readonly<Record<string, readonly [file: string, args: ReadonlyArray<string>, shows: string]>> = {
  fuzz: [
    "fuzz.ts",
    ["100000"],
    "nothing that is read from outside crashes, hangs, or takes memory that nobody explains"
  ],
  packed: ["packed.ts", ["--examples"], "the examples run from packed packages, in a project of their own"],
  locks: ["locks.ts", [], "a run has one writer, however many want it at once, and whatever a killed one left"],
  crash: ["crash.ts", ["200"], "a training loses nothing to a kill at any moment, nor to a full disk"],
  chaos: ["chaos.ts", ["--rounds", "200"], "a search has one journal, whatever is killed of it"],
  "chaos-cluster": ["chaos-cluster.ts", ["--kills", "1000"], "so has one on many machines, whatever is killed or cut"],
  "chaos-away": ["chaos-away.ts", [], "and while its database is away"]
}

const pathOf = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const run = (file: string, args: ReadonlyArray<string>): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, [pathOf(file), ...args], { stdio: "inherit" })
    child.on("close", (code) => resolve(code ?? 1))
  })

const asked = process.argv.slice(2)
const unknown = asked.find((name) => !Object.hasOwn(tools, name))
if (unknown !== undefined) {
  console.error(`there is no ${unknown}. Give some of ${Object.keys(tools).join(", ")}, or nothing for all.`)
  process.exit(2)
}

const ended: Array<readonly [name: string, code: number, minutes: number]> = []
for (const [name, [file, args, shows]] of Object.entries(tools)) {
  if ((asked.length > 0 && !asked.includes(name)) || !existsSync(pathOf(file))) continue
  console.log(`\n== ${name}: ${shows}`)
  const began = performance.now()
  const code = await run(file, args)
  ended.push([name, code, (performance.now() - began) / 60_000])
}
console.log("")
for (const [name, code, minutes] of ended)
  console.log(`${code === 0 ? "holds" : "fails"}  ${name} (${minutes.toFixed(1)} min)`)
process.exitCode = ended.every(([, code]) => code === 0) ? 0 : 1

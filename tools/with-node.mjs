/**
 * `npm start` and `npm test` in a bare clone: installs pnpm and the dependencies in the lock file if they are missing or out of date,
 * including the Node that Effect needs, and runs with that Node. Plain JavaScript for any Node from 20 on.
 *
 *     node tools/with-node.mjs start [flags of uninet search]
 *     node tools/with-node.mjs test [test files]
 *     node tools/with-node.mjs run <command> [arguments]
 */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, "node_modules", ".bin")
const stamp = join(root, "node_modules", ".uninet-installed")
const windows = process.platform === "win32"

/** Everything that decides what an installation contains. */
const manifests = () => [
  "pnpm-lock.yaml",
  "pnpm-workspace.yaml",
  "package.json",
  ...["tools", "tools/browser", "bench", "examples", "site"].map((name) => join(name, "package.json")),
  ...readdirSync(join(root, "packages")).map((name) => join("packages", name, "package.json"))
]

const wanted = () => {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`)
  for (const file of manifests()) {
    const path = join(root, file)
    if (existsSync(path)) hash.update(`${file}\n`).update(readFileSync(path))
  }
  return hash.digest("hex")
}

const ignore = () => {}

/** Runs a command until it ends, and leaves Ctrl-C to it; returns its exit code. */
const run = (command, args, env = {}) =>
  new Promise((resolve) => {
    process.on("SIGINT", ignore)
    const child = spawn(command, args, {
      cwd: root,
      stdio: "inherit",
      shell: windows,
      env: { ...process.env, ...env }
    })
    const ended = (code) => {
      process.off("SIGINT", ignore)
      resolve(code)
    }
    child.on("error", (cause) => {
      console.error(`${command} cannot be started: ${cause.message}`)
      ended(127)
    })
    child.on("close", (code, signal) => ended(code ?? (signal === "SIGINT" ? 130 : 1)))
  })

/** Runs a command with the project's own Node and tools. */
const own = (command, args) => run(join(bin, command), args, { PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}` })

const install = async () => {
  const hash = wanted()
  if (existsSync(join(bin, "node")) && existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return
  const { packageManager } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  console.error(`Installing the dependencies of pnpm-lock.yaml with ${packageManager} ...`)
  const code = await run("npx", ["--yes", packageManager, "install", "--frozen-lockfile"])
  if (code !== 0) {
    console.error("The installation failed; see above. Check the connection to the npm registry, then run this again.")
    process.exit(code)
  }
  mkdirSync(dirname(stamp), { recursive: true })
  // An installation may reformat package.json and the lock file.
  writeFileSync(stamp, wanted())
}

const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(0)} s`

/** Type check, lint, format and tests: all of them run, whatever fails, and a summary follows. */
const test = async (args) => {
  const report = join(root, "node_modules", ".uninet-tests.json")
  rmSync(report, { force: true })
  const vitest = ["run", "--config", "vitest.workspace.ts", "--reporter=default", "--reporter=json"]
  const steps = [
    ["type check", "tsc", ["-b"]],
    ["lint", "oxlint", []],
    ["format", "oxfmt", ["--check", "."]],
    ["tests", "vitest", [...vitest, `--outputFile.json=${report}`, ...args]]
  ]
  const began = performance.now()
  const said = []
  let failures = 0
  for (const [name, command, rest] of steps) {
    console.log(`\n> ${name}: ${command} ${name === "tests" ? args.join(" ") : rest.join(" ")}`)
    const since = performance.now()
    const code = await own(command, rest)
    if (code !== 0) failures++
    said.push(`${code === 0 ? "passed" : "FAILED"}  ${name} (${seconds(since)})`)
    if (code === 130) break
  }
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined
  const { numFailedTests = 0, numPassedTests = 0, numPendingTests = 0 } = counts ?? {}
  console.log(`\n${said.join("\n")}\n${seconds(began)} in all`)
  const skipped = numPendingTests > 0 ? `, ${numPendingTests} skipped` : ""
  console.log(`${numPassedTests} passed, ${numFailedTests} failed${skipped}${failures > 0 ? "; see FAILED above" : ""}`)
  return failures === 0 ? 0 : 1
}

if (Number(process.versions.node.split(".")[0]) < 20) {
  console.error(
    `This needs Node 20 or newer to begin with, and this is ${process.versions.node}: see https://nodejs.org.`
  )
  process.exit(1)
}
const [mode, ...args] = process.argv.slice(2)
const modes = {
  start: () => own("node", [join("packages", "cli", "src", "bin.ts"), "search", ...args]),
  test: () => test(args),
  run: () => (args.length === 0 ? usage() : own(args[0], args.slice(1)))
}
const usage = () => {
  console.error("Usage: node tools/with-node.mjs start|test|run ...")
  return 2
}
if (mode === undefined || !Object.hasOwn(modes, mode)) process.exit(usage())
await install()
process.exit(await modes[mode]())

/**
 * Publishes all packages in one version, including the repacked packages of ONNX Runtime.
 *
 *     pnpm release --dry-run       does everything but publish
 *     pnpm release                 and publishes, with the npm account that is logged in
 *     pnpm release --no-tests …    if they have just run
 *
 * Requirements: no uncommitted changes, a public home (`published.mjs`), a section for the version in CHANGELOG.md, and passing types,
 * lint, format and tests. publint and attw must find nothing in the tarballs, and every entry of every package must be importable from an
 * empty project into which npm installed them.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { home, isPlaceholder } from "./published.mjs"
import { all, lint, manifestOf, pack, root, run } from "./src/Pack.ts"
import { serve } from "./src/Registry.ts"

const flags = process.argv.slice(2)
const unknown = flags.filter((flag) => flag !== "--dry-run" && flag !== "--no-tests")
if (unknown.length > 0) {
  console.error(`${unknown.join(" ")} is not known: pnpm release [--dry-run] [--no-tests]`)
  process.exit(2)
}
const dry = flags.includes("--dry-run")
const tests = !flags.includes("--no-tests")

/** What prevents publishing, one line each. */
const hindrances: Array<string> = []
/** What is wrong with the packages themselves: this fails a dry run, too. */
const faults: Array<string> = []

const said = (text: string) => console.log(`> ${text}`)

const { version } = manifestOf(".")
if (isPlaceholder) hindrances.push(`${home} is no public address: write the repository's into tools/published.mjs`)
if ((await run(root, "git", "status", "--porcelain")) !== "") hindrances.push("there is something uncommitted")
const changelog = join(root, "CHANGELOG.md")
if (!existsSync(changelog) || !readFileSync(changelog, "utf8").split("\n").includes(`## ${version}`))
  faults.push(`CHANGELOG.md has no section "## ${version}"`)

said(tests ? "types, lint, format and tests" : "types, lint and format")
const checked = spawnSync("npm", tests ? ["test"] : ["run", "check"], { cwd: root, stdio: "inherit" })
if (checked.status !== 0) faults.push(`npm ${tests ? "test" : "run check"} failed`)

const folder = join(root, "dist", "release")
rmSync(folder, { recursive: true, force: true })
said(`tarballs of ${version} into ${folder}`)
const packages = all()
const tarballs = await pack(packages, folder)
for (const tarball of tarballs) {
  const findings = await lint(tarball)
  console.log(`${(statSync(tarball).size / 2 ** 20).toFixed(2).padStart(8)} MB  ${basename(tarball)}`)
  faults.push(...findings.map((finding) => `${basename(tarball)}: ${finding}`))
}

said("an installation in an empty project, and every entry imported")
const project = mkdtempSync(join(tmpdir(), "uninet-release-"))
try {
  mkdirSync(project, { recursive: true })
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }))
  const registry = await serve(tarballs)
  try {
    registry.use(project)
    // fast-check is an optional peer dependency of entries that are for tests.
    const scoped = packages.map((name) => manifestOf(`packages/${name}`).name).filter((name) => name.startsWith("@"))
    // A package without a scope would be looked up in npm's registry.
    const names = [...scoped, ...tarballs.filter((tarball) => basename(tarball).startsWith("create-uninet-"))]
    await run(project, "npm", "install", "--no-audit", "--no-fund", ...names, "fast-check")
  } finally {
    await registry.close()
  }
  const entries = packages.flatMap((name) => {
    const { name: own } = manifestOf(`packages/${name}`)
    const installed = join(project, "node_modules", own, "package.json")
    const { exports = {} }: { readonly exports?: object } = JSON.parse(readFileSync(installed, "utf8"))
    return Object.keys(exports).map((entry) => join(own, entry))
  })
  for (const entry of entries) {
    const code = `await import(${JSON.stringify(entry)})`
    await run(project, process.execPath, "--input-type=module", "--eval", code).catch((cause: unknown) =>
      faults.push(`${entry} cannot be imported: ${String(cause)}`)
    )
  }
  console.log(`${entries.length} entries`)
} catch (cause) {
  faults.push(`the installation failed: ${String(cause)}`)
} finally {
  rmSync(project, { recursive: true, force: true })
}

for (const fault of faults) console.error(`wrong: ${fault}`)
for (const hindrance of hindrances) console.error(`in the way of publishing: ${hindrance}`)
const publishing = tarballs.map((tarball) => ["publish", tarball, "--access", "public"])
if (faults.length > 0) process.exitCode = 1
else if (dry) {
  said("a release would now be")
  for (const args of publishing) console.log(["npm", ...args].join(" "))
} else if (hindrances.length > 0) process.exitCode = 1
else
  for (const args of publishing)
    if (isPublished(args[1] ?? "")) said(`${basename(args[1] ?? "")} is published already`)
    else if (spawnSync("npm", args, { cwd: root, stdio: "inherit" }).status !== 0) {
      console.error(
        `npm ${args.join(" ")} failed: mend what it says and run this again, which leaves out what is published`
      )
      process.exitCode = 1
      break
    }

/** Whether the registry already has this version: of the engine, which is not released with every version, or from a release that was interrupted. */
function isPublished(tarball: string): boolean {
  const { stdout } = spawnSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" })
  const { name, version } = JSON.parse(stdout)
  return spawnSync("npm", ["view", `${name}@${version}`, "version"], { encoding: "utf8" }).stdout.trim() !== ""
}

/**
 * Can packages be used on their own? Packs them and the workspace packages they need, and installs them in an empty project with `npm
 * install`, from a registry of the tarballs.
 *
 *     node tools/packed.ts [package ...]     type-checks and runs there every TypeScript example in their READMEs and doc comments that imports nothing else, and checks that
 *                                            neither onnxruntime nor the command line was installed with them (default: search-space, model-space and uninet)
 *     node tools/packed.ts --docs            the same with every example in the documentation, and every package
 *     node tools/packed.ts --examples        type-checks there the programs of `examples`, searches with the one in which everything is custom, and verifies a custom operator
 *                                            with the command line
 *     node tools/packed.ts --create          creates a project with the packed create-uninet, installs it, runs its tests and its search and checks its types; then creates and type-checks
 *                                            one project from each template
 *     node tools/packed.ts --deno            installs every package and Deno, loads each package there, and runs a search with those that can search
 *     node tools/packed.ts --lint            checks every package's tarball with publint and attw (Are the types wrong?), and installs nothing
 *
 * Needs the npm registry for the packages' external dependencies.
 */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import * as Examples from "./src/Examples.ts"
import { all, closure, importedBy, lint, manifestOf, pack, root, run } from "./src/Pack.ts"
import { serve } from "./src/Registry.ts"

const given = process.argv.slice(2)
const programs = given[0] === "--examples"
const docs = given[0] === "--docs"
const lints = given[0] === "--lint"
const creates = given[0] === "--create"
const denos = given[0] === "--deno"
const wanted = programs
  ? [...importedBy("examples"), "cli"]
  : lints || creates || denos || docs
    ? all()
    : given.length > 0
      ? given
      : ["search-space", "model-space", "uninet"]

/** A search in Deno: its strategy, its engine, and its journal in a file. */
const searchByDeno = `import { Random } from "@uninet/controller"
import { Mnist } from "@uninet/data"
import { Loops } from "@uninet/loops"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Recipe, Trainer } from "@uninet/trainer"
import { UniNetSpace } from "@uninet/uninet"
import { Effect, Layer, Result } from "effect"
const space = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
const evaluator = TrainingEvaluator.layer(space, { recipe: { ...Recipe.proxy, epochs: 1 } }).pipe(Layer.provide(Trainer.layer), Layer.provide(Mnist.layer))
const { best } = await Effect.runPromise(Search.run(space, { trials: 1, seed: "deno" }).pipe(
  Effect.provide(Layer.mergeAll(Random.layer(), evaluator).pipe(Layer.provide(Loops.portable()))),
  Effect.provide(Journal.sqlite("journal.db"))
))
if (!(best.outcome.evaluation.measures.accuracy > 0.5)) throw new Error("no result")
`

const failures: Array<string> = []
const project = mkdtempSync(join(tmpdir(), "uninet-packed-"))
try {
  const packages = closure(wanted)
  const tarballs = await pack(packages, join(project, "tarballs"))
  if (lints) {
    for (const tarball of tarballs)
      failures.push(...(await lint(tarball)).map((finding) => `${basename(tarball)}: ${finding}`))
    console.log(
      failures.length === 0 ? `${tarballs.length} tarballs: publint and attw find nothing` : failures.join("\n")
    )
  } else if (creates) await create(tarballs)
  else if (denos) await loadByDeno(packages, tarballs)
  else await install(packages, tarballs)
} finally {
  rmSync(project, { recursive: true, force: true })
}
process.exitCode = failures.length === 0 ? 0 : 1

/** Creates projects as a new user would, and uses them. */
async function create(tarballs: ReadonlyArray<string>): Promise<void> {
  const registry = await serve(tarballs)
  const began = performance.now()
  const step = async (what: string, cwd: string, command: string, ...args: ReadonlyArray<string>) => {
    const since = performance.now()
    const before = failures.length
    await attempt(what, () => run(cwd, command, ...args))
    console.log(
      `${failures.length === before ? "done  " : "FAILED"}  ${what} (${((performance.now() - since) / 1000).toFixed(1)} s)`
    )
  }
  try {
    registry.use(project)
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "tools", private: true }))
    await step("npm install create-uninet", project, "npm", "install", "--no-audit", "--no-fund", fileOf(tarballs))
    const bin = join(project, "node_modules", ".bin", "create-uninet")
    const folder = join(project, "mine")
    await step("create-uninet mine", project, process.execPath, bin, folder)
    registry.use(folder)
    await step("npm install", folder, "npm", "install", "--no-audit", "--no-fund")
    await step("npm test", folder, "npm", "test")
    await step("npm start", folder, "npm", "start")
    await step("npm run check", folder, "npm", "run", "check")
    await step("npx uninet verify", folder, "npx", "uninet", "verify", "uninet.config.ts", "--runs", "3")
    console.log(`${((performance.now() - began) / 1000).toFixed(0)} s to here`)
    // The others have everything they need there: create-uninet's tests cover their dependencies.
    const dependencies = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).dependencies
    const others = closure(importedBy("examples")).map((name) => manifestOf(`packages/${name}`).name)
    const missing = [...others, "@effect/platform-node"].filter((name) => !Object.hasOwn(dependencies, name))
    await step("npm install of what templates need", folder, "npm", "install", "--no-audit", "--no-fund", ...missing)
    for (const file of readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"))) {
      const name = file.replace(/(\.config)?\.ts$/, "")
      const other = join(folder, `of-${name}`)
      await step(`--template ${name}`, project, process.execPath, bin, other, "--template", name)
      await step(`types of ${name}`, other, join(folder, "node_modules", ".bin", "tsc"), "-p", ".")
    }
  } finally {
    await registry.close()
  }
  if (failures.length > 0) console.log(failures.join("\n"))
}

/** Loads every package in Deno, which is installed from the npm package of that name. */
async function loadByDeno(packages: ReadonlyArray<string>, tarballs: ReadonlyArray<string>): Promise<void> {
  const manifests = packages.map((name) => manifestOf(`packages/${name}`))
  const names = manifests.map(({ name }) => name).filter((name) => name.startsWith("@"))
  const dependencies = Object.fromEntries([
    ...manifests.flatMap(({ name, version }) => (name.startsWith("@") ? [[name, version] as const] : [])),
    ...manifests
      .flatMap(({ peerDependencies = {} }) => Object.entries(peerDependencies))
      .filter(([name]) => !name.startsWith("@tensorflow/tfjs-node"))
  ])
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "empty", private: true, type: "module", dependencies, devDependencies: { deno: "^2.9.6" } })
  )
  // Deno loads what npm has installed.
  writeFileSync(join(project, "deno.json"), JSON.stringify({ nodeModulesDir: "manual" }))
  await npmInstall(tarballs)
  const deno = join(project, "node_modules", ".bin", "deno")
  for (const name of names) {
    writeFileSync(join(project, "load.mjs"), `await import(${JSON.stringify(name)})\n`)
    await attempt(name, () => run(project, deno, "run", "--allow-all", "load.mjs"))
  }
  writeFileSync(join(project, "search.mjs"), searchByDeno)
  await attempt("a search", () => run(project, deno, "run", "--allow-all", "search.mjs"))
  console.log(
    failures.length === 0
      ? `${(await run(project, deno, "--version")).split("\n")[0]}: ${names.length} packages load, and a search on portable loops keeps its journal`
      : failures.join("\n")
  )
}

/** Installs what the project's manifest asks for: our packages come from the tarballs. */
async function npmInstall(tarballs: ReadonlyArray<string>): Promise<void> {
  const registry = await serve(tarballs)
  try {
    registry.use(project)
    await run(project, "npm", "install", "--no-audit", "--no-fund")
  } finally {
    await registry.close()
  }
}

/** The tarball of create-uninet, which has no scope by which the registry could be asked for it. */
function fileOf(tarballs: ReadonlyArray<string>): string {
  return tarballs.find((path) => basename(path).startsWith("create-uninet-")) ?? ""
}

/** Installs the packages, and runs the requested checks there. */
async function install(packages: ReadonlyArray<string>, tarballs: ReadonlyArray<string>): Promise<void> {
  const dependencies = Object.fromEntries([
    ...packages.map((folder) => {
      const { name, version } = manifestOf(`packages/${folder}`)
      return [name, name.startsWith("@") ? version : `file:${fileOf(tarballs)}`]
    }),
    // Including optional ones, which examples use; except TensorFlow's own, whose scripts download it from elsewhere.
    ...packages
      .flatMap((name) => Object.entries(manifestOf(`packages/${name}`).peerDependencies ?? {}))
      .filter(([name]) => !name.startsWith("@tensorflow/tfjs-node"))
  ])
  const manifest = {
    name: "empty",
    private: true,
    type: "module",
    dependencies,
    // Some examples need these to run.
    devDependencies: { "@types/node": "^24", "@effect/platform-node": "^4.1.0" }
  }
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest, null, 2))
  await npmInstall(tarballs)

  for (const unwanted of programs || packages.includes("runtime")
    ? []
    : ["onnxruntime-node", "onnxruntime-common", "@uninet/cli", "@uninet/runtime"]) {
    if (existsSync(join(project, "node_modules", unwanted))) failures.push(`${unwanted} came along`)
  }
  const names = new Set(packages.map((folder) => manifestOf(`packages/${folder}`).name))
  const isInstalled = ({ code }: Examples.Example) =>
    [...code.matchAll(/ from "(@uninet\/[\w-]+)/g)].every(([, name = ""]) => names.has(name))
  const examples: Array<Examples.Example> = []
  for (const name of programs ? [] : wanted) {
    const installed = join(project, "node_modules", manifestOf(`packages/${name}`).name)
    const readme = join(installed, "README.md")
    if (!existsSync(readme)) failures.push(`${name} has no README`)
    if (!docs) examples.push(...Examples.filesOf(name).flatMap(Examples.of).filter(isInstalled))
  }
  if (docs) examples.push(...Examples.all())
  const files = [...Examples.write(project, examples, { skipLibCheck: false })]
  if (programs) {
    for (const file of readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"))) {
      copyFileSync(join(root, "examples", file), join(project, file))
      files.push(file)
    }
  }
  if (programs) {
    const tsconfig = join(project, "tsconfig.json")
    writeFileSync(tsconfig, JSON.stringify({ ...JSON.parse(readFileSync(tsconfig, "utf8")), files }))
  }
  await attempt("the examples' types", () => run(project, join(root, "node_modules", ".bin", "tsc"), "-p", "."))
  if (programs) {
    const search = `import { Effect } from "effect"
import { program } from "./everything-of-ones-own.ts"
const { best } = await Effect.runPromise(program({ trials: 1 }))
if (!(best.outcome.evaluation.measures.distance < 9)) throw new Error("no result")
`
    writeFileSync(join(project, "search.ts"), search)
    await attempt("a search", () => run(project, process.execPath, "search.ts"))
    const uninet = join(project, "node_modules", ".bin", "uninet")
    await attempt("verify", () =>
      run(project, process.execPath, uninet, "verify", "own-operator.config.ts", "--runs", "5")
    )
  } else {
    await attempt("the examples", () => run(project, process.execPath, "all.ts"))
  }
  console.log(
    failures.length === 0
      ? programs
        ? `${files.length} programs type-checked with ${packages.length} tarballs; one searched, and the command line verified an operator`
        : `${wanted.join(", ")}: packed, installed alone (${packages.length} tarballs) and ran ${files.length} examples`
      : failures.join("\n")
  )
}

/** Runs a step, and records a failure with what the step printed. */
async function attempt(what: string, step: () => Promise<string>): Promise<void> {
  try {
    await step()
  } catch (cause) {
    const printed =
      cause instanceof Error && "stdout" in cause && "stderr" in cause
        ? `${String(cause.stdout)}${String(cause.stderr)}`
        : String(cause)
    failures.push(`${what} failed:\n${printed}`)
  }
}

/**
 * Are packages usable alone? Packs them and the workspace packages they need, and installs the tarballs in an empty project.
 *
 *     node tools/packed.ts [package ...]     type-checks and runs there every TypeScript example of their READMEs and doc comments, and sees that neither onnxruntime
 *                                            nor the command line came along (default: search-space, model-space and uninet)
 *     node tools/packed.ts --examples        type-checks there the programs of `examples`, searches by the one that has everything of its own, and verifies an operator of one's own
 *                                            by the command line
 *
 * Needs the npm registry for what the packages need of others.
 */
import { execFileSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const given = process.argv.slice(2)
const programs = given[0] === "--examples"
const wanted = programs
  ? [...packagesOf("examples"), "cli"]
  : given.length > 0
    ? given
    : ["search-space", "model-space", "uninet"]

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

function read(path: string): Manifest {
  return JSON.parse(readFileSync(path, "utf8"))
}

/** The packages and all workspace packages that they depend on. */
const closure = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found = new Set<string>()
  const add = (name: string) => {
    if (found.has(name)) return
    found.add(name)
    const { dependencies = {} } = read(join(root, "packages", name, "package.json"))
    for (const dependency of Object.keys(dependencies)) {
      if (dependency.startsWith("@uninet/")) add(dependency.slice("@uninet/".length))
    }
  }
  names.forEach(add)
  return [...found]
}

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

/** The TypeScript blocks of a Markdown text. */
const examples = (markdown: string): ReadonlyArray<string> =>
  [...markdown.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map((match) => match[1]!)

/** The text of a source file's comments, without the stars: doc comments hold examples as a README does. */
const comments = (source: string): string => source.replace(/^ *\* ?/gm, "")

const failures: Array<string> = []
const project = mkdtempSync(join(tmpdir(), "uninet-packed-"))
try {
  const packages = closure(wanted)
  run(root, join(root, "node_modules", ".bin", "tsc"), "-b", ...packages.map((name) => join("packages", name)))
  const tarballs = join(project, "tarballs")
  mkdirSync(tarballs)
  for (const name of packages) {
    run(join(root, "packages", name), "npx", "-y", pnpm(), "pack", "--pack-destination", tarballs)
  }
  const peers: Record<string, string> = {}
  for (const name of packages) Object.assign(peers, read(join(root, "packages", name, "package.json")).peerDependencies)
  const dependencies = Object.fromEntries([
    ...readdirSync(tarballs).map((file) => [
      `@uninet/${/^uninet-(.*)-\d+\./.exec(file)![1]!}`,
      `file:tarballs/${file}`
    ]),
    ...Object.entries(peers)
  ])
  const manifest = {
    name: "empty",
    private: true,
    type: "module",
    dependencies,
    devDependencies: { "@types/node": "^24" }
  }
  writeFileSync(join(project, "package.json"), JSON.stringify(manifest, null, 2))
  run(project, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts")

  for (const unwanted of programs ? [] : ["onnxruntime-node", "onnxruntime-common", "@uninet/cli", "@uninet/runtime"]) {
    if (existsSync(join(project, "node_modules", unwanted))) failures.push(`${unwanted} came along`)
  }
  const files: Array<string> = []
  for (const name of programs ? [] : wanted) {
    const installed = join(project, "node_modules", "@uninet", name)
    const readme = join(installed, "README.md")
    if (!existsSync(readme)) failures.push(`@uninet/${name} has no README`)
    const sources = readdirSync(join(installed, "src"), { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".ts")
    )
    const texts = [
      ...(existsSync(readme) ? [["README", readFileSync(readme, "utf8")] as const] : []),
      ...sources.map(
        (file) => [file.replaceAll(/\W/g, "-"), comments(readFileSync(join(installed, "src", file), "utf8"))] as const
      )
    ]
    for (const [from, text] of texts) {
      examples(text).forEach((code, i) => {
        const file = `${name}-${from}-${i + 1}.ts`
        writeFileSync(join(project, file), code)
        files.push(file)
      })
    }
  }
  if (programs) {
    for (const file of readdirSync(join(root, "examples")).filter((name) => name.endsWith(".ts"))) {
      copyFileSync(join(root, "examples", file), join(project, file))
      files.push(file)
    }
  }
  const compilerOptions = {
    target: "es2024",
    module: "nodenext",
    strict: true,
    noEmit: true,
    // As Node reads them; one of the programs imports another.
    allowImportingTsExtensions: true,
    skipLibCheck: false,
    types: ["node"]
  }
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files }))
  attempt("the examples' types", () => run(project, join(root, "node_modules", ".bin", "tsc"), "-p", "."))
  if (programs) {
    const search = `import { Effect } from "effect"
import { program } from "./everything-of-ones-own.ts"
const { best } = await Effect.runPromise(program({ trials: 1 }))
if (!(best.outcome.evaluation.measures.distance < 9)) throw new Error("no result")
`
    writeFileSync(join(project, "search.ts"), search)
    attempt("a search", () => run(project, process.execPath, "search.ts"))
    const uninet = join(project, "node_modules", ".bin", "uninet")
    attempt("verify", () => run(project, process.execPath, uninet, "verify", "own-operator.config.ts", "--runs", "5"))
  } else {
    // One process for all: most of what an example takes is loading what it imports.
    const all = `let current = ""
const failed = (cause: unknown) => {
  console.error(current, cause)
  process.exit(1)
}
process.on("unhandledRejection", failed)
for (current of ${JSON.stringify(files)}) await import(\`./\${current}\`).catch(failed)
`
    writeFileSync(join(project, "all.ts"), all)
    attempt("the examples", () => run(project, process.execPath, "all.ts"))
  }
  console.log(
    failures.length === 0
      ? programs
        ? `${files.length} programs type-checked with ${packages.length} tarballs; one searched, and the command line verified an operator`
        : `${wanted.join(", ")}: packed, installed alone (${packages.length} tarballs) and ran ${files.length} examples`
      : failures.join("\n")
  )
} finally {
  rmSync(project, { recursive: true, force: true })
}
process.exitCode = failures.length === 0 ? 0 : 1

/** The workspace packages that a folder of programs imports. */
function packagesOf(folder: string): ReadonlyArray<string> {
  const { dependencies = {} } = read(join(root, folder, "package.json"))
  return Object.keys(dependencies).flatMap((name) =>
    name.startsWith("@uninet/") ? [name.slice("@uninet/".length)] : []
  )
}

/** The workspace's own pnpm, as npx takes it. */
function pnpm(): string {
  const { packageManager }: { readonly packageManager: string } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8")
  )
  return packageManager
}

/** Runs a step and notes its failure with what it printed. */
function attempt(what: string, step: () => string): void {
  try {
    step()
  } catch (cause) {
    const printed = cause instanceof Error && "stdout" in cause ? String(cause.stdout) : String(cause)
    failures.push(`${what} failed:\n${printed}`)
  }
}

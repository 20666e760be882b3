/** The workspace's packages as tarballs, as `pnpm publish` makes them, and checks of a tarball. */
import { checkPackage, createPackageFromTarballData, type Problem } from "@arethetypeswrong/core"
import { execFile } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { promisify } from "node:util"
import { publint } from "publint"
import { formatMessage } from "publint/utils"
import * as Engine from "./Engine.ts"
import { root } from "./Root.ts"

export { root }

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly bin?: unknown
}

/** The manifest in a folder of the repository. */
export const manifestOf = (folder: string): Manifest =>
  JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"))

/** The output of a command; rejects with it if the command fails. */
export const run = async (cwd: string, command: string, ...args: ReadonlyArray<string>): Promise<string> => {
  const { stdout } = await promisify(execFile)(command, args, { cwd, maxBuffer: 2 ** 26 })
  return stdout
}

/** The workspace packages that a manifest depends on, without `@uninet/`. */
const needs = (manifest: Manifest): ReadonlyArray<string> =>
  Object.keys(manifest.dependencies ?? {}).flatMap((name) =>
    name.startsWith("@uninet/") ? [name.slice("@uninet/".length)] : []
  )

/** The workspace packages that a folder's programs import. */
export const importedBy = (folder: string): ReadonlyArray<string> => needs(manifestOf(folder))

/** The packages and all workspace packages that they depend on, each after its dependencies. */
export const closure = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found = new Set<string>()
  const add = (name: string) => {
    if (found.has(name)) return
    needs(manifestOf(`packages/${name}`)).forEach(add)
    found.add(name)
  }
  names.forEach(add)
  return [...found]
}

/** All packages, each after its dependencies. */
export const all = (): ReadonlyArray<string> => closure(readdirSync(join(root, "packages")))

const usesEngine = (name: string): boolean => "onnxruntime-node" in (manifestOf(`packages/${name}`).dependencies ?? {})

/** The tarball that packing a folder created. */
const fileOf = ({ name, version }: Manifest): string => `${name.replace("@", "").replace("/", "-")}-${version}.tgz`

/** Packs packages, and the engine if one needs it, into a folder; returns the tarballs' paths, each after its dependencies. */
export const pack = async (names: ReadonlyArray<string>, to: string): Promise<ReadonlyArray<string>> => {
  mkdirSync(to, { recursive: true })
  const { packageManager }: { readonly packageManager: string } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8")
  )
  const engine: Array<string> = []
  if (names.some(usesEngine)) {
    for (const folder of Engine.write(join(to, "engine"))) {
      await run(folder, "npm", "pack", "--ignore-scripts", "--pack-destination", to)
      engine.push(join(to, fileOf(JSON.parse(readFileSync(join(folder, "package.json"), "utf8")))))
    }
  }
  await run(root, join(root, "node_modules", ".bin", "tsc"), "-b", ...names.map((name) => join("packages", name)))
  const filters = names.flatMap((name) => ["--filter", `./packages/${name}`])
  await run(root, "npx", "-y", packageManager, ...filters, "pack", "--pack-destination", to)
  return [...engine, ...names.map((name) => join(to, fileOf(manifestOf(`packages/${name}`))))]
}

/**
 * Problems that are intended: the packages are ES modules and declare their exports in `exports`, so neither `require` in an old Node nor a
 * resolution without `exports` has to find them.
 */
const isMeant = (problem: Problem): boolean =>
  "resolutionKind" in problem && (problem.resolutionKind === "node10" || problem.resolutionKind === "node16-cjs")

/** The problems that publint and attw (Are the types wrong?) find in a tarball, and leftovers of a build, one line each. */
export const lint = async (tarball: string): Promise<ReadonlyArray<string>> => {
  const bytes = new Uint8Array(readFileSync(tarball))
  const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true })
  const analysis = await checkPackage(createPackageFromTarballData(bytes))
  const problems = "problems" in analysis ? analysis.problems.filter((problem) => !isMeant(problem)) : []
  const entries = (await run(dirname(tarball), "tar", "-tzf", tarball)).split("\n")
  const leftovers = entries.filter((entry) => /\/\.|\.tsbuildinfo$|\/test\//.test(entry))
  return [
    ...leftovers.map((entry) => `${entry} is a leftover`),
    ...messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false }) ?? message.code}`),
    ...problems.map((problem) => `attw: ${JSON.stringify(problem)}`)
  ]
}

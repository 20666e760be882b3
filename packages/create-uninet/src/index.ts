/** The files of a new project. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { oldest } from "./internal/nodeVersion.ts"
import * as sources from "./internal/sources.ts"
import { versions } from "./internal/versions.ts"

const read = (folder: string, file: string) => readFileSync(join(folder, file), "utf8")

/** A package with this one's version. */
const ours = (name: string) => `@uninet/${name}`

/** The version of this package, which all packages share. */
const ownVersion = (): string =>
  String(JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version)

/** The examples `own-operator.config.ts`, `digits.ts` …, without their extensions, after the project that starts from nothing, which comes first. */
export const templates = (): ReadonlyArray<string> => [
  "own",
  ...readdirSync(sources.examples())
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.replace(/(\.config)?\.ts$/, ""))
    .toSorted()
]

/** An example and the examples that it imports. */
const withImported = (folder: string, file: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  const add = (name: string) => {
    if (found.has(name)) return
    const text = read(folder, name)
    found.set(name, text)
    for (const [, other] of text.matchAll(/from "\.\/([\w.-]+)"/g)) if (other !== undefined) add(other)
  }
  add(file)
  return found
}

/** The npm packages that programs import. */
const imported = (texts: Iterable<string>): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const text of texts)
    for (const [, name] of text.matchAll(/^(?:import|export) [^"]*"((?:@[\w-]+\/)?[\w-]+)(?:\/[^"]*)?"/gm))
      if (name !== undefined) names.add(name)
  return names
}

const tsconfig = {
  compilerOptions: {
    target: "es2024",
    module: "nodenext",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    // As Node reads them.
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    types: ["node"]
  }
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

/** What can be made from a name and a template. */
export type Made =
  | { readonly _tag: "Project"; readonly files: ReadonlyMap<string, string> }
  | { readonly _tag: "NoSuchTemplate"; readonly known: ReadonlyArray<string> }

/**
 * The files of a project, by their paths inside it: programs, `package.json`, `tsconfig.json`, `.gitignore`.
 *
 * @param name the project's name, as npm allows it.
 * @param template `own` (default), or an example's name (`templates`).
 *
 * @example
 * ```ts
 * import { project } from "create-uninet"
 *
 * const made = project("my-search")
 * if (made._tag === "Project") console.log([...made.files.keys()])
 * ```
 */
export const project = (name: string, template = "own"): Made => {
  const known = templates()
  if (!known.includes(template)) return { _tag: "NoSuchTemplate", known }
  const isOwn = template === "own"
  const examples = sources.examples()
  const main = isOwn
    ? "search.ts"
    : (readdirSync(examples).find((file) => file === `${template}.ts` || file === `${template}.config.ts`) ?? "")
  const programs = isOwn
    ? new Map(readdirSync(sources.template).map((file) => [file, read(sources.template, file)]))
    : withImported(examples, main)
  const isConfig = main.endsWith(".config.ts")
  const usesCommands = isOwn || isConfig
  const needed = imported(programs.values())
  const version = `^${ownVersion()}`
  const dependencies = [
    ...needed,
    ...(usesCommands ? [ours("cli")] : []),
    ...(needed.has(ours("data")) ? ["mnist"] : [])
  ]
    .filter((dependency) => dependency.startsWith(ours("")) || Object.hasOwn(versions, dependency))
    .toSorted()
    .map((dependency) => [dependency, versions[dependency] ?? version])
  const manifest = {
    name,
    version: "0.0.0",
    private: true,
    type: "module",
    scripts: {
      start: isConfig ? `uninet search --config ${main}` : `node ${main}`,
      ...(isOwn ? { test: "node --test", search: "uninet search" } : {}),
      check: "tsc"
    },
    dependencies: Object.fromEntries(dependencies),
    devDependencies: { "@types/node": versions["@types/node"], typescript: versions["typescript"] },
    engines: { node: `>=${oldest}` }
  }
  return {
    _tag: "Project",
    files: new Map([
      ...programs,
      ["package.json", json(manifest)],
      ["tsconfig.json", json(tsconfig)],
      // npm leaves a file with this name out of packages, so its content is here.
      [".gitignore", "node_modules/\nruns/\n"]
    ])
  }
}

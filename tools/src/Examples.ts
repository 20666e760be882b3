/**
 * The programs in the documentation: TypeScript blocks of READMEs, guides and doc comments. A block that begins with ` ```ts ` is
 * type-checked and run; one with ` ```ts after ` continues the file's first block; one with ` ```ts long ` is only type-checked, because it
 * takes ten seconds or more or needs something that a test does not have, such as a database.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./Root.ts"

export interface Example {
  /** The file that contains it, relative to the repository's root. */
  readonly file: string
  /** The line of its fence, from 1. */
  readonly line: number
  readonly code: string
  /** Whether it is only type-checked. */
  readonly isLong: boolean
}

/** The comments of a source file without the stars, line by line: doc comments contain examples as READMEs do. */
const withoutStars = (source: string): string => source.replace(/^ *\* ?/gm, "")

/** The examples in a Markdown or TypeScript file. */
export const of = (file: string): ReadonlyArray<Example> => {
  const text = readFileSync(join(root, file), "utf8")
  const markdown = file.endsWith(".md") ? text : withoutStars(text)
  const blocks = [...markdown.matchAll(/^```ts( \w+)?\n([^]*?)^```$/gm)]
  const [, , first = ""] = blocks[0] ?? []
  return blocks.map(({ 1: word = "", 2: code = "", index }) => ({
    file,
    line: markdown.slice(0, index).split("\n").length,
    code: word === " after" ? `${first}\n${code}` : code,
    isLong: word === " long"
  }))
}

const within = (folder: string, ending: string): ReadonlyArray<string> =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending) && !name.includes("node_modules"))
    .toSorted()
    .map((name) => `${folder}/${name}`)

/** The files of a package that can have examples: its README and its sources. */
export const filesOf = (name: string): ReadonlyArray<string> => [
  `packages/${name}/README.md`,
  ...within(`packages/${name}/src`, ".ts")
]

/** Every example in the repository. */
export const all = (): ReadonlyArray<Example> =>
  ["README.md", ...within("docs", ".md"), ...readdirSync(join(root, "packages")).toSorted().flatMap(filesOf)].flatMap(
    of
  )

/** A name for a file that contains an example. */
export const nameOf = ({ file, line }: Example): string =>
  `${file.replace(/\.\w+$/, "").replaceAll(/\W+/g, "-")}-${line}.ts`

const options = {
  target: "es2024",
  module: "nodenext",
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  allowImportingTsExtensions: true,
  erasableSyntaxOnly: true,
  skipLibCheck: true,
  types: ["node"]
}

/** Imports programs one after another in one process, because most of a program's time is spent loading its imports. Prints everything that fails. */
const runner = (files: ReadonlyArray<string>): string => `let current = ""
const failed = (cause: unknown) => {
  console.error(current, cause)
  process.exitCode = 1
}
// What a program began may fail when the next one has begun: its own words tell which it is.
process.on("unhandledRejection", failed)
for (current of ${JSON.stringify(files)}) await import("./" + current).catch(failed)
`

/**
 * Writes examples into a folder as programs, with one `tsconfig.json` and an `all.ts`, which runs those that are not long. Returns their
 * files.
 *
 * @param more additional compiler options.
 */
export const write = (folder: string, examples: ReadonlyArray<Example>, more: object = {}): ReadonlyArray<string> => {
  for (const example of examples) writeFileSync(join(folder, nameOf(example)), example.code)
  const files = examples.map(nameOf)
  writeFileSync(join(folder, "all.ts"), runner(examples.filter(({ isLong }) => !isLong).map(nameOf)))
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...options, ...more }, files }))
  return files
}

/**
 * The programs that the documentation shows: TypeScript blocks of READMEs, guides and doc comments. A block that begins with ` ```ts ` is type-checked and run; one
 * with ` ```ts after ` goes on from the file's first; one with ` ```ts long ` is type-checked alone, as it takes ten seconds or more or needs what a test has not, such
 * as a database.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./Root.ts"

export interface Example {
  /** The file that it stands in, from the repository's root. */
  readonly file: string
  /** The line of its fence, from 1. */
  readonly line: number
  readonly code: string
  /** Whether it is type-checked alone. */
  readonly isLong: boolean
}

/** The text of a source file's comments, without the stars, line by line: doc comments hold examples as a README does. */
const withoutStars = (source: string): string => source.replace(/^ *\* ?/gm, "")

/** The examples of a Markdown or a TypeScript file. */
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

/** The files of a package that have examples: its README and its sources. */
export const filesOf = (name: string): ReadonlyArray<string> => [
  `packages/${name}/README.md`,
  ...within(`packages/${name}/src`, ".ts")
]

/** Every example of the repository. */
export const all = (): ReadonlyArray<Example> =>
  ["README.md", ...within("docs", ".md"), ...readdirSync(join(root, "packages")).toSorted().flatMap(filesOf)].flatMap(
    of
  )

/** A name for a file with an example in it. */
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

/** Imports programs one after another, in one process: most of what one takes is loading what it imports. Says all that fails. */
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
 * Writes examples into a folder as programs, with a `tsconfig.json` for all and `all.ts`, which runs those that are not long. Gives their files.
 *
 * @param more compiler options besides.
 */
export const write = (folder: string, examples: ReadonlyArray<Example>, more: object = {}): ReadonlyArray<string> => {
  for (const example of examples) writeFileSync(join(folder, nameOf(example)), example.code)
  const files = examples.map(nameOf)
  writeFileSync(join(folder, "all.ts"), runner(examples.filter(({ isLong }) => !isLong).map(nameOf)))
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...options, ...more }, files }))
  return files
}

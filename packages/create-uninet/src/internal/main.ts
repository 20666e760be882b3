/** The command: creates the folder, and says what to do next. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { project, templates } from "../index.ts"

const usage = () => `npm create uninet <folder> [-- --template <name>]

Templates: own (default): an operator, a space, its laws as a test, a search, a config; or an example:
  ${templates().slice(1).join("\n  ")}
`

const wrong = (text: string) => {
  console.error(text)
  return 2
}

const read = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { template: { type: "string", short: "t", default: "own" }, help: { type: "boolean", short: "h" } }
    })
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Runs the command; returns the exit code. */
export const main = (args: ReadonlyArray<string>): number => {
  const given = read(args)
  if (typeof given === "string") return wrong(`${given}\n\n${usage()}`)
  if (given.values.help === true) {
    console.log(usage())
    return 0
  }
  const [path, ...more] = given.positionals
  if (path === undefined || more.length > 0) return wrong(`Name one folder for the project.\n\n${usage()}`)
  const folder = resolve(path)
  if (existsSync(folder) && readdirSync(folder).length > 0)
    return wrong(`${path} is not empty: name another folder, or empty this one.`)
  const name = basename(folder)
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "")
  const made = project(name === "" ? "search" : name, given.values.template)
  if (made._tag === "NoSuchTemplate")
    return wrong(`There is no template ${given.values.template}: choose one of ${made.known.join(", ")}.`)
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of made.files) writeFileSync(join(folder, file), text)
  const isOwn = given.values.template === "own"
  const steps = [
    ...(folder === process.cwd() ? [] : [`cd ${path}`]),
    "npm install",
    ...(isOwn ? ["npm test"] : []),
    "npm start"
  ]
  console.log(
    `${path} has ${[...made.files.keys()].toSorted().join(", ")}.\n\n${steps.map((step) => `  ${step}`).join("\n")}\n`
  )
  return 0
}

/** How scripts read the command line and the files that `uninet experiment` writes, and end with a sentence if something is wrong. */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Ends the script. */
export const refuse = (problem: string): never => {
  console.error(problem)
  process.exit(1)
}

/** Any other failure is reported without the lines of code in which it happened. */
process.on("uncaughtException", ({ message }) => refuse(message.replace(/\s+/g, " ")))

/** The whole number given by a flag. */
export const count = (flag: string, given: string): number =>
  /^[1-9]\d{0,8}$/.test(given) ? Number(given) : refuse(`--${flag} is "${given}". Give a whole number from 1.`)

/** The content of a file in a folder. `remedy`: what to do if the file is missing or wrong. */
export const read = <A>(schema: Schema.Decoder<A>, folder: string, file: string, remedy: string): A => {
  const path = join(folder, file)
  if (!existsSync(path)) return refuse(`${path} is not there. ${remedy}`)
  const found = Schema.decodeUnknownOption(Schema.fromJsonString(schema))(readFileSync(path, "utf8"))
  return Option.isSome(found) ? found.value : refuse(`${path} is damaged, or of another version. ${remedy}`)
}

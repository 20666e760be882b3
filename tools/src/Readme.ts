/** The programs in a package's README. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Examples from "./Examples.ts"

const folder = (name: string) => new URL(`../../packages/${name}/`, import.meta.url)

/** The text of a package's README. */
export const text = (name: string): string => readFileSync(new URL("README.md", folder(name)), "utf8")

/** Its programs. */
export const examples = (name: string): ReadonlyArray<string> =>
  Examples.of(`packages/${name}/README.md`).map(({ code }) => code)

/** The output of a program run in the folder of a package; throws if it fails. */
export const run = (name: string, code: string): string =>
  execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], {
    cwd: fileURLToPath(folder(name)),
    encoding: "utf8"
  })

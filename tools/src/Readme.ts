/** The programs in a package's README. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const folder = (name: string) => new URL(`../../packages/${name}/`, import.meta.url)

/** The text of the README of a package. */
export const text = (name: string): string => readFileSync(new URL("README.md", folder(name)), "utf8")

/** Its TypeScript, block by block. */
export const examples = (name: string): ReadonlyArray<string> =>
  [...text(name).matchAll(/```ts\n([^]*?)```/g)].map(([, code = ""]) => code)

/** What a program prints in the folder of a package; throws where it fails. */
export const run = (name: string, code: string): string =>
  execFileSync(process.execPath, ["--input-type=module-typescript", "--eval", code], {
    cwd: fileURLToPath(folder(name)),
    encoding: "utf8"
  })

/** Run when the package is packed: copies the repository's examples into `dist`. */
import { copyFileSync, mkdirSync, readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { copied, examples } from "./sources.ts"

const from = examples()
rmSync(copied, { recursive: true, force: true })
mkdirSync(copied, { recursive: true })
for (const file of readdirSync(from).filter((name) => name.endsWith(".ts")))
  copyFileSync(join(from, file), join(copied, file))

/**
 * A package's `prepack` and `postpack`: builds what is packed, whatever a checkout has built before. While the package is being packed, the
 * links in its README are replaced by ones that work outside the repository.
 *
 *     node ../../tools/prepack.mjs             in the folder of a package
 *     node ../../tools/prepack.mjs <script>    and runs a TypeScript file of the package that writes into dist
 *     node ../../tools/prepack.mjs --undo      puts the README back
 */
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { readme } from "./published.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const bin = join(root, "node_modules", ".bin")
const folder = process.cwd()
const shown = join(folder, "README.md")
/** Where the repository's README is kept in the meantime. */
const own = join(folder, "dist", ".README.md")

const tsc = (...flags) =>
  execFileSync(join(bin, "tsc"), ["-b", ...flags, folder], {
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32"
  })

const files = (path) => readdirSync(path, { recursive: true, encoding: "utf8" })

/** Files from an earlier build whose source is gone. */
const removeLeftovers = () => {
  for (const file of files(join(folder, "dist"))) {
    const source = /^(.*)\.(d\.ts|js)(\.map)?$/.exec(file)?.[1]
    if (source !== undefined && !existsSync(join(folder, "src", `${source}.ts`))) rmSync(join(folder, "dist", file))
  }
}

const isWhole = () =>
  files(join(folder, "src"))
    .filter((file) => file.endsWith(".ts"))
    .every((file) =>
      [".js", ".d.ts"].every((ending) => existsSync(join(folder, "dist", file.replace(/\.ts$/, ending))))
    )

const undo = () => {
  if (existsSync(own)) renameSync(own, shown)
}

const prepare = (script) => {
  // An interrupted packing left it changed.
  undo()
  tsc()
  // The compiler trusts its own records and does not check whether a file still exists.
  if (!isWhole()) tsc("--force")
  removeLeftovers()
  // With the checkout's own Node, because pnpm may run with an older one.
  if (script !== undefined) execFileSync(join(bin, "node"), [script], { stdio: ["ignore", 2, 2] })
  const text = readFileSync(shown, "utf8")
  writeFileSync(own, text)
  // Renamed into place, so that anyone who reads the README at that moment reads a whole one.
  const made = join(folder, "dist", ".README.packed.md")
  writeFileSync(made, readme(text, relative(root, folder).split(sep).join("/")))
  renameSync(made, shown)
}

if (process.argv[2] === "--undo") undo()
else prepare(process.argv[2])

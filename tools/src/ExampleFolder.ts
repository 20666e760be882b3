/** A folder in the repository from which programs can import everything that users of the packages can. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "./Root.ts"

/** What else examples import, and the folder of the repository that has it. */
const others = {
  effect: ".",
  "@types/node": ".",
  "fast-check": ".",
  "@effect/platform-node": "packages/cli",
  mnist: "packages/data",
  sharp: "packages/data"
}

const link = (target: string, name: string) => {
  mkdirSync(dirname(name), { recursive: true })
  symlinkSync(target, name, "junction")
}

/** Creates one in `dist`, passes it to a function, and removes it. */
export const use = async <A>(act: (folder: string) => Promise<A>): Promise<A> => {
  mkdirSync(join(root, "dist"), { recursive: true })
  const folder = mkdtempSync(join(root, "dist", "examples-"))
  try {
    const modules = join(folder, "node_modules")
    for (const name of readdirSync(join(root, "packages")))
      link(join(root, "packages", name), join(modules, name === "create-uninet" ? name : `@uninet/${name}`))
    for (const [name, from] of Object.entries(others)) link(join(root, from, "node_modules", name), join(modules, name))
    return await act(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

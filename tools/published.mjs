/**
 * What the published packages say about themselves that a checkout does not need: the project's address, the Node versions they need, and
 * the targets of their READMEs' links. Plain JavaScript for any Node from 20 on: pnpm and the packages' own scripts read it.
 */
import { posix } from "node:path"

/**
 * The repository's public address. There is none yet: this is a placeholder in a domain that nobody can own (RFC 2606), and `pnpm release`
 * publishes nothing while it is set. Whoever makes the repository public writes its address here, and nowhere else.
 */
export const home = "https://uninet.example/uninet"

/** Whether the packages have no public address yet. */
export const isPlaceholder = new URL(home).hostname.endsWith(".example")

/** The oldest Node that the packages run on: the first 22 whose SQLite needs no flag. */
export const engines = { node: ">=22.13" }

/** The folder of a workspace package. */
export const folderOf = (name) => `packages/${name.replace(/^@uninet\//, "")}`

/**
 * ONNX Runtime as it is installed with the packages: the same files under a name of ours, without a script that downloads what nobody asked
 * for, and only for the machine's own platform (`tools/src/Engine.ts`).
 */
export const engineName = "@uninet/onnxruntime-node"

const replaced = (dependencies = {}) =>
  Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) =>
      name === "onnxruntime-node" ? [name, `npm:${engineName}@${range}`] : [name, range]
    )
  )

/** A manifest in its published form. */
export const manifest = (own) => {
  const { devDependencies: _, private: isPrivate, ...kept } = own
  if (isPrivate) return own
  return {
    ...kept,
    ...(own.dependencies === undefined ? {} : { dependencies: replaced(own.dependencies) }),
    engines,
    homepage: `${home}/tree/main/${folderOf(own.name)}#readme`,
    repository: { type: "git", url: `git+${home}.git`, directory: folderOf(own.name) },
    bugs: { url: `${home}/issues` }
  }
}

/** A README from a folder of the repository, with links that work outside it. */
export const readme = (text, folder) =>
  text
    .split(/^(```[^]*?^```$)/m)
    .map((part) =>
      part.startsWith("```")
        ? part
        : part.replaceAll(/\]\((?![a-z]+:|#)([^)\s]+)\)/g, (_, link) => {
            const path = posix.join(folder, link)
            return `](${home}/${/\.\w+(#.*)?$/.test(path) ? "blob" : "tree"}/main/${path})`
          })
    )
    .join("")

/**
 * The size of an installation of each package: runs `npm install @uninet/<package>` in an empty project, from a registry of the tarballs
 * and, for everything else, from npm's. Then it imports the package there.
 *
 *     node tools/weight.ts [package ...]      prints a table (default: every package)
 *     node tools/weight.ts --write            and writes it to bench/results/weight.md
 *
 * Only the npm registry has to be reachable. As a control, `onnxruntime-node` itself is installed too, whose script downloads CUDA's
 * libraries from elsewhere on Linux.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { all, manifestOf, pack, root, run } from "./src/Pack.ts"
import * as Bundle from "./src/Bundle.ts"
import { serve } from "./src/Registry.ts"

const given = process.argv.slice(2)
const writes = given.includes("--write")
const names = given.filter((name) => name !== "--write")

/** The size limits of the packages, in MB. */
const limits: Readonly<Record<string, number>> = { "search-space": 70, controller: 75, search: 330 }

const folder = mkdtempSync(join(tmpdir(), "uninet-weight-"))

/** Installs in a new project; returns the megabytes on disk and the number of packages. */
const installed = async (what: string, use: (project: string) => void) => {
  const project = mkdtempSync(join(folder, "project-"))
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }))
  use(project)
  const began = performance.now()
  await run(project, "npm", "install", "--no-audit", "--no-fund", what)
  const seconds = (performance.now() - began) / 1000
  const [kilobytes = "0"] = (await run(project, "du", "-sk", "node_modules")).split("\t")
  const listed = await run(project, "npm", "ls", "--all", "--parseable")
  const count = new Set(listed.trim().split("\n")).size - 1
  return { project, megabytes: Number(kilobytes) / 1024, count, seconds }
}

const rows: Array<string> = []
const tooHeavy: Array<string> = []
try {
  const wanted = names.length > 0 ? names : all().filter((name) => manifestOf(`packages/${name}`).name.startsWith("@"))
  const tarballs = await pack(all(), join(folder, "tarballs"))
  const registry = await serve(tarballs)
  try {
    for (const name of wanted) {
      const { name: what } = manifestOf(`packages/${name}`)
      const { count, megabytes, project, seconds } = await installed(what, registry.use)
      await run(project, process.execPath, "--input-type=module", "--eval", `await import("${what}")`)
      const limit = limits[name]
      if (limit !== undefined && megabytes > limit) tooHeavy.push(`${what}: ${megabytes.toFixed(0)} MB of ${limit}`)
      const row = `| \`${what}\` | ${megabytes.toFixed(0)} | ${limit ?? ""} | ${count} | ${seconds.toFixed(0)} |`
      console.log(row)
      rows.push(row)
      rmSync(project, { recursive: true })
    }
  } finally {
    await registry.close()
  }
  const control = await installed("onnxruntime-node@1.30.0", () => {}).then(
    ({ megabytes }) => `is installed, with ${megabytes.toFixed(0)} MB`,
    (cause: unknown) => `fails (its script with ${/\bE(?!RR)[A-Z]{4,}/.exec(String(cause))?.[0] ?? "an error"})`
  )
  console.log(control)
  const text = `# What an installation weighs

\`node tools/weight.ts --write\`, Node ${process.versions.node}, ${process.platform} on ${process.arch}, version ${manifestOf(".").version}. Each package is installed with plain \`npm install\` in an empty project, from a registry of the packed tarballs
(\`@uninet\`) and from npm's (all others), on a machine that reaches nothing else; then it is imported. Megabytes (2^20 bytes) are the size of \`node_modules\` on disk, including \`effect\` and all other non-optional peers.

| package | MB | at most | packages | seconds |
| --- | ---: | ---: | ---: | ---: |
${rows.join("\n")}

\`effect\` alone accounts for most of the small packages' size. Packages that include ONNX Runtime install the library for their own platform only, as \`@uninet/onnxruntime-node\` and one package per platform, which run no script
when they are installed: \`npm install onnxruntime-node@1.30.0\` on the same machine ${control}, because its script downloads CUDA's libraries from another host; the package contains the libraries for all platforms (290 MB).

## In a browser

\`node tools/bundle.ts\`: a program with a space, a graph with its gradient, evolution and TPE, bundled by esbuild with its default settings: ${Bundle.line(await Bundle.make(false))}; minified: ${Bundle.line(await Bundle.make(true))}.
`
  if (writes) writeFileSync(join(root, "bench", "results", "weight.md"), text)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const line of tooHeavy) console.error(`too heavy: ${line}`)
process.exitCode = tooHeavy.length === 0 ? 0 : 1

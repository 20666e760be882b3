/** Test files bundled into one file of plain JavaScript that runs them: for processors on which neither Vitest nor type stripping is available. */
import { realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { rolldown, type Plugin } from "rolldown"

const runner = fileURLToPath(new URL("vitest.ts", import.meta.url))
const root = new URL("../../../", import.meta.url)
const vitest = createRequire(realpathSync(new URL("node_modules/vitest/package.json", root)))
const runtime = createRequire(new URL("packages/runtime/package.json", root))

const entry = "\0tests"

/** The test framework is our own, the assertions are Chai's, and ONNX Runtime stays where it is, with its binaries. */
const inPlace = (files: ReadonlyArray<URL>): Plugin => ({
  name: "tests",
  resolveId: (id) =>
    id === entry
      ? entry
      : id === "@effect/vitest"
        ? runner
        : id === "vitest"
          ? vitest.resolve("chai")
          : id === "onnxruntime-node"
            ? { id: pathToFileURL(runtime.resolve(id)).href, external: true }
            : // its package declares that importing it has no side effects, but it declares tests
              id.endsWith(".test.ts")
              ? { id, moduleSideEffects: true }
              : null,
  load: (id) =>
    id === entry
      ? [
          `import { run } from ${JSON.stringify(runner)}`,
          ...files.map((file) => `import ${JSON.stringify(fileURLToPath(file))}`),
          "await run(Number(process.argv[2] ?? 0), Number(process.argv[3] ?? Infinity))"
        ].join("\n")
      : null
})

/** The text of a program that runs the tests in these files: all of them, or `<from> <count>`. */
export const bundleTests = async (files: ReadonlyArray<URL>): Promise<string> => {
  const made = await rolldown({ input: entry, platform: "node", logLevel: "silent", plugins: [inPlace(files)] })
  const { output } = await made.generate({ format: "esm", codeSplitting: false })
  await made.close()
  return output[0].code
}

import { assert, describe, it } from "@effect/vitest"
import { build } from "esbuild"
import { builtinModules } from "node:module"
import { fileURLToPath } from "node:url"
import { createContext, runInContext } from "node:vm"
import { found as here } from "./support/browser.ts"

const bundled = async (entry: string) => {
  const { metafile, outputFiles, warnings } = await build({
    entryPoints: [fileURLToPath(new URL(`support/${entry}`, import.meta.url))],
    bundle: true,
    format: "iife",
    platform: "browser",
    metafile: true,
    write: false,
    logLevel: "silent"
  })
  // the files in the bundle, not all files that the bundler read
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs))
  return { text: outputFiles[0]?.text ?? "", warnings, inputs }
}

const builtin = new RegExp(`require\\("(node:.*|${builtinModules.join("|")})"\\)|from "node:`)

describe("in a browser", () => {
  it("a search by evolution and TPE needs nothing of Node, no engine and no policy, and finds what it finds here", async () => {
    const { inputs, text, warnings } = await bundled("browser.ts")
    assert.deepStrictEqual(warnings, [])
    assert.notMatch(text, builtin)
    assert.deepStrictEqual(
      inputs.filter((path) => /onnx|packages\/(engine|runtime|graph|nn)\/|Ppo|policy|agent/.test(path)),
      []
    )
    // a page's globals: no process, no Buffer, no require
    const page = createContext({ performance, TextEncoder, TextDecoder, setTimeout, clearTimeout, queueMicrotask })
    runInContext(text, page)
    assert.strictEqual(JSON.stringify(page["found"]), JSON.stringify(here))
  })

  it("a search by a policy needs nothing of Node and brings no engine of its own", async () => {
    const { inputs, text, warnings } = await bundled("browserPolicy.ts")
    assert.deepStrictEqual(warnings, [])
    assert.notMatch(text, builtin)
    assert.deepStrictEqual(
      inputs.filter((path) => /onnx/.test(path)),
      []
    )
  })
})

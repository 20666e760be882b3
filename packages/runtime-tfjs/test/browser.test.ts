import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const bundle = async () => {
  const built = await rolldown({
    input: fileURLToPath(new URL("support/browser.ts", import.meta.url)),
    platform: "browser",
    logLevel: "silent"
  })
  const { output } = await built.generate({ format: "esm" })
  await built.close()
  return output.flatMap((part) => (part.type === "chunk" ? [part] : []))
}

describe("in a browser", () => {
  it(
    "a bundle needs nothing of Node, and a page trains with it",
    async (context) => {
      const chunks = await bundle()
      const own = new Set(chunks.map(({ fileName }) => fileName))
      for (const { dynamicImports, imports } of chunks)
        assert.deepStrictEqual(
          [...imports, ...dynamicImports].filter((name) => !own.has(name)),
          []
        )
      if (Browser.executable === undefined) return context.skip(Browser.absent)

      const entry = chunks.find(({ isEntry }) => isEntry)?.fileName
      const binaries = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))
      const site: Browser.Site = {
        "/": { type: "text/html", content: `<script type="module" src="/${entry}"></script>` },
        ...Object.fromEntries(
          chunks.map(({ code, fileName }) => [`/${fileName}`, { type: "text/javascript", content: code }] as const)
        ),
        ...Object.fromEntries(
          readdirSync(binaries)
            .filter((name) => name.endsWith(".wasm"))
            .map(
              (name) => [`/${name}`, { type: "application/wasm", content: readFileSync(join(binaries, name)) }] as const
            )
        )
      }
      const done = "!['', 'running'].includes(document.title)"
      const title = await Browser.open(Browser.executable, site, done).pipe(
        Effect.flatMap(({ evaluate }) => evaluate("document.title")),
        Effect.scoped,
        Effect.runPromise
      )
      const losses = /^tfjs wasm: (\S+) (\S+) (\S+)$/.exec(String(title))
      assert.isNotNull(losses, String(title))
      assert.isBelow(Number(losses?.[3]), Number(losses?.[1]))
    },
    Browser.testTimeout
  )
})

import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import * as Effect from "effect/Effect"
import { fileURLToPath } from "node:url"
import { type Plugin, rolldown } from "rolldown"
import * as Small from "./support/searched.ts"
import { expected } from "./support/training.ts"

/** A search can keep its journal and its checkpoints in files, which this one does not: Node's modules are there in name alone. */
const withoutNode: Plugin = {
  name: "without Node",
  resolveId: (id) =>
    /^node:|^@effect\/platform-node|^sharp$/.test(id) ? { id: `\0${id}`, moduleSideEffects: false } : null,
  load: (id) => (/^\0(?:node:|@effect\/platform-node|sharp$)/.test(id) ? "module.exports = {}" : null)
}

const bundle = async (page: string, ...plugins: ReadonlyArray<Plugin>) => {
  const built = await rolldown({
    input: fileURLToPath(new URL(`support/${page}`, import.meta.url)),
    platform: "browser",
    logLevel: "silent",
    plugins: [...plugins]
  })
  const { output } = await built.generate({ format: "esm", codeSplitting: false })
  await built.close()
  const [chunk] = output
  return chunk
}

/** A page of scripts. */
const siteOf = (scripts: Readonly<Record<string, string>>): Browser.Site => ({
  "/": {
    type: "text/html",
    content: Object.keys(scripts)
      .map((name) => `<script type="module" src="${name}"></script>`)
      .join("")
  },
  ...Object.fromEntries(
    Object.entries(scripts).map(([name, content]) => [name, { type: "text/javascript", content }] as const)
  )
})

describe("in a browser", () => {
  it(
    "a bundle needs nothing of Node, and a page's training and search leave the bits behind that Node's do",
    async (context) => {
      const { code, dynamicImports, imports } = await bundle("page.ts")
      assert.deepStrictEqual([...imports, ...dynamicImports], [])
      if (Browser.executable === undefined) return context.skip(Browser.absent)

      const search = await bundle("searchPage.ts", withoutNode)
      const site = siteOf({ "/training.js": code, "/search.js": search.code })
      const done = "!['', 'running'].includes(document.title) && document.documentElement.lang !== ''"
      const found = await Browser.open(Browser.executable, site, done).pipe(
        Effect.flatMap(({ evaluate }) => evaluate("[document.title, document.documentElement.lang]")),
        Effect.scoped,
        Effect.runPromise
      )
      assert.deepStrictEqual(found, [`digest ${expected.digest}`, `search ${Small.expected.digest}`])
    },
    Browser.testTimeout
  )
})

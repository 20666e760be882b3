import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"
import { createServer } from "node:http"
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

/** Serves the bundle and the backend's binaries to a page on this machine. */
const serve = async (files: ReadonlyMap<string, string | Buffer>) => {
  const server = createServer(({ url = "/" }, response) => {
    const body = files.get(url)
    const type = url.endsWith(".wasm") ? "application/wasm" : url.endsWith(".js") ? "text/javascript" : "text/html"
    response.writeHead(body === undefined ? 404 : 200, { "content-type": type }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { close, port: typeof address === "object" ? address?.port : undefined }
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

      const page = `<script type="module" src="/${chunks.find(({ isEntry }) => isEntry)?.fileName}"></script>`
      const files = new Map<string, string | Buffer>([["/", page]])
      for (const { code, fileName } of chunks) files.set(`/${fileName}`, code)
      const binaries = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))
      for (const name of readdirSync(binaries).filter((name) => name.endsWith(".wasm")))
        files.set(`/${name}`, readFileSync(join(binaries, name)))
      const { close, port } = await serve(files)
      const done = "!['', 'running'].includes(document.title)"
      const title = await Browser.open(Browser.executable, `http://127.0.0.1:${port}/`, done).pipe(
        Effect.flatMap(({ evaluate }) => evaluate("document.title")),
        Effect.scoped,
        Effect.ensuring(Effect.sync(close)),
        Effect.runPromise
      )
      const losses = /^tfjs wasm: (\S+) (\S+) (\S+)$/.exec(String(title))
      assert.isNotNull(losses, String(title))
      assert.isBelow(Number(losses?.[3]), Number(losses?.[1]))
    },
    Browser.testTimeout
  )
})

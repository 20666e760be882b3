import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"

const chromium = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync)

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
  return { server, port: typeof address === "object" ? address?.port : undefined }
}

describe("in a browser", () => {
  it("a bundle needs nothing of Node, and a page trains with it", async () => {
    const chunks = await bundle()
    const own = new Set(chunks.map(({ fileName }) => fileName))
    for (const { dynamicImports, imports } of chunks)
      assert.deepStrictEqual(
        [...imports, ...dynamicImports].filter((name) => !own.has(name)),
        []
      )
    if (chromium === undefined) return

    const page = `<script type="module" src="/${chunks.find(({ isEntry }) => isEntry)?.fileName}"></script>`
    const files = new Map<string, string | Buffer>([["/", page]])
    for (const { code, fileName } of chunks) files.set(`/${fileName}`, code)
    const binaries = dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))
    for (const name of readdirSync(binaries).filter((name) => name.endsWith(".wasm")))
      files.set(`/${name}`, readFileSync(join(binaries, name)))
    const { port, server } = await serve(files)
    const profile = mkdtempSync(join(tmpdir(), "uninet-browser-"))
    try {
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`]
      const waiting = ["--virtual-time-budget=20000", "--dump-dom", `http://127.0.0.1:${port}/`]
      const { stdout } = await promisify(execFile)(chromium, [...flags, ...waiting], { timeout: 50_000 })
      const title = /<title>(.*)<\/title>/.exec(stdout)?.[1] ?? stdout
      const losses = /^tfjs wasm: (\S+) (\S+) (\S+)$/.exec(title)
      assert.isNotNull(losses, title)
      assert.isBelow(Number(losses?.[3]), Number(losses?.[1]))
    } finally {
      server.close()
      server.closeAllConnections()
      rmSync(profile, { recursive: true, force: true })
    }
  })
})

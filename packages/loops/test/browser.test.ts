import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { rolldown } from "rolldown"
import { expected } from "./support/training.ts"

const chromium = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find(existsSync)

const bundle = async () => {
  const built = await rolldown({
    input: fileURLToPath(new URL("support/page.ts", import.meta.url)),
    platform: "browser",
    logLevel: "silent"
  })
  const { output } = await built.generate({ format: "esm", codeSplitting: false })
  await built.close()
  const [chunk] = output
  return chunk
}

/** Serves a page with its script to a browser on this machine. */
const serve = async (script: string) => {
  const server = createServer(({ url = "/" }, response) => {
    const isScript = url === "/page.js"
    response
      .writeHead(isScript || url === "/" ? 200 : 404, { "content-type": isScript ? "text/javascript" : "text/html" })
      .end(isScript ? script : '<script type="module" src="/page.js"></script>')
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return { server, port: typeof address === "object" ? address?.port : undefined }
}

describe("in a browser", () => {
  it("a bundle needs nothing of Node, and a page's training leaves the bits behind that Node's does", async (context) => {
    const { code, dynamicImports, imports } = await bundle()
    assert.deepStrictEqual([...imports, ...dynamicImports], [])
    if (chromium === undefined) return context.skip("there is no Chromium")

    const { port, server } = await serve(code)
    const profile = mkdtempSync(join(tmpdir(), "uninet-browser-"))
    try {
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`]
      const waiting = ["--virtual-time-budget=20000", "--dump-dom", `http://127.0.0.1:${port}/`]
      const { stdout } = await promisify(execFile)(chromium, [...flags, ...waiting], { timeout: 50_000 })
      assert.strictEqual(/<title>(.*)<\/title>/.exec(stdout)?.[1] ?? stdout, `digest ${expected.digest}`)
    } finally {
      server.close()
      server.closeAllConnections()
      rmSync(profile, { recursive: true, force: true })
    }
  })
})

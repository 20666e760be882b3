/** A page's search: served to a Chromium of this machine, which says what its journal holds. */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import type { Options } from "./search.ts"

/** Where it is, if it is. */
export const chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file)
)

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })

/** The journal's entries as the page's JSON; rejects where the browser ends, or says nothing for so many seconds. */
export const inBrowser = async (
  executable: string,
  script: string,
  digits: Uint8Array,
  options: Options,
  patience: number
): Promise<string> => {
  const pages: Readonly<Record<string, readonly [type: string, content: string | Uint8Array]>> = {
    "/": ["text/html", '<!doctype html><script type="module" src="/page.js"></script>'],
    "/page.js": ["text/javascript", script],
    "/digits": ["application/octet-stream", digits],
    "/options": ["application/json", JSON.stringify(options)]
  }
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const server = createServer((request, response) => {
    if (request.method === "POST") void text(request).then(resolve, reject)
    const [type, content] = pages[request.url ?? "/"] ?? ["text/plain", ""]
    response.writeHead(200, { "content-type": type }).end(content)
  })
  const port = await listening(server)
  const profile = mkdtempSync(join(tmpdir(), "uninet-browser-"))
  const child = spawn(executable, [...flags, `--user-data-dir=${profile}`, `http://127.0.0.1:${port}/`], {
    stdio: "ignore"
  })
  child.on("error", reject)
  child.on("exit", () => reject(new Error("the browser ended")))
  const timer = setTimeout(() => reject(new Error(`the browser said nothing for ${patience} s`)), 1000 * patience)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    child.kill("SIGKILL")
    server.close()
    server.closeAllConnections()
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

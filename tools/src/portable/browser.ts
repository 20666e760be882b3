/** A page's search: served to a Chromium of this machine, which says what its journal holds. */
import * as Browser from "@uninet/browser"
import { createServer, type Server } from "node:http"
import { text } from "node:stream/consumers"
import type { Options } from "./search.ts"

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
  const browser = await Browser.launch(executable)
  browser.on("disconnected", () => reject(new Error("the browser ended")))
  const timer = setTimeout(() => reject(new Error(`the browser said nothing for ${patience} s`)), 1000 * patience)
  try {
    const page = await browser.newPage()
    page.on("pageerror", reject)
    await page.goto(`http://127.0.0.1:${port}/`)
    return await promise
  } finally {
    clearTimeout(timer)
    await browser.close()
    server.close()
    server.closeAllConnections()
  }
}

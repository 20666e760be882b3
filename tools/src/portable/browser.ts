/** Runs a page's search in this machine's Chromium, which reports what its journal holds. */
import * as Browser from "@uninet/browser"
import type { Options } from "./search.ts"

/** The journal's entries as the page's JSON; rejects if the browser ends, or is silent for this many seconds. */
export const inBrowser = async (
  executable: string,
  script: string,
  digits: Uint8Array,
  options: Options,
  patience: number
): Promise<string> => {
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  const browser = await Browser.launch(executable)
  browser.on("disconnected", () => reject(new Error("the browser ended")))
  const timer = setTimeout(() => reject(new Error(`the browser said nothing for ${patience} s`)), 1000 * patience)
  try {
    const page = await browser.newPage()
    page.on("pageerror", reject)
    page.on("request", (request) => {
      if (request.method() === "POST") resolve(request.postData() ?? "")
    })
    await Browser.answer(page, {
      "/": { type: "text/html", content: '<!doctype html><script type="module" src="/page.js"></script>' },
      "/page.js": { type: "text/javascript", content: script },
      "/digits": { type: "application/octet-stream", content: Buffer.from(digits) },
      "/options": { type: "application/json", content: JSON.stringify(options) }
    })
    await page.goto(Browser.home)
    return await promise
  } finally {
    clearTimeout(timer)
    await browser.close()
  }
}

/** The built pages in a real browser, opened from the disk as a reader may: does the search find, and is it readable on a phone? */
import * as Browser from "@uninet/browser"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

/** Milliseconds that a page may take: a busy machine is no fault of the site. */
const patience = 100_000

/** What is wrong, a line each; `undefined` where there is no Chromium. */
export const check = async (folder: string): Promise<ReadonlyArray<string> | undefined> => {
  if (Browser.executable === undefined) return undefined
  const faults: Array<string> = []
  const browser = await Browser.launch(Browser.executable)
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } })
    page.setDefaultTimeout(patience)
    page.on("pageerror", (error) => faults.push(`an error in the page: ${error.message}`))
    page.on("request", (request) => {
      if (!/^(file|data|blob):/.test(request.url())) faults.push(`asks another site: ${request.url()}`)
    })
    await page.goto(pathToFileURL(join(folder, "index.html")).href)
    await page.locator("#tsd-search-trigger").click()
    // A function of a package, and words of a guide.
    for (const [words, wanted] of [
      ["crossover", "Space.crossover"],
      ["Pareto front", "report"]
    ] as const) {
      await page.locator("#tsd-search-input").fill(words)
      const found = page.locator(`#tsd-search-results a[href*="${wanted}"]`).first()
      await found.waitFor().catch(() => faults.push(`the search for "${words}" does not find ${wanted}`))
    }
    for (const colorScheme of ["light", "dark"] as const) {
      const phone = await browser.newPage({ viewport: { width: 390, height: 800 }, colorScheme })
      phone.setDefaultTimeout(patience)
      await phone.goto(pathToFileURL(join(folder, "index.html")).href)
      const wide = await phone.evaluate<number>("document.documentElement.scrollWidth")
      if (wide > 390) faults.push(`on a phone, ${colorScheme}, the page is ${wide} pixels wide`)
      await phone.close()
    }
  } finally {
    await browser.close()
  }
  return faults
}

/** The machine's Chromium, as the tests and benchmarks of pages use it. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { chromium, type Page } from "playwright-core"

export type { Page } from "playwright-core"

/** Its path, if it is installed. */
export const executable = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
  existsSync(file)
)

/** Why a test of a page is skipped, or a benchmark refused. */
export const absent = "there is no Chromium here (Debian: apt-get install chromium)"

/** How long a browser may take to start, or a page to do what is awaited, in milliseconds: on a machine that tests keep busy, both take many seconds. */
const patience = 100_000

/** How long a test of a page may take, in milliseconds. */
export const testTimeout = 120_000

/** A page never did what was awaited; includes what it wrote in the meantime. */
export class NotShown extends Data.TaggedError("NotShown")<{
  readonly url: string
  readonly awaited: string
  readonly written: ReadonlyArray<string>
}> {
  override get message() {
    return [`${this.url} never came to ${this.awaited}.`, ...this.written].join("\n")
  }
}

/** A browser that the caller closes. */
export const launch = (executablePath: string) =>
  chromium.launch({ executablePath, timeout: patience, args: ["--no-sandbox", "--disable-dev-shm-usage"] })

/** A browser that ends with the scope. */
export const browser = (executablePath: string) =>
  Effect.acquireRelease(
    Effect.promise(() => launch(executablePath)),
    (launched) => Effect.promise(() => launched.close())
  )

/** Waits until an expression is true in a page; `written` is what the page has written so far, for the error. */
export const until = (page: Page, written: ReadonlyArray<string> = []) =>
  Effect.fnUntraced(function* (expression: string) {
    const deadline = Date.now() + patience
    // The driver's own method evaluates text in the page, which a page with a content security policy does not allow.
    while (Date.now() < deadline) {
      // A page that is navigating gives no answer.
      const found = yield* Effect.promise(() => page.evaluate<unknown>(expression).catch(() => false))
      if (found === true) return
      yield* Effect.sleep(20)
    }
    return yield* new NotShown({ url: page.url(), awaited: expression, written })
  })

/** The files of a page by their paths, with `/` for the page itself. */
export type Site = Readonly<Record<string, { readonly type: string; readonly content: string | Buffer }>>

/** The address of a page's own files, as the page sees it; no server listens there. */
export const home = "http://localhost/"

/** Serves a page its files. */
export const answer = async (page: Page, site: Site): Promise<void> => {
  await page.route(`${home}**`, (route, request) => {
    const file = site[new URL(request.url()).pathname]
    return route.fulfill(file === undefined ? { status: 404 } : { contentType: file.type, body: file.content })
  })
}

/**
 * A page in its own browser, once the expression `ready` is true in it: evaluates expressions in it, awaits their values and returns them
 * as JSON. The page is either at an address or made of files.
 */
export const open = Effect.fnUntraced(function* (executablePath: string, of: string | Site, ready: string) {
  const launched = yield* browser(executablePath)
  const page = yield* Effect.promise(() => launched.newPage())
  const written: Array<string> = []
  page.on("console", (message) => written.push(message.text()))
  page.on("pageerror", (error) => written.push(error.message))
  if (typeof of !== "string") yield* Effect.promise(() => answer(page, of))
  yield* Effect.promise(() => page.goto(typeof of === "string" ? of : home, { timeout: patience }))
  yield* until(page, written)(ready)
  return { evaluate: (expression: string) => Effect.promise(() => page.evaluate<unknown>(expression)) }
})

/** The search in a tab, and its result: the command line's journal. */
import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import { Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { here } from "../../packages/cli/test/support/cli.ts"
import { digits } from "../src/portable/digits.ts"
import { make, serve } from "../src/Tab.ts"
import { type Options, search, type Told } from "../tab/search.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-tab-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const to = <A>(act: () => Promise<A>) => Effect.promise(act)

const options: Options = { trials: 2, strategy: "evolution", seed: "tab" }
const examples = 100

/** A journal's file, from the last message of a tab. */
const written = (path: string, told: ReadonlyArray<Told>) => {
  const statements = told.flatMap((each) => (each.tag === "Journal" ? [each.statements] : [])).at(-1)
  const database = new DatabaseSync(path)
  for (const { parameters, sql } of statements ?? [])
    if (parameters.length === 0) database.exec(sql)
    else database.prepare(sql).run(...parameters)
  database.close()
  return Journal.read(path)
}

/** What a journal holds, apart from times. */
const said = ({ entries, identity }: Journal.Read) => ({ identity, entries: entries.map(({ entry }) => entry) })

describe("a search in a tab", () => {
  it.live(
    "shows how it goes, and leaves as a file the journal that the same search leaves in Node",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const below = yield* folder
        const site = join(below, "site")
        yield* to(() => make(site, examples))
        const address = yield* Effect.acquireRelease(
          to(() => serve(site, 0)),
          ({ close }) => Effect.sync(close)
        )
        const browser = yield* Browser.browser(Browser.executable)
        const page = yield* to(() => browser.newPage())
        const faults: Array<string> = []
        page.on("pageerror", ({ message }) => faults.push(message))
        yield* to(() => page.goto(address.url))
        yield* to(() => page.fill("input[name=trials]", String(options.trials)))
        yield* to(() => page.selectOption("#strategy", options.strategy))
        yield* to(() => page.fill("input[name=seed]", options.seed))
        yield* to(() => page.click("#start"))
        yield* to(() => page.getByText(/^2 networks trained in /).waitFor({ timeout: 100_000 }))
        assert.match((yield* to(() => page.textContent("#best"))) ?? "", /^Best so far: trial \d, \d+\.\d% on the /)
        assert.strictEqual(yield* to(() => page.locator("#rows tr").count()), options.trials)
        const [file] = yield* to(() => Promise.all([page.waitForEvent("download"), page.click("#download")]))
        assert.strictEqual(file.suggestedFilename(), "journal.db")
        const path = join(below, "journal.db")
        yield* to(() => file.saveAs(path))
        assert.deepStrictEqual(faults, [])

        const told: Array<Told> = []
        yield* search(digits(examples), options, (each) => told.push(each))
        const read = yield* Journal.read(path)
        assert.isFalse(read.isCut)
        assert.lengthOf(
          read.entries.filter(({ entry }) => entry._tag === "Finished"),
          options.trials
        )
        assert.deepStrictEqual(said(read), said(yield* written(join(below, "node.db"), told)))
      }),
    120_000
  )

  it.live("is to its journal the search that the command line begins with the same flags", () =>
    Effect.gen(function* () {
      const below = yield* folder
      const { seed, strategy, trials } = options
      const flags = { device: "portable", out: join(below, "run"), seed, strategy, trials }
      const path = join(below, "run", "journal.db")
      const begun = yield* Effect.forkChild(
        here(["search", ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)])])
      )
      while (!existsSync(path)) yield* Effect.sleep(20)
      const { identity } = yield* Journal.read(path)
      yield* Fiber.interrupt(begun)

      const told: Array<Told> = []
      yield* Effect.callback<void>((resume) => {
        const fiber = Effect.runFork(
          search(digits(10_000), options, (each) => {
            told.push(each)
            // The file's statements arrive before anything is trained.
            if (each.tag === "Journal") resume(Effect.void)
          })
        )
        return Effect.sync(() => fiber.interruptUnsafe())
      })
      assert.deepStrictEqual((yield* written(join(below, "tab.db"), told)).identity, identity)
    })
  )
})

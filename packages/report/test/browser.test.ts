/** The page in a real browser: what it shows is read from its text, which describes what it draws. */
import { assert, describe, it } from "@effect/vitest"
import * as Browser from "@uninet/browser"
import { Dashboard, Front, Html, Report, Run, Table } from "@uninet/report"
import { Comparison, type Follow, type Journal } from "@uninet/search"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { journal } from "./support/journals.ts"

const hostile = `</script><img src=x onerror="document.body.dataset.hacked='yes'"><b>é 网 ש</b>`
const about = { state: "stopped", replay: "uninet replay runs/demo" } as const
const read = journal({ trials: 240, rungs: [1, 3], prefix: hostile })
const run = Run.of(read, { ...about, name: `runs/${hostile}` })
const table = Run.table(run)
const numbers = (name: string) => Table.numbers(name)(table) ?? assert.fail(name)
const rows = Array.from({ length: table.size }, (_, row) => row)
const finished = rows.filter((row) => numbers("epochs")[row] === 3)
const detail = {
  trial: 7,
  picture: "conv",
  parts: [
    { name: hostile, columns: { shape: "8×8" }, parameters: 1, macs: 3 },
    { name: "head", columns: {}, parameters: 1, macs: 1 }
  ]
}

const to = <A>(act: () => Promise<A>) => Effect.promise(act)
const count = (entries: ReadonlyArray<Journal.Stored>) => new Set(entries.map(({ entry }) => entry.trial)).size

describe("the page in a browser", () => {
  it.live(
    "shows every view of a search, filters and sorts it, and follows one that runs",
    (context) =>
      Effect.gen(function* () {
        if (Browser.executable === undefined) return context.skip(Browser.absent)
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-page-"))),
          (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
        )
        const file = join(folder, "report.html")
        const other = Run.of(journal({ trials: 1 }), { ...about, name: "other" })
        const shown = [Report.shown([detail])(run), Report.shown()(other)]
        const by = { name: "accuracy", direction: "higher" } as const
        const second = journal({ trials: 120, rungs: [1, 3], seed: "second" })
        const compared = Comparison.of(
          [
            Comparison.runOf(run.info.name, read, by),
            Comparison.runOf(
              "second",
              { ...second, identity: { ...second.identity, settings: { strategy: "tpe" } } },
              by
            )
          ],
          by
        )
        const problems = [`runs/${hostile} cannot be read.`]
        writeFileSync(file, yield* Html.of(Report.of(shown, { made: 0, problems, compared })))

        const opened = yield* Browser.browser(Browser.executable)
        const page = yield* Effect.promise(() => opened.newPage({ viewport: { width: 1200, height: 900 } }))
        const faults: Array<string> = []
        page.on("pageerror", (error) => faults.push(error.message))
        page.on("request", (request) => {
          if (!/^(file|data|blob):|^http:\/\/localhost/.test(request.url())) faults.push(request.url())
        })
        const said = (selector: string) => to(() => page.locator(selector).first().innerText())
        const until = Browser.until(page, faults)
        yield* to(() => page.goto(`file://${file}`))
        yield* until("document.body.dataset.ready === 'yes'")

        // Names are plain text, whatever they contain.
        assert.strictEqual(yield* said("h1"), `runs/${hostile}`)
        assert.include(yield* said(".notes"), `runs/${hostile} cannot be read.`)

        // Every view says what it shows.
        const values = numbers("reward")
        const best =
          Front.running(rows, { values, direction: "higher" }, numbers("epochs")).at(-1) ?? assert.fail("none")
        const bestSaid = `Best reward ${Number(best.value.toPrecision(4))}, of trial ${best.row}`
        assert.include(yield* said("#best .summary"), bestSaid)
        const objectives = [
          { values: numbers("macs"), direction: "lower" },
          { values: numbers("accuracy"), direction: "higher" }
        ] as const
        const front = Front.of(finished, objectives)
        assert.include(
          yield* said("#front .summary"),
          `The front of macs (lower), accuracy (higher) has ${front.length} trial${front.length === 1 ? "" : "s"} of ${finished.length} trained for 3 epochs; the search allows macs at most 1.4 M`
        )
        const [first] = Report.importances(table)(run).find(({ measure }) => measure === "accuracy")?.choices ?? []
        assert.include(yield* said("#importance .summary"), `For accuracy, ${first.name} has a part in`)
        for (const [id, says] of [
          ["parallel", /axes: stages\.\d.*All \d+ trials shown are drawn\. Nothing is brushed/],
          ["curves", /accuracy by epochs of the \d+ best of \d+ trials with a curve/],
          ["distribution", /Of \d+ trials half have a reward of at most/],
          ["proposals", /Share of each option of .* among the proposals/],
          ["slice", /Mean accuracy by .*: best with/],
          ["workers", /trainings in .*Which worker trained what was not recorded/],
          [
            "compared",
            /Best accuracy .*A: runs\/.*B: second\..*At \d+ trials A has .*from one run only; the two are not distinguishable/
          ],
          ["apart", /The 12 best by reward differ in \d+\.?\d*% of their choices/]
        ] as const)
          assert.match(yield* said(`#${id} .summary`), says, id)
        // What is further down is drawn when it is reached, or printed.
        yield* to(() => page.evaluate("dispatchEvent(new Event('beforeprint'))"))
        yield* until(
          "[...document.querySelectorAll('.canvas')].filter((each) => each.dataset.drawn && each.querySelector('canvas')).length === 11"
        )
        // On paper each is one picture, in the light theme whatever the screen's.
        yield* until(
          "document.querySelectorAll('.printed canvas').length === 11 && document.documentElement.dataset.theme === 'light'"
        )
        yield* to(() => page.evaluate("dispatchEvent(new Event('afterprint'))"))
        yield* until(
          "document.querySelector('.printed canvas') === null && !('theme' in document.documentElement.dataset)"
        )
        yield* to(() => page.locator("#front details > summary").click())
        yield* until(`document.querySelectorAll("#front tbody tr").length === ${front.length}`)

        // A filter, an error in it, an order, other states, and the address that contains all of them.
        yield* to(() => page.fill("#where", "accuracy > 0.85 and macs < 1M"))
        const kept = rows.filter((row) => numbers("accuracy")[row] > 0.85 && numbers("macs")[row] < 1e6)
        yield* until(`document.getElementById("count").textContent === "${kept.length} trials of 240"`)
        yield* to(() => page.locator("#trials [role=columnheader] button", { hasText: "accuracy" }).click())
        const top = kept.reduce((a, b) => (numbers("accuracy")[b] > numbers("accuracy")[a] ? b : a))
        yield* until(`document.querySelector("#trials [aria-rowindex='2'] [role=cell]")?.textContent === "${top}"`)
        yield* to(() => page.locator("#trials [aria-rowindex='2']").click())
        yield* until(`document.querySelector("#trial h3")?.textContent.startsWith("Trial ${top}: ")`)
        yield* to(() => page.locator("#trials [role=table]").press("ArrowDown"))
        yield* until(`!document.querySelector("#trial h3").textContent.startsWith("Trial ${top}:")`)
        yield* until("location.hash.includes('where=accuracy') && location.hash.includes('sort=-accuracy')")
        const address = page.url()
        yield* to(() => page.fill("#where", "acuracy > 1"))
        yield* until("/Neither .acuracy. nor .* is a column/.test(document.querySelector('[role=alert]')?.textContent)")
        yield* to(() => page.goto("about:blank"))
        yield* to(() => page.goto(address))
        yield* until(`document.getElementById("count")?.textContent === "${kept.length} trials of 240"`)

        // A link that is followed as soon as the page is drawn, before its effects have run.
        const followed = yield* to(() => opened.newPage())
        yield* to(() =>
          followed.addInitScript(`new MutationObserver((_, watching) => {
            if (document.querySelector("main") === null) return
            watching.disconnect()
            location.hash = "trial=7"
          }).observe(document, { childList: true, subtree: true })`)
        )
        yield* to(() => followed.goto(`file://${file}`))
        yield* Browser.until(followed)(`document.querySelector("#trial h3")?.textContent.startsWith("Trial 7:")`)
        yield* to(() => followed.close())

        // A failed trial, with the reason and how to train it again. Then one whose blocks are available.
        yield* to(() => page.goto(`file://${file}#states=failed&trial=16`))
        yield* until(`document.querySelector("#trial h3")?.textContent.startsWith("Trial 16: failed")`)
        assert.match(yield* said("#trial"), /Diverged: the loss became NaN in epoch 1[^]*uninet replay runs\/demo 16/)
        yield* to(() => page.goto(`file://${file}#trial=7`))
        yield* until(`document.querySelectorAll("#trial .blocks li").length === 2`)
        assert.match(yield* said("#trial .blocks"), /75\.0% of the MACs/)

        // A brush along the last axis of choices and results.
        const canvas = page.locator("#parallel .canvas")
        yield* to(() => canvas.scrollIntoViewIfNeeded())
        // Views above it may still be growing, in which case a drag misses the axis and is repeated.
        const brushed = "/Brushed: \\(accuracy >= /.test(document.querySelector('#parallel .summary').textContent)"
        yield* to(async () => {
          for (let i = 0; i < 20 && !(await page.evaluate(brushed)); i++) {
            const box = (await canvas.boundingBox()) ?? assert.fail("it is not there")
            await page.mouse.move(box.x + box.width - 60, box.y + 60)
            await page.mouse.down()
            await page.mouse.move(box.x + box.width - 60, box.y + 150, { steps: 4 })
            await page.mouse.up()
            await new Promise((resume) => setTimeout(resume, 200))
          }
        })
        yield* until(brushed)
        yield* to(() => page.getByRole("button", { name: "Copy the brush into the filter" }).click())
        yield* until("document.getElementById('where').value.startsWith('(accuracy >= ')")

        // The other search, with a single trial.
        yield* to(() => page.locator(".bar-top select").first().selectOption("1"))
        yield* until("document.querySelector('h1').textContent === 'other'")
        assert.match(yield* said(".notes"), /Only one trial has a result/)
        assert.strictEqual(yield* to(() => page.evaluate("document.body.dataset.hacked ?? ''")), "")

        // A running search: trials appear as they end.
        const waiting: Array<Journal.Stored> = []
        const next = Effect.sync((): Follow.Step => ({
          ...read,
          anew: false,
          entries: waiting.splice(0),
          trainings: [],
          damaged: 0
        }))
        const [before, after] = [read.entries.slice(0, 100), read.entries.slice(100)]
        const { url } = yield* Dashboard.serve(
          {
            list: Effect.succeed({ runs: [{ name: "live", state: "running" }], problems: [] }),
            open: () =>
              Effect.succeed({
                about: () => Effect.succeed({ name: "live", state: "running" }),
                following: { first: { ...read, entries: before, trainings: [], damaged: 0 }, next }
              }),
            detail: (_, trial) => Effect.succeed({ ...detail, trial })
          },
          { port: 0 }
        )
        yield* to(() => page.goto(`${url}#trial=3`))
        yield* until(`document.querySelector(".facts b")?.textContent === "${count(before)} trials"`)
        yield* until(`document.querySelectorAll("#trial .blocks li").length === 2`)
        waiting.push(...after)
        yield* until(`document.querySelector(".facts b")?.textContent === "240 trials"`)
        yield* until(`document.querySelector("#best .summary").textContent.includes("${bestSaid}")`)
        assert.deepStrictEqual(faults, [])
      }).pipe(Effect.scoped),
    Browser.testTimeout
  )
})

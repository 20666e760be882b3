/**
 * A report of 100,000 trials, and a dashboard for a search of 10,000: how large, how fast, and is anything missed? `node bench/report.ts
 * [TRIALS]`; without a number it writes bench/results/report.md. Needs Chromium.
 *
 * The trials come from searches on a table: a space whose results and costs follow from a formula, so that a trial takes no time.
 */
import * as Browser from "@uninet/browser"
import { Random } from "@uninet/controller"
import { Classification, ModelSpace } from "@uninet/model-space"
import { Dashboard, Html, Report, Run } from "@uninet/report"
import { Evaluator, Fidelity, Follow, Journal, Search } from "@uninet/search"
import { Choice, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"

const [given] = process.argv.slice(2)
const trials = Number(given ?? 100_000)
const followed = Math.ceil(trials / 10)
const folder = mkdtempSync(join(tmpdir(), "uninet-report-"))

const operators = ["Conv", "DWConv", "MLP", "SA", "LSA"]
const stage = Choice.struct({
  operator: Choice.categorical(operators),
  expansion: Choice.ordered([2, 3, 4, 5, 6]),
  channels: Choice.ordered([16, 24, 32, 48, 64, 96]),
  repeats: Choice.ordered([1, 2, 3, 4])
})
const table = ModelSpace.table({
  name: "a table",
  space: Result.getOrThrow(Space.make(Choice.repeat(stage, 5))),
  task: Classification.make({ classes: 10 }),
  costs: {
    macs: (stages) =>
      stages.reduce((sum, { channels, expansion, repeats }) => sum + 900 * channels * expansion * repeats, 5e4),
    parameters: (stages) => stages.reduce((sum, { channels, repeats }) => sum + channels * channels * repeats, 2e4),
    activationBytes: (stages) => stages.reduce((most, { channels }) => Math.max(most, 3136 * channels), 0)
  }
})

/** A search with this many trials, each of which takes `pause` milliseconds. */
const search = (count: number, pause: number) =>
  Search.run(table, {
    trials: count,
    seed: "report",
    fidelity: Fidelity.asha({ epochs: 9 }),
    notes: {
      trials: count,
      task: { decides: "accuracy", measures: table.task.measures, shares: ["accuracy", "top5"] }
    }
  }).pipe(
    Effect.scoped,
    Effect.provide([
      Random.layer(),
      Evaluator.make(
        table,
        (stages, { index, until = 9 }) => {
          const good = stages.reduce(
            (sum, { channels, operator }, i) => sum + channels * (operator === "LSA" ? 2 : 1) * (i + 1),
            0
          )
          const accuracy = 0.99 - 0.3 / (1 + until) - 20 / (good + 60) + 0.01 * Math.sin(index * 12.9898)
          const evaluation = {
            measures: { accuracy, top5: 1, loss: 1 - accuracy, calibrationError: 0.01 },
            epochs: until
          }
          return pause === 0 ? Effect.succeed(evaluation) : Effect.delay(Effect.succeed(evaluation), pause)
        },
        { concurrency: 8 }
      )
    ])
  )

/** The content of a journal after this many trials, kept in memory: writing it to disk takes minutes. */
const played = (count: number) =>
  Effect.gen(function* () {
    yield* search(count, 0)
    const { entries } = yield* Journal.Journal
    const identity: Journal.Identity = {
      space: "",
      seed: "report",
      settings: {
        strategy: "random",
        fidelity: { ...Fidelity.asha({ epochs: 9 }) },
        objectives: [
          { name: "accuracy", direction: "higher" },
          { name: "macs", direction: "lower" }
        ]
      },
      notes: {
        trials: count,
        task: { decides: "accuracy", measures: table.task.measures, shares: ["accuracy", "top5"] }
      }
    }
    return { identity, entries: yield* entries, isCut: false } satisfies Journal.Read
  }).pipe(Effect.provide(Journal.memory), Effect.runPromise)

const rows: Array<readonly [string, string, string]> = []
const say = (what: string, found: string, bar = "") => {
  console.log(`${what}: ${found}${bar === "" ? "" : ` (${bar})`}`)
  rows.push([what, found, bar])
}
const seconds = async <A>(work: () => Promise<A>) => {
  const began = performance.now()
  const made = await work()
  return [made, (performance.now() - began) / 1000] as const
}
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`
const median = (of: ReadonlyArray<number>) => of.toSorted((a, b) => a - b)[of.length >> 1]
const three = async (measure: () => Promise<number>) => {
  const found = [await measure(), await measure(), await measure()]
  return `${median(found).toFixed(0)} ms (${found.map((each) => each.toFixed(0)).join(", ")})`
}

/** Waits in the page, frame by frame, and returns the milliseconds since `from`, an expression. */
const until = (page: Browser.Page, act: string, condition: string): Promise<number> =>
  page.evaluate(
    `(async () => { const began = performance.now(); ${act}; while (!(${condition})) await new Promise(requestAnimationFrame); await new Promise(requestAnimationFrame); return performance.now() - began })()`
  )

/** The resident memory of a process and all its descendants, in bytes. */
const resident = (pid: number): number => {
  const own = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024
  const below = execFileSync("sh", ["-c", `cat /proc/${pid}/task/*/children 2>/dev/null || true`], { encoding: "utf8" })
  return below
    .trim()
    .split(/\s+/)
    .filter((each) => each !== "")
    .reduce((sum, child) => sum + (existsSync(`/proc/${child}`) ? resident(Number(child)) : 0), own)
}

try {
  const [read, searched] = await seconds(() => played(trials))
  say(
    `search of ${trials.toLocaleString("en")} trials (ASHA, rungs of 1, 3 and 9 epochs)`,
    `${searched.toFixed(1)} s, ${read.entries.length.toLocaleString("en")} entries`
  )
  const [shown, worked] = await seconds(async () =>
    Report.shown()(Run.of(read, { name: "runs/large", state: "finished" }))
  )
  say("columns and importances", `${worked.toFixed(1)} s`)
  const [html, written] = await seconds(() => Effect.runPromise(Html.of(Report.of([shown], { made: 0 }))))
  const file = join(folder, "report.html")
  writeFileSync(file, html)
  say("page made", `${written.toFixed(1)} s`)
  say("report file", megabytes(html.length), "25 MB")

  if (Browser.executable === undefined) throw new Error(Browser.absent)
  const browser = await Browser.launch(Browser.executable)
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } })
    say(
      "opened, the first chart drawn",
      await three(async () => {
        await page.goto("about:blank")
        await page.goto(`file://${file}`, { waitUntil: "commit" })
        await until(page, "", "document.querySelector('#best .canvas[data-drawn]')")
        return page.evaluate<number>("performance.now()")
      }),
      "2,000 ms"
    )
    await page.evaluate("document.getElementById('trials').scrollIntoView()")
    // What is out of sight is updated a moment later.
    await page.waitForSelector(".trials")
    let part = 0
    say(
      "table scrolled to elsewhere",
      await three(() => {
        part += 0.25
        return until(
          page,
          `const trials = document.querySelector('.trials'), at = ${part} * (trials.scrollHeight - trials.clientHeight); trials.scrollTop = at`,
          "Math.abs(Number(trials.querySelector('[role=rowgroup] .row')?.getAttribute('aria-rowindex')) - at / 30) < 40"
        )
      })
    )
    await page.evaluate("scrollTo(0, 0)")
    const filter = (expression: string, drawn: boolean) =>
      until(
        page,
        `const input = document.getElementById('where'), chart = document.querySelector('#best .canvas'), before = document.getElementById('count').textContent, was = chart.dataset.drawn; input.value = ${JSON.stringify(expression)}; input.dispatchEvent(new Event('input', { bubbles: true }))`,
        `document.getElementById('count').textContent !== before${drawn ? " && chart.dataset.drawn !== was" : ""}`
      )
    let least = 0
    say(
      "filter, until the table and the counts have it",
      await three(() => filter(`trial >= ${(least += trials / 100)} and 1.operator != Conv`, false)),
      "100 ms"
    )
    say("filter, until the chart is drawn, too", await three(() => filter(`trial >= ${(least += trials / 100)}`, true)))
    await filter("", true)
    const canvas = page.locator("#parallel .canvas")
    await canvas.scrollIntoViewIfNeeded()
    await until(page, "", "document.querySelector('#parallel .canvas[data-drawn]')")
    const box = await canvas.boundingBox()
    if (box === null) throw new Error("the parallel coordinates are not there")
    const x = box.x + box.width - 60
    let top = 60
    say(
      "brush of an axis, until the table and the counts have it",
      await three(async () => {
        top += 15
        await page.mouse.move(x, box.y + top)
        await page.mouse.down()
        await page.mouse.move(x, box.y + top + 60, { steps: 5 })
        await page.evaluate(
          "window.brushed = (async () => { await new Promise((go) => addEventListener('mouseup', go, { once: true, capture: true })); const began = performance.now(), before = document.getElementById('count').textContent; while (document.getElementById('count').textContent === before) await new Promise(requestAnimationFrame); return performance.now() - began })(); 0"
        )
        await page.mouse.up()
        return page.evaluate<number>("brushed")
      }),
      "100 ms"
    )
    await page.close()

    // Live: a search with trials of a few milliseconds, with the dashboard open throughout.
    const live = join(folder, "live.db")
    await Effect.runPromise(
      Effect.gen(function* () {
        const searching = yield* Effect.forkChild(
          Effect.provide(search(followed, 4), Journal.sqlite(live, { durability: "process" })),
          { startImmediately: true }
        )
        while (!existsSync(live)) yield* Effect.sleep(20)
        const { url } = yield* Dashboard.serve(
          {
            list: Effect.succeed({ runs: [{ name: "live", state: "running" }], problems: [] }),
            open: () =>
              Effect.map(Follow.make(live), (following) => ({
                following,
                about: () => Effect.succeed({ name: "live", state: "running" } as const)
              })),
            detail: () => Effect.succeed("There is none.")
          },
          { port: 0 }
        )
        const page = yield* Effect.promise(() => browser.newPage({ viewport: { width: 1400, height: 900 } }))
        yield* Effect.promise(() => page.goto(url))
        const count = () =>
          page.evaluate<number>("Number((document.querySelector('.facts b')?.textContent ?? '0').replace(/\\D/g, ''))")
        const began = performance.now()
        yield* Fiber.join(searching)
        const took = (performance.now() - began) / 1000
        const ended = performance.now()
        const { entries } = yield* Journal.read(live)
        const all = Journal.countTrials(entries)
        yield* Effect.promise(async () => {
          for (let i = 0; i < 3000 && (await count()) !== all; i++) await new Promise((go) => setTimeout(go, 10))
        })
        const late = performance.now() - ended
        say(
          `dashboard over a search of ${followed.toLocaleString("en")} trials (${took.toFixed(0)} s)`,
          `${(yield* Effect.promise(count)).toLocaleString("en")} of ${all.toLocaleString("en")} trials shown`,
          "all"
        )
        say("the last trial is shown after it ended", `${late.toFixed(0)} ms`, "1,000 ms")
        const session = yield* Effect.promise(() => page.context().newCDPSession(page))
        yield* Effect.promise(() => session.send("HeapProfiler.collectGarbage"))
        const { usedSize } = yield* Effect.promise(() => session.send("Runtime.getHeapUsage"))
        say("memory of its page's scripts", megabytes(usedSize))
        say("memory of its page's process", megabytes(largestRenderer()), "500 MB")
        // One trial at a time, in the way that long trainings end.
        const waits: Array<number> = []
        yield* Effect.gen(function* () {
          const journal = yield* Journal.Journal
          const identity = yield* Effect.map(Journal.read(live), ({ identity }) => identity)
          yield* journal.open(identity)
          const [last] = entries.slice(-1)
          for (let i = 0; i < 5; i++) {
            const trial = last.entry.trial + 1 + i
            yield* journal.append({ _tag: "Refused", trial, hash: `${trial}`, point: null, why: "to be seen" })
            const stored = performance.now()
            yield* Effect.promise(async () => {
              while ((await count()) !== all + i + 1) await new Promise((go) => setTimeout(go, 5))
            })
            waits.push(performance.now() - stored)
          }
        }).pipe(Effect.provide(Journal.sqlite(live, { existing: "resume", durability: "process" })))
        say(
          "a trial is shown after it is stored",
          `${median(waits).toFixed(0)} ms (at most ${Math.max(...waits).toFixed(0)} ms)`,
          "1,000 ms"
        )
      }).pipe(Effect.scoped)
    )
  } finally {
    await browser.close()
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** The resident memory of the browser's largest renderer process. */
function largestRenderer(): number {
  const pids = execFileSync("sh", ["-c", "grep -lz -- --type=renderer /proc/[0-9]*/cmdline 2>/dev/null || true"], {
    encoding: "utf8"
  })
  return pids
    .split("\n")
    .flatMap((line) => /\/proc\/(\d+)\//.exec(line)?.[1] ?? [])
    .filter((pid) => existsSync(`/proc/${pid}`))
    .reduce((most, pid) => Math.max(most, resident(Number(pid))), 0)
}

if (given === undefined) {
  const text = [
    "# A report of 100,000 trials, and a dashboard",
    `\`node bench/report.ts\` on ${cpus()[0]?.model ?? "unknown processor"} (${cpus().length} cores), Node ${process.version}; other work ran on the machine. Median of three, and each.`,
    `| what | found | at most |\n| --- | --- | --- |\n${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}`
  ]
  writeFileSync(new URL("results/report.md", import.meta.url), `${text.join("\n\n")}\n`)
}

/** The page: a form, the search's progress, its results, and its journal as a file. */
import type initSqlJs from "sql.js"
import { type Options, strategies, type Told } from "./search.ts"

type Finished = Extract<Told, { tag: "Finished" }>

const element = <T extends HTMLElement>(id: string, kind: new () => T): T => {
  const found = document.querySelector(`#${id}`)
  if (!(found instanceof kind)) throw new Error(`the page has no #${id}`)
  return found
}

const form = element("form", HTMLFormElement)
const start = element("start", HTMLButtonElement)
const stop = element("stop", HTMLButtonElement)
const download = element("download", HTMLButtonElement)
const bar = element("bar", HTMLProgressElement)
const status = element("status", HTMLElement)
const best = element("best", HTMLElement)
const rows = element("rows", HTMLTableSectionElement)
const chosen = element("strategy", HTMLSelectElement)
for (const name of strategies) chosen.add(new Option(name))

const percent = (share: number) => `${(100 * share).toFixed(1)}%`
const time = (seconds: number) => {
  const whole = Math.round(seconds)
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`
}

/** The digits, in a compressed file next to the page. */
const digits = async (): Promise<Uint8Array> => {
  const { body, ok } = await fetch("digits.bin")
  if (!ok || body === null) throw new Error("the digits beside this page could not be read")
  return new Uint8Array(await new Response(body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer())
}

let worker: Worker | undefined
let journal: Extract<Told, { tag: "Journal" }>["statements"] = []
let found: Array<Finished> = []

const ended = (said: string) => {
  worker?.terminate()
  worker = undefined
  status.textContent = said
  start.disabled = false
  stop.disabled = true
}

/** The best trials, and all of them in a table. */
const list = () => {
  found.sort((a, b) => b.reward - a.reward || a.trial - b.trial)
  const [first] = found
  if (first !== undefined)
    best.textContent = `Best so far: trial ${first.trial}, ${percent(first.accuracy)} on the validation split, ${(first.macs / 1e6).toFixed(2)} M MACs, reward ${first.reward.toFixed(4)}`
  rows.replaceChildren(
    ...found.map(({ accuracy, line, macs, reward, seconds, trial }) => {
      const row = document.createElement("tr")
      for (const text of [
        String(trial),
        percent(accuracy),
        `${(macs / 1e6).toFixed(2)} M`,
        reward.toFixed(4),
        `${seconds.toFixed(1)} s`,
        line
      ])
        row.insertCell().textContent = text
      return row
    })
  )
}

const follow = (options: Options) => {
  const began = performance.now()
  const running = new Map<number, number>()
  let over = 0
  const show = () => {
    const done = over + [...running.values()].reduce((sum, part) => sum + part, 0)
    const seconds = (performance.now() - began) / 1000
    bar.value = done / options.trials
    const left = done < 0.1 ? "time left unknown" : `${time((seconds / done) * (options.trials - done))} left`
    status.textContent = `${over} of ${options.trials} networks trained, ${left}`
  }
  return (told: Told) => {
    if (told.tag === "Journal") {
      journal = told.statements
      download.disabled = false
    }
    if (told.tag === "Progress") running.set(told.trial, told.done)
    if (told.tag === "Finished" || told.tag === "Failed") {
      running.delete(told.trial)
      over++
    }
    if (told.tag === "Finished") {
      found.push(told)
      list()
    }
    if (told.tag === "Broken") return ended(`The search ended: ${told.why}`)
    if (told.tag === "Done") {
      bar.value = 1
      return ended(`${found.length} networks trained in ${time((performance.now() - began) / 1000)}`)
    }
    show()
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault()
  const given = new FormData(form)
  const options: Options = {
    trials: Number(given.get("trials")),
    strategy: strategies.find((name) => name === given.get("strategy")) ?? "ppo",
    seed: String(given.get("seed"))
  }
  start.disabled = true
  stop.disabled = false
  download.disabled = true
  journal = []
  found = []
  rows.replaceChildren()
  best.textContent = ""
  status.textContent = "Fetching 10,000 digits …"
  const own = (worker = new Worker("worker.js", { type: "module" }))
  const hear = follow(options)
  own.addEventListener("message", ({ data }: MessageEvent<Told>) => own === worker && hear(data))
  own.addEventListener("error", ({ message }) => own === worker && ended(`The search ended: ${message}`))
  digits().then(
    (digits) => own.postMessage({ digits, options }, []),
    (cause: unknown) => ended(String(cause))
  )
})

stop.addEventListener("click", () => ended("Stopped. What is in the journal can be gone on with."))

/** SQLite itself, which is fetched when it is first needed. */
const sqlite = () =>
  new Promise<typeof initSqlJs>((resolve, reject) => {
    const script = document.createElement("script")
    script.src = "sql-wasm-browser.js"
    script.addEventListener("load", () => resolve((globalThis as unknown as { initSqlJs: typeof initSqlJs }).initSqlJs)) // what the script leaves there
    script.addEventListener("error", () => reject(new Error("SQLite, which lies beside this page, could not be read")))
    document.head.append(script)
  })

download.addEventListener("click", () => {
  void (async () => {
    const { Database } = await (await sqlite())()
    const database = new Database()
    for (const { parameters, sql } of journal) database.run(sql, parameters.length === 0 ? undefined : [...parameters])
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([database.export().slice()], { type: "application/vnd.sqlite3" }))
    link.download = "journal.db"
    link.click()
    database.close()
  })().catch((cause: unknown) => {
    status.textContent = String(cause)
  })
})

if (location.protocol === "file:") {
  start.disabled = true
  status.textContent =
    "A browser lets a page that is opened as a file neither fetch the digits nor start a worker: serve the folder, such as by npx serve."
}

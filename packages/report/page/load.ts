/** Where the page's searches come from: from the page itself, or, when live, from the server that sent it. */
import { useEffect, useState } from "preact/hooks"
import {
  Codec,
  type Compared,
  type Detail,
  type Header,
  type Importance,
  type Info,
  Row,
  type Shown,
  Table
} from "./shared.ts"

export interface Loaded {
  readonly made: number
  readonly problems: ReadonlyArray<string>
  readonly runs: ReadonlyArray<Shown>
  readonly live: boolean
  readonly compared: Compared | undefined
}

const unpacked = async (base64: string): Promise<Uint8Array<ArrayBuffer>> => {
  const text = atob(base64.trim())
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

/** The report in the page. The page and its data are made together, so the header was checked there. */
export const embedded = async (base64: string): Promise<Loaded> => {
  const parts = Codec.part(await unpacked(base64))
  if (parts === undefined) throw new Error("The report’s data are damaged. Make it again.")
  const { compared, made, problems, runs } = parts.header as Header // see above
  return {
    made,
    problems,
    compared,
    live: false,
    runs: runs.map(({ details, importances, info, table }) => ({
      info,
      importances,
      details,
      table: Codec.read(table, parts.content)
    }))
  }
}

const json = <A>(path: string): Promise<A> =>
  fetch(path).then((answer) =>
    answer.ok ? (answer.json() as Promise<A>) : Promise.reject(new Error(answer.statusText))
  ) // our own server's

interface Listed {
  readonly runs: ReadonlyArray<{ readonly name: string; readonly state: Info["state"] }>
  readonly problems: ReadonlyArray<string>
}

const unknown = (name: string, state: Info["state"]): Info => ({
  name,
  state,
  begun: null,
  asked: null,
  strategy: "",
  seed: "",
  decides: null,
  measures: [],
  objectives: [],
  bounds: [],
  rungs: [],
  settings: [],
  notes: [],
  replay: null
})

/** The searches in the server's folder; the selected one completely, as it grows. */
export const useLive = (run: number): Loaded => {
  const [list, setList] = useState<Listed>({ runs: [], problems: [] })
  const [shown, setShown] = useState<{ readonly name: string; readonly run: Shown } | undefined>()
  const [problem, setProblem] = useState("")
  const name = list.runs[run]?.name
  useEffect(() => {
    const look = () =>
      json<Listed>("api/runs").then(
        (found) => setList((before) => (JSON.stringify(before) === JSON.stringify(found) ? before : found)),
        () =>
          setList((before) => ({
            ...before,
            problems: ["The dashboard does not answer: it was stopped, or the machine cannot be reached."]
          }))
      )
    void look()
    const timer = setInterval(look, 5000)
    return () => clearInterval(timer)
  }, [])
  useEffect(() => {
    if (name === undefined) return
    const path = `api/runs/${encodeURIComponent(name)}`
    setProblem("")
    const rows = new Map<number, Row.Row>()
    let info = unknown(name, "running")
    let importances: ReadonlyArray<Importance> = []
    let known = 0
    let ready = false
    let timer = 0
    let took = 0
    let shownAt = 0
    const ask = () => {
      known = rows.size
      void json<ReadonlyArray<Importance>>(`${path}/importance`).then(
        (found) => {
          importances = found
          soon()
        },
        () => {}
      )
    }
    const show = () => {
      timer = 0
      const began = performance.now()
      setShown({ name, run: { info, importances, details: [], table: Table.of([...rows.values()]) } })
      shownAt = performance.now()
      took = shownAt - began
      // Results that are expensive to compute are requested again once there is a fifth more data.
      if (rows.size >= 1.2 * known + 5) ask()
    }
    // A single update is shown at once; a series of updates a few times a second, less often the longer it takes.
    const soon = () => {
      if (!ready || timer !== 0) return
      const rest = shownAt + Math.min(5000, 100 + took) - performance.now()
      timer = window.setTimeout(show, Math.max(20, rest))
    }
    const source = new EventSource(`${path}/events`)
    const hear = (kind: string, act: (data: string) => void) =>
      source.addEventListener(kind, (event) => {
        act(event instanceof MessageEvent ? String(event.data) : "")
        soon()
      })
    hear("info", (data) => {
      info = JSON.parse(data) as Info // our own server's
    })
    hear("rows", (data) => {
      for (const row of JSON.parse(data) as ReadonlyArray<Row.Row>) rows.set(row.trial, row) // our own server's
    })
    hear("anew", () => rows.clear())
    source.addEventListener("error", () => {
      // A request that the server refused is not tried again: the server says why.
      if (source.readyState !== EventSource.CLOSED) return
      void fetch(`${path}/events`).then(
        async (answer) => setProblem(answer.ok ? "" : (await answer.text()).trim()),
        () => {}
      )
    })
    hear("ready", () => {
      ready = true
    })
    return () => {
      source.close()
      clearTimeout(timer)
    }
  }, [name])
  const empty = Table.of([])
  return {
    made: Date.now(),
    problems: problem === "" ? list.problems : [...list.problems, problem],
    live: true,
    compared: undefined,
    runs: list.runs.map(({ name, state }) =>
      shown !== undefined && shown.name === name
        ? shown.run
        : { info: unknown(name, state), importances: [], details: [], table: empty }
    )
  }
}

/** The server's answer about a trial's network; `undefined` until it arrives, a sentence if it cannot say. */
export const useDetail = (live: boolean, run: string, trial: number | null): Detail | string | undefined => {
  const [found, setFound] = useState<{ readonly key: string; readonly detail: Detail | string } | undefined>()
  const key = `${run} ${trial}`
  useEffect(() => {
    if (!live || trial === null || run === "") return
    let wanted = true
    json<Detail | string>(`api/runs/${encodeURIComponent(run)}/trials/${trial}`).then(
      (detail) => wanted && setFound({ key, detail }),
      () => wanted && setFound({ key, detail: "Its blocks could not be loaded." })
    )
    return () => {
      wanted = false
    }
  }, [live, key])
  return found?.key === key ? found.detail : live ? "Its blocks are being computed." : undefined
}

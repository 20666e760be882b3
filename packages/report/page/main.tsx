/** The page: which views of a search are shown, and for which trials. */
import * as Result from "effect/Result"
import { type ComponentType, render } from "preact"
import { useEffect, useMemo, useRef, useState } from "preact/hooks"
import * as Address from "./address.ts"
import { themed } from "./chart.tsx"
import { plural } from "./format.ts"
import { embedded, type Loaded, useDetail, useLive } from "./load.ts"
import { bestFirst, type Brush, type Seen, trialOf, valued, worths } from "./seen.tsx"
import { Filter, Row, type Shown, Table } from "./shared.ts"
import { Apart } from "./views/Apart.tsx"
import { BestSoFar } from "./views/BestSoFar.tsx"
import { Curves } from "./views/Curves.tsx"
import { Distribution } from "./views/Distribution.tsx"
import { Importances } from "./views/Importances.tsx"
import { Parallel } from "./views/Parallel.tsx"
import { Pareto } from "./views/Pareto.tsx"
import { Proposals } from "./views/Proposals.tsx"
import { Searches } from "./views/Searches.tsx"
import { Slice } from "./views/Slice.tsx"
import { Trial } from "./views/Trial.tsx"
import { Trials } from "./views/Trials.tsx"
import { Workers } from "./views/Workers.tsx"

/** The rows that remain after the filter, the states and the brush. */
const select = (
  table: Table.Table,
  predicate: Filter.Predicate,
  states: ReadonlyArray<Row.State>,
  brush: Brush
): Int32Array => {
  const state = Table.column("state")(table)
  const codes = state?.kind === "category" ? state.codes : undefined
  const shown = ["", ...Row.states].map((name) => states.some((each) => each === name))
  const ranges = Object.entries(brush).flatMap(([name, ranges]) => {
    const of = Table.column(name)(table)
    return of === undefined ? [] : [{ of, ranges }]
  })
  const found = new Int32Array(table.size)
  let n = 0
  for (let row = 0; row < table.size; row++) {
    if (shown[codes?.[row] ?? 0] !== true || !predicate(row)) continue
    if (
      !ranges.every(({ of, ranges }) => {
        const value = of.kind === "category" ? (of.codes[row] ?? 0) : Table.number(row)(of)
        return ranges.some(([from, to]) => from <= value && value <= to)
      })
    )
      continue
    found[n++] = row
  }
  return found.slice(0, n)
}

type Entry = readonly [id: string, title: string, view: ComponentType<Seen>, wide: boolean]

const all: readonly [Entry, ...ReadonlyArray<Entry>] = [
  ["best", "Best so far", BestSoFar, true],
  ["front", "Pareto front", Pareto, false],
  ["importance", "What matters", Importances, false],
  ["trials", "Trials", Trials, true],
  ["parallel", "Choices and results", Parallel, true],
  ["curves", "Learning curves", Curves, false],
  ["distribution", "Distribution of results", Distribution, false],
  ["proposals", "Proposals over time", Proposals, false],
  ["slice", "Results by choice", Slice, false],
  ["workers", "Work over time", Workers, false],
  ["apart", "How far apart the best are", Apart, false],
  ["compared", "Searches compared", Searches, true]
]

/**
 * A view: updated immediately while it is visible, and a moment later if it is not. With 100,000 trials each view takes tens of
 * milliseconds to compute, and filtering should respond at once. So when the rows change, only the table is computed together with the
 * count, and the charts in the next frame.
 */
const Section = ({ at, seen }: { readonly at: number; readonly seen: Seen }) => {
  const [id, , View] = all[at] ?? all[0]
  const place = useRef<HTMLDivElement>(null)
  const inSight = useRef(at === 0)
  const latest = useRef(seen)
  latest.current = seen
  const [given, setGiven] = useState<Seen | undefined>()
  useEffect(() => {
    const element = place.current
    if (element === null) return
    const watching = new IntersectionObserver(
      ([entry]) => {
        inSight.current = entry?.isIntersecting === true
        if (inSight.current) setGiven(latest.current)
      },
      { rootMargin: "100px" }
    )
    watching.observe(element)
    return () => watching.disconnect()
  }, [])
  useEffect(() => {
    // An effect runs when the frame is drawn.
    const timer = setTimeout(() => setGiven(latest.current), inSight.current ? 0 : 150 + 60 * at)
    return () => clearTimeout(timer)
  }, [seen])
  const isAtOnce = id === "trials" || given === undefined || given.rows === seen.rows
  const now = inSight.current && isAtOnce ? seen : given
  const drawn = useMemo(() => (now === undefined ? <p class="awaited">One moment.</p> : <View {...now} />), [now])
  return <div ref={place}>{drawn}</div>
}

const Facts = ({ run }: { readonly run: Shown }) => {
  const { info, table } = run
  const state = Table.column("state")(table)
  const count = (of: Row.State) =>
    state?.kind === "category" ? state.codes.reduce((sum, code) => sum + Number(state.labels[code - 1] === of), 0) : 0
  const decides = info.decides ?? worths(run)[0] ?? "reward"
  const rows = Int32Array.from({ length: table.size }, (_, i) => i)
  const best = useMemo(() => bestFirst(run, rows, "reward", 1)[0], [table])
  const values = Table.numbers(decides)(table)
  return (
    <ul class="facts">
      <li>
        {info.state}
        {info.strategy === "" ? "" : `, by ${info.strategy}, seed ${info.seed}`}
      </li>
      <li>
        <b>{plural(table.size, "trial")}</b>
        {info.asked === null ? "" : ` of ${info.asked.toLocaleString("en")} requested`}
        {Row.states.flatMap((each) => (count(each) > 0 ? [`, ${count(each).toLocaleString("en")} ${each}`] : []))}
      </li>
      {best === undefined ? null : (
        <li>
          best: <b>trial {trialOf(table, best)}</b>
          {values === undefined ? "" : `, ${decides} ${valued(info, decides, values[best] ?? NaN)}`}, reward{" "}
          {valued(info, "reward", Table.numbers("reward")(table)?.[best] ?? NaN)}
        </li>
      )}
      {info.begun === null ? null : <li>started {new Date(info.begun).toLocaleString()}</li>}
    </ul>
  )
}

const themes = ["system", "light", "dark"] as const

const App = ({
  loaded,
  view,
  setView
}: {
  readonly loaded: Loaded
  readonly view: Address.View
  readonly setView: (change: (view: Address.View) => Address.View) => void
}) => {
  const { compared, live, made, problems, runs } = loaded
  const run = runs[Math.min(view.run, runs.length - 1)]
  const [brush, setBrush] = useState<Brush>({})
  const [theme, setTheme] = useState<(typeof themes)[number]>(themes[0])
  const asked = useDetail(live, run?.info.name ?? "", view.trial)
  const table = run?.table
  const parsed = useMemo(() => (table === undefined ? undefined : Filter.parse(table)(view.where)), [table, view.where])
  // With an error in it nothing is filtered, and the error is shown.
  const predicate = parsed !== undefined && Result.isSuccess(parsed) ? parsed.success : undefined
  const states = view.states.join()
  const unbrushed = useMemo(
    () => (table === undefined ? new Int32Array() : select(table, predicate ?? (() => true), view.states, {})),
    [table, predicate, states]
  )
  const rows = useMemo(
    () =>
      table === undefined || Object.keys(brush).length === 0
        ? unbrushed
        : select(table, predicate ?? (() => true), view.states, brush),
    [unbrushed, brush]
  )
  const sections = compared === undefined ? all.filter(([id]) => id !== "compared") : all
  // Counting the states of 100,000 trials takes as long as a filter does.
  const facts = useMemo(() => (run === undefined ? null : <Facts run={run} />), [run])
  useEffect(() => {
    if (theme === themes[0]) delete document.documentElement.dataset["theme"]
    else document.documentElement.dataset["theme"] = theme
    themed.dispatchEvent(new Event("change"))
  }, [theme])
  useEffect(() => {
    document.title = run === undefined ? "Searches" : `${run.info.name}: a search`
  }, [run?.info.name])
  const set = (change: Partial<Address.View>) => setView((before) => ({ ...before, ...change }))
  const says = [...problems, ...(run?.info.notes ?? [])]
  const notes =
    says.length === 0 ? null : (
      <div class="notes" role="note">
        {says.map((each) => (
          <p>{each}</p>
        ))}
      </div>
    )
  if (run === undefined || table === undefined)
    return (
      <header class="top">
        <h1>Searches</h1>
        {notes ?? <p>There is no search to show{live ? " yet" : ""}.</p>}
      </header>
    )
  const seen: Seen = {
    run,
    rows,
    unbrushed,
    view,
    set,
    choose: (key, value) => setView((before) => ({ ...before, of: { ...before.of, [key]: value } })),
    open: (trial) => set({ trial }),
    brush,
    setBrush,
    runs,
    compared
  }
  const problem = parsed !== undefined && Result.isFailure(parsed) ? parsed.failure : undefined
  return (
    <>
      <header class="top">
        <h1>{run.info.name}</h1>
        {facts}
        {notes}
        <nav aria-label="Views">
          {[...sections, ["trial", "One trial"] as const].map(([id, title]) => (
            <button type="button" onClick={() => document.getElementById(id)?.scrollIntoView()}>
              {title}
            </button>
          ))}
        </nav>
      </header>
      <div class="bar-top">
        <form role="search" onSubmit={(event) => event.preventDefault()}>
          {runs.length < 2 ? null : (
            <label>
              Search{" "}
              <select
                value={String(runs.indexOf(run))}
                onChange={({ currentTarget }) => {
                  setBrush({})
                  set({ run: Number(currentTarget.value), trial: null })
                }}
              >
                {runs.map(({ info }, i) => (
                  <option value={String(i)}>{info.name}</option>
                ))}
              </select>
            </label>
          )}
          <label class="where">
            Filter
            <input
              type="text"
              id="where"
              value={view.where}
              spellcheck={false}
              autocomplete="off"
              placeholder={`such as ${run.info.decides ?? "reward"} > 0.9 and state = finished`}
              aria-invalid={problem !== undefined}
              aria-describedby="count"
              onInput={({ currentTarget }) => set({ where: currentTarget.value })}
            />
          </label>
          {Row.states.map((state) => (
            <label class="check">
              <input
                type="checkbox"
                checked={view.states.includes(state)}
                onChange={({ currentTarget }) =>
                  set({
                    states: Row.states.filter((each) =>
                      each === state ? currentTarget.checked : view.states.includes(each)
                    )
                  })
                }
              />
              {state}
            </label>
          ))}
          <span id="count" role="status">
            {plural(rows.length, "trial")} of {table.size.toLocaleString("en")}
          </span>
          {Object.keys(brush).length === 0 ? null : (
            <button type="button" onClick={() => setBrush({})}>
              Clear the brush
            </button>
          )}
          <label>
            Theme{" "}
            <select
              value={theme}
              onChange={({ currentTarget }) =>
                setTheme(themes.find((each) => each === currentTarget.value) ?? themes[0])
              }
            >
              {themes.map((each) => (
                <option value={each}>{each}</option>
              ))}
            </select>
          </label>
          {problem === undefined ? null : (
            <p class="problem" role="alert">
              {problem}.
            </p>
          )}
        </form>
      </div>
      <main>
        <div class="views">
          {sections.map(([id, title, , wide], at) => (
            <section id={id} key={id} class={wide ? "wide" : ""} aria-labelledby={`${id}-title`}>
              <h2 id={`${id}-title`}>{title}</h2>
              <Section at={at} seen={seen} />
              {id === "trials" ? (
                <div id="trial" style={{ marginTop: "1rem" }}>
                  <h2>One trial</h2>
                  <Trial {...seen} asked={asked} />
                </div>
              ) : null}
            </section>
          ))}
        </div>
        <details>
          <summary>Settings that decide its results</summary>
          <table>
            <tbody>
              {run.info.settings.map(([name, value]) => (
                <tr>
                  <th scope="row">{name}</th>
                  <td>{value}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
        <p class="summary">
          {live ? "Live." : `Made ${new Date(made).toLocaleString()}.`} This page loads nothing from outside{" "}
          {live ? "this machine" : "this file"}.
        </p>
      </main>
    </>
  )
}

/** The view and its address. */
const useView = () => {
  const [view, setView] = useState(() => Address.parse(location.hash))
  const known = useRef(location.hash)
  useEffect(() => {
    const hear = () => {
      known.current = location.hash
      setView(Address.parse(location.hash))
    }
    addEventListener("hashchange", hear)
    // Effects run after the first frame: nothing listened for an address followed before that.
    if (location.hash !== known.current) hear()
    return () => removeEventListener("hashchange", hear)
  }, [])
  useEffect(() => {
    // Browsers refuse updates that come too often.
    const timer = setTimeout(() => {
      const wanted = Address.print(view)
      // A link that was followed a moment ago is handled next.
      if (wanted === location.hash || location.hash !== known.current) return
      history.replaceState(null, "", wanted === "#" ? location.pathname + location.search : wanted)
      known.current = location.hash
    }, 200)
    return () => clearTimeout(timer)
  }, [view])
  return [view, setView] as const
}

const Still = ({ loaded }: { readonly loaded: Loaded }) => {
  const [view, setView] = useView()
  return <App loaded={loaded} view={view} setView={setView} />
}

const Live = () => {
  const [view, setView] = useView()
  return <App loaded={useLive(view.run)} view={view} setView={setView} />
}

const root = document.getElementById("root")
const data = document.getElementById("report")
if (root !== null && data !== null) {
  root.textContent = ""
  if (data.dataset["live"] !== undefined) {
    render(<Live />, root)
    document.body.dataset["ready"] = "yes"
  } else
    embedded(data.textContent).then(
      (loaded) => {
        // The text of a large report is no longer needed.
        data.remove()
        render(<Still loaded={loaded} />, root)
        document.body.dataset["ready"] = "yes"
      },
      (cause: unknown) => {
        root.textContent = cause instanceof Error ? cause.message : String(cause)
        document.body.dataset["ready"] = "yes"
      }
    )
}

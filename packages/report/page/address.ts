/** The current view, stored in the address after `#`, so that a link leads to the same view. */
import { Row } from "./shared.ts"

export interface View {
  /** The index of the run. */
  readonly run: number
  /** The filter's expression. */
  readonly where: string
  /** States that are shown. */
  readonly states: ReadonlyArray<Row.State>
  /** The table's order: a column's name, with `-` in front for descending. */
  readonly sort: string
  /** The table's columns; empty for the default ones. */
  readonly columns: ReadonlyArray<string>
  /** The selected trial, if any. */
  readonly trial: number | null
  /** What each view shows, by view. */
  readonly of: Readonly<Record<string, string>>
}

export const first: View = {
  run: 0,
  where: "",
  states: ["finished", "stopped early", "running"],
  sort: "trial",
  columns: [],
  trial: null,
  of: {}
}

const own = new Set(["run", "where", "states", "sort", "columns", "trial"])
const isState = (text: string): text is Row.State => Row.states.some((state) => state === text)
const list = (text: string | null) => (text === null || text === "" ? [] : text.split("|"))

/** The view in an address; anything not given has its default. */
export const parse = (hash: string): View => {
  const given = new URLSearchParams(hash.replace(/^#/, ""))
  const trial = given.get("trial")
  return {
    run: Math.max(0, Math.trunc(Number(given.get("run") ?? 0)) || 0),
    where: given.get("where") ?? "",
    states: given.has("states") ? list(given.get("states")).filter(isState) : first.states,
    sort: given.get("sort") ?? first.sort,
    columns: list(given.get("columns")),
    trial: trial !== null && /^\d+$/.test(trial) ? Number(trial) : null,
    of: Object.fromEntries([...given].filter(([key]) => !own.has(key)))
  }
}

/** The address of a view, with everything that differs from the defaults. */
export const print = (view: View): string => {
  const out = new URLSearchParams()
  if (view.run !== 0) out.set("run", String(view.run))
  if (view.where !== "") out.set("where", view.where)
  if (view.states.join() !== first.states.join()) out.set("states", view.states.join("|"))
  if (view.sort !== first.sort) out.set("sort", view.sort)
  if (view.columns.length > 0) out.set("columns", view.columns.join("|"))
  if (view.trial !== null) out.set("trial", String(view.trial))
  for (const [key, value] of Object.entries(view.of)) out.set(key, value)
  return `#${out}`
}

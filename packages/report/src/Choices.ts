/**
 * The choices of points as columns, from their JSON alone: every position in it is a choice, named by its path (`stages.0.operator`). A
 * position that some points lack is a choice that depends on others, and is empty there.
 */

/** For points with more positions than this, only the first ones become columns. */
const most = 400

const visit = (value: unknown, path: string, found: Map<string, string>) => {
  if (found.size >= most) return
  if (typeof value === "object" && value !== null)
    for (const [key, below] of Object.entries(value)) visit(below, path === "" ? key : `${path}.${key}`, found)
  else found.set(path === "" ? "point" : path, typeof value === "string" ? value : JSON.stringify(value))
}

/** A live page rebuilds its columns from the same points several times a second. */
const known = new WeakMap<object, ReadonlyMap<string, string>>()

/** A point's choices by path, as texts. */
export const of = (point: unknown): ReadonlyMap<string, string> => {
  const before = typeof point === "object" && point !== null ? known.get(point) : undefined
  if (before !== undefined) return before
  const found = new Map<string, string>()
  if (point !== null && point !== undefined) visit(point, "", found)
  if (typeof point === "object" && point !== null) known.set(point, found)
  return found
}

const isNumber = (label: string) => label.trim() !== "" && Number.isFinite(Number(label))

/** Options in display order: numbers ascending, other texts alphabetically. */
export const ordered = (labels: Iterable<string>): ReadonlyArray<string> => {
  const all = [...labels]
  return all.every(isNumber)
    ? all.sort((a, b) => Number(a) - Number(b))
    : all.sort((a, b) => Number(isNumber(b)) - Number(isNumber(a)) || (a < b ? -1 : Number(a > b)))
}

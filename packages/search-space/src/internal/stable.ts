/**
 * JSON text with the keys of every object sorted, so that equal values have the same text (and the same hash)
 * whatever order their keys were written in. Keys whose value is `undefined` are left out, as in JSON.
 */
export const stableStringify = (value: unknown): string => {
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value)
  if (typeof value === "string") return quote(value)
  if (Array.isArray(value)) {
    let out = "["
    for (let i = 0; i < value.length; i++) out += (i === 0 ? "" : ",") + stableStringify(value[i])
    return out + "]"
  }
  if (isRecord(value)) {
    const known = texts.get(value)
    if (known !== undefined) return known
    let out = "{"
    for (const key of Object.keys(value).sort()) {
      const item = value[key]
      if (item !== undefined) out += (out === "{" ? "" : ",") + quote(key) + ":" + stableStringify(item)
    }
    return out + "}"
  }
  return quote(String(value))
}

const texts = new WeakMap<object, string>()

/** Remembers the text of a deeply frozen value: most values that are hashed come from a table. */
export const remember = (value: object, text: string): void => {
  texts.set(value, text)
}

/** A string in JSON; plain words, such as most keys and names, need no escaping and are the most frequent case. */
const quote = (text: string): string => (plain.test(text) ? `"${text}"` : JSON.stringify(text))

const plain = /^[\w .-]*$/

/**
 * The first place where two JSON-like values differ, as a path and the two values there; `undefined` if they agree. Numbers agree if they differ by at most
 * `tolerance` times the larger one.
 */
export const firstDifference = (
  expected: unknown,
  actual: unknown,
  tolerance = 0,
  path: ReadonlyArray<string | number> = []
):
  | { readonly path: ReadonlyArray<string | number>; readonly expected: unknown; readonly actual: unknown }
  | undefined => {
  if (Object.is(expected, actual)) return undefined
  if (
    tolerance > 0 &&
    typeof expected === "number" &&
    typeof actual === "number" &&
    Math.abs(expected - actual) <= tolerance * Math.max(Math.abs(expected), Math.abs(actual))
  ) {
    return undefined
  }
  if (isRecord(expected) && isRecord(actual) && Array.isArray(expected) === Array.isArray(actual)) {
    const keys = [...new Set([...Object.keys(expected), ...Object.keys(actual)])]
    for (const key of keys) {
      const step = Array.isArray(expected) ? Number(key) : key
      const found = firstDifference(expected[key], actual[key], tolerance, [...path, step])
      if (found !== undefined) return found
    }
    return undefined
  }
  return { path, expected, actual }
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null

/** `stages[0].operator`, as a person would write it; `(root)` for the empty path. */
export const showPath = (path: ReadonlyArray<string | number>): string => {
  if (path.length === 0) return "(root)"
  let out = ""
  for (const step of path) out += typeof step === "number" ? `[${step}]` : (out === "" ? "" : ".") + step
  return out
}

export const showValue = (value: unknown): string =>
  value === undefined ? "nothing" : typeof value === "bigint" ? `${value}` : stableStringify(value)

/** Values as Python source. JSON strings and numbers are valid Python. */

/** A list of literals, broken into lines of at most 100 characters. */
export const list = (values: ReadonlyArray<string | number>): string => {
  if (values.length > 9 && values.every((value, i) => value === String(i)))
    return `[str(i) for i in range(${values.length})]`
  const literals = values.map((value) => JSON.stringify(value))
  const whole = `[${literals.join(", ")}]`
  if (whole.length <= 90) return whole
  const lines: Array<string> = []
  let last = ""
  for (const literal of literals) {
    if (last.length + literal.length > 94) {
      lines.push(last)
      last = `${literal},`
    } else last = last === "" ? `${literal},` : `${last} ${literal},`
  }
  lines.push(last)
  return `[\n${lines.map((line) => `    ${line}`).join("\n")}\n]`
}

/** Texts by name. */
export const dictionary = (entries: Readonly<Record<string, string>>): string => {
  const lines = Object.entries(entries).map(([name, value]) => `    ${JSON.stringify(name)}: ${JSON.stringify(value)},`)
  return lines.length === 0 ? "{}" : `{\n${lines.join("\n")}\n}`
}

/** Text to be placed between triple double quotes. */
export const docstring = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"')

/** Any JSON as a raw multi-line string that `json.loads` reads. */
export const json = (value: unknown): string => {
  const text = JSON.stringify(value, null, 1)
    .replace(/\n\s*/g, " ")
    // One line for every object in a list; the content of strings is unchanged.
    .replace(/"(?:[^"\\]|\\.)*"|[[,] \{/g, (found) => (found.startsWith('"') ? found : `${found[0]}\n  {`))
  // Three quotes in a row would end the string: in JSON, a quote can be written by its code.
  return `r'''\n${text.replace(/'/g, "\\u0027")}\n'''`
}

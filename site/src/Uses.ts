/** Which of the documentation's examples use a function: its page shows the shortest, where it has none of its own. */
import * as Examples from "../../tools/src/Examples.ts"
import type { Export } from "./Check.ts"

/** What an example's code calls things by: from where, and under which name there. */
interface Imported {
  readonly module: string
  readonly name: string
  readonly local: string
}

const importedBy = (code: string): ReadonlyArray<Imported> =>
  [...code.matchAll(/^import \{([^}]*)\} from "([^"]+)"/gm)].flatMap(([, names = "", module = ""]) =>
    names.split(",").flatMap((one) => {
      const [name = "", local = name] = one
        .replace(/\btype\b/, "")
        .trim()
        .split(/\s+as\s+/)
      return name === "" ? [] : [{ module, name, local }]
    })
  )

const escaped = (text: string) => text.replaceAll("$", "\\$")

/** Whether code uses what a module exports under a name. */
const uses = (imports: ReadonlyArray<Imported>, code: string, { module, name }: Export): boolean => {
  const [first = "", ...rest] = name.split(".")
  return imports.some(
    (imported) =>
      imported.module === module &&
      imported.name === first &&
      new RegExp(`(?<![.\\w])${[imported.local, ...rest].map(escaped).join("\\.")}(?!\\w)`).test(code)
  )
}

/** The shortest of the examples that are run for each export that one uses. */
export const of = (exports: ReadonlyArray<Export>): ReadonlyMap<Export, Examples.Example> => {
  const found = new Map<Export, Examples.Example>()
  const examples = Examples.all()
    .filter(({ isLong }) => !isLong)
    .toSorted((a, b) => a.code.length - b.code.length)
  for (const example of examples) {
    const imports = importedBy(example.code)
    const body = example.code.replaceAll(/^import .*$/gm, "")
    for (const one of exports) if (!found.has(one) && uses(imports, body, one)) found.set(one, example)
  }
  return found
}

/** Where an example stands, in words. */
export const placeOf = ({ file }: Examples.Example): string =>
  file.endsWith("README.md")
    ? `the README of ${file === "README.md" ? "all" : file.split("/")[1]}`
    : file.endsWith(".md")
      ? "a guide"
      : `the comment of ${file.split("/").at(-1)?.replace(".ts", "")}`

/** A search's results depend on no function whose last bits JavaScript leaves to the engine. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { parseAst } from "rolldown/parseAst"

const packages = new URL("../../packages/", import.meta.url)

/** Engines that use other people's code, and what is compiled for them: their numbers depend on the processor anyway. */
const others = ["onnx", "runtime", "runtime-tfjs"]

/** What ECMAScript specifies to the bit: constants, and operations with a single correct result. */
const exact =
  /^(?:E|LN2|LN10|LOG2E|LOG10E|PI|SQRT1_2|SQRT2|abs|ceil|clz32|floor|fround|imul|max|min|round|sign|sqrt|trunc)$/

const isLiteral = (node: unknown): boolean =>
  typeof node === "object" &&
  node !== null &&
  "type" in node &&
  (node.type === "Literal" || (node.type === "UnaryExpression" && "argument" in node && isLiteral(node.argument)))

/** The unspecified operations in a part of a program. */
const found = (node: unknown): ReadonlyArray<string> => {
  if (typeof node !== "object" || node === null) return []
  if (Array.isArray(node)) return node.flatMap(found)
  const of: Readonly<Record<string, unknown>> = { ...node }
  const below = (keys: ReadonlyArray<string>) => keys.flatMap((key) => found(of[key]))
  // between two literals the result is fixed as well
  if (of["operator"] === "**" && isLiteral(of["left"]) && isLiteral(of["right"])) return []
  const own = of["operator"] === "**" || of["operator"] === "**=" ? [`${of["operator"]}`] : []
  if (of["type"] === "MemberExpression" && nameOf(of["object"]) === "Math") {
    const name = of["computed"] === true ? "[…]" : `${nameOf(of["property"])}`
    return exact.test(name) ? [] : [`Math.${name}`]
  }
  return [...own, ...(nameOf(of) === "Math" ? ["Math"] : []), ...below(Object.keys(of))]
}

const nameOf = (node: unknown): unknown =>
  typeof node === "object" && node !== null && "type" in node && node.type === "Identifier" && "name" in node
    ? node.name
    : undefined

/** Programs that, with comments removed, are worth a closer look. */
const suspicious = /\*\*|\bMath\b(?!\.(?:E|PI|SQRT2|abs|ceil|floor|fround|imul|max|min|round|sign|sqrt|trunc)\b)/

const inText = (text: string): ReadonlyArray<string> => {
  const bare = text.replace(/\/\*[^]*?\*\//g, " ").replace(/(?<=^|\s)\/\/.*/gm, "")
  return suspicious.test(bare) ? found(parseAst(bare, { lang: "ts" })) : []
}

describe("packages that decide what a search finds", () => {
  it.each(readdirSync(packages).filter((name) => !others.includes(name)))(
    "%s leaves exponentials, logarithms, powers and angles to Elementary",
    (name) => {
      const source = new URL(`${name}/src/`, packages)
      const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))
      const all = files.flatMap((file) =>
        inText(readFileSync(new URL(file, source), "utf8")).map((what) => `${file}: ${what}`)
      )
      assert.deepStrictEqual(all, [])
    }
  )

  // Checks the checks above: what they would miss.
  it("are looked at closely", () => {
    assert.deepStrictEqual(inText("const y = Math.exp(x) + x ** 2 + 2 ** -55 + Math.sqrt(2) // Math.log"), [
      "Math.exp",
      "**"
    ])
    assert.deepStrictEqual(inText("/** Math.sin */ const { cos } = Math; x **= 2; const t = `x**2`"), ["Math", "**="])
    assert.deepStrictEqual(inText("const f = Math[name], g = Math.max(1, Math.cbrt(x))"), ["Math.[…]", "Math.cbrt"])
  })
})

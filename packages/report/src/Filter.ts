/**
 * Selects trials by an expression: `accuracy > 0.95 and macs < 2M and (stages.0.operator = SA or state != finished)`.
 *
 * A comparison has a column on one side, and on the other a number (with K, M, G, T or %), a word, a quoted text, or another column. A
 * column whose name is not a word is written in `backticks`. The operators are `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` (contains a text,
 * ignoring case) and `!~`, combined with `and`, `or`, `not` and brackets. A column's name alone is true if the column has a value. A
 * comparison with a missing value is never true. Runs in Node and in a browser page.
 */
import * as Result from "effect/Result"
import { type Column, column, type Table, text } from "./Table.ts"

/** Whether a row matches. */
export type Predicate = (row: number) => boolean

type Token =
  | { readonly kind: "word" | "text" | "column" | "sign"; readonly text: string; readonly at: number }
  | { readonly kind: "number"; readonly text: string; readonly value: number; readonly at: number }

const scales: Readonly<Record<string, number>> = { k: 1e3, m: 1e6, g: 1e9, t: 1e12, "%": 0.01 }
const lexemes =
  /\s*(?:(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)([kmgt%]?)(?![\p{L}\p{N}_.])|"([^"]*)"|'([^']*)'|`([^`]*)`|([\p{L}\p{N}_][\p{L}\p{N}\p{M}_.-]*)|(<=|>=|!=|!~|==|[=<>~()]))/giuy

const tokens = (expression: string): Result.Result<ReadonlyArray<Token>, string> => {
  const found: Array<Token> = []
  const rest = expression.trimEnd()
  lexemes.lastIndex = 0
  while (lexemes.lastIndex < rest.length) {
    const at = lexemes.lastIndex
    const match = lexemes.exec(rest)
    if (match === null)
      return Result.fail(`“${rest.slice(at).trim().slice(0, 12)}” is not understood. Put text in quotes`)
    const [whole, digits, unit = "", double, single, back, word, sign] = match
    const start = at + whole.length - whole.trimStart().length
    if (digits !== undefined)
      found.push({
        kind: "number",
        text: `${digits}${unit}`,
        value: Number(digits) * (scales[unit.toLowerCase()] ?? 1),
        at: start
      })
    else if (back !== undefined) found.push({ kind: "column", text: back, at: start })
    else if (word !== undefined) found.push({ kind: "word", text: word, at: start })
    else if (sign !== undefined) found.push({ kind: "sign", text: sign, at: start })
    else found.push({ kind: "text", text: double ?? single ?? "", at: start })
  }
  return Result.succeed(found)
}

type Operand =
  | { readonly column: Column }
  | { readonly value: number; readonly text: string }
  | { readonly text: string }

const near = (table: Table, name: string): string => {
  const wanted = name.toLowerCase()
  const names = table.columns.map((each) => each.name)
  const alike = names.filter((each) => each.toLowerCase().includes(wanted) || wanted.includes(each.toLowerCase()))
  return (alike.length > 0 ? alike : names).slice(0, 8).join(", ")
}

/** The number that a column has in a row; for options and texts, if they are numbers. */
const numberIn = (of: Column): ((row: number) => number) => {
  if (of.kind === "number") return (row) => of.values[row] ?? NaN
  if (of.kind === "category") {
    const values = Float64Array.from(["", ...of.labels], (label) => (label === "" ? NaN : Number(label)))
    return (row) => values[of.codes[row] ?? 0] ?? NaN
  }
  return (row) => {
    const found = text(row)(of)
    return found === "" ? NaN : Number(found)
  }
}

const compares: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b && !Number.isNaN(a) && !Number.isNaN(b),
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b
}

const comparesTexts: Readonly<Record<string, (a: string, b: string) => boolean>> = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b && a !== "",
  "~": (a, b) => a.toLowerCase().includes(b.toLowerCase()),
  "!~": (a, b) => !a.toLowerCase().includes(b.toLowerCase())
}

/** Tests a column's text; each option is tested only once. */
const byText = (of: Column, holds: (text: string) => boolean): Predicate => {
  if (of.kind !== "category") return (row) => holds(text(row)(of))
  const held = ["", ...of.labels].map(holds)
  return (row) => held[of.codes[row] ?? 0] === true
}

const comparison = (left: Operand, sign: string, right: Operand): Result.Result<Predicate, string> => {
  if (!("column" in left))
    return "column" in right
      ? comparison(right, { "<": ">", "<=": ">=", ">": "<", ">=": "<=" }[sign] ?? sign, left)
      : Result.fail(`Neither “${left.text}” nor “${right.text}” is a column`)
  const of = left.column
  const numeric = compares[sign]
  if ("column" in right) {
    const other = right.column
    const [a, b] = [numberIn(of), numberIn(other)]
    if (numeric !== undefined && (of.kind === "number" || other.kind === "number" || !(sign in comparesTexts)))
      return Result.succeed((row) => numeric(a(row), b(row)))
    const textual = comparesTexts[sign]
    return textual === undefined
      ? Result.fail(`${sign} does not compare texts`)
      : Result.succeed((row) => textual(text(row)(of), text(row)(other)))
  }
  if ("value" in right && numeric !== undefined) {
    const value = numberIn(of)
    const wanted = right.value
    // An option may be called 1e3.
    if (of.kind === "category" && (sign === "=" || sign === "=="))
      return Result.succeed(byText(of, (label) => label !== "" && (label === right.text || Number(label) === wanted)))
    return Result.succeed((row) => numeric(value(row), wanted))
  }
  const textual = comparesTexts[sign]
  if (textual === undefined) return Result.fail(`${of.name} ${sign} “${right.text}”: give a number`)
  if (of.kind === "number" && sign.length < 3 && !sign.includes("~"))
    return Result.fail(`${of.name} is a number, but “${right.text}” is not`)
  return Result.succeed(byText(of, (found) => textual(found, right.text)))
}

/** What is wrong with an expression, thrown by the parser. */
class Wrong extends Error {}
const wrong = (problem: string): never => {
  throw new Wrong(problem)
}
const sound = <A>(result: Result.Result<A, string>): A =>
  Result.isSuccess(result) ? result.success : wrong(result.failure)

/** An expression's predicate; throws `Wrong`. */
const parser = (all: ReadonlyArray<Token>, table: Table) => {
  let at = 0
  const isWord = (word: string) => all[at]?.kind === "word" && all[at]?.text.toLowerCase() === word
  const isSign = (sign: string) => all[at]?.kind === "sign" && all[at]?.text === sign
  const unknown = (name: string) => wrong(`There is no column ${name}. There are ${near(table, name)}`)
  const operand = (): Operand => {
    const token = all[at++]
    if (token === undefined) return wrong("It ends where a column or a value should be")
    if (token.kind === "sign") return wrong(`“${token.text}” is where a column or a value should be`)
    if (token.kind === "number") return { value: token.value, text: token.text }
    if (token.kind === "text") return { text: token.text }
    const found = column(token.text)(table)
    if (found !== undefined) return { column: found }
    return token.kind === "word" ? { text: token.text } : unknown(token.text)
  }
  const simple = (): Predicate => {
    if (isWord("not")) {
      at++
      const inner = simple()
      return (row) => !inner(row)
    }
    if (isSign("(")) {
      at++
      const inner = either()
      if (!isSign(")")) return wrong("A bracket is not closed")
      at++
      return inner
    }
    const left = operand()
    const sign = all[at]
    if (sign?.kind !== "sign" || sign.text === "(" || sign.text === ")") {
      if (!("column" in left)) return unknown(left.text)
      const of = left.column
      return (row) => text(row)(of) !== ""
    }
    at++
    return sound(comparison(left, sign.text, operand()))
  }
  const joined = (word: string, part: () => Predicate, join: (parts: ReadonlyArray<Predicate>) => Predicate) => () => {
    const first = part()
    const parts = [first]
    while (isWord(word)) {
      at++
      parts.push(part())
    }
    return parts.length === 1 ? first : join(parts)
  }
  const both = joined("and", simple, (parts) => (row) => parts.every((part) => part(row)))
  const either: () => Predicate = joined("or", both, (parts) => (row) => parts.some((part) => part(row)))
  return () => {
    const parsed = either()
    const rest = all[at]
    return rest === undefined ? parsed : wrong(`“${rest.text}” is one too many. Join conditions with and, or`)
  }
}

/**
 * The predicate of an expression, or what is wrong with it, in a sentence. An empty expression matches every trial.
 *
 * @example
 * ```ts
 * import { Filter, Table } from "@uninet/report"
 *
 * console.log(Filter.parse(Table.of([]))("state = failed"))
 * ```
 */
export const parse =
  (table: Table) =>
  (expression: string): Result.Result<Predicate, string> =>
    Result.flatMap(tokens(expression), (all) => {
      if (all.length === 0) return Result.succeed(() => true)
      try {
        return Result.succeed(parser(all, table)())
      } catch (cause) {
        if (cause instanceof Wrong) return Result.fail(cause.message)
        throw cause
      }
    })

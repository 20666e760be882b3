/**
 * What a loop computes of one element of each of its operands. Immutable data: it can be compared, printed and counted.
 *
 * A comparison gives a mask, all bits or none, as the processor's does; `select` and the functions on bits take it.
 *
 * @example
 * ```ts
 * import { Expression } from "@uninet/loops"
 *
 * const [x, y] = [Expression.operand(0), Expression.operand(1)]
 * const sums = Expression.add(Expression.mul(x, y), Expression.sub(x, Expression.div(y, Expression.number(2))))
 * console.log(Expression.print(sums), Expression.key(sums), Expression.argsOf(sums).length)
 * console.log(Expression.print(Expression.madd(x, y, Expression.unary("neg", x))))
 * ```
 */

/**
 * An operation on one number. Numbers are 32-bit floats; the same 32 bits read as a whole number with a sign are a word. `fromWords` gives a word's value as a float, `toWords` a float's as a word,
 * rounded towards zero; `nearest` rounds to a whole float, ties to even; `not` turns every bit over.
 */
export type Unary = "neg" | "abs" | "sqrt" | "nearest" | "floor" | "fromWords" | "toWords" | "not"
/** An operation on two numbers; on two words where its name ends so. A comparison gives a mask. */
export type Binary =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "min"
  | "max"
  /** `b < a ? b : a`: one instruction, and what is no number stays so where it is the first. */
  | "pseudoMin"
  /** `a < b ? b : a`. */
  | "pseudoMax"
  | "less"
  | "greater"
  | "greaterOrEqual"
  | "equal"
  | "greaterWords"
  | "greaterOrEqualWords"
  | "equalWords"
  | "addWords"
  | "subWords"
  | "and"
  /** The bits of the first that the second lacks. */
  | "andNot"
  | "or"
/** `madd` is a·b + c and `nmadd` c − a·b; `select` takes b where the mask a is set, else c. */
export type Ternary = "madd" | "nmadd" | "select"

/**
 * What is computed of an element: a tree of operations. Its leaves are an `operand`, by its place among what the loop reads; a constant `number`, a 32-bit float; and a constant `word`. `shift` moves a
 * word's bits up by so many places, or down with the sign where `by` is negative. The functions of this module make them; equal trees have the same `key`, and are computed once.
 */
export type Expression =
  | { readonly op: "operand"; readonly index: number }
  | { readonly op: "number"; readonly value: number }
  /** 32 bits, as a whole number with a sign. */
  | { readonly op: "word"; readonly value: number }
  | { readonly op: "shift"; readonly by: number; readonly args: readonly [Expression] }
  | { readonly op: Unary; readonly args: readonly [Expression] }
  | { readonly op: Binary; readonly args: readonly [Expression, Expression] }
  | { readonly op: Ternary; readonly args: readonly [Expression, Expression, Expression] }

/** An element of an operand, by its number. */
export const operand = (index: number): Expression => ({ op: "operand", index })
/** A number, rounded to a 32-bit float. */
export const number = (value: number): Expression => ({ op: "number", value: Math.fround(value) })
/** A constant of 32 bits. */
export const word = (value: number): Expression => ({ op: "word", value: value | 0 })
/** Bits moved up, or down with the sign where `by` is negative. */
export const shift = (x: Expression, by: number): Expression => ({ op: "shift", by, args: [x] })
/** An operation on one number. */
export const unary = (op: Unary, x: Expression): Expression => ({ op, args: [x] })
/** An operation on two numbers. */
export const binary = (op: Binary, x: Expression, y: Expression): Expression => ({ op, args: [x, y] })

/** x + y. */
export const add = (x: Expression, y: Expression) => binary("add", x, y)
/** x − y. */
export const sub = (x: Expression, y: Expression) => binary("sub", x, y)
/** x · y. */
export const mul = (x: Expression, y: Expression) => binary("mul", x, y)
/** x / y. */
export const div = (x: Expression, y: Expression) => binary("div", x, y)
/** x·y + z. */
export const madd = (x: Expression, y: Expression, z: Expression): Expression => ({ op: "madd", args: [x, y, z] })
/** z − x·y. */
export const nmadd = (x: Expression, y: Expression, z: Expression): Expression => ({ op: "nmadd", args: [x, y, z] })
/** `x` where the mask is set, else `y`. */
export const select = (mask: Expression, x: Expression, y: Expression): Expression => ({
  op: "select",
  args: [mask, x, y]
})

/** What an expression is made of at once. */
export const argsOf = (e: Expression): ReadonlyArray<Expression> => ("args" in e ? e.args : [])

const keys = new WeakMap<Expression, string>()

/** A text that is equal where expressions are. */
export const key = (e: Expression): string => {
  const known = keys.get(e)
  if (known !== undefined) return known
  const made =
    e.op === "operand"
      ? `#${e.index}`
      : e.op === "number"
        ? Object.is(e.value, -0)
          ? "-0"
          : `${e.value}`
        : e.op === "word"
          ? `${e.value}w`
          : e.op === "shift"
            ? `shift${e.by}(${key(e.args[0])})`
            : `${e.op}(${e.args.map(key).join()})`
  keys.set(e, made)
  return made
}

/** An expression of the same kind, of other parts. */
export const withArgs = (e: Expression, args: ReadonlyArray<Expression>): Expression =>
  // There are as many of them as the kind has: whoever calls this maps the parts that it had.
  "args" in e ? ({ ...e, args } as unknown as Expression) : e

/** The same expression of other operands. */
export const substitute = (e: Expression, by: (index: number) => Expression): Expression => {
  const done = new Map<Expression, Expression>()
  const go = (at: Expression): Expression => {
    const known = done.get(at)
    if (known !== undefined) return known
    const made = at.op === "operand" ? by(at.index) : withArgs(at, argsOf(at).map(go))
    done.set(at, made)
    return made
  }
  return go(e)
}

/** Every different part of some expressions, each after what it is made of. */
export const parts = (roots: ReadonlyArray<Expression>): ReadonlyArray<Expression> => {
  const seen = new Set<string>()
  const order: Array<Expression> = []
  const visit = (e: Expression): void => {
    const k = key(e)
    if (seen.has(k)) return
    seen.add(k)
    for (const arg of argsOf(e)) visit(arg)
    order.push(e)
  }
  for (const root of roots) visit(root)
  return order
}

const instructions: Partial<Record<Expression["op"], number>> = {
  operand: 0,
  number: 0,
  word: 0,
  min: 6,
  max: 6,
  // The processor's division takes as long as some products.
  div: 4,
  sqrt: 5,
  toWords: 4
}

/** Instructions of a processor that some expressions take together, roughly; loads and stores apart. */
export const cost = (roots: ReadonlyArray<Expression>): number =>
  parts(roots).reduce((sum, e) => sum + (instructions[e.op] ?? 1), 0)

const infix: Partial<Record<Expression["op"], string>> = { add: "+", sub: "−", mul: "·", div: "/" }

/** An expression as people write it; `name` says what operands are called. */
export const print = (e: Expression, name: (index: number) => string = (i) => `x${i}`): string => {
  const go = (at: Expression): string => {
    if (at.op === "operand") return name(at.index)
    if (at.op === "number") return `${Number(at.value.toPrecision(6))}`
    if (at.op === "word") return `0x${(at.value >>> 0).toString(16)}`
    const sign = infix[at.op]
    const args = at.args.map(go)
    return sign === undefined ? `${at.op}(${args.join(", ")})` : `(${args.join(` ${sign} `)})`
  }
  return go(e)
}

/**
 * What a loop computes from one element of each of its operands. Immutable data that can be compared, printed and counted.
 *
 * A comparison gives a mask with all bits set or none, as the CPU's comparison does. `select` and the functions on bits take masks.
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
 * An operation on one number. Numbers are 32-bit floats; the same 32 bits read as a signed integer are a word. `fromWords` gives a word's value as a float, `toWords` a float's value as a word,
 * rounded towards zero; `nearest` rounds to a whole float, ties to even; `not` inverts every bit.
 */
export type Unary = "neg" | "abs" | "sqrt" | "nearest" | "floor" | "fromWords" | "toWords" | "not"
/** An operation on two numbers, or on two words if its name ends in `Words`. A comparison gives a mask. */
export type Binary =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "min"
  | "max"
  /** `b < a ? b : a`: one instruction, and NaN stays NaN if it is the first operand. */
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
 * What is computed for an element: a tree of operations. Its leaves are an `operand`, by its position among the loop's operands; a constant `number`, a 32-bit float; and a constant `word`. `shift` shifts a
 * word's bits left by `by` places, or right with the sign if `by` is negative. The functions of this module make expressions; equal trees have the same `key`, and are computed once.
 */
export type Expression =
  | { readonly op: "operand"; readonly index: number }
  | { readonly op: "number"; readonly value: number }
  /** 32 bits, as a signed integer. */
  | { readonly op: "word"; readonly value: number }
  | { readonly op: "shift"; readonly by: number; readonly args: readonly [Expression] }
  | { readonly op: Unary; readonly args: readonly [Expression] }
  | { readonly op: Binary; readonly args: readonly [Expression, Expression] }
  | { readonly op: Ternary; readonly args: readonly [Expression, Expression, Expression] }

/** An element of an operand, by its index. */
export const operand = (index: number): Expression => ({ op: "operand", index })
/** A number, rounded to a 32-bit float. */
export const number = (value: number): Expression => ({ op: "number", value: Math.fround(value) })
/** A constant of 32 bits. */
export const word = (value: number): Expression => ({ op: "word", value: value | 0 })
/** Shifts bits left, or right with the sign if `by` is negative. */
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

/** The immediate parts of an expression. */
export const argsOf = (e: Expression): ReadonlyArray<Expression> => ("args" in e ? e.args : [])

const keys = new WeakMap<Expression, string>()

/** A text that is equal for equal expressions. */
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

/** An expression of the same kind with other parts. */
export const withArgs = (e: Expression, args: ReadonlyArray<Expression>): Expression =>
  // There are as many as the kind requires, since callers map the existing parts.
  "args" in e ? ({ ...e, args } as unknown as Expression) : e

/** The same expression on other operands. */
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

/** All distinct parts of some expressions, each after its own parts. */
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
  // A division takes the CPU as long as several products.
  div: 4,
  sqrt: 5,
  toWords: 4
}

/** Roughly how many CPU instructions some expressions take together, not counting loads and stores. */
export const cost = (roots: ReadonlyArray<Expression>): number =>
  parts(roots).reduce((sum, e) => sum + (instructions[e.op] ?? 1), 0)

const infix: Partial<Record<Expression["op"], string>> = { add: "+", sub: "−", mul: "·", div: "/" }

/** An expression in readable form; `name` gives the names of operands. */
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

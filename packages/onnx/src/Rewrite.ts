/**
 * Rewrites: they turn programs into other programs that compute the same. Each is a table from ops to their replacements, with a name by which it can be disabled, printed and tested
 * alone. No rule knows how the ops that it reads will be computed.
 */
import { type GraphError, type Program, Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import type { Target } from "./Target.ts"

/** The replacement for a node whose inputs have already been rewritten; `undefined` keeps it as it is. */
export type Rules = {
  readonly [K in Tensor.Kind]?: (node: Tensor.Tensor<K>) => Tensor.Tensor | undefined
}

/** A rule that turns a graph into another that computes the same. */
export interface Rewrite {
  readonly name: string
  /** What it does, in one sentence. */
  readonly summary: string
  /** Made anew for every program: rules may remember what they have made for its nodes. */
  readonly rules: (target: Target) => Rules
}

/** A program after a rewrite and, for each of its new nodes, the old node that it was made for. */
export interface Rewritten {
  readonly program: Program.Program
  readonly origins: ReadonlyMap<Tensor.Tensor, Tensor.Tensor>
  /** Nodes of the program before the rewrite that a rule replaced. */
  readonly replaced: ReadonlyArray<Tensor.Tensor>
}

/**
 * A program after one rewrite.
 *
 * Fails if the result of a rule does not check.
 */
export const apply =
  ({ rules: of }: Rewrite, target: Target, merged: Merge = merging()) =>
  (program: Program.Program): Result.Result<Rewritten, GraphError> => {
    const rules = of(target)
    const { nodes: given } = program
    /** The replacements of nodes that changed. */
    const made = new Map<Tensor.Tensor, Tensor.Tensor>()
    const origins = new Map<Tensor.Tensor, Tensor.Tensor>()
    const replaced: Array<Tensor.Tensor> = []
    const order = new Set<Tensor.Tensor>()
    const place = (t: Tensor.Tensor): Tensor.Tensor => made.get(t) ?? t
    let fault: GraphError | undefined
    for (const node of given) {
      const own = node.inputs.some((x) => made.has(x)) ? { ...node, inputs: node.inputs.map(place) } : node
      // A node's kind and the rule for that kind belong together, which the type of a lookup by a union of kinds cannot express.
      const rule = rules[own.kind] as ((node: Tensor.Tensor) => Tensor.Tensor | undefined) | undefined
      const by = rule?.(own)
      if (by !== undefined) {
        replaced.push(node)
        fault ??= by.fault
      }
      const result = merged(by ?? own)
      if (result !== node) made.set(node, result)
      if (result === node) {
        order.add(node)
        continue
      }
      // Everything that a rule made belongs to this node; a product with transformed weights belongs to the original product.
      for (const fresh of before(result, order)) {
        order.add(fresh)
        origins.set(fresh, by === undefined ? node : productBefore(node, fresh))
      }
    }
    if (fault !== undefined) return Result.fail(fault)
    if (replaced.length === 0) return Result.succeed({ program, origins, replaced })
    const outputs = Object.fromEntries(Object.entries(program.outputs).map(([name, t]) => [name, place(t)]))
    const updates = program.updates.map(({ value, variable }) => ({ variable, value: place(value) }))
    const ends = [
      ...Object.values(outputs),
      ...updates.flatMap(({ value, variable }): ReadonlyArray<Tensor.Tensor> => [variable, value])
    ]
    const nodes = neededOf([...order], ends)
    return Result.succeed({
      program: {
        nodes,
        inputs: nodes.filter(Tensor.is("input")),
        variables: nodes.filter(Tensor.is("variable")),
        outputs,
        updates
      },
      origins,
      replaced
    })
  }

/** Those of the given nodes, each after its inputs, that the ends need. */
const neededOf = (
  nodes: ReadonlyArray<Tensor.Tensor>,
  ends: ReadonlyArray<Tensor.Tensor>
): ReadonlyArray<Tensor.Tensor> => {
  const needed = new Set(ends)
  for (const node of nodes.toReversed()) if (needed.has(node)) for (const x of node.inputs) needed.add(x)
  return nodes.filter((node) => needed.has(node))
}

/** A tensor and what it is made from, each after its inputs, without known nodes. */
const before = (root: Tensor.Tensor, known: ReadonlySet<Tensor.Tensor>): ReadonlyArray<Tensor.Tensor> => {
  if (known.has(root)) return []
  if (root.inputs.every((x) => known.has(x))) return [root]
  const found = new Set<Tensor.Tensor>()
  const stack = [root]
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    const open = node.inputs.filter((x) => !known.has(x) && !found.has(x))
    if (open.length > 0) stack.push(...open)
    else {
      found.add(node)
      stack.pop()
    }
  }
  return [...found]
}

const products: ReadonlyArray<Tensor.Kind> = [
  "conv2d",
  "conv2dGradInput",
  "conv2dGradWeight",
  "linear",
  "linearGradInput",
  "linearGradWeight"
]

/** The node that a new one was made for: one of its inputs, if the new node is the same product as that. */
const productBefore = (node: Tensor.Tensor, fresh: Tensor.Tensor): Tensor.Tensor =>
  (products.includes(fresh.kind) ? node.inputs.find((x) => x.kind === fresh.kind) : undefined) ?? node

/** One of several rewrites, with the program after it. */
export interface Step extends Rewritten {
  readonly rewrite: Rewrite
  readonly before: Program.Program
}

/**
 * A program after several rewrites in sequence, with every step on the way. A rewrite whose result does not check is skipped: the program before it computes the same.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Forms, Rewrite, Rewrites, Target } from "@uninet/onnx"
 * import { Result } from "effect"
 *
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.gelu(Op.input("x", [4, 64])) } }))
 * const target = Target.make({ block: 16, lanes: 16 })
 * const steps = Rewrite.steps(Rewrites.all, target)(program)
 * console.log(steps.map(({ program, rewrite }) => `${rewrite.name}: ${program.nodes.length}`))
 * console.log(Rewrite.run(Rewrites.all, target)(program).nodes.length) // the last alone
 * const [first] = Rewrites.all
 * if (first !== undefined) console.log(first.name, Rewrite.apply(first, target)(program)._tag)
 *
 * // The form in which each node is computed.
 * console.log(program.nodes.map((node) => `${node.kind}: ${Forms.of(node, target)}`))
 * ```
 */
export const steps =
  (rewrites: ReadonlyArray<Rewrite>, target: Target) =>
  (program: Program.Program): ReadonlyArray<Step> => {
    const done: Array<Step> = []
    const merge = merging()
    let before = program
    for (const rewrite of rewrites) {
      const result = apply(rewrite, target, merge)(before)
      if (Result.isFailure(result)) continue
      done.push({ rewrite, before, ...result.success })
      before = result.success.program
    }
    return done
  }

/** A program after its steps. */
export interface Last {
  readonly program: Program.Program
  /** For nodes that are not the given program's own, the node that each was made for. */
  readonly origins: ReadonlyMap<Tensor.Tensor, Tensor.Tensor>
  /** For nodes of the given program, the names of the rewrites that replaced them, in order. */
  readonly by: ReadonlyMap<Tensor.Tensor, ReadonlyArray<string>>
}

/** Only the program after its rewrites, which is what compiling needs. */
export const run =
  (rewrites: ReadonlyArray<Rewrite>, target: Target) =>
  (program: Program.Program): Program.Program => {
    const merge = merging()
    return rewrites.reduce((before, rewrite) => {
      const result = apply(rewrite, target, merge)(before)
      return Result.isFailure(result) ? before : result.success.program
    }, program)
  }

/** The program after its steps, with what became of its nodes. */
export const last =
  (done: ReadonlyArray<Step>) =>
  (program: Program.Program): Last => {
    const final = done.at(-1)?.program ?? program
    const by = new Map<Tensor.Tensor, Array<string>>()
    const origins = new Map<Tensor.Tensor, Tensor.Tensor>()
    for (const { origins: own, replaced, rewrite } of done) {
      for (const node of replaced) {
        const origin = origins.get(node) ?? node
        const names = by.get(origin) ?? []
        if (!names.includes(rewrite.name)) by.set(origin, [...names, rewrite.name])
      }
      for (const [node, from] of own) if (!origins.has(node)) origins.set(node, origins.get(from) ?? from)
    }
    return { program: final, origins, by }
  }

const isConstant = Tensor.is("constant")
const isFill = Tensor.is("fill")
const isComposite = Tensor.is("composite")

const textOf = (node: Tensor.Tensor): string => {
  if (isComposite(node)) return `${node.attributes.name} ${JSON.stringify(node.attributes.parameters)}`
  if (isFill(node)) return Object.is(node.attributes.value, -0) ? "-0" : `${node.attributes.value}`
  return JSON.stringify(node.attributes)
}

/** Merges equal nodes: gives the first of them. */
type Merge = (node: Tensor.Tensor) => Tensor.Tensor

const merging = (): Merge => {
  const same = new Map<Tensor.Tensor, Tensor.Tensor>()
  const ids = new Map<Tensor.Tensor, number>()
  const known = new Map<string, Tensor.Tensor>()
  // Attributes by number: records are often shared, and always between a node and its copies.
  const records = new WeakMap<object, string>()
  const numbers = new Map<string, string>()
  const attributesOf = (node: Tensor.Tensor): string => {
    const seen = records.get(node.attributes)
    if (seen !== undefined) return seen
    // Constants are compared by identity.
    const text = isConstant(node) ? `constant ${numbers.size}` : textOf(node)
    const number = numbers.get(text) ?? `${numbers.size}`
    numbers.set(text, number)
    records.set(node.attributes, number)
    return number
  }
  const one = (node: Tensor.Tensor): Tensor.Tensor => {
    const own = node.inputs.some((x) => same.get(x) !== x)
      ? { ...node, inputs: node.inputs.map((x) => same.get(x) ?? x) }
      : node
    // If there are inputs, shape and element type follow from them.
    const operands =
      own.inputs.length === 0 ? `${own.dtype} ${own.shape.join()}` : own.inputs.map((x) => ids.get(x)).join()
    const key = `${own.kind} ${attributesOf(own)} ${operands}`
    const first = known.get(key)
    if (first === undefined) {
      known.set(key, own)
      ids.set(own, ids.size)
      same.set(own, own)
    }
    same.set(node, first ?? own)
    return first ?? own
  }
  return (root) => {
    const seen = same.get(root)
    if (seen !== undefined) return seen
    const stack = [root]
    for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
      const open = node.inputs.filter((x) => !same.has(x))
      if (open.length > 0) stack.push(...open)
      else {
        if (!same.has(node)) one(node)
        stack.pop()
      }
    }
    return same.get(root) ?? root
  }
}

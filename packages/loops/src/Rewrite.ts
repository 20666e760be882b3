/**
 * Rewrites: they turn programs into other programs that compute the same. Each is a table from ops to their replacements, with a name by which it can be disabled, printed and tested alone.
 */
import { type GraphError, Op, Program, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"

/** The replacement for a node whose inputs have already been rewritten; `undefined` keeps it as it is. */
export type Rules = {
  readonly [K in Tensor.Primitive]?: (node: Tensor.Tensor<K>) => Tensor.Tensor | undefined
}

/** A rule that turns a graph into another that computes the same. */
export interface Rewrite {
  readonly name: string
  /** What it does, in one sentence. */
  readonly summary: string
  readonly rules: Rules
}

/** A node with other inputs, rebuilt so that shapes are checked again. */
const withInputs = (node: Tensor.Tensor, inputs: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor =>
  inputs.every((x, i) => x === node.inputs[i]) ? node : { ...node, inputs }

/** A program after several rewrites in sequence. */
export const apply =
  (rewrites: ReadonlyArray<Rewrite>) =>
  (program: Program.Program): Result.Result<Program.Program, GraphError> => {
    let current = program
    for (const rewrite of rewrites) {
      const next = applyOne(current, rewrite)
      if (Result.isFailure(next)) return next
      current = next.success
    }
    return Result.succeed(current)
  }

const applyOne = (program: Program.Program, { rules }: Rewrite): Result.Result<Program.Program, GraphError> => {
  const made = new Map<Tensor.Tensor, Tensor.Tensor>()
  const of = (t: Tensor.Tensor) => made.get(t) ?? t
  let changed = false
  for (const node of program.nodes) {
    const own = withInputs(node, node.inputs.map(of))
    // A node's kind and the rule for that kind belong together, which the type of a lookup by a union of kinds cannot express.
    const rule = rules[own.kind as Tensor.Primitive] as ((node: Tensor.Tensor) => Tensor.Tensor | undefined) | undefined
    const rewritten = rule?.(own)
    if (rewritten !== undefined) changed = true
    made.set(node, rewritten ?? own)
  }
  if (!changed) return Result.succeed(program)
  return Program.make({
    outputs: Object.fromEntries(Object.entries(program.outputs).map(([name, t]) => [name, of(t)])),
    updates: program.updates.map(({ value, variable }) => ({ variable, value: of(value) }))
  })
}

/** All axes except the given ones. */
export const axesBut = (x: Tensor.Tensor, ...axes: ReadonlyArray<number>): ReadonlyArray<number> =>
  x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis))

/** A vector per channel seen as `[1, channels, 1, …]`. */
export const perChannel = (v: Tensor.Tensor, like: Tensor.Tensor): Tensor.Tensor =>
  Op.reshape(
    v,
    like.shape.map((n, axis) => (axis === 1 ? n : 1)),
    v.path
  )

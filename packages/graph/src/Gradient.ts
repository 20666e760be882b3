/** Reverse-mode differentiation: one backward pass over the graph, using the rule in each op's definition. */
import { GradientError, type GraphError } from "./GraphError.ts"
import { topological } from "./internal/topological.ts"
import type { Backward, Definition } from "./Definition.ts"
import { definitions } from "./Op.ts"
import { add } from "./ops/elementwise.ts"
import { fill } from "./ops/leaf.ts"
import { type Kind, opName, type Tensor } from "./Tensor.ts"

/**
 * The gradients of a scalar with respect to tensors it was made from, as graphs; `undefined` for a tensor it does not depend on.
 *
 * @example
 * ```ts
 * import { Op, gradient } from "@uninet/graph"
 *
 * const w = Op.variable({ name: "w", role: "parameter", initialiser: { kind: "constant", value: 1 }, decay: true }, [3])
 * const [dw] = gradient(Op.sum(Op.mul(w, w)), [w]) // the graph of 2·w
 * console.log(dw?.shape) // [ 3 ]
 * ```
 */
export const gradient = (of: Tensor, withRespectTo: ReadonlyArray<Tensor>): ReadonlyArray<Tensor | undefined> => {
  if (of.fault !== undefined) return carrying(withRespectTo, of.fault)
  if (of.shape.length > 0) return failed(withRespectTo, of, "only a scalar has a gradient; take a sum or mean first")
  return backward(of, fill(1), withRespectTo)
}

const carrying = (tensors: ReadonlyArray<Tensor>, fault: GraphError) => tensors.map((t) => ({ ...t, fault }))

const failed = (tensors: ReadonlyArray<Tensor>, node: Tensor, reason: string) =>
  carrying(tensors, new GradientError({ path: node.path, op: opName(node), reason }))

const backward: Backward = (of, seed, withRespectTo) => {
  const order = topological([of])
  // Only nodes between the targets and the scalar take part. Integer tensors have no gradient.
  const depends = new Set<Tensor>(withRespectTo)
  for (const node of order) if (node.dtype === "float32" && node.inputs.some((x) => depends.has(x))) depends.add(node)

  const gradients = new Map<Tensor, Tensor>([[of, seed]])
  for (const node of order.toReversed()) {
    const dy = gradients.get(node)
    if (dy === undefined || node.inputs.length === 0 || !node.inputs.some((x) => depends.has(x))) continue
    // A lookup by a union of kinds loses the fact that the rule belongs to the node's kind.
    const rule = (definitions[node.kind] as Definition<Kind>).gradient
    if (rule === "zero") continue
    if (rule === "unsupported") return failed(withRespectTo, node, "no gradient is defined through this op")
    const parts = rule(node, dy, backward)
    for (const [i, x] of node.inputs.entries()) {
      const dx = parts[i]
      if (dx === undefined || !depends.has(x)) continue
      if (dx === null) return failed(withRespectTo, node, `no gradient is defined with respect to its input ${i}`)
      const sum = gradients.get(x)
      gradients.set(x, sum === undefined ? dx : add(sum, dx, x.path))
    }
  }
  return withRespectTo.map((t) => (depends.has(t) ? gradients.get(t) : undefined))
}

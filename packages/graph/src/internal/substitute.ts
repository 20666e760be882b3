import type { Tensor } from "../Tensor.ts"
import { topological } from "./topological.ts"

/**
 * A graph with some of its nodes replaced, as a function from old tensors to new ones. `replacement` is called for every node with the new versions of its inputs; `undefined`
 * keeps the node. Nodes are only rebuilt where they have to be.
 */
export const substitute = (
  roots: ReadonlyArray<Tensor>,
  replacement: (node: Tensor, inputs: ReadonlyArray<Tensor>) => Tensor | undefined
): ((tensor: Tensor) => Tensor) => {
  const made = new Map<Tensor, Tensor>()
  const of = (tensor: Tensor) => made.get(tensor) ?? tensor
  for (const node of topological(roots)) {
    const inputs = node.inputs.map(of)
    const same = node.inputs.every((x, i) => x === inputs[i])
    const by = replacement(node, inputs) ?? (same ? node : { ...node, inputs })
    if (by !== node) made.set(node, by)
  }
  return of
}

import type { Tensor } from "../Tensor.ts"
import { topological } from "./topological.ts"

/**
 * A graph with some of its nodes replaced, as a function from its tensors to what they are then. `replacement` is asked of every node, with what became of its inputs; `undefined`
 * keeps it. Nothing is made anew that does not have to be.
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

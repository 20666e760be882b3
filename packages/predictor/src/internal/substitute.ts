import { type Tensor, topological } from "@uninet/graph"

/** A graph with some nodes replaced, as a function of its tensors. `replacement` is called for every node with the new versions of its inputs; `undefined` keeps the node. */
export const substitute = (
  roots: ReadonlyArray<Tensor.Tensor>,
  replacement: (node: Tensor.Tensor, inputs: ReadonlyArray<Tensor.Tensor>) => Tensor.Tensor | undefined
): ((tensor: Tensor.Tensor) => Tensor.Tensor) => {
  const made = new Map<Tensor.Tensor, Tensor.Tensor>()
  const of = (tensor: Tensor.Tensor) => made.get(tensor) ?? tensor
  for (const node of topological(roots)) {
    const inputs = node.inputs.map(of)
    const same = node.inputs.every((x, i) => x === inputs[i])
    made.set(node, replacement(node, inputs) ?? (same ? node : { ...node, inputs }))
  }
  return of
}

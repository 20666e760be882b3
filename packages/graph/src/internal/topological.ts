import type { Tensor } from "../Tensor.ts"

/** All nodes that `roots` are made from, each after its inputs, in an order that depends on nothing but the graph. */
export const topological = (roots: ReadonlyArray<Tensor>): ReadonlyArray<Tensor> => {
  const order: Array<Tensor> = []
  const state = new Map<Tensor, "open" | "done">()
  // Iterative rather than recursive: a deep network's chain would overflow the call stack.
  const stack = [...roots].reverse()
  for (let node = stack.at(-1); node !== undefined; node = stack.at(-1)) {
    const seen = state.get(node)
    if (seen !== undefined) {
      stack.pop()
      if (seen === "open") {
        state.set(node, "done")
        order.push(node)
      }
      continue
    }
    state.set(node, "open")
    for (let i = node.inputs.length - 1; i >= 0; i--) {
      const input = node.inputs[i]
      if (input !== undefined && !state.has(input)) stack.push(input)
    }
  }
  return order
}

import { Tensor } from "@uninet/graph"

/** Whether a tensor is a feature map: an image or tokens. */
const isMap = ({ dtype, shape }: Tensor.Tensor) => dtype === "float32" && (shape.length === 4 || shape.length === 3)

/** Whether branches join in it as parts of a block do: added or concatenated. A product is a gate inside a branch. */
const meets = (node: Tensor.Tensor) =>
  Tensor.is("concat")(node) || (Tensor.is("binary")(node) && ["add", "sub"].includes(node.attributes.fn))

/**
 * The feature maps between a network's blocks, in order. Everything that a network computes from its inputs goes through them: they are the points where branches join again (the output
 * of a cell or a residual block), and the network's state before it branches for the first time. A network that never branches has one after every activation function.
 *
 * `order`: its nodes, each after its inputs; `output`: its output.
 */
export const blocks = (order: ReadonlyArray<Tensor.Tensor>, output: Tensor.Tensor): ReadonlyArray<Tensor.Tensor> => {
  const fed = new Set<Tensor.Tensor>()
  for (const node of order) if (node.kind === "input" || node.inputs.some((x) => fed.has(x))) fed.add(node)
  const used = new Set<Tensor.Tensor>([output])
  for (const node of order.toReversed()) if (used.has(node)) for (const x of node.inputs) used.add(x)
  const between = order.filter((node) => fed.has(node) && used.has(node))
  const known = new Set(between)
  const live = (node: Tensor.Tensor) => new Set(node.inputs.filter((x) => known.has(x)))
  const usesOf = new Map(between.map((node) => [node, Array.of<number>()] as const))
  for (const [i, node] of between.entries()) for (const x of live(node)) usesOf.get(x)?.push(i)
  let reach = -1
  const gates: Array<{ readonly node: Tensor.Tensor; readonly forks: boolean; readonly joins: boolean }> = []
  for (const [i, node] of between.entries()) {
    const uses = usesOf.get(node) ?? []
    // Nothing bypasses it.
    if (reach <= i && node.inputs.length > 0 && isMap(node))
      gates.push({ node, forks: uses.length > 1, joins: meets(node) && live(node).size > 1 })
    reach = Math.max(reach, uses.at(-1) ?? -1)
  }
  const joins = gates.filter((gate) => gate.joins)
  if (joins.length === 0) return gates.flatMap(({ node }) => (node.kind === "activation" ? [node] : []))
  const first = gates.find(({ forks, joins }) => forks || joins)
  return [...(first === undefined || first.joins ? [] : [first]), ...joins].map(({ node }) => node)
}

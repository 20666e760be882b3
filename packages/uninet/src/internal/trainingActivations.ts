/** How much memory a part of a network needs in a training step. */
import { gradient, type GraphError, Op, Program, type Shape, Tensor, topological } from "@uninet/graph"
import type { Layer } from "@uninet/nn"
import * as Result from "effect/Result"

/** Bytes of activations alive at once, for one image; parameters and their gradients are counted separately. Nothing is computed in place. */
export interface Activations {
  /** Peak of an evaluation. */
  readonly inference: number
  /** Peak of the forward and backward pass of a training step. */
  readonly training: number
  /** What the forward pass keeps for the backward pass. */
  readonly kept: number
}

/** Ops whose results need no memory of their own. */
const isView = (node: Tensor.Tensor): node is Tensor.Tensor<"reshape" | "broadcastTo"> =>
  Tensor.is("reshape")(node) || Tensor.is("broadcastTo")(node)
const isLeaf = (node: Tensor.Tensor) =>
  Tensor.is("variable")(node) || Tensor.is("constant")(node) || Tensor.is("fill")(node)

const isParameter = (node: Tensor.Tensor): node is Tensor.Tensor<"variable"> =>
  Tensor.is("variable")(node) && node.attributes.role === "parameter"

/**
 * Liveness over the forward pass and the backward pass that follows. The part's result belongs to the next part, and so does its
 * gradient until the backward pass has begun.
 *
 * `isFirst` parts take images, whose gradient nobody needs.
 */
export const trainingActivations = (
  layer: Layer.Layer,
  input: Shape.Shape,
  isFirst: boolean
): Result.Result<Pick<Activations, "training" | "kept">, GraphError> => {
  const x = Op.input("x", input)
  const y = layer(x)
  const seed = Op.input("dy", y.shape)
  // From the last parameter to the first, the order in which a backward pass reaches them.
  const wanted: ReadonlyArray<Tensor.Tensor> = [
    ...topological([y]).filter(isParameter).reverse(),
    ...(isFirst ? [] : [x])
  ]
  const gradients = gradient(Op.sum(Op.mul(y, seed)), wanted).filter((g) => g !== undefined)
  const outputs = Object.fromEntries(gradients.map((g, i) => [`gradient ${i}`, g]))
  return Result.map(Program.make({ outputs: { y, ...outputs } }), (program) => {
    const { nodes } = program
    const forward = nodes.findIndex((node) => node === program.outputs["y"]) + 1
    const owner = new Map<Tensor.Tensor, Tensor.Tensor>()
    const lastUse = new Map<Tensor.Tensor, number>()
    for (const [i, node] of nodes.entries()) {
      owner.set(node, isView(node) ? (owner.get(node.inputs[0]) ?? node) : node)
      lastUse.set(node, i)
      for (const used of node.inputs) lastUse.set(owner.get(used) ?? used, i)
    }
    const ownerOf = (node: Tensor.Tensor) => owner.get(node) ?? node
    const inputGradient = isFirst ? undefined : program.outputs[`gradient ${gradients.length - 1}`]
    // The input's gradient is passed on.
    if (inputGradient !== undefined) lastUse.set(ownerOf(inputGradient), nodes.length)
    // The incoming gradient is the product with `dy`, not `dy` itself; the parameters' gradients belong to the optimiser.
    const elsewhere = new Set<Tensor.Tensor>(program.inputs.filter((input) => input.attributes.name === "dy"))
    for (const [name, output] of Object.entries(program.outputs))
      if (name !== "y" && output !== inputGradient) elsewhere.add(ownerOf(output))

    const freedAfter = new Map<number, number>()
    let [alive, training, kept] = [0, 0, 0]
    for (const [i, node] of nodes.entries()) {
      if (!isView(node) && !isLeaf(node) && !elsewhere.has(node)) {
        alive += Tensor.bytes(node)
        const end = lastUse.get(node) ?? i
        freedAfter.set(end, (freedAfter.get(end) ?? 0) + Tensor.bytes(node))
      }
      training = Math.max(training, alive)
      alive -= freedAfter.get(i) ?? 0
      if (i + 1 === forward) kept = alive
    }
    return { training, kept }
  })
}

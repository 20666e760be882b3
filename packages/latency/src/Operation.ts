/** A network as a latency predictor sees it: its ops, each with its kind, how much it computes and how much data it moves. */
import { Costs, type Program, Shape, Tensor } from "@uninet/graph"
import { Digest } from "@uninet/search-space"

/** An op, described for predicting its time. */
export interface Operation {
  /** The op with its attributes and all its shapes: two ops with the same signature take the same time, except for the influence of their neighbours. */
  readonly signature: string
  /** Ops whose time grows in the same way. */
  readonly family: string
  /** One; then millions of multiply-accumulates, output elements, input elements and weight elements. */
  readonly amounts: ReadonlyArray<number>
}

/** How many amounts there are. */
export const amounts = 5

const elements = (tensors: ReadonlyArray<Tensor.Tensor>) =>
  tensors.reduce((sum, { shape }) => sum + Shape.size(shape), 0) / 1e6

const isStored = (node: Tensor.Tensor) => Tensor.is("variable")(node) || Tensor.is("constant")(node)

const familyOf = (node: Tensor.Tensor): string => {
  if (Tensor.is("conv2d")(node)) {
    const { groups, stride } = node.attributes
    const [, , height = 1, width = 1] = node.inputs[1]?.shape ?? []
    const form = groups > 1 ? "depthwise" : height * width === 1 ? "pointwise" : "spatial"
    return `conv2d ${form}${stride.some((step) => step > 1) ? " strided" : ""}`
  }
  if (Tensor.is("activation")(node) || Tensor.is("unary")(node)) return `${node.kind} ${node.attributes.fn}`
  if (Tensor.is("binary")(node)) {
    const equal = node.inputs.every(({ shape }) => Shape.equals(shape, node.shape))
    return `binary ${node.attributes.fn}${equal ? "" : " broadcast"}`
  }
  return node.kind
}

/** Inputs and stored values take no time of their own. */
const isGiven = (node: Tensor.Tensor) => isStored(node) || Tensor.is("input")(node) || Tensor.is("fill")(node)

const operation = (node: Tensor.Tensor): Operation => {
  const [stored, moved] = [node.inputs.filter(isStored), node.inputs.filter((x) => !isStored(x))]
  return {
    signature: Digest.of(
      JSON.stringify([node.kind, node.attributes, node.inputs.map(({ shape }) => shape), node.shape])
    ),
    family: familyOf(node),
    amounts: [1, Costs.ofNode(node).macs / 1e6, elements([node]), elements(moved), elements(stored)]
  }
}

/** The operations of a program, in its order. */
export const ofProgram = ({ nodes }: Pick<Program.Program, "nodes">): ReadonlyArray<Operation> =>
  nodes.filter((node) => !isGiven(node)).map(operation)

/**
 * A network made linear and positive: every weight by its absolute value, every input one, norms and biases' signs gone. Its numbers grow beyond float32 in a few dozen layers, so each tensor is
 * carried as one of mean 1 or so and the logarithm of a factor.
 */
import { Op, Tensor } from "@uninet/graph"

/** A tensor that stands for `value` · e^`log`. */
export interface Scaled {
  readonly value: Tensor.Tensor
  /** A scalar. */
  readonly log: Tensor.Tensor
}

/** Ops that stay what they are, with all of their inputs of one factor. */
const linear = new Set<Tensor.Kind>([
  "reduce",
  "broadcastTo",
  "reshape",
  "transpose",
  "slice",
  "pad",
  "concat",
  "toTokens",
  "toImage",
  "maxPool2d",
  "averagePool2d",
  "globalAveragePool",
  "resize"
])

const none = Op.fill(0)

/** Divided by its mean, which goes into the factor. What is zero stays so. */
const balanced = (value: Tensor.Tensor, log: Tensor.Tensor): Scaled => {
  const mean = Op.add(Op.mean(value), Op.fill(1e-30))
  return { value: Op.div(value, mean), log: Op.add(log, Op.log(mean)) }
}

/** All by the largest of their factors. */
const aligned = (
  terms: ReadonlyArray<Scaled>
): { readonly values: ReadonlyArray<Tensor.Tensor>; readonly log: Tensor.Tensor } => {
  const [first, ...others] = terms
  if (first === undefined) return { values: [], log: none }
  if (others.every(({ log }) => log === first.log)) return { values: terms.map(({ value }) => value), log: first.log }
  const log = others.reduce((top, term) => Op.max(top, term.log), first.log)
  return { values: terms.map((term) => Op.mul(term.value, Op.exp(Op.sub(term.log, log)))), log }
}

/** The node with other inputs. */
const again = (node: Tensor.Tensor, inputs: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor => ({ ...node, inputs })

const isNumber = ({ dtype }: Tensor.Tensor) => dtype === "float32"

const is = <K extends Tensor.Kind>(kind: K, of: Tensor.Tensor): of is Tensor.Tensor<K> => Tensor.is(kind)(of)

/** What became of a node, or the name of an op that has no such form. */
const nodeOf = (node: Tensor.Tensor, inputs: ReadonlyArray<Scaled>): Scaled | string => {
  const [x, y, z] = inputs
  if (!isNumber(node) && !node.inputs.some(isNumber))
    return {
      value: again(
        node,
        inputs.map(({ value }) => value)
      ),
      log: none
    }
  if (is("input", node)) return { value: Op.fill(1, node.shape), log: none }
  if (is("variable", node) || is("constant", node)) return { value: Op.abs(node), log: none }
  if (is("fill", node)) return { value: Op.fill(Math.abs(node.attributes.value), node.shape), log: none }
  if (x === undefined) return node.kind
  if (is("conv2d", node) || is("linear", node)) {
    if (y === undefined) return node.kind
    const bias = z === undefined ? [] : [Op.mul(z.value, Op.exp(Op.sub(z.log, Op.add(x.log, y.log))))]
    return balanced(again(node, [x.value, y.value, ...bias]), Op.add(x.log, y.log))
  }
  if (is("matmul", node))
    return y === undefined ? node.kind : balanced(again(node, [x.value, y.value]), Op.add(x.log, y.log))
  if (is("batchNorm", node) || is("batchNormInference", node) || is("layerNorm", node)) return x
  if (is("activation", node))
    return ["relu", "gelu", "silu"].includes(node.attributes.fn) ? x : { value: Op.fill(1, node.shape), log: none }
  if (is("softmax", node)) return { value: Op.fill(1 / (node.shape.at(-1) ?? 1), node.shape), log: none }
  if (is("attention", node))
    // Every query looks at all keys alike.
    return z === undefined ? node.kind : { value: Op.broadcastTo(Op.mean(z.value, [1], true), node.shape), log: z.log }
  if (is("gather", node))
    return {
      value: again(
        node,
        inputs.map(({ value }) => value)
      ),
      log: x.log
    }
  if (is("unary", node))
    return node.attributes.fn === "neg" || node.attributes.fn === "abs" ? x : `${node.kind} ${node.attributes.fn}`
  if (is("binary", node)) {
    if (y === undefined) return node.kind
    const { fn } = node.attributes
    if (fn === "mul") return { value: Op.mul(x.value, y.value), log: Op.add(x.log, y.log) }
    if (fn === "add" || fn === "sub") {
      const { log, values } = aligned([x, y])
      return { value: values.slice(1).reduce((sum, each) => Op.add(sum, each), values[0] ?? Op.fill(0)), log }
    }
    return `${node.kind} ${fn}`
  }
  if (!linear.has(node.kind)) return node.kind
  const { log, values } = aligned(inputs)
  return { value: again(node, values), log }
}

/** The network with its answers, or the kind of op that cannot be made linear. */
export const positive = (
  order: ReadonlyArray<Tensor.Tensor>
): ((tensor: Tensor.Tensor) => Scaled | undefined) | string => {
  const made = new Map<Tensor.Tensor, Scaled>()
  for (const node of order) {
    const inputs = node.inputs.map((x) => made.get(x) ?? { value: x, log: none })
    const scaled = nodeOf(node, inputs)
    if (typeof scaled === "string") return scaled
    made.set(node, scaled)
  }
  return (tensor) => made.get(tensor)
}

/** log Σ of all answers. */
export const logSum = (answers: ReadonlyArray<Scaled>): Tensor.Tensor => {
  const { log, values } = aligned(answers)
  return Op.add(log, Op.log(values.map((value) => Op.sum(value)).reduce((a, b) => Op.add(a, b))))
}

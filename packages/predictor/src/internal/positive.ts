/**
 * A network made linear and positive: every weight is replaced by its absolute value and every input by one, without norms and the signs of biases. Its numbers exceed float32 within a few dozen
 * layers, so each tensor is represented by one of moderate size and a factor. The size of the numbers follows from how the weights are drawn, so factors are known beforehand and a program needs
 * next to no operators for them.
 */
import { Op, Shape, Tensor } from "@uninet/graph"
import { Elementary } from "@uninet/search-space"
import * as Arr from "effect/Array"
import { at } from "./at.ts"

/** A tensor that represents `value` · e^`log`. */
export interface Scaled {
  readonly value: Tensor.Tensor
  readonly log: number
  /** The logarithm of the expected mean of `value`; −Infinity if it is zero. */
  readonly size: number
}

/** Ops that are kept, once all of their inputs have the same factor. */
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

/** Sizes up to e^±`most` are kept: the square of one is far within float32, and each rescaling is an operator, here and in the gradient. */
const most = 14

/** A tensor that represents itself. */
const plain = (value: Tensor.Tensor, mean = 1): Scaled => ({ value, log: 0, size: Elementary.log(mean) })

/** Rescales a tensor to moderate size if needed. */
const settled = ({ log, size, value }: Scaled): Scaled =>
  Math.abs(size) <= most || !Number.isFinite(size)
    ? { value, log, size }
    : { value: Op.scale(value, Elementary.exp(-size)), log: log + size, size: 0 }

/** Brings all terms to the same factor: that of the largest. */
const aligned = (
  terms: ReadonlyArray<Scaled>
): { readonly values: ReadonlyArray<Tensor.Tensor>; readonly sizes: ReadonlyArray<number>; readonly log: number } => {
  const whole = ({ log, size }: Scaled) => log + size
  const { log } = terms.reduce((top, term) => (whole(term) > whole(top) ? term : top), terms[0] ?? plain(Op.fill(0)))
  return {
    values: terms.map((term) => (term.log === log ? term.value : Op.scale(term.value, Elementary.exp(term.log - log)))),
    sizes: terms.map((term) => term.size + term.log - log),
    log
  }
}

/** The node with other inputs. */
const again = (node: Tensor.Tensor, inputs: ReadonlyArray<Tensor.Tensor>): Tensor.Tensor => ({ ...node, inputs })

const isNumber = ({ dtype }: Tensor.Tensor) => dtype === "float32"

const is = <K extends Tensor.Kind>(kind: K, of: Tensor.Tensor): of is Tensor.Tensor<K> => Tensor.is(kind)(of)

/** The mean absolute value that a variable is drawn with. */
const drawn = ({ attributes: { initialiser } }: Tensor.Tensor<"variable">): number => {
  if (initialiser.kind === "constant") return Math.abs(initialiser.value)
  // For a normal number within ±2 deviations: √(2/π) · (1 − e⁻²) / 0.954.
  return initialiser.kind === "uniform" ? initialiser.bound / 2 : 0.723 * initialiser.deviation
}

const meanOf = (data: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < data.length; i++) sum += Math.abs(at(data, i))
  return sum / data.length
}

/** The mean number of kernel taps that lie within an image along an axis, over its windows: few do if the image is smaller than the kernel. */
const tapsWithin = (node: Tensor.Tensor<"conv2d">, axis: 0 | 1): number => {
  const { dilation, padding, stride } = node.attributes
  const [x, weight] = node.inputs
  const lengthOf = ({ shape }: Tensor.Tensor) => Arr.getUnsafe(shape, 2 + axis)
  const [windows, kernel, length] = [lengthOf(node), lengthOf(weight), lengthOf(x)]
  let taps = 0
  for (let window = 0; window < windows; window++)
    for (let tap = 0; tap < kernel; tap++) {
      const place = window * stride[axis] - padding[axis] + tap * dilation[axis]
      if (place >= 0 && place < length) taps++
    }
  return taps / windows
}

/** How many numbers are added up for each output number. */
const terms = (node: Tensor.Tensor): number => {
  if (is("conv2d", node)) return Arr.getUnsafe(node.inputs[1].shape, 1) * tapsWithin(node, 0) * tapsWithin(node, 1)
  if (is("linear", node)) return node.inputs[0].shape.at(-1) ?? 1
  if (is("matmul", node)) return node.inputs[0].shape.at(node.attributes.transposeA ? -2 : -1) ?? 1
  if (is("reduce", node) && node.attributes.fn === "sum")
    return Shape.size(node.inputs[0].shape) / Shape.size(node.shape)
  return 1
}

/** The new form of a node, or the name of an op that has none. */
const nodeOf = (node: Tensor.Tensor, inputs: ReadonlyArray<Scaled>): Scaled | string => {
  const [x, y, z] = inputs
  const values = inputs.map(({ value }) => value)
  if (!isNumber(node) && !node.inputs.some(isNumber)) return plain(again(node, values))
  if (is("input", node)) return plain(Op.fill(1, node.shape))
  if (is("variable", node)) return plain(Op.abs(node), drawn(node))
  if (is("constant", node)) return plain(Op.abs(node), meanOf(node.attributes.data))
  if (is("fill", node)) {
    const value = Math.abs(node.attributes.value)
    return plain(Op.fill(value, node.shape), value)
  }
  if (x === undefined) return node.kind
  if (is("conv2d", node) || is("linear", node) || is("matmul", node)) {
    if (y === undefined) return node.kind
    const log = x.log + y.log
    // Most biases start at zero.
    const added = z === undefined || z.size === -Infinity ? [] : [z]
    const bias = added.map((z) => (z.log === log ? z.value : Op.scale(z.value, Elementary.exp(z.log - log))))
    const size = x.size + y.size + Elementary.log(terms(node))
    return settled({ value: again(node, [x.value, y.value, ...bias]), log, size })
  }
  if (is("batchNorm", node) || is("batchNormInference", node) || is("layerNorm", node)) return x
  if (is("activation", node))
    return ["relu", "gelu", "silu"].includes(node.attributes.fn) ? x : plain(Op.fill(1, node.shape))
  if (is("softmax", node)) {
    const value = 1 / (node.shape.at(-1) ?? 1)
    return plain(Op.fill(value, node.shape), value)
  }
  if (is("attention", node))
    // Every query attends equally to all keys.
    return z === undefined ? node.kind : { ...z, value: Op.broadcastTo(Op.mean(z.value, [1], true), node.shape) }
  if (is("gather", node)) return { ...x, value: again(node, values) }
  if (is("unary", node))
    return node.attributes.fn === "neg" || node.attributes.fn === "abs" ? x : `${node.kind} ${node.attributes.fn}`
  if (is("binary", node)) {
    if (y === undefined) return node.kind
    const { fn } = node.attributes
    if (fn === "mul") return settled({ value: Op.mul(x.value, y.value), log: x.log + y.log, size: x.size + y.size })
    if (fn !== "add" && fn !== "sub") return `${node.kind} ${fn}`
    const { log, sizes, values } = aligned([x, y])
    const size = Elementary.log(sizes.reduce((sum, each) => sum + Elementary.exp(each), 0))
    return settled({
      value: values.slice(1).reduce((sum, each) => Op.add(sum, each), values[0] ?? Op.fill(0)),
      log,
      size
    })
  }
  if (!linear.has(node.kind)) return node.kind
  const { log, sizes, values: own } = aligned(inputs)
  return settled({ value: again(node, own), log, size: Math.max(...sizes) + Elementary.log(terms(node)) })
}

/** The network with its answers, or the kind of an op that cannot be made linear. */
export const positive = (
  order: ReadonlyArray<Tensor.Tensor>
): ((tensor: Tensor.Tensor) => Scaled | undefined) | string => {
  const made = new Map<Tensor.Tensor, Scaled>()
  for (const node of order) {
    const inputs = node.inputs.map((x) => made.get(x) ?? plain(x))
    const scaled = nodeOf(node, inputs)
    if (typeof scaled === "string") return scaled
    made.set(node, scaled)
  }
  return (tensor) => made.get(tensor)
}

/** log Σ of all answers. */
export const logSum = (answers: ReadonlyArray<Scaled>): Tensor.Tensor => {
  const { log, values } = aligned(answers)
  return Op.add(Op.log(values.map((value) => Op.sum(value)).reduce((a, b) => Op.add(a, b))), Op.fill(log))
}

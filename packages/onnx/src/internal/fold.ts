/**
 * Work on weights that is done in advance, in float64, before a model is written: batch norms and per-feature factors are folded into the weights of their
 * neighbours, and weights are stored in the shape in which they are used.
 *
 * A batch norm is folded into the convolution before it, which is always exact, or into 1×1 convolutions after it that have no padding. It stays if a padded
 * convolution follows: that convolution pads the norm's output with zeros, which are not what the norm makes of a zero.
 */
import * as Arr from "effect/Array"
import type { AttributeValue, Constant, Model, Node } from "../Model.ts"

interface Floats extends Constant {
  readonly data: Float32Array
}

/** A model that is being rewritten. */
interface Draft {
  /** In order, without removed nodes. */
  readonly nodes: Map<Node, Node>
  readonly constants: Map<string, Constant>
  /** The nodes that originally read a value. */
  readonly users: (name: string) => ReadonlyArray<Node>
  readonly producer: (name: string) => Node | undefined
}

const floats = (draft: Draft, name: string | undefined): Floats | undefined => {
  const constant = draft.constants.get(name ?? "")
  return constant?.data instanceof Float32Array ? { ...constant, data: constant.data } : undefined
}

/** Adds weights under a name similar to that of their source. */
const add = (draft: Draft, like: string, shape: ReadonlyArray<number>, data: Float32Array): string => {
  let name = `${like}.folded`
  for (let i = 2; draft.constants.has(name); i++) name = `${like}.folded${i}`
  draft.constants.set(name, { name, shape, data })
  return name
}

/** What a batch norm does to a channel: `factor · x + offset`. */
interface Affine {
  readonly factor: Float64Array
  readonly offset: Float64Array
}

const float = (value: AttributeValue | undefined, otherwise: number) =>
  typeof value === "object" && "float" in value ? value.float : otherwise

const affineOf = (draft: Draft, norm: Node): Affine | undefined => {
  const [scale, bias, mean, variance] = norm.inputs.slice(1).map((name) => floats(draft, name)?.data)
  if (scale === undefined || bias === undefined || mean === undefined || variance === undefined) return undefined
  const epsilon = float(norm.attributes["epsilon"], 1e-5)
  const factor = Float64Array.from(scale, (s, i) => s / Math.sqrt((variance[i] ?? Number.NaN) + epsilon))
  return { factor, offset: Float64Array.from(bias, (b, i) => b - (mean[i] ?? Number.NaN) * (factor[i] ?? Number.NaN)) }
}

/** The weights of a convolution or a matrix product, one row per output channel. */
interface Rows {
  readonly weight: Floats
  readonly bias: Floats | undefined
}

const rowsOf = (draft: Draft, node: Node): Rows | undefined => {
  const weight = floats(draft, node.inputs[1])
  const bias = floats(draft, node.inputs[2])
  const sound = weight !== undefined && (node.inputs[2] === undefined || bias !== undefined)
  if (!sound) return undefined
  // A Gemm that transposes its weights has their rows in the same place.
  return node.opType === "Conv" || node.attributes["transB"] === 1 ? { weight, bias } : undefined
}

/** The node with other weights. */
const withRows = (draft: Draft, node: Node, { bias, weight }: Rows, w: Float32Array, b: Float32Array): Node => ({
  ...node,
  inputs: [
    Arr.getUnsafe(node.inputs, 0),
    add(draft, weight.name, weight.shape, w),
    add(draft, bias?.name ?? weight.name.replace(/(weight)?$/, "bias"), [b.length], b)
  ]
})

/** The node with `factor · y + offset` instead of each of its output channels y. */
const scaledAfter = (draft: Draft, node: Node, rows: Rows, { factor, offset }: Affine): Node => {
  const { bias, weight } = rows
  const length = weight.data.length / factor.length
  const w = weight.data.map((x, i) => x * (factor[Math.floor(i / length)] ?? Number.NaN))
  const b = Float32Array.from(offset, (o, i) => (bias?.data[i] ?? 0) * (factor[i] ?? Number.NaN) + o)
  return withRows(draft, node, rows, w, b)
}

/** The 1×1 convolution that takes x instead of `factor · x + offset`. */
const scaledBefore = (draft: Draft, node: Node, rows: Rows, { factor, offset }: Affine): Node => {
  const { bias, weight } = rows
  const inputs = factor.length
  const w = weight.data.map((x, i) => x * (factor[i % inputs] ?? Number.NaN))
  const b = Float32Array.from({ length: Arr.getUnsafe(weight.shape, 0) }, (_, o) =>
    offset.reduce((sum, value, i) => sum + (weight.data[o * inputs + i] ?? Number.NaN) * value, bias?.data[o] ?? 0)
  )
  return withRows(draft, node, rows, w, b)
}

const every = (value: AttributeValue | undefined, n: number) => Array.isArray(value) && value.every((x) => x === n)

const isPointwise = ({ attributes, opType }: Node): boolean =>
  opType === "Conv" && every(attributes["kernel_shape"], 1) && every(attributes["pads"], 0) && attributes["group"] === 1

const current = (draft: Draft, node: Node): Node => draft.nodes.get(node) ?? node

/** Makes `node`, whose result only `last` read, give `last`'s result. */
const replace = (draft: Draft, node: Node, by: Node, last: Node) => {
  draft.nodes.set(node, { ...by, outputs: last.outputs })
  draft.nodes.delete(last)
}

const foldNorm = (draft: Draft, norm: Node): void => {
  const affine = affineOf(draft, norm)
  if (affine === undefined) return
  const input = Arr.getUnsafe(norm.inputs, 0)
  const before = draft.producer(input)
  if (before?.opType === "Conv" && draft.users(input).length === 1) {
    const conv = current(draft, before)
    const rows = rowsOf(draft, conv)
    if (rows !== undefined) return replace(draft, before, scaledAfter(draft, conv, rows, affine), norm)
  }
  const after = draft.users(Arr.getUnsafe(norm.outputs, 0))
  const convs = after.map((node) => ({ node, conv: current(draft, node), rows: rowsOf(draft, current(draft, node)) }))
  if (after.length === 0 || !convs.every(({ conv, rows }) => isPointwise(conv) && rows !== undefined)) return
  for (const { conv, node, rows } of convs)
    if (rows !== undefined) {
      const scaled = scaledBefore(draft, conv, rows, affine)
      draft.nodes.set(node, { ...scaled, inputs: [input, ...scaled.inputs.slice(1)] })
    }
  draft.nodes.delete(norm)
}

/** Folds a product with one number per output feature of a matrix product, as in LayerScale. */
const foldScale = (draft: Draft, mul: Node): void => {
  const [x, factor] =
    [mul.inputs, mul.inputs.toReversed()].find((pair) => draft.producer(Arr.getUnsafe(pair, 0))?.opType === "Gemm") ??
    []
  const before = draft.producer(x ?? "")
  const scale = floats(draft, factor)
  if (x === undefined || before === undefined || scale === undefined || draft.users(x).length !== 1) return
  const gemm = current(draft, before)
  const rows = rowsOf(draft, gemm)
  const perFeature = scale.shape.at(-1) === rows?.weight.shape[0] && scale.data.length === scale.shape.at(-1)
  if (rows === undefined || !perFeature || gemm.attributes["alpha"] !== undefined) return
  const affine = { factor: Float64Array.from(scale.data), offset: new Float64Array(scale.data.length) }
  replace(draft, before, scaledAfter(draft, gemm, rows, affine), mul)
}

/** Reshaped weights are weights. */
const foldReshape = (draft: Draft, reshape: Node): void => {
  const constant = draft.constants.get(Arr.getUnsafe(reshape.inputs, 0))
  const shape = draft.constants.get(Arr.getUnsafe(reshape.inputs, 1))
  if (constant === undefined || !(shape?.data instanceof BigInt64Array) || shape.data.some((n) => n < 1n)) return
  const name = Arr.getUnsafe(reshape.outputs, 0)
  draft.constants.set(name, { ...constant, name, shape: Array.from(shape.data, Number) })
  draft.nodes.delete(reshape)
}

const draftOf = (model: Model): Draft => {
  const users = Map.groupBy(
    model.nodes.flatMap((node) => node.inputs.map((name) => ({ node, name }))),
    ({ name }) => name
  )
  const producers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const ends = new Set(model.outputs.map(({ name }) => name))
  return {
    nodes: new Map(model.nodes.map((node) => [node, node])),
    constants: new Map(model.constants.map((constant) => [constant.name, constant])),
    // The model's outputs have no readers here, and must stay.
    users: (name) => (ends.has(name) ? [] : (users.get(name)?.map(({ node }) => node) ?? [])),
    producer: (name) => producers.get(name)
  }
}

/** The same model with less to compute. */
export const fold = (model: Model): Model => {
  const draft = draftOf(model)
  const each = (opType: string, f: (draft: Draft, node: Node) => void) => {
    for (const node of model.nodes) if (node.opType === opType) f(draft, node)
  }
  each("Reshape", foldReshape)
  each("BatchNormalization", foldNorm)
  each("Mul", foldScale)
  const nodes = [...draft.nodes.values()]
  const read = new Set([...nodes.flatMap((node) => node.inputs), ...model.outputs.map(({ name }) => name)])
  return { ...model, nodes, constants: [...draft.constants.values()].filter(({ name }) => read.has(name)) }
}

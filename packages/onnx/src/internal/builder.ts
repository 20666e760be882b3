/**
 * Emits ONNX nodes. Emitting a node with the same inputs and attributes as an earlier one gives that earlier node, so rules that share
 * intermediate results (a batch norm and its gradients, for example) can simply ask for them.
 */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Product } from "../CostModel.ts"
import type { AttributeValue, Constant, Model, Node, ValueInfo } from "../Model.ts"

/** A value of the ONNX graph with its physical shape. */
export interface Value {
  readonly name: string
  readonly shape: Shape.Shape
}

interface Emitted {
  readonly node: Node
  readonly outputs: ReadonlyArray<Value>
  /** Shapes of its inputs. */
  readonly operands: ReadonlyArray<Shape.Shape>
  /** What it was first emitted for. */
  readonly purpose: Tensor.Tensor | undefined
  /** Elements read and written; 0 for an operator that only changes a shape. */
  readonly elements: number
}

/** An operator of a finished model and what it was emitted for. */
export interface Work {
  readonly node: Tensor.Tensor | undefined
  readonly opType: string
  /** Bytes read and written; 0 for an operator that only changes a shape. */
  readonly bytes: number
  /** Number of output elements. */
  readonly elements: number
  /** The lengths of the product, if it is one. */
  readonly product: Product | undefined
}

/** The lifetime of a result, from the operator that makes it to the last one that reads it, by their positions in the model. */
export interface Life {
  readonly node: Tensor.Tensor | undefined
  readonly opType: string
  readonly bytes: number
  readonly from: number
  readonly to: number
}

/** The description of a matrix product, including which of its three lengths is the large one. */
const productOf = ({ node, operands, outputs }: Emitted): Product | undefined => {
  if (node.opType === "Conv" && (node.attributes["group"] ?? 1) === 1 && node.domain === "") {
    const weight = Arr.getUnsafe(operands, 1)
    const out = Arr.getUnsafe(weight, 0)
    return {
      orientation: "columns",
      out,
      in: Shape.size(weight.slice(1)),
      many: Shape.size(Arr.getUnsafe(outputs, 0).shape) / out
    }
  }
  if (!["Gemm", "MatMul", "FusedMatMul"].includes(node.opType)) return undefined
  const x = Arr.getUnsafe(operands, 0)
  const y = Arr.getUnsafe(outputs, 0).shape
  const transposed = node.attributes["transA"] === 1
  const [m, n] = [Arr.getUnsafe(y, y.length - 2), Arr.getUnsafe(y, y.length - 1)]
  const k = Arr.getUnsafe(x, x.length - (transposed ? 2 : 1))
  const batch = Shape.size(y.slice(0, -2))
  if (k >= m && k >= n) return { orientation: "gradient", out: m, in: n, many: batch * k }
  return n >= m
    ? { orientation: "columns", out: m, in: k, many: batch * n }
    : { orientation: "rows", out: n, in: k, many: batch * m }
}

export interface Builder {
  /** Any node, with one output per shape in `shapes`. A kind of node must always be asked for the same number of outputs. */
  readonly node: <const Shapes extends ReadonlyArray<Shape.Shape>>(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Readonly<Record<string, AttributeValue>>,
    shapes: Shapes,
    domain?: string
  ) => { readonly [I in keyof Shapes]: Value }
  /** Runs `emit`; the nodes that it emits are for this purpose. */
  readonly within: <A>(purpose: Tensor.Tensor, emit: () => A) => A
  /** The value at the start of a chain of reshapes. */
  readonly unreshaped: (value: Value) => Value
  readonly constant: (data: Constant["data"], shape: Shape.Shape) => Value
  /** Values that keep their name in the model. */
  readonly weight: (name: string, data: Float32Array, shape: Shape.Shape) => Value
  /** One float in every element, as a scalar: ONNX broadcasts it. */
  readonly scalar: (value: number) => Value
  readonly ints: (values: ReadonlyArray<number>) => Value
  readonly input: (name: string, type: ValueInfo["type"], shape: Shape.Shape) => Value
  /**
   * The model that ends in these outputs. Its inputs and outputs have their elements in row-major order. Unless `exact`, they may be declared in
   * another shape with the same number of elements, which saves a reshape.
   */
  readonly finish: (
    name: string,
    outputs: ReadonlyArray<{ readonly name: string; readonly type: ValueInfo["type"]; readonly value: Value }>,
    options: { readonly exact: boolean; readonly metadata: Readonly<Record<string, string>> }
  ) => {
    readonly model: Model
    readonly peakBytes: number
    readonly work: () => ReadonlyArray<Work>
    readonly lives: () => ReadonlyArray<Life>
  }
}

export const make = (): Builder => {
  const emitted = new Map<string, Emitted>()
  const producer = new Map<string, Emitted>()
  const constants = new Map<string, { readonly constant: Constant; readonly value: Value }>()
  const arrays = new Map<Constant["data"], number>()
  const sources = new Map<string, Value>()
  const inputs: Array<ValueInfo> = []
  let next = 0
  let purpose: Tensor.Tensor | undefined
  const fresh = () => `v${next++}`

  const emit = (
    opType: string,
    ins: ReadonlyArray<Value | undefined>,
    attributes: Readonly<Record<string, AttributeValue>>,
    shapes: ReadonlyArray<Shape.Shape>,
    domain = ""
  ): ReadonlyArray<Value> => {
    const names = ins.map((v) => v?.name ?? "")
    const key = `${domain}.${opType}(${names.join()})${JSON.stringify(attributes)}`
    const known = emitted.get(key)
    if (known !== undefined) return known.outputs
    const outputs = shapes.map((shape) => ({ name: fresh(), shape }))
    const values = [...ins.flatMap((v) => (v === undefined ? [] : [v])), ...outputs]
    const made: Emitted = {
      node: { opType, domain, inputs: names, outputs: outputs.map((v) => v.name), attributes },
      outputs,
      operands: ins.flatMap((v) => (v === undefined ? [] : [v.shape])),
      purpose,
      elements: opType === "Reshape" ? 0 : values.reduce((sum, v) => sum + Shape.size(v.shape), 0)
    }
    emitted.set(key, made)
    for (const output of outputs) producer.set(output.name, made)
    if (opType === "Reshape" && ins[0] !== undefined) sources.set(Arr.getUnsafe(outputs, 0).name, ins[0])
    return outputs
  }
  const node: Builder["node"] = <Shapes extends ReadonlyArray<Shape.Shape>>(
    opType: string,
    ins: ReadonlyArray<Value | undefined>,
    attributes: Readonly<Record<string, AttributeValue>>,
    shapes: Shapes,
    domain?: string
  ) =>
    // One value per shape, which the type of `map` does not say.
    emit(opType, ins, attributes, shapes, domain) as { readonly [I in keyof Shapes]: Value }

  const numberOf = (data: Constant["data"]) => {
    const known = arrays.get(data)
    if (known === undefined) arrays.set(data, arrays.size)
    return known ?? arrays.size - 1
  }

  const constant: Builder["constant"] = (data, shape) => {
    // Small constants are compared by content, large ones by array identity.
    const held = data.length <= 4096 ? `${data.constructor.name} ${data.join()}` : `array ${numberOf(data)}`
    const key = `[${shape.join()}]${held}`
    const known = constants.get(key)
    if (known !== undefined) return known.value
    const value = { name: `c${constants.size}`, shape }
    const made = { name: value.name, shape, data }
    constants.set(key, { constant: made, value })
    return value
  }

  /** The value that shares its memory with a reshaped one. */
  const origin = (name: string) => sources.get(name)?.name ?? name

  const finish: Builder["finish"] = (name, ends, { exact, metadata }) => {
    // The memory behind an output does not depend on its shape.
    const outputs = exact ? ends : ends.map((end) => ({ ...end, value: sources.get(end.value.name) ?? end.value }))
    const needed = new Set<Emitted>()
    const used = new Set<string>()
    const pending = outputs.map((output) => output.value.name)
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      used.add(at)
      const made = producer.get(at)
      if (made === undefined || needed.has(made)) continue
      needed.add(made)
      pending.push(...made.node.inputs)
    }
    const kept = [...emitted.values()].filter((made) => needed.has(made))
    const reshaped = exact ? new Map<string, Reshaped>() : reshapedInputs(kept, inputs, outputs)
    // A result takes the output's name. A value that is not a node's result, or has a name already, is copied.
    const renamed = new Map<string, string>()
    for (const [input, { reshapes }] of reshaped)
      for (const made of reshapes) renamed.set(Arr.getUnsafe(made.outputs, 0).name, input)
    const gone = new Set([...reshaped.values()].flatMap(({ reshapes }) => reshapes))
    const copies: Array<Node> = []
    for (const { name, value } of outputs) {
      if (producer.has(value.name) && !renamed.has(value.name)) renamed.set(value.name, name)
      else {
        const from = renamed.get(value.name) ?? value.name
        copies.push({ opType: "Identity", domain: "", inputs: [from], outputs: [name], attributes: {} })
      }
    }
    const rename = (name: string) => renamed.get(name) ?? name
    const remaining = kept.filter((made) => !gone.has(made))
    const nodes = remaining.map(({ node }) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename)
    }))
    const copied = copies.map(({ opType }) => ({ node: undefined, opType, bytes: 0, elements: 0, product: undefined }))
    const work = () => [
      ...remaining.map((made) => ({
        node: made.purpose,
        opType: made.node.opType === "Conv" && made.node.domain !== "" ? "nchwc Conv" : made.node.opType,
        bytes: 4 * made.elements,
        elements: made.outputs.reduce((sum, { shape }) => sum + Shape.size(shape), 0),
        product: productOf(made)
      })),
      ...copied
    ]
    const given = new Set(outputs.map(({ value }) => origin(value.name)))
    const lives = () => livesOf(remaining, given, origin)
    const model: Model = {
      name,
      nodes: [...nodes, ...copies],
      constants: [...constants.values()].map((c) => c.constant).filter((c) => used.has(c.name)),
      inputs: inputs.map((input) => ({ ...input, shape: reshaped.get(input.name)?.shape ?? input.shape })),
      outputs: outputs.map(({ name, type, value }) => ({ name, type, shape: value.shape })),
      metadata
    }
    return {
      model,
      work,
      lives,
      peakBytes: peakOf(lives()).bytes
    }
  }

  return {
    node,
    within: (wanted, emit) => {
      const outer = purpose
      purpose = wanted
      const result = emit()
      purpose = outer
      return result
    },
    unreshaped: (value) => sources.get(value.name) ?? value,
    constant,
    weight: (name, data, shape) => {
      const value = { name, shape }
      constants.set(`weight ${name}`, { constant: { name, shape, data }, value })
      return value
    },
    scalar: (value) => constant(Float32Array.of(value), []),
    ints: (values) => constant(BigInt64Array.from(values.map(BigInt)), [values.length]),
    input: (name, type, shape) => {
      inputs.push({ name, type, shape })
      return { name, shape }
    },
    finish
  }
}

/** Lifetimes when nodes run in this order and a result is freed once nothing reads it any more. A reshaped value shares the lifetime of its source. */
const livesOf = (
  nodes: ReadonlyArray<Emitted>,
  kept: ReadonlySet<string>,
  origin: (name: string) => string
): ReadonlyArray<Life> => {
  const lastUse = new Map<string, number>()
  for (const [i, { node }] of nodes.entries()) for (const name of node.inputs) lastUse.set(origin(name), i)
  return nodes.flatMap(({ node, outputs, purpose }, from) =>
    node.opType === "Reshape"
      ? []
      : outputs.map(({ name, shape }) => ({
          node: purpose,
          opType: node.opType,
          bytes: 4 * Shape.size(shape),
          from,
          to: kept.has(name) ? nodes.length : (lastUse.get(name) ?? from)
        }))
  )
}

/** The most bytes held at once, and when. */
export const peakOf = (lives: ReadonlyArray<Life>): { readonly bytes: number; readonly at: number } => {
  const freed = new Map<number, number>()
  let held = 0
  let peak = { bytes: 0, at: 0 }
  let i = 0
  for (const life of lives) {
    for (; i < life.from; i++) held -= freed.get(i) ?? 0
    held += life.bytes
    freed.set(life.to, (freed.get(life.to) ?? 0) + life.bytes)
    if (held > peak.bytes) peak = { bytes: held, at: life.from }
  }
  return peak
}

/** An input that is only used in another shape, and the reshapes that produce it. */
interface Reshaped {
  readonly shape: Shape.Shape
  readonly reshapes: ReadonlyArray<Emitted>
}

/** Inputs that are only ever used in one other shape: they are declared in that shape and need no reshape. */
const reshapedInputs = (
  nodes: ReadonlyArray<Emitted>,
  inputs: ReadonlyArray<ValueInfo>,
  outputs: ReadonlyArray<{ readonly value: Value }>
): ReadonlyMap<string, Reshaped> => {
  const users = new Map<string, Array<Emitted>>(inputs.map(({ name }) => [name, []]))
  for (const made of nodes) for (const name of new Set(made.node.inputs)) users.get(name)?.push(made)
  for (const { value } of outputs) users.delete(value.name)
  const found = new Map<string, Reshaped>()
  for (const [name, by] of users) {
    const [first] = by
    if (first === undefined) continue
    const { shape } = Arr.getUnsafe(first.outputs, 0)
    const only = by.every(
      ({ node, outputs: [value] }) =>
        node.opType === "Reshape" && value !== undefined && Shape.equals(value.shape, shape)
    )
    if (only) found.set(name, { shape, reshapes: by })
  }
  return found
}

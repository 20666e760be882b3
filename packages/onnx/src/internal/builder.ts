/**
 * Emits ONNX nodes. A node that was emitted before with the same inputs and attributes is that earlier node, so rules that share
 * intermediate results (a batch norm and its gradients, say) simply ask for them.
 */
import { Shape } from "@uninet/graph"
import type { AttributeValue, Constant, Model, Node, ValueInfo } from "../Model.ts"

/** A value of the ONNX graph with its physical shape. */
export interface Value {
  readonly name: string
  readonly shape: Shape.Shape
}

interface Emitted {
  readonly node: Node
  readonly outputs: ReadonlyArray<Value>
}

export interface Builder {
  /** Any node; one output per shape in `shapes`. A kind of node must always be asked for the same number of outputs. */
  readonly node: (
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Readonly<Record<string, AttributeValue>>,
    shapes: ReadonlyArray<Shape.Shape>,
    domain?: string
  ) => ReadonlyArray<Value>
  /** The value that a chain of reshapes began with. */
  readonly unreshaped: (value: Value) => Value
  readonly constant: (data: Constant["data"], shape: Shape.Shape) => Value
  /** Values that keep their name in the model. */
  readonly weight: (name: string, data: Float32Array, shape: Shape.Shape) => Value
  /** One float in every element, as a scalar: ONNX broadcasts it. */
  readonly scalar: (value: number) => Value
  readonly ints: (values: ReadonlyArray<number>) => Value
  readonly input: (name: string, type: ValueInfo["type"], shape: Shape.Shape) => Value
  readonly finish: (
    name: string,
    outputs: ReadonlyArray<{ readonly name: string; readonly type: ValueInfo["type"]; readonly value: Value }>,
    metadata: Readonly<Record<string, string>>
  ) => Model
}

export const make = (): Builder => {
  const emitted = new Map<string, Emitted>()
  const producer = new Map<string, Emitted>()
  const constants = new Map<string, { readonly constant: Constant; readonly value: Value }>()
  const sources = new Map<string, Value>()
  const inputs: Array<ValueInfo> = []
  let next = 0
  const fresh = () => `v${next++}`

  const node: Builder["node"] = (opType, ins, attributes, shapes, domain = "") => {
    const names = ins.map((v) => v?.name ?? "")
    const key = `${domain}.${opType}(${names.join()})${JSON.stringify(attributes)}`
    const known = emitted.get(key)
    if (known !== undefined) return known.outputs
    const outputs = shapes.map((shape) => ({ name: fresh(), shape }))
    const made: Emitted = {
      node: { opType, domain, inputs: names, outputs: outputs.map((v) => v.name), attributes },
      outputs
    }
    emitted.set(key, made)
    for (const output of outputs) producer.set(output.name, made)
    if (opType === "Reshape" && ins[0] !== undefined) sources.set(outputs[0].name, ins[0])
    return outputs
  }

  const constant: Builder["constant"] = (data, shape) => {
    const small = data.length <= 4096
    const key = small ? `${data.constructor.name}[${shape.join()}]${data.join()}` : `${fresh()}`
    const known = constants.get(key)
    if (known !== undefined) return known.value
    const value = { name: `c${constants.size}`, shape }
    const made = { name: value.name, shape, data }
    constants.set(key, { constant: made, value })
    return value
  }

  const finish: Builder["finish"] = (name, outputs, metadata) => {
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
    // A result takes the output's name; one that is no node's result, or has a name already, is copied.
    const renamed = new Map<string, string>()
    const copies: Array<Node> = []
    for (const { name, value } of outputs) {
      if (producer.has(value.name) && !renamed.has(value.name)) renamed.set(value.name, name)
      else copies.push({ opType: "Identity", domain: "", inputs: [value.name], outputs: [name], attributes: {} })
    }
    const rename = (name: string) => renamed.get(name) ?? name
    const nodes = [...[...emitted.values()].filter((made) => needed.has(made)).map((made) => made.node), ...copies]
    return {
      name,
      nodes: nodes.map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) })),
      constants: [...constants.values()].map((c) => c.constant).filter((c) => used.has(c.name)),
      inputs,
      outputs: outputs.map(({ name, type, value }) => ({ name, type, shape: value.shape })),
      metadata
    }
  }

  return {
    node,
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

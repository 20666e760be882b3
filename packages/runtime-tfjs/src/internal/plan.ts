/**
 * Collects kernel calls. Requesting a call with the same operands as an earlier one gives that earlier call, so rules that share intermediate
 * results (a batch norm and its gradients, for example) can simply request them. Every result is freed after its last use.
 */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"

/** The result of a call, or a leaf, with its shape in memory. */
export interface Value {
  readonly id: number
  readonly shape: Shape.Shape
  readonly dtype: Tensor.DType
}

export type Attribute = number | string | boolean | ReadonlyArray<number> | ReadonlyArray<ReadonlyArray<number>>

export interface Call {
  readonly kernel: string
  /** Operands by the kernel's names for them; by position for kernels that take a list. */
  readonly inputs: ReadonlyArray<readonly [name: string, id: number]>
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly output: number
  /** Results that nothing after this call uses. */
  readonly frees: ReadonlyArray<number>
}

export interface Plan {
  /** Calls on constants alone, which are made once. */
  readonly once: ReadonlyArray<Call>
  readonly calls: ReadonlyArray<Call>
  readonly constants: ReadonlyArray<Constant>
  readonly inputs: ReadonlyArray<Leaf>
  readonly variables: ReadonlyArray<Leaf>
  /** What is kept between runs: constants and what was made from them. */
  readonly kept: ReadonlyArray<number>
  readonly ends: ReadonlyArray<number>
  readonly size: number
}

export interface Leaf {
  readonly name: string
  readonly value: Value
}

export interface Constant {
  readonly data: Float32Array | Int32Array
  readonly value: Value
}

export interface Builder {
  /** Whether sums are fastest with a pooling kernel. */
  readonly poolsSums: boolean
  readonly call: (
    kernel: string,
    inputs: ReadonlyArray<readonly [name: string, value: Value]>,
    attributes: Readonly<Record<string, Attribute>>,
    shape: Shape.Shape,
    dtype?: Tensor.DType
  ) => Value
  readonly constant: (data: Float32Array | Int32Array, shape: Shape.Shape) => Value
  readonly input: (name: string, shape: Shape.Shape, dtype: Tensor.DType) => Value
  readonly variable: (name: string, shape: Shape.Shape, dtype: Tensor.DType) => Value
  /** The value at the start of a chain of reshapes. */
  readonly unreshaped: (value: Value) => Value
  /** Completes the plan: `ends` are kept for the caller; a run frees everything else that it makes. */
  readonly finish: (ends: ReadonlyArray<Value>) => Plan
}

/** Constants with up to this many elements are compared by content. */
const comparedByContent = 4096

interface Made {
  readonly kernel: string
  readonly inputs: ReadonlyArray<readonly [string, Value]>
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly value: Value
}

/** `onCall` is called with every kernel that is requested. */
export const make = (poolsSums: boolean, onCall: (kernel: string) => void): Builder => {
  const known = new Map<string, Value>()
  const made = new Map<number, Made>()
  const constants: Array<Constant> = []
  const constantsByContent = new Map<string, Value>()
  const inputs: Array<Leaf> = []
  const variables: Array<Leaf> = []
  let next = 0
  const fresh = (shape: Shape.Shape, dtype: Tensor.DType): Value => ({ id: next++, shape, dtype })

  const call: Builder["call"] = (kernel, operands, attributes, shape, dtype = "float32") => {
    onCall(kernel)
    const key = `${kernel}(${operands.map(([name, { id }]) => `${name}:${id}`).join()})${JSON.stringify(attributes)}`
    const seen = known.get(key)
    if (seen !== undefined) return seen
    const value = fresh(shape, dtype)
    known.set(key, value)
    made.set(value.id, { kernel, inputs: operands, attributes, value })
    return value
  }

  const finish: Builder["finish"] = (ends) => {
    const needed = new Set<number>()
    const pending = ends.map(({ id }) => id)
    for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
      if (needed.has(id)) continue
      needed.add(id)
      for (const [, value] of made.get(id)?.inputs ?? []) pending.push(value.id)
    }
    const used = constants.filter(({ value }) => needed.has(value.id))
    const lasting = new Set(used.map(({ value }) => value.id))
    const once: Array<Made> = []
    const each: Array<Made> = []
    // In the order of the requests, in which every call comes after its operands.
    for (const m of made.values()) {
      if (!needed.has(m.value.id)) continue
      const constant = m.inputs.every(([, value]) => lasting.has(value.id))
      if (constant) lasting.add(m.value.id)
      ;(constant ? once : each).push(m)
    }
    const mine = new Set(ends.map(({ id }) => id))
    const lastUse = new Map<number, number>()
    for (const [i, { inputs: operands, value }] of each.entries()) {
      lastUse.set(value.id, i)
      for (const [, { id }] of operands) lastUse.set(id, i)
    }
    const leaves = new Set([...inputs, ...variables].map(({ value }) => value.id))
    const frees = each.map(() => new Array<number>())
    for (const [id, i] of lastUse)
      if (!mine.has(id) && !lasting.has(id) && !leaves.has(id)) Arr.getUnsafe(frees, i).push(id)
    const calls = (list: ReadonlyArray<Made>, freed: (i: number) => ReadonlyArray<number>) =>
      list.map((m, i): Call => ({
        kernel: m.kernel,
        inputs: m.inputs.map(([name, { id }]) => [name, id] as const),
        attributes: m.attributes,
        output: m.value.id,
        frees: freed(i)
      }))
    return {
      once: calls(once, () => []),
      calls: calls(each, (i) => Arr.getUnsafe(frees, i)),
      constants: used,
      inputs,
      variables,
      kept: [...lasting],
      ends: ends.map(({ id }) => id),
      size: next
    }
  }

  const leaf = (into: Array<Leaf>) => (name: string, shape: Shape.Shape, dtype: Tensor.DType) => {
    const seen = into.find((one) => one.name === name)
    if (seen !== undefined) return seen.value
    const value = fresh(shape, dtype)
    into.push({ name, value })
    return value
  }

  return {
    poolsSums,
    call,
    constant: (data, shape) => {
      const kind = data instanceof Float32Array ? "f" : "i"
      const key = data.length <= comparedByContent ? `${kind}[${shape.join()}]${data.join()}` : undefined
      const seen = key === undefined ? undefined : constantsByContent.get(key)
      if (seen !== undefined) return seen
      const value = fresh(shape, data instanceof Float32Array ? "float32" : "int32")
      constants.push({ data, value })
      if (key !== undefined) constantsByContent.set(key, value)
      return value
    },
    input: leaf(inputs),
    variable: leaf(variables),
    unreshaped: (value) => {
      let at = value
      for (let m = made.get(at.id); m?.kernel === "Reshape"; m = made.get(at.id)) [, at] = Arr.getUnsafe(m.inputs, 0)
      return at
    },
    finish
  }
}

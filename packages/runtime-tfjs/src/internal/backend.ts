/** A TensorFlow.js backend, and running plans on it. */
import * as tf from "@tensorflow/tfjs-core"
import type { Data } from "@uninet/engine"
import type { Traits } from "./context.ts"
import type { Call, Plan } from "./plan.ts"

export interface Backend {
  /** Its name in TensorFlow.js. */
  readonly name: string
  /** Its name for people, such as `tfjs wasm`. */
  readonly engine: string
  readonly traits: Traits
}

export const has =
  ({ name }: Backend) =>
  (kernel: string): boolean =>
    tf.getKernel(kernel, name) !== undefined

/** Kernels run on the single active backend. This activates one, immediately if it was already active. */
export const activate = ({ name }: Backend): Promise<boolean> | void => {
  if (tf.engine().backendName !== name) return tf.engine().setBackend(name)
}

/** A tensor with its own memory. */
export const upload = (data: Data, shape: ReadonlyArray<number>): tf.Tensor =>
  tf.engine().makeTensor(data.slice(), [...shape], data instanceof Float32Array ? "float32" : "int32")

/** The elements, which belong to the caller. Kernels in this project's plans give floats or 32-bit integers. */
export const download = (tensor: tf.Tensor): Data => tensor.dataSync<"float32" | "int32">().slice()

/** Results, by their number in a plan. */
export type Slots = Array<tf.Tensor | undefined>

const perform = ({ attributes, inputs, kernel, output }: Call, slots: Slots): void => {
  // Kernels that take a list take it in order, by position.
  const operands = Object.fromEntries(inputs.map(([name, id]) => [name, slots[id]]))
  const listed = kernel === "Concat" ? Object.values(operands) : operands
  // The types of TensorFlow.js do not say what a kernel takes; the table of kernels does.
  slots[output] = tf
    .engine()
    .runKernel<tf.Tensor>(kernel, listed as tf.NamedTensorMap, attributes as unknown as tf.NamedAttrMap)
}

/** A plan with the constants it needs, which are kept until `release`. */
export interface Loaded {
  /** Runs the plan; returns the tensors of its ends, which the caller must dispose of. */
  readonly run: (
    inputs: Readonly<Record<string, Data>>,
    variables: ReadonlyMap<string, tf.Tensor>
  ) => ReadonlyArray<tf.Tensor>
  readonly release: () => void
}

export const load = (plan: Plan): Loaded => {
  const kept: Slots = []
  const free = (slots: Slots, ids: Iterable<number>) => {
    for (const id of ids) {
      slots[id]?.dispose()
      slots[id] = undefined
    }
  }
  try {
    for (const { data, value } of plan.constants) kept[value.id] = upload(data, value.shape)
    for (const call of plan.once) perform(call, kept)
  } catch (cause) {
    free(kept, kept.keys())
    throw cause
  }
  const foreign = new Set([...plan.kept, ...plan.variables.map(({ value }) => value.id)])
  return {
    run: (inputs, variables) => {
      const slots: Slots = kept.slice()
      const given = new Set<number>()
      let done = false
      try {
        for (const { name, value } of plan.variables) slots[value.id] = variables.get(name)
        for (const { name, value } of plan.inputs) {
          const data = inputs[name]
          if (data === undefined) throw new Error(`it was not given its input ${name}`)
          slots[value.id] = upload(data, value.shape)
        }
        for (const call of plan.calls) {
          perform(call, slots)
          free(slots, call.frees)
        }
        const ends = plan.ends.map((id) => {
          const tensor = slots[id]
          if (tensor === undefined) throw new Error(`the plan's end ${id} was not computed`)
          // A tensor that belongs to someone else, or was already returned, is returned as a copy.
          if (foreign.has(id) || given.has(id)) return tensor.clone()
          given.add(id)
          return tensor
        })
        done = true
        return ends
      } finally {
        for (const [id, tensor] of slots.entries()) if (!foreign.has(id) && !(done && given.has(id))) tensor?.dispose()
      }
    },
    release: () => free(kept, kept.keys())
  }
}

/**
 * The state of an executable in flat WebAssembly memory: every variable is a view of it that ONNX Runtime reads and writes directly, and
 * the optimiser runs over all of them at once.
 *
 * The optimised variables are in arrays with the same order (parameters, gradients, then what the optimiser keeps: AdamW's first and second moments, SGD's velocity), with
 * those that have equal constants next to each other. All other variables follow.
 */
import { type Updates } from "@uninet/engine"
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import { optimiserWasm } from "./optimiser.wasm.ts"

/** The part of the WebAssembly interface used here, which neither ES nor Node's types declare. */
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => {
    readonly buffer: ArrayBuffer
  }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly env: { readonly memory: object } }
  ) => {
    readonly exports: Readonly<Record<"adamw" | "sgd" | "average", (...args: ReadonlyArray<number>) => void>> & {
      readonly squares: (address: number, count: number) => number
    }
  }
}

/** Adjacent optimised variables with the same constants. */
interface Group {
  readonly rule: Updates.Rule
  /** In elements, from the start of each array; a multiple of four. */
  readonly start: number
  readonly count: number
}

/** Small variables that are next to each other. A session sees them as one, since every input and output costs it some microseconds. */
export interface Pack {
  readonly members: ReadonlyArray<{ readonly name: string; readonly size: number }>
  readonly values: Float32Array
  /** Where to write their gradients, if they are optimised. */
  readonly gradients: Float32Array | undefined
}

/** Variables with at most this many elements go into packs: above that, copying them costs more than it saves. */
const small = 4096

export interface Memory {
  /** Every variable's elements. They are views of the memory: copy them before passing them to a caller. */
  readonly variables: ReadonlyMap<string, Float32Array>
  readonly packs: ReadonlyArray<Pack>
  /** Where to write the gradient of an optimised variable. */
  readonly gradients: ReadonlyMap<string, Float32Array>
  /** One optimiser step with the gradients that were written, clipped to a global norm if one is given; returns their norm before clipping. */
  readonly optimise: (
    inputs: Readonly<Record<string, ArrayLike<number>>>,
    most: number | undefined
  ) => number | undefined
  /** One step of moving averages. */
  readonly average: (
    updates: ReadonlyArray<Updates.AverageUpdate>,
    inputs: Readonly<Record<string, ArrayLike<number>>>
  ) => void
}

/** An input with a single number; inputs were checked before the run, so it is present. */
const scalar = (values: ArrayLike<number> | undefined) => Option.getOrThrow(Option.fromUndefinedOr(values?.[0]))

const roundUp = (n: number) => (n + 3) & ~3

const isSmall = (v: Tensor.Tensor) => Shape.size(v.shape) <= small

/** Splits variables into the small ones and the others. */
const bySize = (variables: ReadonlyArray<Tensor.Tensor<"variable">>) =>
  [variables.filter(isSmall), variables.filter((v) => !isSmall(v))] as const

/** Lays out the variables of several programs that share them. */
export const make = (
  variables: ReadonlyArray<Tensor.Tensor<"variable">>,
  steps: ReadonlyArray<Updates.StepUpdate>
): Memory => {
  const offsets = new Map<string, number>()
  const groups: Array<Group> = []
  const packed: Array<ReadonlyArray<Tensor.Tensor<"variable">>> = []
  let optimised = 0
  for (const updates of Object.values(Arr.groupBy(steps, ({ rule }) => JSON.stringify(rule)))) {
    const { rule } = updates[0]
    const start = optimised
    const [short, long] = bySize(updates.map(({ parameter }) => parameter))
    packed.push(short)
    for (const parameter of [...short, ...long]) {
      offsets.set(parameter.attributes.name, optimised)
      optimised += Shape.size(parameter.shape)
    }
    optimised = roundUp(optimised)
    groups.push({ rule, start, count: optimised - start })
  }

  const owned = new Set(steps.flatMap((u) => [u.parameter, ...u.states].map((t) => t.attributes.name)))
  const [shortOthers, longOthers] = bySize(variables.filter((v) => !owned.has(v.attributes.name)))
  const others = [...shortOthers, ...longOthers]
  const arrays = 2 + Math.max(0, ...steps.map(({ states }) => states.length))
  const total = arrays * optimised + others.reduce((sum, v) => sum + Shape.size(v.shape), 0)
  const page = 65_536
  const memory = new WebAssembly.Memory({ initial: Math.max(1, Math.ceil((4 * total) / page)), maximum: 65_536 })
  const view = (offset: number, size: number) => new Float32Array(memory.buffer, 4 * offset, size)

  const views = new Map<string, Float32Array>()
  const gradients = new Map<string, Float32Array>()
  for (const { parameter, states } of steps) {
    const offset = offsets.get(parameter.attributes.name) ?? 0
    const size = Shape.size(parameter.shape)
    views.set(parameter.attributes.name, view(offset, size))
    gradients.set(parameter.attributes.name, view(optimised + offset, size))
    for (const [i, state] of states.entries())
      views.set(state.attributes.name, view((2 + i) * optimised + offset, size))
  }
  let offset = arrays * optimised
  for (const variable of others) {
    views.set(variable.attributes.name, view(offset, Shape.size(variable.shape)))
    offset += Shape.size(variable.shape)
  }

  const packOf = (members: ReadonlyArray<Tensor.Tensor<"variable">>, hasGradients: boolean): ReadonlyArray<Pack> => {
    const [first] = members
    if (first === undefined || members.length < 2) return []
    const sizes = members.map((v) => ({ name: v.attributes.name, size: Shape.size(v.shape) }))
    const total = sizes.reduce((sum, { size }) => sum + size, 0)
    const from = (array: ReadonlyMap<string, Float32Array>) =>
      new Float32Array(memory.buffer, array.get(first.attributes.name)?.byteOffset ?? 0, total)
    return [{ members: sizes, values: from(views), gradients: hasGradients ? from(gradients) : undefined }]
  }
  const packs = [...packed.flatMap((members) => packOf(members, true)), ...packOf(shortOthers, false)]

  const module = new WebAssembly.Module(Buffer.from(optimiserWasm, "base64"))
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports

  return {
    variables: views,
    packs,
    gradients,
    optimise: (inputs, most) => {
      // The gaps between the groups are zero.
      const norm = most === undefined ? undefined : Math.sqrt(kernels.squares(4 * optimised, optimised))
      const share = most === undefined || norm === undefined ? 1 : Math.min(1, most / (norm + 1e-6))
      for (const { count, rule, start } of groups) {
        const at = (array: number) => 4 * (array * optimised + start)
        const rate = scalar(inputs[rule.rate])
        if (rule._tag === "Sgd") {
          const { momentum, nesterov, weightDecay } = rule.attributes
          kernels.sgd(at(0), at(1), at(2), count, share, momentum, weightDecay, rate, nesterov ? 1 : 0)
          continue
        }
        const { beta1, beta2, epsilon, weightDecay } = rule.attributes
        const t = scalar(inputs[rule.step])
        const [kept, stepSize, deviation] = [
          1 - rate * weightDecay,
          rate / (1 - beta1 ** t),
          1 / Math.sqrt(1 - beta2 ** t)
        ]
        kernels.adamw(at(0), at(1), at(2), at(3), count, share, beta1, beta2, epsilon, kept, stepSize, deviation)
      }
      return norm
    },
    average: (updates, inputs) => {
      for (const { average, current, decay } of updates) {
        const [to, from] = [average, current].map((v) => views.get(v.attributes.name))
        if (to !== undefined && from !== undefined)
          kernels.average(to.byteOffset, from.byteOffset, to.length, scalar(inputs[decay]))
      }
    }
  }
}

/** What a whole program costs: the sum over its ops, by op, by layer, and in memory. */
import { type Cost, Flops, type FvcoreOperator, Macs } from "./Cost.ts"
import type { Definition } from "./Definition.ts"
import { definitions } from "./Op.ts"
import type { Program } from "./Program.ts"
import * as Shape from "./Shape.ts"
import { bytes, is, type Kind, type Tensor } from "./Tensor.ts"

/** Costs of the ops under a layer path. */
export interface LayerCost {
  readonly macs: Macs
  readonly flops: Flops
}

/** What a program costs: multiply-accumulates, parameters and memory. */
export interface Costs {
  readonly macs: Macs
  readonly flops: Flops
  /**
   * What fvcore's FLOP counter prints for the same network: multiply-accumulates, plus its charges for norms, adaptive pooling and resizing. It counts a forward pass only: gradient ops,
   * and everything computed from them, count as zero.
   */
  readonly fvcoreCount: number
  readonly fvcoreByOperator: Readonly<Partial<Record<FvcoreOperator, number>>>
  /** Number of elements in all trainable variables. */
  readonly parameters: number
  /** The same in bytes. */
  readonly parameterBytes: number
  /** Peak bytes of inputs and intermediate results alive at once, not counting variables and constants. */
  readonly activationBytes: number
}

/** The cost of one op. */
export const ofNode = (node: Tensor): Cost => (definitions[node.kind] as Definition<Kind>).cost(node, ofNode)

/** Whether an op occurs only in gradients. Such ops have `Grad` in their names. */
const isGradient = ({ kind }: Tensor) => kind.includes("Grad")

/**
 * Sums the costs of a program's ops.
 *
 * @example
 * ```ts
 * import { Costs, Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
 * const { macs, parameters } = Costs.ofProgram(program)
 * console.log(macs, parameters)
 * ```
 */
export const ofProgram = (program: Program): Costs => {
  let macs = 0
  let flops = 0
  let fvcoreCount = 0
  const fvcoreByOperator: Partial<Record<FvcoreOperator, number>> = {}
  const backward = new Set<Tensor>()
  for (const node of program.nodes) {
    const cost = ofNode(node)
    macs += cost.macs
    flops += cost.flops
    if (isGradient(node) || node.inputs.some((x) => backward.has(x))) backward.add(node)
    if (cost.fvcore === undefined || backward.has(node)) continue
    const { operator, count } = cost.fvcore
    fvcoreCount += count
    fvcoreByOperator[operator] = (fvcoreByOperator[operator] ?? 0) + count
  }
  const parameters = program.variables
    .filter((v) => v.attributes.role === "parameter")
    .reduce((sum, v) => sum + Shape.size(v.shape), 0)
  return {
    macs: Macs(macs),
    flops: Flops(flops),
    fvcoreCount,
    fvcoreByOperator,
    parameters,
    parameterBytes: 4 * parameters,
    activationBytes: activationBytes(program)
  }
}

/**
 * Costs by layer. The key is an op's path, cut to its first `depth` parts (default: all of them).
 *
 * @example
 * ```ts
 * import { Costs, Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
 * console.log(Costs.byLayer(2)(program).keys())
 * ```
 */
export const byLayer =
  (depth = Infinity) =>
  (program: Program): ReadonlyMap<string, LayerCost> => {
    const layers = new Map<string, LayerCost>()
    for (const node of program.nodes) {
      const cost = ofNode(node)
      if (cost.flops === 0) continue
      const path = node.path.split(".").slice(0, depth).join(".")
      const sum = layers.get(path)
      layers.set(path, {
        macs: Macs((sum?.macs ?? 0) + cost.macs),
        flops: Flops((sum?.flops ?? 0) + cost.flops)
      })
    }
    return layers
  }

/**
 * Costs by kind of op.
 *
 * @example
 * ```ts
 * import { Costs, Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const image = Op.input("image", [1, 3, 32, 32])
 * const weight = Op.variable(
 *   { name: "stem.weight", role: "parameter", initialiser: { kind: "constant", value: 0 }, decay: true },
 *   [16, 3, 3, 3]
 * )
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.gelu(Op.conv2d(image, weight, {})) } }))
 * for (const [kind, { flops, macs, nodes }] of Costs.byKind(program)) if (flops > 0) console.log(kind, nodes, macs, flops)
 *
 * const { y } = program.outputs
 * console.log(y === undefined ? "" : Costs.ofNode(y).flops) // of the GELU alone
 * console.log(Costs.activationBytes(program)) // at most so many bytes of images are held at once
 * ```
 */
export const byKind = (program: Program): ReadonlyMap<Kind, LayerCost & { readonly nodes: number }> => {
  const kinds = new Map<Kind, LayerCost & { readonly nodes: number }>()
  for (const node of program.nodes) {
    const cost = ofNode(node)
    const sum = kinds.get(node.kind)
    kinds.set(node.kind, {
      nodes: (sum?.nodes ?? 0) + 1,
      macs: Macs((sum?.macs ?? 0) + cost.macs),
      flops: Flops((sum?.flops ?? 0) + cost.flops)
    })
  }
  return kinds
}

/** Ops whose results need no memory of their own. */
const isView = (node: Tensor) => is("reshape")(node) || is("broadcastTo")(node)
const isStored = (node: Tensor) => is("variable")(node) || is("constant")(node) || is("fill")(node)

/**
 * Peak bytes alive at once when the nodes run in order and each result is freed after its last use.
 *
 * Variables, constants and views count as zero. Outputs and updates stay alive to the end.
 */
export const activationBytes = (program: Program): number => {
  const owner = new Map<Tensor, Tensor>()
  const lastUse = new Map<Tensor, number>()
  for (const [i, node] of program.nodes.entries()) {
    owner.set(node, isView(node) ? (owner.get(node.inputs[0]) ?? node) : node)
    lastUse.set(node, i)
    for (const x of node.inputs) lastUse.set(owner.get(x) ?? x, i)
  }
  for (const t of [...Object.values(program.outputs), ...program.updates.map((u) => u.value)])
    lastUse.set(owner.get(t) ?? t, program.nodes.length)

  const freedAfter = new Map<number, number>()
  let alive = 0
  let peak = 0
  for (const [i, node] of program.nodes.entries()) {
    if (!isView(node) && !isStored(node)) {
      alive += bytes(node)
      const end = lastUse.get(node) ?? i
      freedAfter.set(end, (freedAfter.get(end) ?? 0) + bytes(node))
    }
    peak = Math.max(peak, alive)
    alive -= freedAfter.get(i) ?? 0
  }
  return peak
}

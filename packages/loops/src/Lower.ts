/** Lowers a program to instructions (loops, products and others) over buffers. */
import { type GraphError, Op, Program, Shape, Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import * as Expression from "./Expression.ts"
import * as Rewrite from "./Rewrite.ts"
import * as Attention from "./rewrites/attention.ts"
import * as Norms from "./rewrites/norms.ts"
import * as Small from "./rewrites/small.ts"
import * as Softmax from "./rewrites/softmax.ts"
import * as Attended from "./lower/attention.ts"
import * as Context from "./lower/context.ts"
import * as Elementwise from "./lower/elementwise.ts"
import * as Matmul from "./lower/matmul.ts"
import * as Movement from "./lower/movement.ts"
import * as Optimiser from "./lower/optimiser.ts"
import * as Products from "./lower/products.ts"
import * as Reduce from "./lower/reduce.ts"
import type { Lowered as Kinds, Rewritten, Rules } from "./lower/rules.ts"
import * as Windows from "./lower/windows.ts"
import * as View from "./View.ts"

/** The rewrites, in the order in which they are applied. */
export const rewrites: ReadonlyArray<Rewrite.Rewrite> = [
  Attention.rewrite,
  Norms.rewrite,
  Softmax.rewrite,
  Small.rewrite
]

const rules: Rules = {
  ...Elementwise.rules,
  ...Reduce.rules,
  ...Matmul.rules,
  ...Movement.rules,
  ...Products.rules,
  ...Windows.rules,
  ...Attended.rules,
  ...Optimiser.rules
}

/** An op that the rewrites should have removed. */
const unexpected = (node: Tensor.Tensor): never => {
  throw new Error(`${node.kind} was not rewritten`)
}

const table: Op.Table<[Context.Context], Context.Value> = {
  ...rules,
  ...(Object.fromEntries(
    (
      [
        "toTokens",
        "toImage",
        "globalAveragePool",
        "batchNorm",
        "batchMoments",
        "batchNormGradInput",
        "batchNormGradScale",
        "batchNormInference",
        "layerNorm",
        "layerNormGradInput",
        "layerNormGradScale",
        "softmax",
        "softmaxGrad",
        "logSoftmax",
        "sgd",
        "movingAverage",
        "globalNorm",
        "clipByNorm"
      ] satisfies ReadonlyArray<Rewritten>
    ).map((kind) => [kind, unexpected])
  ) as Record<Exclude<Rewritten, Kinds>, typeof unexpected>) // one entry for each of them
}

/** A program's buffers and what is done with them. */
export interface Lowered {
  readonly program: Program.Program
  /** How many groups of lanes the batch is divided into. */
  readonly groups: number
  /** How many stretches the batch is divided into. */
  readonly stretches: number
  /** Scratch memory for kernels, per stretch. */
  readonly scratchBytes: number
  readonly instructions: ReadonlyArray<Context.Instruction>
  readonly buffers: ReadonlyArray<View.Buffer>
  readonly constants: ReadonlyMap<View.Buffer, Float32Array | Int32Array>
  readonly inputs: ReadonlyMap<string, View.Buffer>
  readonly variables: ReadonlyMap<string, View.Buffer>
  /** Outputs, in row-major order. */
  readonly outputs: ReadonlyMap<string, View.Buffer>
  /** New values of variables, in row-major order. */
  readonly updates: ReadonlyMap<string, View.Buffer>
  /** Where every node's result is placed: in lanes, in plain order, or only in its readers' loops. */
  readonly layouts: ReadonlyMap<Tensor.Tensor, Layout>
  readonly choices: ReadonlyArray<Choice>
}

/** How a result is placed in memory. */
export type Layout = "lanes" | "plain" | "inReaders"

/** Ops whose first operand is a batch of images or of rows of features. */
const ofBatches: ReadonlyArray<Tensor.Kind> = [
  "conv2d",
  "conv2dGradInput",
  "conv2dGradWeight",
  "linear",
  "linearGradInput",
  "linearGradWeight",
  "maxPool2d",
  "maxPool2dGrad",
  "averagePool2d",
  "averagePool2dGrad",
  "resize",
  "resizeGrad",
  "attention",
  "attentionGrad"
]

const commonDivisor = (a: number, b: number): number => (b === 0 ? a : commonDivisor(b, a % b))

/** How many images a program works on at once: the common divisor of its batches' first axes or, if it has none, the first axis of its largest input. */
export const batchOf = ({ inputs, nodes }: Program.Program): number => {
  const batches = nodes.flatMap(({ inputs: [x], kind }) =>
    ofBatches.includes(kind) ? (x?.shape.slice(0, 1) ?? []) : []
  )
  if (batches.length > 0) return batches.reduce(commonDivisor)
  const candidates = inputs.filter((x) => x.shape.length > 0 && x.dtype === "float32")
  const [largest] = candidates.toSorted((a, b) => Shape.size(b.shape) - Shape.size(a.shape))
  return largest?.shape[0] ?? 0
}

/** Nanoseconds per element: for an instruction on eight numbers, for reading a map, and for writing one. */
const price = { instruction: 0.008, read: 0.12, write: 0.15 }

/** A result with several readers is either stored once or computed by each of them: which of the two was chosen, and the estimated cost of each. */
export interface Choice {
  readonly node: Tensor.Tensor
  /** Number of readers. */
  readonly uses: number
  readonly chosen: "written" | "inReaders"
  /** Nanoseconds per element if stored. */
  readonly written: number
  /** Nanoseconds per element if computed by each reader. */
  readonly inReaders: number
}

const choiceOf = (node: Tensor.Tensor, { expression, operands }: Context.Lazy, uses: number): Choice => {
  const maps = operands.filter((view) => View.isVector(view.buffer)).length
  const once = Expression.cost([expression]) * price.instruction + maps * price.read
  const [written, inReaders] = [once + price.write + uses * price.read, uses * once]
  return { node, uses, chosen: inReaders >= written ? "written" : "inReaders", written, inReaders }
}

/** Ops that only change where elements are. */
const views: ReadonlyArray<Tensor.Kind> = ["reshape", "transpose", "slice", "broadcastTo"]

/** How many loops read each tensor, directly or through other views of it. */
const usesOf = (program: Program.Program): ReadonlyMap<Tensor.Tensor, number> => {
  const uses = new Map<Tensor.Tensor, number>()
  const add = (t: Tensor.Tensor, n: number) => uses.set(t, (uses.get(t) ?? 0) + n)
  for (const t of [...Object.values(program.outputs), ...program.updates.map((u) => u.value)]) add(t, 1)
  for (const node of program.nodes.toReversed())
    for (const x of node.inputs) add(x, views.includes(node.kind) ? (uses.get(node) ?? 0) : 1)
  return uses
}

/** Number of stretches of tiles with separate sums: this many threads can share a program, and their number does not change the result. */
const stretches = 8

/**
 * A program as instructions over buffers, after all rewrites.
 *
 * Fails if a rewritten program does not check.
 *
 * @example
 * ```ts
 * import { Explain, Lower } from "@uninet/loops"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([64]) },
 *   forward: (scope, { x }) => {
 *     const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 32 })(x))
 *     return { y: Nn.linear(Scope.at("y")(scope), { out: 10 })(hidden) }
 *   }
 * })
 * const program = Result.getOrThrow(Model.evaluation({ batch: 16 })(model))
 * console.log(Lower.batchOf(program)) // 16
 * console.log(Result.map(Lower.lower(program), ({ instructions }) => instructions.length))
 *
 * // All stages of the compilation, for people: kernels, and the memory that they need.
 * const { kernels, memory } = Result.getOrThrow(Explain.explain(program))
 * console.log(kernels.length, memory.working)
 * ```
 */
export const lower = (given: Program.Program): Result.Result<Lowered, GraphError> =>
  Result.map(Rewrite.apply(rewrites)(given), (program) => {
    const choices: Array<Choice> = []
    const batch = batchOf(program)
    const ctx = Context.make({ batch, stretches: Math.min(stretches, Math.max(1, Math.ceil(batch / 8))) })
    const uses = usesOf(program)
    for (const node of program.nodes) {
      const value = Op.dispatch(table, node, ctx)
      ctx.values.set(node, value)
      const count = uses.get(node) ?? 0
      if (!("lazy" in value) || count < 2) continue
      const choice = choiceOf(node, value.lazy, count)
      choices.push(choice)
      if (choice.chosen === "written") Context.viewOf(ctx, node)
    }
    const updated = new Set(program.updates.map(({ variable }) => ctx.named.get(variable)))
    /** Where an end is at the end of a run: if a variable's old value would be overwritten by its new one, it is a copy. */
    const ends = (tensor: Tensor.Tensor, own?: Tensor.Tensor<"variable">): View.Buffer => {
      const whole = Context.rowMajor(ctx, tensor, Context.inPlain(ctx, tensor))
      const { buffer } = whole
      const isLost = updated.has(buffer) && (own === undefined || buffer !== ctx.named.get(own))
      return isLost ? Context.copied(ctx, tensor, whole).buffer : buffer
    }
    return {
      program,
      groups: ctx.groups,
      stretches: ctx.stretches,
      scratchBytes: ctx.room.bytes,
      instructions: ctx.instructions,
      buffers: ctx.buffers,
      constants: ctx.constants,
      inputs: named(ctx, program.inputs),
      variables: named(ctx, program.variables),
      outputs: new Map(Object.entries(program.outputs).map(([name, t]) => [name, ends(t)])),
      updates: new Map(program.updates.map(({ value, variable }) => [variable.attributes.name, ends(value, variable)])),
      layouts: new Map(program.nodes.map((node) => [node, layoutOf(Context.valueOf(ctx, node))])),
      choices
    }
  })

const layoutOf = (value: Context.Value): Layout =>
  "lazy" in value ? "inReaders" : View.isVector(value.view.buffer) ? "lanes" : "plain"

const named = (ctx: Context.Context, leaves: ReadonlyArray<Tensor.Tensor<"input"> | Tensor.Tensor<"variable">>) =>
  new Map(
    leaves.flatMap((leaf) => {
      const buffer = ctx.named.get(leaf)
      return buffer === undefined ? [] : [[leaf.attributes.name, buffer] as const]
    })
  )

/** Turns programs into ONNX models. */
import { Costs, Op, type Program, type Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import * as CostModel from "./CostModel.ts"
import * as Forms from "./Forms.ts"
import * as Fused from "./Fused.ts"
import * as Builder from "./internal/builder.ts"
import * as Context from "./internal/context.ts"
import * as E from "./internal/emit.ts"
import type { Model } from "./Model.ts"
import * as Rewrite from "./Rewrite.ts"
import * as Rewrites from "./Rewrites.ts"
import * as Target from "./Target.ts"
import * as Attention from "./rules/attention.ts"
import * as Blocked from "./rules/blocked.ts"
import * as Basic from "./rules/basic.ts"
import * as FusedRules from "./rules/fused.ts"
import * as Gates from "./rules/gates.ts"
import * as Gather from "./rules/gather.ts"
import * as Images from "./rules/images.ts"
import * as Masks from "./rules/masks.ts"
import * as Patches from "./rules/patches.ts"
import * as Products from "./rules/products.ts"
import * as Resize from "./rules/resize.ts"
import * as Tokens from "./rules/tokens.ts"
import * as Views from "./rules/views.ts"

/** The inputs and outputs of an ONNX model made from a program. */
export interface Lowered {
  readonly model: Model
  /** The shapes in which the model's inputs and outputs are declared, by name. */
  readonly shapes: ReadonlyMap<string, Shape.Shape>
  /** What to feed at every run: inputs by name, then variables by name. */
  readonly inputs: ReadonlyArray<Tensor.Tensor<"input">>
  /** The variables that are in no pack. */
  readonly variables: ReadonlyArray<Tensor.Tensor<"variable">>
  /** Names of the model's outputs, except those in packs: the program's outputs, then `next:<variable>` for every update. */
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly tensor: Tensor.Tensor }>
  readonly updates: ReadonlyArray<{ readonly name: string; readonly update: Program.Update }>
  /** For each of the model's nodes, in order: the node of the program that it was first made for, and the bytes it reads and writes. */
  readonly work: ReadonlyArray<Work>
  /** The most bytes of results held at once when the model's nodes run in order, not counting inputs. */
  readonly peakBytes: number
  /** Which results are held, and from when to when. */
  readonly lives: ReadonlyArray<Life>
}

/** The lifetime of a result, from the node that makes it to the last node that reads it, by their positions in the model. */
export type Life = Builder.Life

/** An operator of a model and what it is for. */
export interface Work {
  readonly opType: string
  /** `undefined` for an operator that only copies a result to an output. */
  readonly node: Tensor.Tensor | undefined
  /** Bytes read and written; 0 for an operator that only changes a shape. */
  readonly bytes: number
  /** Number of output elements. */
  readonly elements: number
  /** The lengths of a product, if it is one. */
  readonly product: CostModel.Product | undefined
}

/** Vectors that are passed in or out as one, each with its number of elements. */
export interface Pack {
  readonly name: string
  readonly members: ReadonlyArray<{ readonly name: string; readonly size: number }>
}

/** How a program is lowered. */
export interface Options {
  readonly name?: string
  /** Variables that are passed in as one input, since every input and output of a session costs some microseconds. One of them must belong to the program. */
  readonly packedInputs?: ReadonlyArray<Pack>
  /** Float outputs and updates (`next:<variable>`) that are passed out as one output, all of them or none. */
  readonly packedOutputs?: ReadonlyArray<Pack>
  /** How many images of the batch lie innermost. Default 1. */
  readonly lanes?: number
  /** Block size of the CPU's blocked convolutions, or 0 (the default) for standard operators only. */
  readonly block?: number
  /**
   * `channels` (the default) puts images into the layout in which training is fastest. `plain` keeps `[batch, channels, height, width]`
   * and the standard's own convolutions, which engines optimise well once the weights are known.
   */
  readonly images?: "channels" | "plain"
  /**
   * Whether the model's inputs and outputs are declared in the program's shapes. Default false: only the elements are in row-major
   * order, and the shape to feed is the model's own.
   */
  readonly exact?: boolean
  /** Whether a max-pooling kernel can be asked for the indices of the maxima. Default true; WebGPU's kernel does not provide them. */
  readonly indices?: boolean
  /** Names of rewrites and non-plain forms that are disabled. */
  readonly without?: ReadonlyArray<string>
  /**
   * Whether the model's nodes refer to nodes of the given program. Default true; if false, they refer to the nodes that the rewrites made, which saves keeping track of what each was made for.
   */
  readonly traced?: boolean
  /** Values of variables that become part of the model. */
  readonly weights?: ReadonlyMap<string, Float32Array>
  readonly metadata?: Readonly<Record<string, string>>
}

/** One rule per op; a missing one is a type error. */
const standard: Context.Rules = { ...Basic.rules, ...Products.rules, ...Images.rules, ...Resize.rules, ...Gather.rules }

/** Rules for the other forms, for the ops that have them. */
const others: { readonly [F in Exclude<Forms.Form, "standard">]: Context.PartialRules } = {
  blocked: { ...Blocked.rules, ...Gates.rules },
  patches: Patches.rules,
  tokens: { ...Tokens.rules, ...Attention.rules },
  views: Views.rules
}

/** Computes an op in its form. Elements that do not lie in whole pieces are moved by standard operators. */
const emission = (indices: boolean): Context.Emit => {
  const rules = indices ? standard : { ...standard, ...Masks.rules }
  return (node, ctx) => {
    const name = Fused.nameOf(node)
    // A node's kind or name and the rule for it belong together, which the types of these lookups by a union cannot express.
    if (name !== undefined) return (FusedRules.rules[name] as Context.Rule<Context.Lowered>)(node, ctx)
    const kind = node.kind as Tensor.Primitive
    const form = Forms.of(node, ctx)
    const rule = form === "standard" ? undefined : (others[form][kind] as Context.Rule<Context.Lowered | undefined>)
    const lowered = rule?.(node, ctx)
    ctx.chose(node, lowered === undefined ? "standard" : form)
    return lowered ?? Op.dispatch(rules, node, ctx)
  }
}

/** Lengths of axes; none is free before an export makes it so. */
const fixed = (shape: ReadonlyArray<number | string>): Shape.Shape => shape.map(Number)

/** Lowers a program to an ONNX model. */
export const lower =
  (options: Options = {}) =>
  (program: Program.Program): Lowered =>
    lowerWith(program, options).lowered

/** The members of a pack that is passed in as one input. */
const unpack = (b: Builder.Builder, { members, name }: Pack): ReadonlyMap<string, Builder.Value> => {
  const sizes = members.map(({ size }) => size)
  const whole = b.input(name, "float32", [sizes.reduce((sum, size) => sum + size, 0)])
  const parts = b.node(
    "Split",
    [whole, b.ints(sizes)],
    { axis: 0 },
    sizes.map((size) => [size])
  )
  return new Map(members.map((member, i) => [member.name, Arr.getUnsafe(parts, i)]))
}

/** What the rewrites make of a program, one after another. */
export interface Stages extends Rewrite.Last {
  readonly target: Target.Target
  readonly steps: ReadonlyArray<Rewrite.Step>
}

/**
 * Only the first stage: a program after its rewrites, with every step on the way.
 *
 * @example
 * ```ts
 * import { Op, Print } from "@uninet/graph"
 * import { CostModel, Explain, Lowering } from "@uninet/onnx"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { image: Model.input([3, 16, 16]) },
 *   forward: (scope, { image }) => {
 *     const x = Nn.convolution(Scope.at("stem")(scope), { out: 16, kernel: 3, bias: false })(image)
 *     const features = Nn.gelu(scope)(Nn.batchNorm(Scope.at("norm")(scope))(x))
 *     return { logits: Nn.linear(Scope.at("classifier")(scope), { out: 10 })(Op.globalAveragePool(features)) }
 *   }
 * })
 * const program = Result.getOrThrow(Model.evaluation()(model))
 * const options = { lanes: 16, block: 16 }
 *
 * // The program after every rewrite: `Print.program` shows it whole.
 * for (const step of Lowering.stages(options)(program).steps)
 *   console.log(step.rewrite.name, step.program.nodes.length, Print.program(step.program).length)
 *
 * // What becomes of each op, in which form, and how long it is predicted to take.
 * console.table(Lowering.explain(options)(program).map(({ formulation, kind, path }) => ({ path, kind, formulation })))
 * const costs = CostModel.known["amd-avx512"]
 * console.log(Lowering.explained(costs, options)(program).rows.length)
 * console.log(Explain.explain(costs, options)(program).rewrites.length)
 * console.log(Lowering.lower(options)(program).model.nodes.length, "operators of ONNX")
 * ```
 */
export const stages =
  ({ block = 0, images = "channels", lanes = 1, without = [] }: Options = {}) =>
  (program: Program.Program): Stages => {
    const target = Target.make({ block, lanes, plain: images === "plain", without })
    const steps = Rewrite.steps(rewritesFor({ block, images, without }), target)(program)
    return { target, steps, ...Rewrite.last(steps)(program) }
  }

/** With standard operators only, there are no rewrites: every op stays recognisable for engines that optimise it themselves. */
const rewritesFor = ({
  block = 0,
  images = "channels",
  without = []
}: Pick<Options, "block" | "images" | "without">): ReadonlyArray<Rewrite.Rewrite> =>
  block > 1 && images === "channels" ? Rewrites.all.filter(({ name }) => !without.includes(name)) : []

/** The same without the steps that lead there. */
const rewritten = (program: Program.Program, options: Options): Stages => {
  const { block = 0, images = "channels", lanes = 1, without = [] } = options
  const target = Target.make({ block, lanes, plain: images === "plain", without })
  return {
    target,
    steps: [],
    program: Rewrite.run(rewritesFor(options), target)(program),
    origins: new Map(),
    by: new Map()
  }
}

const lowerWith = (given: Program.Program, options: Options) => {
  const {
    name = "program",
    images = "channels",
    exact = false,
    indices = true,
    packedInputs = [],
    packedOutputs = [],
    weights = new Map(),
    metadata = {}
  } = options
  const b = Builder.make()
  const packed = new Map(packedInputs.flatMap((pack) => [...unpack(b, pack)]))
  const own = options.traced === false ? rewritten(given, options) : stages(options)(given)
  const { origins, program, target } = own
  const settings = { target, plain: images === "plain", weights, given: packed }
  const ctx = Context.make(b, settings, emission(indices))
  // Nodes in order, so that no rule recurses deeply; unused results are dropped at the end.
  for (const node of program.nodes) ctx.layoutOf(node)
  const taken = new Set([...program.inputs, ...program.variables].map((leaf) => leaf.attributes.name))
  const outputs = Object.entries(program.outputs).map(([output, tensor]) => ({
    name: taken.has(output) ? `out:${output}` : output,
    tensor
  }))
  const updates = program.updates.map((update) => ({ name: `next:${update.variable.attributes.name}`, update }))
  const ends = [
    ...outputs.map(({ name, tensor }) => ({ name, tensor })),
    ...updates.map(({ name, update }) => ({ name, tensor: update.value }))
  ]
  const inPack = new Set(packedOutputs.flatMap(({ members }) => members.map((member) => member.name)))
  const byName = new Map(ends.map((end) => [end.name, end.tensor]))
  const vectorOf = ({ name, size }: Pack["members"][number]) => {
    const tensor = byName.get(name)
    return tensor === undefined ? [] : [E.reshape(b, ctx.plain(tensor), [size])]
  }
  const single = ends.filter((end) => !inPack.has(end.name))
  const { lives, model, peakBytes, work } = b.finish(
    name,
    [
      ...single.map(({ name, tensor }) => ({ name, type: tensor.dtype, value: ctx.plain(tensor) })),
      ...packedOutputs.map(({ members, name }) => {
        return { name, type: "float32" as const, value: E.concat(b, members.flatMap(vectorOf), 0) }
      })
    ],
    { exact, metadata }
  )
  /** With the node of the given program that it is for. */
  const ofGiven = <A extends { readonly node: Tensor.Tensor | undefined }>(one: A): A => {
    const origin = one.node && origins.get(one.node)
    return origin === undefined ? one : { ...one, node: origin }
  }
  const variables = program.variables.filter((v) => !weights.has(v.attributes.name) && !packed.has(v.attributes.name))
  const shapes = new Map([...model.inputs, ...model.outputs].map((value) => [value.name, fixed(value.shape ?? [])]))
  const lowered: Lowered = {
    model,
    shapes,
    inputs: program.inputs,
    variables,
    outputs,
    updates,
    peakBytes,
    get work() {
      return work().map(ofGiven)
    },
    get lives() {
      return lives().map(ofGiven)
    }
  }
  return { lowered, ctx, stages: own }
}

/** What became of one node of a program. */
export interface Explanation {
  readonly path: string
  readonly kind: Tensor.Kind
  readonly shape: Shape.Shape
  /**
   * `standard`: operators of the ONNX standard. `blocked`: the blocked convolution kernels of the CPU. `fused`: rewritten.
   * `tokens`: over tokens with channels outermost. `views`: moved only when something needs the elements in another order.
   * `patches`: one matrix product over patches. `absorbed`: has no operators of its own, because its readers have absorbed it.
   */
  readonly formulation: Forms.Form | "fused" | "absorbed"
  /** The rewrites that replaced it, in order. */
  readonly rewrites: ReadonlyArray<string>
  /** The operators it became, and how many of each. */
  readonly operators: Readonly<Record<string, number>>
  /** Multiply-accumulates, as the program counts them. */
  readonly macs: number
  /** Bytes that its operators read and write. */
  readonly bytes: number
  /** Predicted nanoseconds for its operators. */
  readonly predicted: number
}

/** What was chosen for every node, with the model. */
export interface Explained {
  readonly lowered: Lowered
  readonly stages: Stages
  readonly rows: ReadonlyArray<Explanation>
}

/**
 * A program's model, and what was chosen for every node of the program that is computed at run time, in order. An operator shared by several nodes counts for the first of them.
 *
 * `costs`: the cost model that predicts their times.
 */
export const explained =
  (costs: CostModel.CostModel, options: Options = {}) =>
  (program: Program.Program): Explained => {
    const { ctx, lowered, stages } = lowerWith(program, options)
    const byNode = Map.groupBy(lowered.work, ({ node }) => node)
    const price = CostModel.costOf(costs)
    /** The form in which the node that replaced a node is computed. */
    const forms = new Map(stages.program.nodes.map((node) => [stages.origins.get(node) ?? node, ctx.chosen(node)]))
    const rows = program.nodes.filter(isComputed).map((node): Explanation => {
      const own = byNode.get(node) ?? []
      const operators: Record<string, number> = {}
      for (const { opType } of own) operators[opType] = (operators[opType] ?? 0) + 1
      const { kind, path, shape } = node
      const rewrites = stages.by.get(node) ?? []
      return {
        path,
        kind,
        shape,
        formulation: own.length === 0 ? "absorbed" : rewrites.length > 0 ? "fused" : (forms.get(node) ?? "standard"),
        rewrites,
        operators,
        macs: Costs.ofNode(node).macs,
        bytes: own.reduce((sum, { bytes }) => sum + bytes, 0),
        predicted: own.reduce((sum, one) => sum + price(one), 0)
      }
    })
    return { lowered, stages, rows }
  }

/** The rows of `explained`, with the figures of a CPU with AVX-512. */
export const explain =
  (options: Options = {}) =>
  (program: Program.Program): ReadonlyArray<Explanation> =>
    explained(CostModel.known["amd-avx512"], options)(program).rows

const leaves: ReadonlyArray<Tensor.Kind> = ["input", "variable", "constant", "fill"]
const isComputed = ({ kind }: Tensor.Tensor) => !leaves.includes(kind)

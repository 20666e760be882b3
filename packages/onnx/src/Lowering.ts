/** Programs as ONNX models. */
import { Costs, type Program, type Shape, type Tensor } from "@uninet/graph"
import * as Builder from "./internal/builder.ts"
import * as Context from "./internal/context.ts"
import * as E from "./internal/emit.ts"
import type { Model } from "./Model.ts"
import * as Attention from "./rules/attention.ts"
import * as Blocked from "./rules/blocked.ts"
import * as Basic from "./rules/basic.ts"
import * as Fused from "./rules/fused.ts"
import * as Gather from "./rules/gather.ts"
import * as Images from "./rules/images.ts"
import * as Masks from "./rules/masks.ts"
import * as Patches from "./rules/patches.ts"
import * as Products from "./rules/products.ts"
import * as Resize from "./rules/resize.ts"
import * as Tokens from "./rules/tokens.ts"
import * as Views from "./rules/views.ts"

/** What an ONNX model made from a program takes and gives. */
export interface Lowered {
  readonly model: Model
  /** The shapes in which the model's inputs and outputs are declared, by name. */
  readonly shapes: ReadonlyMap<string, Shape.Shape>
  /** Fed at every run: inputs by name, then variables by name. */
  readonly inputs: ReadonlyArray<Tensor.Tensor<"input">>
  /** Those in no pack. */
  readonly variables: ReadonlyArray<Tensor.Tensor<"variable">>
  /** Names of the model's outputs, but for those in packs: those of the program, then `next:<variable>` for every update. */
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly tensor: Tensor.Tensor }>
  readonly updates: ReadonlyArray<{ readonly name: string; readonly update: Program.Update }>
  /** For each of the model's nodes in order: the node of the program that it was made for first, and the bytes it reads and writes. */
  readonly work: ReadonlyArray<Work>
  /** Bytes of results that are held at once, at most, where the model's nodes run in order; inputs apart. */
  readonly peakBytes: number
}

/** An operator of a model and what it is there for. */
export interface Work {
  readonly opType: string
  /** Nothing for what only copies a result to an output. */
  readonly node: Tensor.Tensor | undefined
  /** Read and written; nothing for what only gives elements another shape. */
  readonly bytes: number
}

/** Vectors that come in, or go out, as one, each of so many elements. */
export interface Pack {
  readonly name: string
  readonly members: ReadonlyArray<{ readonly name: string; readonly size: number }>
}

export interface Options {
  readonly name?: string
  /** Variables that come in one input: a session's inputs and outputs cost some microseconds each. One of them must be the program's. */
  readonly packedInputs?: ReadonlyArray<Pack>
  /** Float outputs and updates (`next:<variable>`) that go out in one output, all of them or none. */
  readonly packedOutputs?: ReadonlyArray<Pack>
  /** Images of the batch that stand innermost. Default 1. */
  readonly lanes?: number
  /** Block size of the processor's blocked convolutions, 0 (the default) to use standard operators only. */
  readonly block?: number
  /**
   * `channels` (the default) puts images into the layout in which training is fastest; `plain` keeps `[batch, channels, height, width]`
   * and the standard's own convolutions, which engines optimise well once the weights are known.
   */
  readonly images?: "channels" | "plain"
  /**
   * Whether the model's inputs and outputs are declared in the program's shapes. Default false: only their elements are in row-major
   * order, and the model's own shape is the one to feed.
   */
  readonly exact?: boolean
  /** Whether a maximum's kernel may be asked for the indices of what is largest. Default true; WebGPU's does not give them. */
  readonly indices?: boolean
  /** Values of variables that become part of the model. */
  readonly weights?: ReadonlyMap<string, Float32Array>
  readonly metadata?: Readonly<Record<string, string>>
}

/** One rule per op; the type checker says when one is missing. */
const standard: Context.Rules = { ...Basic.rules, ...Products.rules, ...Images.rules, ...Resize.rules, ...Gather.rules }

type Rule<N extends Tensor.Tensor, R> = (node: N, ctx: Context.Context) => R

/** A rule preceded by faster ones, first come first served, that apply to some nodes only. */
const prefer =
  <N extends Tensor.Tensor>(
    faster: Partial<Record<Context.Family, Rule<N, Context.Lowered | undefined>>>,
    otherwise: Rule<N, Context.Lowered>
  ): Rule<N, Context.Lowered> =>
  (node, ctx) => {
    for (const family of families) {
      const lowered = faster[family]?.(node, ctx)
      if (lowered === undefined) continue
      ctx.chose(node, family)
      return lowered
    }
    return otherwise(node, ctx)
  }

/** The faster families, in the order in which they are asked. */
const families: ReadonlyArray<Context.Family> = ["fused", "tokens", "views", "blocked", "patches"]

const rules: Context.Rules = {
  ...standard,
  conv2d: prefer(
    { fused: Fused.rules.conv2d, blocked: Blocked.rules.conv2d, patches: Patches.rules.conv2d },
    standard.conv2d
  ),
  conv2dGradInput: prefer(
    { blocked: Blocked.rules.conv2dGradInput, patches: Patches.rules.conv2dGradInput },
    standard.conv2dGradInput
  ),
  conv2dGradWeight: prefer(
    {
      fused: Fused.rules.conv2dGradWeight,
      blocked: Blocked.rules.conv2dGradWeight,
      patches: Patches.rules.conv2dGradWeight
    },
    standard.conv2dGradWeight
  ),
  maxPool2d: prefer({ blocked: Blocked.rules.maxPool2d }, standard.maxPool2d),
  maxPool2dGrad: prefer({ blocked: Blocked.rules.maxPool2dGrad }, standard.maxPool2dGrad),
  averagePool2d: prefer({ blocked: Blocked.rules.averagePool2d }, standard.averagePool2d),
  averagePool2dGrad: prefer({ blocked: Blocked.rules.averagePool2dGrad }, standard.averagePool2dGrad),
  globalAveragePool: prefer({ fused: Fused.rules.globalAveragePool }, standard.globalAveragePool),
  batchNorm: prefer({ fused: Fused.rules.batchNorm }, standard.batchNorm),
  batchMoments: prefer({ fused: Fused.rules.batchMoments }, standard.batchMoments),
  batchNormGradInput: prefer({ fused: Fused.rules.batchNormGradInput }, standard.batchNormGradInput),
  batchNormGradScale: prefer({ fused: Fused.rules.batchNormGradScale }, standard.batchNormGradScale),
  activation: prefer({ fused: Fused.rules.activation }, standard.activation),
  activationGrad: prefer({ fused: Fused.rules.activationGrad }, standard.activationGrad),
  binary: prefer(
    { fused: Fused.rules.binary, tokens: Tokens.rules.binary, views: Views.rules.binary },
    standard.binary
  ),
  reduce: prefer({ fused: Fused.rules.reduce, tokens: Tokens.rules.reduce }, standard.reduce),
  layerNorm: prefer({ tokens: Tokens.rules.layerNorm }, standard.layerNorm),
  layerNormGradInput: prefer({ tokens: Tokens.rules.layerNormGradInput }, standard.layerNormGradInput),
  layerNormGradScale: prefer({ tokens: Tokens.rules.layerNormGradScale }, standard.layerNormGradScale),
  linear: prefer({ tokens: Tokens.rules.linear }, standard.linear),
  linearGradInput: prefer({ tokens: Tokens.rules.linearGradInput }, standard.linearGradInput),
  linearGradWeight: prefer({ tokens: Tokens.rules.linearGradWeight }, standard.linearGradWeight),
  attention: prefer({ tokens: Attention.rules.attention }, standard.attention),
  attentionGrad: prefer({ tokens: Attention.rules.attentionGrad }, standard.attentionGrad),
  reshape: prefer({ views: Views.rules.reshape }, standard.reshape),
  transpose: prefer({ views: Views.rules.transpose }, standard.transpose),
  slice: prefer({ fused: Fused.rules.slice, views: Views.rules.slice }, standard.slice)
}

/** Lengths of axes; none is free before an export makes it so. */
const fixed = (shape: ReadonlyArray<number | string>): Shape.Shape => shape.map(Number)

/** Lowers a program to an ONNX model. */
export const lower = (program: Program.Program, options: Options = {}): Lowered => lowerWith(program, options).lowered

/** The members of a pack that comes in as one input. */
const unpack = (b: Builder.Builder, { members, name }: Pack): ReadonlyMap<string, Builder.Value> => {
  const sizes = members.map(({ size }) => size)
  const whole = b.input(name, "float32", [sizes.reduce((sum, size) => sum + size, 0)])
  const parts = b.node(
    "Split",
    [whole, b.ints(sizes)],
    { axis: 0 },
    sizes.map((size) => [size])
  )
  return new Map(members.map((member, i) => [member.name, parts[i]]))
}

const lowerWith = (program: Program.Program, options: Options) => {
  const {
    name = "program",
    lanes = 1,
    block = 0,
    images = "channels",
    exact = false,
    indices = true,
    packedInputs = [],
    packedOutputs = [],
    weights = new Map(),
    metadata = {}
  } = options
  const b = Builder.make()
  const given = new Map(packedInputs.flatMap((pack) => [...unpack(b, pack)]))
  const ctx = Context.make(
    b,
    { lanes, block, plain: images === "plain", weights, given },
    indices ? rules : { ...rules, ...Masks.rules }
  )
  // Nodes in order, so that no rule recurses deeply; what nobody asks for is dropped at the end.
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
  const { model, peakBytes, work } = b.finish(
    name,
    [
      ...single.map(({ name, tensor }) => ({ name, type: tensor.dtype, value: ctx.plain(tensor) })),
      ...packedOutputs.map(({ members, name }) => {
        return { name, type: "float32" as const, value: E.concat(b, members.flatMap(vectorOf), 0) }
      })
    ],
    { exact, metadata }
  )
  const variables = program.variables.filter((v) => !weights.has(v.attributes.name) && !given.has(v.attributes.name))
  const shapes = new Map([...model.inputs, ...model.outputs].map((value) => [value.name, fixed(value.shape)]))
  const lowered: Lowered = { model, shapes, inputs: program.inputs, variables, outputs, updates, work, peakBytes }
  return { lowered, ctx }
}

/** What became of one node of a program. */
export interface Explanation {
  readonly path: string
  readonly kind: Tensor.Kind
  readonly shape: Shape.Shape
  /**
   * `standard`: operators of the ONNX standard. `blocked`: the processor's blocked convolution kernels. `fused`: folded with its neighbours.
   * `tokens`: folded over tokens with channels outermost. `views`: moved only where something needs the elements in another order.
   * `patches`: one matrix product over patches. `absorbed`: nothing of its own is left; what asked for it has taken it in.
   */
  readonly formulation: Context.Family | "absorbed"
  /** The operators it became, with how many of each. */
  readonly operators: Readonly<Record<string, number>>
  /** Multiply-accumulates, as the program counts them. */
  readonly macs: number
  /** Bytes that its operators read and write. */
  readonly bytes: number
}

/**
 * What was chosen for every node of a program that is computed at run time, in order.
 *
 * An operator that several nodes share is counted for the first of them.
 *
 * @example
 * console.table(Lowering.explain(program, { lanes: 16, block: 16 }))
 */
export const explain = (program: Program.Program, options: Options = {}): ReadonlyArray<Explanation> => {
  const { ctx, lowered } = lowerWith(program, options)
  const byNode = Map.groupBy(lowered.work, ({ node }) => node)
  return program.nodes.filter(isComputed).map((node) => {
    const own = byNode.get(node) ?? []
    const operators: Record<string, number> = {}
    for (const { opType } of own) operators[opType] = (operators[opType] ?? 0) + 1
    const { kind, path, shape } = node
    return {
      path,
      kind,
      shape,
      formulation: own.length === 0 ? "absorbed" : ctx.chosen(node),
      operators,
      macs: Costs.ofNode(node).macs,
      bytes: own.reduce((sum, { bytes }) => sum + bytes, 0)
    }
  })
}

const leaves: ReadonlyArray<Tensor.Kind> = ["input", "variable", "constant", "fill"]
const isComputed = ({ kind }: Tensor.Tensor) => !leaves.includes(kind)

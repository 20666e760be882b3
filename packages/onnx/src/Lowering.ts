/** Programs as ONNX models. */
import { Program, Shape, Tensor } from "@uninet/graph"
import * as Builder from "./internal/builder.ts"
import * as Context from "./internal/context.ts"
import type { Model } from "./Model.ts"
import * as Blocked from "./rules/blocked.ts"
import * as Basic from "./rules/basic.ts"
import * as Fused from "./rules/fused.ts"
import * as Images from "./rules/images.ts"
import * as Patches from "./rules/patches.ts"
import * as Products from "./rules/products.ts"

/** What an ONNX model made from a program takes and gives. */
export interface Lowered {
  readonly model: Model
  /** The shapes in which the model's inputs and outputs are declared, by name. */
  readonly shapes: ReadonlyMap<string, Shape.Shape>
  /** Fed at every run: inputs by name, then variables by name. */
  readonly inputs: ReadonlyArray<Tensor.Tensor<"input">>
  readonly variables: ReadonlyArray<Tensor.Tensor<"variable">>
  /** Names of the model's outputs: those of the program, then `next:<variable>` for every update. */
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly tensor: Tensor.Tensor }>
  readonly updates: ReadonlyArray<{ readonly name: string; readonly update: Program.Update }>
}

export interface Options {
  readonly name?: string
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
  /** Values of variables that become part of the model. */
  readonly weights?: ReadonlyMap<string, Float32Array>
  readonly metadata?: Readonly<Record<string, string>>
}

/** One rule per op; the type checker says when one is missing. */
const standard: Context.Rules = { ...Basic.rules, ...Products.rules, ...Images.rules }

/** A rule preceded by a faster one that applies to some nodes only. */
const prefer =
  <N extends Tensor.Tensor>(
    faster: (node: N, ctx: Context.Context) => Context.Lowered | undefined,
    otherwise: (node: N, ctx: Context.Context) => Context.Lowered
  ) =>
  (node: N, ctx: Context.Context): Context.Lowered =>
    faster(node, ctx) ?? otherwise(node, ctx)

const rules: Context.Rules = {
  ...standard,
  conv2d: prefer(Fused.rules.conv2d, prefer(Blocked.rules.conv2d, prefer(Patches.rules.conv2d, standard.conv2d))),
  conv2dGradInput: prefer(
    Blocked.rules.conv2dGradInput,
    prefer(Patches.rules.conv2dGradInput, standard.conv2dGradInput)
  ),
  conv2dGradWeight: prefer(
    Fused.rules.conv2dGradWeight,
    prefer(Blocked.rules.conv2dGradWeight, prefer(Patches.rules.conv2dGradWeight, standard.conv2dGradWeight))
  ),
  maxPool2d: prefer(Blocked.rules.maxPool2d, standard.maxPool2d),
  maxPool2dGrad: prefer(Blocked.rules.maxPool2dGrad, standard.maxPool2dGrad),
  globalAveragePool: prefer(Fused.rules.globalAveragePool, standard.globalAveragePool),
  batchNorm: prefer(Fused.rules.batchNorm, standard.batchNorm),
  batchMoments: prefer(Fused.rules.batchMoments, standard.batchMoments),
  batchNormGradInput: prefer(Fused.rules.batchNormGradInput, standard.batchNormGradInput),
  batchNormGradScale: prefer(Fused.rules.batchNormGradScale, standard.batchNormGradScale),
  activation: prefer(Fused.rules.activation, standard.activation),
  activationGrad: prefer(Fused.rules.activationGrad, standard.activationGrad),
  binary: prefer(Fused.rules.binary, standard.binary),
  reduce: prefer(Fused.rules.reduce, standard.reduce),
  slice: prefer(Fused.rules.slice, standard.slice)
}

/** Lengths of axes; none is free before an export makes it so. */
const fixed = (shape: ReadonlyArray<number | string>): Shape.Shape => shape.map(Number)

/** Lowers a program to an ONNX model. */
export const lower = (program: Program.Program, options: Options = {}): Lowered => {
  const {
    name = "program",
    lanes = 1,
    block = 0,
    images = "channels",
    exact = false,
    weights = new Map(),
    metadata = {}
  } = options
  const b = Builder.make()
  const ctx = Context.make(b, { lanes, block, plain: images === "plain", weights }, rules)
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
  const model = b.finish(
    name,
    ends.map(({ name, tensor }) => ({ name, type: tensor.dtype, value: ctx.plain(tensor) })),
    { exact, metadata }
  )
  const variables = program.variables.filter((v) => !weights.has(v.attributes.name))
  const shapes = new Map([...model.inputs, ...model.outputs].map((value) => [value.name, fixed(value.shape)]))
  return { model, shapes, inputs: program.inputs, variables, outputs, updates }
}

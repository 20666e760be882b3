/**
 * The part of a program's updates that an engine may run outside its graph: whole optimiser steps with the clipping of their gradients, and moving averages.
 */
import { type GraphError, type Op, Program, Tensor } from "@uninet/graph"
import type * as Result from "effect/Result"
import * as Struct from "effect/Struct"

type Variable = Tensor.Tensor<"variable">

/** How a parameter is updated, with the names of the program's inputs for the learning rate and the step. */
export type Rule =
  | { readonly _tag: "AdamW"; readonly attributes: Op.AdamW; readonly rate: string; readonly step: string }
  | { readonly _tag: "Sgd"; readonly attributes: Op.Sgd; readonly rate: string }

/** An optimiser's step for one parameter, found among a program's updates. */
export interface StepUpdate {
  readonly rule: Rule
  readonly parameter: Variable
  /** The gradient before clipping, if clipping is done outside the graph. */
  readonly gradient: Tensor.Tensor
  /** The optimiser's state for it, in the order of the rule. */
  readonly states: ReadonlyArray<Variable>
}

/** One step of a variable's moving average, found among a program's updates. */
export interface AverageUpdate {
  readonly average: Variable
  readonly current: Variable
  /** The name of the program's input for the decay. */
  readonly decay: string
}

/** The global norm of all gradients in a program's steps. */
export interface Norm {
  readonly tensor: Tensor.Tensor
  /** Gradients with a larger norm are scaled down to it. */
  readonly most: number
}

/** The part of a program that runs on memory after its graph, and the rest of its updates. */
export interface Outside {
  readonly steps: ReadonlyArray<StepUpdate>
  /** The norm by which the steps' gradients are clipped; `undefined` if they are not. */
  readonly norm: Norm | undefined
  readonly averages: ReadonlyArray<AverageUpdate>
  readonly rest: ReadonlyArray<Program.Update>
}

/** Whether an op has an input there, of a kind. */
const isThere = <K extends Tensor.Kind>(kind: K) => {
  const isOf = Tensor.is(kind)
  return (x: Tensor.Tensor | undefined): x is Tensor.Tensor<K> => x !== undefined && isOf(x)
}
const isVariable = isThere("variable")
const isInput = isThere("input")
const isAverage = Tensor.is("movingAverage")
const isAdamW = Tensor.is("adamw")
const isSgd = Tensor.is("sgd")
const isClip = Tensor.is("clipByNorm")

const stepOf = ({ value }: Program.Update): StepUpdate | undefined => {
  if (isAdamW(value) && value.attributes.of === "parameter") {
    const [parameter, gradient, moment1, moment2, rate, step] = value.inputs
    if (!(isVariable(parameter) && isVariable(moment1) && isVariable(moment2) && isInput(rate) && isInput(step)))
      return undefined
    if (gradient === undefined) return undefined
    const { beta1, beta2, epsilon, weightDecay } = value.attributes
    const attributes = { beta1, beta2, epsilon, weightDecay }
    const rule = { _tag: "AdamW", attributes, rate: rate.attributes.name, step: step.attributes.name } as const
    return { rule, parameter, gradient, states: [moment1, moment2] }
  }
  if (isSgd(value) && value.attributes.of === "parameter") {
    const [parameter, gradient, velocity, rate] = value.inputs
    if (!(isVariable(parameter) && isVariable(velocity) && isInput(rate)) || gradient === undefined) return undefined
    const { momentum, nesterov, weightDecay } = value.attributes
    const rule = { _tag: "Sgd", attributes: { momentum, nesterov, weightDecay }, rate: rate.attributes.name } as const
    return { rule, parameter, gradient, states: [velocity] }
  }
  return undefined
}

/** The same steps with gradients that are clipped outside, if all of them are clipped by their own global norm. */
const clippedOutside = (
  steps: ReadonlyArray<StepUpdate>
): { readonly steps: ReadonlyArray<StepUpdate>; readonly norm: Norm | undefined } => {
  const [first] = steps
  if (first === undefined || !isClip(first.gradient)) return { steps, norm: undefined }
  const [, tensor] = first.gradient.inputs
  const { most } = first.gradient.attributes
  if (tensor === undefined) return { steps, norm: undefined }
  const raw = steps.flatMap((step) => {
    const clip = step.gradient
    const [gradient, norm] = clip.inputs
    return isClip(clip) && gradient !== undefined && norm === tensor && clip.attributes.most === most
      ? [{ ...step, gradient }]
      : []
  })
  const normed = new Set(tensor.inputs)
  const whole =
    tensor.kind === "globalNorm" &&
    raw.length === steps.length &&
    tensor.inputs.length === steps.length &&
    raw.every(({ gradient }) => normed.has(gradient))
  return whole ? { steps: raw, norm: { tensor, most } } : { steps, norm: undefined }
}

const averageOf = ({ value, variable }: Program.Update): AverageUpdate | undefined => {
  if (!isAverage(value)) return undefined
  const [average, current, decay] = value.inputs
  return average === variable && isVariable(current) && isInput(decay)
    ? { average: variable, current, decay: decay.attributes.name }
    : undefined
}

/** Splits a program's updates into those that can run outside its graph, and the rest. */
export const outsideOf = ({ updates }: Program.Program): Outside => {
  const found = updates.flatMap((update) => stepOf(update) ?? [])
  const states = new Set<Tensor.Tensor>(found.flatMap((u) => [u.parameter, ...u.states]))
  const theirs = updates.filter(({ value, variable }) => (isAdamW(value) || isSgd(value)) && states.has(variable))
  // A kernel updates a parameter and its states together; a program that requests only some of them keeps its updates in the graph.
  const wanted = found.reduce((sum, u) => sum + 1 + u.states.length, 0)
  const steps = theirs.length === wanted && states.size === wanted ? found : []
  const advanced = new Set<Program.Update>(steps.length === 0 ? [] : theirs)
  // An average is taken of the value before the run, so it stays in the graph if the same run changes that value.
  const changed = new Set<Tensor.Tensor>(updates.map(({ variable }) => variable))
  const averages: Array<AverageUpdate> = []
  const rest = updates.filter((update) => {
    if (advanced.has(update)) return false
    const average = averageOf(update)
    if (average === undefined || changed.has(average.current)) return true
    averages.push(average)
    return false
  })
  return { ...clippedOutside(steps), averages, rest }
}

/** The name of the output for the gradient of an optimised parameter. */
export const gradientName = ({ parameter }: StepUpdate) => `gradient:${parameter.attributes.name}`

/** The program's outputs that equal the norm by which gradients are clipped outside its graph. */
export const normOutputs =
  ({ norm }: Outside) =>
  ({ outputs }: Program.Program): ReadonlyArray<string> =>
    norm === undefined ? [] : Object.keys(outputs).filter((name) => outputs[name] === norm.tensor)

/** The rest of a program for its graph, which ends at the gradients. */
export const insideOf =
  (outside: Outside) =>
  (program: Program.Program): Result.Result<Program.Program, GraphError> => {
    const { rest, steps } = outside
    return Program.make({
      outputs: {
        ...Struct.omit(program.outputs, normOutputs(outside)(program)),
        ...Object.fromEntries(steps.map((u) => [gradientName(u), u.gradient]))
      },
      updates: rest
    })
  }

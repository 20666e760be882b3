/**
 * Joins optimised variables into a few: parameters that one AdamW step treats in the same way become one flat vector, and so do their moments.
 *
 * An optimiser that runs as part of a program is then a dozen ops over the vectors rather than a dozen per variable. A program reads a parameter as a
 * slice. How they are joined is our choice; there is no source for it.
 */
import { type GraphError, Op, Program, Shape, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import * as Struct from "effect/Struct"
import { outsideOf, type Rule, type StepUpdate } from "./Updates.ts"

/** Where a variable's elements are in a joined one. */
export interface Place {
  readonly pack: string
  /** The first element, from 0. */
  readonly offset: number
  /** Number of elements. */
  readonly size: number
}

/** Programs whose variables are in shared arrays, and where each variable is. */
export interface Packed<Name extends string> {
  readonly programs: Readonly<Record<Name, Program.Program>>
  /** The place of every variable that was joined. */
  readonly places: ReadonlyMap<string, Place>
}

type Variable = Tensor.Tensor<"variable">

/** An AdamW step, whose variables are joined. Those of SGD stay as they are. */
interface AdamWUpdate extends StepUpdate {
  readonly rule: Extract<Rule, { readonly _tag: "AdamW" }>
}

const isAdamW = (u: StepUpdate): u is AdamWUpdate => u.rule._tag === "AdamW"

/** Parameters that share an AdamW step. */
interface Group {
  readonly updates: ReadonlyArray<AdamWUpdate>
  readonly parameter: Variable
  readonly moment1: Variable
  readonly moment2: Variable
}

const variablesOf = (u: StepUpdate) => [u.parameter, ...u.states]
const names = (updates: ReadonlyArray<StepUpdate>) => updates.flatMap(variablesOf).map((v) => v.attributes.name)
const keyOf = ({ rule }: AdamWUpdate) => JSON.stringify(rule)
const flat = (t: Tensor.Tensor) => Op.reshape(t, [Shape.size(t.shape)])

const joined = (name: string, role: Op.Role, size: number) =>
  Op.variable({ name, role, initialiser: { kind: "constant", value: 0 }, decay: false }, [size])

const groupOf = (updates: ReadonlyArray<AdamWUpdate>, index: number): Group => {
  const size = updates.reduce((n, { parameter }) => n + Shape.size(parameter.shape), 0)
  return {
    updates,
    parameter: joined(`packed/${index}/parameter`, "parameter", size),
    moment1: joined(`packed/${index}/moment1`, "moment", size),
    moment2: joined(`packed/${index}/moment2`, "moment", size)
  }
}

/** Joins the variables that programs optimise. If two programs update a variable differently, it stays separate. */
export const make = <Name extends string>(
  programs: Readonly<Record<Name, Program.Program>>
): Result.Result<Packed<Name>, GraphError> => {
  const optimisers = Struct.keys(programs).map((name) => outsideOf(programs[name]))
  const groups: Array<Group> = []
  const taken = new Set<string>()
  for (const { steps } of optimisers)
    for (const updates of Map.groupBy(steps.filter(isAdamW), keyOf).values()) {
      const members = names(updates)
      if (members.some((name) => taken.has(name))) continue
      const key = [...members].sort().join()
      // Every program that updates one of them must update all of them, with the same step.
      const alike = optimisers.every(({ averages, rest, steps }) => {
        const others = [...rest.map(({ variable }) => variable), ...averages.map(({ average }) => average)]
        const touched = others.some((variable) => members.includes(variable.attributes.name))
        const theirs = steps.filter((u) => names([u]).some((name) => members.includes(name)))
        return !touched && (theirs.length === 0 || names(theirs).sort().join() === key)
      })
      if (!alike) continue
      for (const name of members) taken.add(name)
      groups.push(groupOf(updates, groups.length))
    }

  const places = new Map<string, Place>()
  const reads = new Map<string, Tensor.Tensor>()
  for (const { moment1, moment2, parameter, updates } of groups) {
    let offset = 0
    for (const update of updates) {
      const size = Shape.size(update.parameter.shape)
      const packs = [parameter, moment1, moment2]
      for (const [i, variable] of variablesOf(update).entries()) {
        const pack = packs[i]
        if (pack === undefined) continue
        const { name } = variable.attributes
        places.set(name, { pack: pack.attributes.name, offset, size })
        reads.set(name, Op.reshape(Op.slice(pack, 0, offset, offset + size, name), variable.shape, name))
      }
      offset += size
    }
  }

  const rewritten: Array<readonly [Name, Program.Program]> = []
  for (const name of Struct.keys(programs)) {
    const made = rewrite(programs[name], groups, reads)
    if (Result.isFailure(made)) return Result.fail(made.failure)
    rewritten.push([name, made.success])
  }
  // The entries have the record's own names.
  return Result.succeed({ programs: Object.fromEntries(rewritten) as Record<Name, Program.Program>, places })
}

const rewrite = (
  program: Program.Program,
  groups: ReadonlyArray<Group>,
  reads: ReadonlyMap<string, Tensor.Tensor>
): Result.Result<Program.Program, GraphError> => {
  const made = new Map<Tensor.Tensor, Tensor.Tensor>()
  const of = (node: Tensor.Tensor) => made.get(node) ?? node
  for (const node of program.nodes) {
    const inputs = node.inputs.map(of)
    const own = inputs.every((x, i) => x === node.inputs[i]) ? node : { ...node, inputs }
    made.set(node, (node.kind === "variable" ? reads.get(nameOf(node)) : undefined) ?? own)
  }
  const updateOf = new Map(program.updates.map((u) => [u.variable.attributes.name, u.value] as const))
  const updates: Array<Program.Update> = program.updates
    .filter(({ variable }) => !reads.has(variable.attributes.name))
    .map(({ value, variable }) => ({ variable, value: of(value) }))
  for (const { moment1, moment2, parameter, updates: members } of groups) {
    const steps = members.map((u) => updateOf.get(u.parameter.attributes.name))
    const [first] = steps
    const [member] = members
    if (first === undefined || member === undefined) continue
    // Each is an AdamW step with the inputs [parameter, gradient, moments, rate, step].
    const [, , , , rate, step] = first.inputs
    const [g, ...more] = steps.map((value) => flat(of(value?.inputs[1] ?? first)))
    if (g === undefined || rate === undefined || step === undefined) continue
    const next = Op.adamw(
      member.rule.attributes,
      { parameter, gradient: Op.concat([g, ...more], 0), moment1, moment2 },
      of(rate),
      of(step)
    )
    updates.push(
      { variable: parameter, value: next.parameter },
      { variable: moment1, value: next.moment1 },
      { variable: moment2, value: next.moment2 }
    )
  }
  return Program.make({
    outputs: Object.fromEntries(Object.entries(program.outputs).map(([name, t]) => [name, of(t)])),
    updates
  })
}

const nameOf = (node: Tensor.Tensor): string => {
  const { attributes } = node
  return "name" in attributes ? attributes.name : ""
}

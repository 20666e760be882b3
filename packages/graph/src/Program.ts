/**
 * A program is a graph with named ends: what is fed in, what comes out, and which variables get new values at the end of a run.
 * Making one checks every shape, replaces composites by their bodies, merges equal subexpressions and drops what is not needed.
 */
import * as Result from "effect/Result"
import { type GraphError, NameClash, ShapeError, UpdateClash } from "./GraphError.ts"
import { expandComposites } from "./ops/composite.ts"
import * as Murmur from "./internal/murmur.ts"
import { topological } from "./internal/topological.ts"
import * as Shape from "./Shape.ts"
import { is, type Tensor } from "./Tensor.ts"

/** The next value of a variable, which it takes when a run has ended. */
export interface Update {
  readonly variable: Tensor<"variable">
  readonly value: Tensor
}

/** A graph that can be compiled: every node in an order in which it can be computed, with its inputs and outputs. */
export interface Program {
  /** Every node, each after its inputs. */
  readonly nodes: ReadonlyArray<Tensor>
  readonly inputs: ReadonlyArray<Tensor<"input">>
  readonly variables: ReadonlyArray<Tensor<"variable">>
  readonly outputs: Readonly<Record<string, Tensor>>
  readonly updates: ReadonlyArray<Update>
}

const isRandom = (node: Tensor): node is Tensor<"input"> => is("input")(node) && node.attributes.random !== undefined

/** A random input under its name; the second and later ones of a name get a number. */
const numbered = (node: Tensor<"input">, draws: Map<string, number>): Tensor<"input"> => {
  const { name } = node.attributes
  const count = (draws.get(name) ?? 0) + 1
  draws.set(name, count)
  if (count === 1) return node
  const own = `${name}#${count}`
  return { ...node, attributes: { ...node.attributes, name: own }, path: own }
}

const fits = (value: Tensor, variable: Tensor) =>
  Shape.equals(value.shape, variable.shape) && value.dtype === variable.dtype

/** Constants of up to this many elements are compared by content, larger ones by identity. */
const comparedByContent = 4096

/**
 * Makes a program from named outputs and updates of variables.
 *
 * Fails with the first mistake found on the way to them: `ShapeError`, `GradientError`, `NameClash` or `UpdateClash`.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const input = Op.input("x", [2, 3])
 * const made = Program.make({ outputs: { y: Op.relu(input) } }) // Result<Program, GraphError>
 * console.log(Result.getOrThrow(made).nodes.length) // 2
 * ```
 */
export const make = (ends: {
  readonly outputs: Readonly<Record<string, Tensor>>
  readonly updates?: ReadonlyArray<Update>
}): Result.Result<Program, GraphError> => {
  const given = [...Object.values(ends.outputs), ...(ends.updates ?? []).flatMap((u) => [u.variable, u.value])]
  const expanded = expandComposites(given)
  // Variables are leaves: replacing composites does not change them.
  const updates = (ends.updates ?? []).map(({ variable, value }) => ({ variable, value: expanded(value) }))
  const outputs = Object.entries(ends.outputs).map(([name, t]) => [name, expanded(t)] as const)
  const roots = [...outputs.map(([, t]) => t), ...updates.flatMap(({ variable, value }) => [variable, value])]
  const order = topological(roots)
  const faulty = order.find((node) => node.fault !== undefined)
  if (faulty?.fault !== undefined) return Result.fail(faulty.fault)
  const misfit = updates.find(({ variable, value }) => !fits(value, variable))
  if (misfit !== undefined) {
    const { variable, value } = misfit
    const shapes = [[...variable.shape], [...value.shape]]
    const reason = "a variable's new value must have its shape and element type"
    return Result.fail(new ShapeError({ path: variable.path, op: "update", shapes, reason }))
  }

  // Hash-consing: a node whose op, attributes and (merged) inputs have been seen before becomes that earlier node.
  const merged = new Map<Tensor, Tensor>()
  const ids = new Map<Tensor, number>()
  const known = new Map<string, Tensor>()
  const names = new Map<string, Tensor>()
  const nodes: Array<Tensor> = []
  const draws = new Map<string, number>()
  for (const written of order) {
    const node = isRandom(written) ? numbered(written, draws) : written
    const inputs = node.inputs.map((x) => merged.get(x) ?? x)
    const key = keyOf(node, inputs, ids)
    const seen = isRandom(node) ? undefined : known.get(key)
    if (seen !== undefined) {
      merged.set(written, seen)
      continue
    }
    const same = node.inputs.every((x, i) => x === inputs[i])
    const kept = same ? node : { ...node, inputs }
    if (is("input")(kept) || is("variable")(kept)) {
      const { name } = kept.attributes
      const other = names.get(name)
      if (other !== undefined) return Result.fail(new NameClash({ name, shapes: [[...other.shape], [...kept.shape]] }))
      names.set(name, kept)
    }
    merged.set(written, kept)
    known.set(key, kept)
    ids.set(kept, nodes.length)
    nodes.push(kept)
  }
  const updated = new Set<string>()
  for (const { variable } of updates) {
    const { name } = variable.attributes
    if (updated.has(name)) return Result.fail(new UpdateClash({ name }))
    updated.add(name)
  }
  const resolve = (t: Tensor) => merged.get(t) ?? t
  return Result.succeed({
    nodes,
    inputs: nodes.filter(is("input")),
    variables: nodes.filter(is("variable")),
    outputs: Object.fromEntries(outputs.map(([name, t]) => [name, resolve(t)])),
    // A variable is only ever merged with another variable.
    updates: updates.map(({ variable, value }) => ({
      variable: resolve(variable) as Tensor<"variable">,
      value: resolve(value)
    }))
  })
}

/**
 * Identifies a program within one process: two fingerprints are equal exactly when ops, attributes, shapes, and the names of outputs and updates are equal,
 * in the same order. Large constants are compared by array identity, so it means nothing in another process; use `digest` for that.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
 * console.log(Program.fingerprint(program) === Program.fingerprint({ ...program })) // true
 * ```
 */
export const fingerprint = ({ nodes, outputs, updates }: Program): string => {
  const ids = new Map(nodes.map((node, i) => [node, i] as const))
  return [
    ...nodes.map((node) => keyOf(node, node.inputs, ids)),
    ...Object.entries(outputs).map(([name, t]) => `${JSON.stringify(name)} = ${ids.get(t)}`),
    ...updates.map(({ value, variable }) => `${ids.get(variable)} := ${ids.get(value)}`)
  ].join("\n")
}

/**
 * Identifies a program by 32 hexadecimal digits: the same digits on any machine and in any process that makes the same program and, in practice, different ones for a different program.
 * Covers ops, attributes, shapes, names of inputs, variables, outputs and updates, and the bits of constants, but not the layers' paths, on which no result depends. Unlike `fingerprint`
 * it can be kept in a file.
 *
 * @example
 * ```ts
 * import { Op, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
 * console.log(Program.digest(program).length) // 32
 * ```
 */
export const digest = ({ nodes, outputs, updates }: Program): string => {
  const ids = new Map(nodes.map((node, i) => [node, i] as const))
  const number = (t: Tensor) => ids.get(t)
  return Murmur.ofText(
    [
      ...nodes.map(
        (node) =>
          `${node.kind} ${node.dtype} [${node.shape.join()}] ${contentOf(node)} (${node.inputs.map(number).join()})`
      ),
      ...Object.entries(outputs).map(([name, t]) => `${JSON.stringify(name)} = ${number(t)}`),
      ...updates.map(({ value, variable }) => `${number(variable)} := ${number(value)}`)
    ].join("\n")
  )
}

/** A node's attributes in canonical form, whatever order they were given in. */
const contentOf = (node: Tensor): string => {
  if (!is("constant")(node)) return written(node.attributes)
  const { data } = node.attributes
  return Murmur.ofWords(new Uint32Array(data.buffer, data.byteOffset, data.length), data.byteLength)
}

/** JSON with keys in order, extended by the numbers that JSON lacks. */
const written = (value: unknown): string => {
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value)
  if (Array.isArray(value)) return `[${value.map(written).join()}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null"
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${entries.map(([key, of]) => `${JSON.stringify(key)}:${written(of)}`).join()}}`
}

/** An op and its operands, given by number. */
const keyOf = (node: Tensor, inputs: ReadonlyArray<Tensor>, ids: ReadonlyMap<Tensor, number>): string =>
  `${node.kind} ${node.dtype} ${node.shape.join()} ${attributesKey(node)} ${inputs.map((x) => ids.get(x)).join()}`

const identities = new WeakMap<object, number>()
let nextIdentity = 0

const attributesKey = (node: Tensor): string => {
  if (is("fill")(node)) {
    // JSON has no infinities, NaN or −0.
    const { value } = node.attributes
    return Object.is(value, -0) ? "-0" : String(value)
  }
  if (!is("constant")(node)) return JSON.stringify(node.attributes)
  const { data } = node.attributes
  // By its bits, which distinguish −0 from 0.
  if (data.length <= comparedByContent) return new Int32Array(data.buffer, data.byteOffset, data.length).join()
  const known = identities.get(data)
  if (known !== undefined) return `#${known}`
  identities.set(data, ++nextIdentity)
  return `#${nextIdentity}`
}

/**
 * Custom ops, made of existing ones. Every engine can compute them, because no engine ever sees one: differentiation treats them as ops of their own, and a program
 * contains the ops in their bodies.
 */
import { Flops, Macs } from "../Cost.ts"
import { apply, type Backward, define, type Definitions } from "../Definition.ts"
import { type GraphError, GradientError, ShapeError } from "../GraphError.ts"
import { substitute } from "../internal/substitute.ts"
import { topological } from "../internal/topological.ts"
import * as Shape from "../Shape.ts"
import { is, type Tensor } from "../Tensor.ts"
import { fill, input } from "./leaf.ts"

/** A value that can be written as JSON. */
export type Json = number | string | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** The parameters of a custom op: what it takes besides its inputs. */
export type Parameters = { readonly [key: string]: Json }

/** The definition of a custom op. */
export interface Composite<P extends Parameters = {}, Operands extends ReadonlyArray<Tensor> = ReadonlyArray<Tensor>> {
  /** Its name in errors and prints. */
  readonly name: string
  /**
   * Builds its result from its inputs with other ops. It must give the same graph for the same shapes and parameters. Tensors that are not among the inputs (variables, for
   * example) have to be passed as inputs, or no gradient would reach them; constants need not.
   */
  readonly build: (inputs: Operands, parameters: P) => Tensor
  /**
   * For each input, the gradient of a scalar with respect to it, in that input's shape, given the gradient `dy` with respect to the result. `null` for an input without a gradient: asking for
   * it is a `GradientError`. Default: the gradient of what `build` made.
   */
  readonly gradient?: (
    of: { readonly inputs: Operands; readonly output: Tensor; readonly parameters: P },
    dy: Tensor
  ) => ReadonlyArray<Tensor | null>
}

/** A result built on placeholders, which the op's inputs replace when it is used. */
interface Body {
  readonly inputs: ReadonlyArray<Tensor>
  readonly result: Tensor
}

export interface Attributes {
  /** A custom op. No program contains one: `Program.make` replaces it by its body. */
  readonly composite: {
    readonly name: string
    readonly parameters: Parameters
    readonly body: Body
    /** Of the inputs' placeholders, given those of the result and of its gradient. */
    readonly gradient: ((output: Tensor, dy: Tensor) => ReadonlyArray<Tensor | null>) | undefined
  }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly composite: ReadonlyArray<Tensor>
}

type Node = Tensor<"composite">

/** What a user's function returns, or the message of what it throws. */
const attempt = <A>(f: () => A): A | string => {
  try {
    return f()
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause)
  }
}

/** Takes the place of a tensor of this shape in a body. Its path is the op's layer, to which everything made from it belongs. */
const placeholder = (like: Pick<Tensor, "shape" | "dtype">, path: string): Tensor => ({
  ...input("", like.shape, like.dtype),
  path
})

/** A body with its placeholders replaced by tensors. Nodes that name no layer, such as those made from a number, belong to the op's. */
const used = (result: Tensor, placeholders: ReadonlyArray<Tensor>, by: ReadonlyArray<Tensor>, path: string): Tensor =>
  substitute([result], (node, inputs) => {
    const given = by[placeholders.indexOf(node)]
    return given ?? (node.path === "" && inputs.length > 0 ? { ...node, inputs, path } : undefined)
  })(result)

/** The message for a body that uses an input or a variable that is not among its placeholders. */
const captured = (result: Tensor, placeholders: ReadonlyArray<Tensor>): string | undefined => {
  const known = new Set(placeholders)
  for (const node of topological([result]))
    if (!known.has(node) && (is("input")(node) || is("variable")(node)))
      return `it uses ${node.attributes.name}, which is not one of its inputs: pass it as an input`
  return undefined
}

/** How a mistake inside a body is reported. */
const inside = (fault: GraphError) => ("reason" in fault ? `in its ${fault.op}, ${fault.reason}` : fault.message)

/** The gradient through a body, one input at a time, so that an input without a gradient does not keep the others from theirs. */
const through = (node: Node, dy: Tensor, backward: Backward): ReadonlyArray<Tensor | null> => {
  const { attributes, inputs, path } = node
  const { body, name } = attributes
  const slot = placeholder(node, path)
  return body.inputs.map((x) => {
    if (x.dtype !== "float32") return null
    const [dx = fill(0, x.shape, path)] = backward(body.result, slot, [x])
    if (dx.fault !== undefined) {
      const reason = `${inside(dx.fault)}; give ${name} its own gradient`
      return { ...dx, fault: new GradientError({ path, op: name, reason }) }
    }
    return used(dx, [...body.inputs, slot], [...inputs, dy], path)
  })
}

/** The op's own gradient, checked for being a valid gradient. */
const own = (
  node: Node,
  dy: Tensor,
  gradient: NonNullable<Attributes["composite"]["gradient"]>
): ReadonlyArray<Tensor | null> => {
  const { attributes, inputs, path } = node
  const { body, name } = attributes
  const [output, slot] = [placeholder(node, path), placeholder(node, path)]
  const placeholders = [...body.inputs, output, slot]
  const wrong = (reason: string, x: Tensor) => ({
    ...x,
    fault: new GradientError({ path, op: name, reason: `its own gradient is wrong: ${reason}` })
  })
  const parts = attempt(() => gradient(output, slot))
  return inputs.map((x, i) => {
    if (typeof parts === "string") return wrong(parts, x)
    if (parts.length !== inputs.length)
      return wrong(`it has ${parts.length} parts, not one for each of ${inputs.length} inputs`, x)
    const dx = parts[i]
    if (dx === null || dx === undefined) return null
    if (dx.fault !== undefined) return wrong(inside(dx.fault), x)
    if (!Shape.equals(dx.shape, x.shape) || dx.dtype !== x.dtype)
      return wrong(
        `for input ${i} it is ${dx.dtype} ${Shape.print(dx.shape)}, not ${x.dtype} ${Shape.print(x.shape)}`,
        x
      )
    const foreign = captured(dx, placeholders)
    return foreign === undefined ? used(dx, placeholders, [...inputs, node, dy], path) : wrong(foreign, x)
  })
}

export const definitions: Definitions<Attributes> = {
  composite: define("composite", {
    shape: ({ body }) => body.result.shape,
    cost: ({ attributes: { body } }, of) => {
      const costs = topological([body.result]).map(of)
      const sum = (of: "macs" | "flops") => costs.reduce((total, cost) => total + cost[of], 0)
      return { macs: Macs(sum("macs")), flops: Flops(sum("flops")) }
    },
    gradient: (node, dy, backward) => {
      const { gradient } = node.attributes
      return gradient === undefined ? through(node, dy, backward) : own(node, dy, gradient)
    }
  })
}

/** The parameters can be omitted if none is required. */
type Rest<P> = {} extends P ? [parameters?: P, path?: string] : [parameters: P, path?: string]

/**
 * Makes a custom op out of other ops, optionally with its own gradient. It returns a constructor like those of `Op`: a function of the inputs, the parameters, and the path
 * of its layer (by default that of its first input).
 *
 * Errors call the op by its name, and it is differentiated as one op and expanded when a program is made. So every engine can compute it, and whatever two such ops share is computed once. A
 * body that fails is a `ShapeError` of the op, a gradient that fails a `GradientError`.
 *
 * @example
 * ```ts
 * import { gradient, Op } from "@uninet/graph"
 *
 * const squaredRelu = Op.composite({
 *   name: "squaredRelu",
 *   build: ([x]) => {
 *     const positive = Op.relu(x)
 *     return Op.mul(positive, positive)
 *   }
 * })
 *
 * // −1 or 1, with the gradient of the identity where |x| ≤ 1
 * const binarise = Op.composite({
 *   name: "binarise",
 *   build: ([x]) => Op.sub(Op.scale(Op.greaterOrEqual(x, Op.fill(0)), 2), Op.fill(1)),
 *   gradient: ({ inputs: [x] }, dy) => [Op.mul(dy, Op.greaterOrEqual(Op.fill(1), Op.abs(x)))]
 * })
 *
 * const x = Op.input("x", [8, 32])
 * const y = binarise([squaredRelu([x])])
 * console.log(y.shape, gradient(Op.sum(y), [x])[0]?.shape) // [ 8, 32 ] [ 8, 32 ]
 * ```
 */
export const composite =
  <P extends Parameters = {}, Operands extends ReadonlyArray<Tensor> = ReadonlyArray<Tensor>>({
    build,
    gradient,
    name
  }: Composite<P, Operands>) =>
  (inputs: Operands, ...rest: Rest<P>): Tensor<"composite"> => {
    // Parameters are only omitted if an empty record of them will do.
    const [parameters = {} as P, path = inputs[0]?.path ?? ""] = rest as [parameters?: P, path?: string]
    const placeholders = inputs.map((x) => placeholder(x, path))
    // One placeholder per input, in order: as many as there are operands.
    const operands = placeholders as ReadonlyArray<Tensor> as Operands
    const body = bodyOf(name, path, inputs, placeholders, () => build(operands, parameters))
    const attributes: Attributes["composite"] = {
      name,
      parameters,
      body: { inputs: placeholders, result: body },
      gradient: gradient && ((output, dy) => gradient({ inputs: operands, output, parameters }, dy))
    }
    const { fault } = body
    if (fault !== undefined)
      return { kind: "composite", attributes, inputs, shape: body.shape, dtype: body.dtype, path, fault }
    return apply(
      { ...definitions.composite, takes: inputs.map((x) => x.dtype), dtype: body.dtype },
      attributes,
      inputs,
      path
    )
  }

/** The result of a body, or one that carries what is wrong with it. */
const bodyOf = (
  name: string,
  path: string,
  inputs: ReadonlyArray<Tensor>,
  placeholders: ReadonlyArray<Tensor>,
  build: () => Tensor
): Tensor => {
  const faulty = inputs.find(({ fault }) => fault !== undefined)
  if (faulty !== undefined) return faulty
  const shapes = inputs.map((x) => [...x.shape])
  const wrong = (reason: string): Tensor => ({
    ...fill(0, inputs[0]?.shape),
    fault: new ShapeError({ path, op: name, shapes, reason })
  })
  const result = attempt(build)
  if (typeof result === "string") return wrong(result)
  if (result.fault !== undefined) return wrong(inside(result.fault))
  const foreign = captured(result, placeholders)
  return foreign === undefined ? result : wrong(foreign)
}

/**
 * The same tensors with composites replaced by their bodies. Returns a function that gives the new version of each of these tensors and of every tensor they are made from.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const half = Op.composite({ name: "half", build: ([y]) => Op.scale(y, 0.5) })
 * const halved = half([x])
 * console.log(Op.expandComposites([halved])(halved).kind) // binary
 * ```
 */
export const expandComposites = (tensors: ReadonlyArray<Tensor>): ((tensor: Tensor) => Tensor) =>
  substitute(tensors, (node, inputs) => {
    if (!is("composite")(node) || node.fault !== undefined) return undefined
    const { body } = node.attributes
    return used(expandComposites([body.result])(body.result), body.inputs, inputs, node.path)
  })

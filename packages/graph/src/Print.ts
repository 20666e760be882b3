/** Graphs as text. */
import { topological } from "./internal/topological.ts"
import type { Program } from "./Program.ts"
import { print as printShape } from "./Shape.ts"
import { is, opName, type Tensor } from "./Tensor.ts"

/** Constants with more elements than this are not printed in full. */
const most = 8

const attributesOf = (node: Tensor): string => {
  if (is("constant")(node)) {
    const { data } = node.attributes
    return data.length > most ? `${data.slice(0, most).join(" ")} …` : data.join(" ")
  }
  if (is("fill")(node)) return Object.is(node.attributes.value, -0) ? "-0" : String(node.attributes.value)
  const attributes = is("composite")(node) ? node.attributes.parameters : node.attributes
  return Object.keys(attributes).length === 0 ? "" : JSON.stringify(attributes)
}

/** One line per node; other nodes refer to it by its number. */
const lines = (
  nodes: ReadonlyArray<Tensor>
): { readonly text: ReadonlyArray<string>; readonly name: (t: Tensor) => string } => {
  const ids = new Map(nodes.map((node, i) => [node, i] as const))
  const name = (t: Tensor) => `%${ids.get(t)}`
  const text = nodes.map((node) => {
    const operands = node.inputs.length === 0 ? "" : `(${node.inputs.map(name).join(", ")})`
    const type = `${printShape(node.shape)}${node.dtype === "float32" ? "" : ` ${node.dtype}`}`
    const at = node.path === "" ? "" : `at ${node.path}`
    const fault = node.fault === undefined ? "" : `FAULT ${node.fault.message}`
    const parts = [`${name(node)} = ${opName(node)}${operands} ${type}`, attributesOf(node), at, fault]
    return parts.filter((part) => part !== "").join(" ")
  })
  return { text, name }
}

/**
 * Prints a tensor and everything it is made from, one op a line, in order. A custom op is printed under its name, a mistake where it happened.
 *
 * @example
 * ```ts
 * import { Op, Print } from "@uninet/graph"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * console.log(Print.tensor(Op.relu(Op.input("x", [2, 3]))))
 * // %0 = input [2×3] {"name":"x"} at x
 * // %1 = activation(%0) [2×3] {"fn":"relu"} at x
 * ```
 */
export const tensor = (of: Tensor): string => lines(topological([of])).text.join("\n")

/**
 * Prints a program: one op a line, in order, then the outputs and the updates. Of large constants only the first elements are printed.
 *
 * @example
 * ```ts
 * import { Op, Print, Program } from "@uninet/graph"
 * import { Result } from "effect"
 *
 * const x = Op.input("x", [8, 32, 16, 16])
 * const program = Result.getOrThrow(Program.make({ outputs: { y: Op.relu(Op.input("x", [2, 3])) } }))
 * console.log(Print.program(program))
 * // %0 = input [2×3] {"name":"x"} at x
 * // %1 = activation(%0) [2×3] {"fn":"relu"} at x
 * // y = %1
 * ```
 */
export const program = ({ nodes, outputs, updates }: Program): string => {
  const { name, text } = lines(nodes)
  return [
    ...text,
    ...Object.entries(outputs).map(([output, t]) => `${output} = ${name(t)}`),
    ...updates.map(({ value, variable }) => `${variable.attributes.name} := ${name(value)}`)
  ].join("\n")
}

/**
 * How variables start. If a variable's initial value is a number, the engine sets it when it compiles. A variable whose initial values are drawn has none until it is written, since an engine
 * has no randomness of its own.
 */
import { type Program, Shape, type Tensor } from "@uninet/graph"
import type { Place } from "./Packing.ts"

type Variable = Tensor.Tensor<"variable">

/** Whether a variable's initial values have to be drawn. */
export const isDrawn = ({ attributes: { initialiser } }: Variable): boolean => initialiser.kind !== "constant"

/**
 * The number that every element starts with; 0 if the values are drawn, since they are not read before they are written.
 *
 * @example
 * ```ts
 * import { FirstValues } from "@uninet/engine"
 * import { Initialiser, Parameter, Scope } from "@uninet/nn"
 *
 * const scope = Scope.make("training", "norm")
 * console.log(FirstValues.numberOf(Parameter.parameter(scope, "weight", [8], Initialiser.one, false))) // 1
 * console.log(FirstValues.numberOf(Parameter.parameter(scope, "drawn", [8], Initialiser.linear, false))) // 0
 * ```
 */
export const numberOf = ({ attributes: { initialiser } }: Variable): number =>
  initialiser.kind === "constant" ? initialiser.value : 0

/** Initial values for what an engine stores: one variable of the programs, or several that were joined (`Packing`). */
export const of = (
  stored: Variable,
  declared: ReadonlyMap<string, Variable>,
  places: ReadonlyMap<string, Place>
): Float32Array => {
  const { name } = stored.attributes
  const own = declared.get(name)
  const data = new Float32Array(Shape.size(stored.shape))
  if (own !== undefined) return data.fill(numberOf(own))
  for (const [member, { offset, pack, size }] of places) {
    const variable = pack === name ? declared.get(member) : undefined
    if (variable !== undefined) data.fill(numberOf(variable), offset, offset + size)
  }
  return data
}

/** The names of the variables that a program reads. A variable that it only updates does not count. */
export const readBy = ({ nodes, outputs, updates, variables }: Program.Program): ReadonlyArray<string> => {
  const read = new Set<Tensor.Tensor>([...Object.values(outputs), ...updates.map(({ value }) => value)])
  for (const { inputs } of nodes) for (const x of inputs) read.add(x)
  return variables.filter((v) => read.has(v)).map((v) => v.attributes.name)
}

/** How an engine checks its inputs before it computes. */
import { NameClash, type Program, Shape, type Tensor } from "@uninet/graph"
import * as FirstValues from "./FirstValues.ts"
import type { Data } from "./Runtime.ts"
import { CompileFailed, WrongInput, WrongVariables } from "./RuntimeError.ts"

const describe = (data: Data | undefined) =>
  data === undefined ? "nothing" : `${data.length} elements of ${data instanceof Float32Array ? "float32" : "int32"}`

/** The error for the first of a program's inputs that is missing or has the wrong size or element type. */
export const inputs = (
  name: string,
  program: Program.Program,
  given: Readonly<Record<string, Data>>
): WrongInput | undefined => {
  for (const { attributes, dtype, shape } of program.inputs) {
    const data = given[attributes.name]
    const size = Shape.size(shape)
    if (data?.length === size && (dtype === "int32") === data instanceof Int32Array) continue
    return new WrongInput({
      program: name,
      input: attributes.name,
      expected: `${size} elements of ${dtype} ${Shape.print(shape)}`,
      given: describe(data)
    })
  }
  return undefined
}

/** The error for values that do not fit any variable. */
export const variables = (
  variables: ReadonlyMap<string, Tensor.Tensor<"variable">>,
  values: ReadonlyMap<string, Data>
): WrongVariables | undefined => {
  const unknown: Array<string> = []
  const wrongSize: Array<{ readonly name: string; readonly expected: number; readonly given: number }> = []
  for (const [name, data] of values) {
    const variable = variables.get(name)
    if (variable === undefined) unknown.push(name)
    else if (Shape.size(variable.shape) !== data.length)
      wrongSize.push({ name, expected: Shape.size(variable.shape), given: data.length })
  }
  return unknown.length + wrongSize.length > 0 ? new WrongVariables({ unknown, wrongSize }) : undefined
}

/**
 * The programs' variables, each name once. If programs differ in how a variable starts, the first program that gives a number decides; the others would have it drawn.
 *
 * @example
 * ```ts
 * import { Check, FirstValues } from "@uninet/engine"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * // What your own engine begins with: the variables that its programs share, and what they hold at first.
 * const evaluation = (out: number) =>
 *   Result.getOrThrow(
 *     Model.evaluation()(
 *       Model.make({
 *         inputs: { x: Model.input([2]) },
 *         forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out })(x) })
 *       })
 *     )
 *   )
 * const [one, two] = [evaluation(1), evaluation(2)]
 * for (const variable of Check.variablesOf([one]).values())
 *   console.log(
 *     variable.attributes.name,
 *     FirstValues.isDrawn(variable) ? "is drawn" : FirstValues.of(variable, Check.variablesOf([one]), new Map())
 *   )
 * console.log(FirstValues.readBy(one)) // [ 'y.weight', 'y.bias' ], in some order
 *
 * // Programs that use one name for two different variables, and values for a variable that no program has.
 * console.log(Check.clash("mine", { one, two })?.message)
 * console.log(Check.variables(Check.variablesOf([one]), new Map([["y.scale", Float32Array.of(1)]]))?.message)
 * console.log(Check.inputs("one", one, { x: Float32Array.of(1, 2) })) // undefined: nothing is wrong
 * ```
 */
export const variablesOf = (
  programs: ReadonlyArray<Program.Program>
): ReadonlyMap<string, Tensor.Tensor<"variable">> => {
  const variables = new Map<string, Tensor.Tensor<"variable">>()
  for (const variable of programs.flatMap((p) => p.variables)) {
    const { name } = variable.attributes
    const known = variables.get(name)
    if (known === undefined || (FirstValues.isDrawn(known) && !FirstValues.isDrawn(variable)))
      variables.set(name, variable)
  }
  return variables
}

/** The error for programs that share a variable by name but not by shape, if any do. */
export const clash = (
  engine: string,
  programs: Readonly<Record<string, Program.Program>>
): CompileFailed | undefined => {
  const known = variablesOf(Object.values(programs))
  for (const [program, { variables }] of Object.entries(programs))
    for (const { attributes, shape } of variables) {
      const { name } = attributes
      const other = known.get(name)?.shape ?? shape
      if (!Shape.equals(other, shape)) {
        const cause = new NameClash({ name, shapes: [[...other], [...shape]] })
        return new CompileFailed({ engine, program, cause })
      }
    }
  return undefined
}

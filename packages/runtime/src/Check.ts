/** What an engine checks of what it is given before it computes. */
import { type Program, Shape, type Tensor } from "@uninet/graph"
import type { Data } from "./Runtime.ts"
import { WrongInput, WrongVariables } from "./RuntimeError.ts"

const describe = (data: Data | undefined) =>
  data === undefined ? "nothing" : `${data.length} elements of ${data instanceof Float32Array ? "float32" : "int32"}`

/** The first of a program's inputs that is missing or has another size or element type. */
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

/** Values that fit no variable. */
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

/** The programs' variables, each name once. */
export const variablesOf = (programs: ReadonlyArray<Program.Program>): ReadonlyMap<string, Tensor.Tensor<"variable">> =>
  new Map(programs.flatMap((p) => p.variables).map((v) => [v.attributes.name, v] as const))

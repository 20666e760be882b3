/** Layers on made-up numbers. */
import { Op, Program, Shape, type Tensor } from "@uninet/graph"
import { type Layer, Scope } from "@uninet/nn"
import { Result } from "effect"
import { evaluate } from "../../graph/test/support/interpreter.ts"

export const training = Scope.make("training")
export const evaluation = Scope.make("evaluation")

export const numbers = (shape: Shape.Shape, seed = 1): ReadonlyArray<number> =>
  Array.from({ length: Shape.size(shape) }, (_, i) => Math.sin(seed * (i + 1)))

export const program = (
  outputs: Readonly<Record<string, Tensor.Tensor>>,
  updates: ReadonlyArray<Program.Update> = []
) => Result.getOrThrow(Program.make({ outputs, updates }))

/** A layer's result on made-up numbers, and the variables it has. */
export const run = (
  layer: Layer.Layer,
  shape: Shape.Shape,
  inputs: Readonly<Record<string, ReadonlyArray<number>>> = {}
) => {
  const built = program({ y: layer(Op.input("x", shape)) })
  const variables = Object.fromEntries(
    built.variables.map(({ attributes, shape }, k) => [
      attributes.name,
      numbers(shape, k + 2).map((n) => (attributes.role === "buffer" ? 1 + n * n : n))
    ])
  )
  return { built, y: evaluate(built, { inputs: { x: numbers(shape), ...inputs }, variables }).outputs["y"] }
}

/** The largest difference of two results; infinite where their lengths differ. */
export const distance = (found: ArrayLike<number>, wanted: ArrayLike<number>) =>
  found.length === wanted.length ? Math.max(...Array.from(found, (x, i) => Math.abs(x - wanted[i]))) : Infinity

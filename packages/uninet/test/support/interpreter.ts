/** The `Runtime` service on the reference interpreter of `@uninet/graph`: float64, and slow. */
import { type Data, type Executable, Runtime } from "@uninet/runtime"
import { Effect, Layer } from "effect"
import { evaluate } from "../../../graph/test/support/interpreter.ts"

const zerosOf = (length: number) => new Float64Array(length)

const copy = (data: Float64Array): Data => Float32Array.from(data)

/** Results are rounded to float32 at the service's boundary, state is not. */
export const interpreter: Layer.Layer<Runtime> = Layer.succeed(
  Runtime,
  Runtime.of({
    name: "interpreter",
    compile: (programs) =>
      Effect.sync(() => {
        const named = new Map(Object.entries<(typeof programs)[keyof typeof programs]>(programs))
        const state = new Map<string, Float64Array>()
        for (const { variables } of named.values())
          for (const v of variables) state.set(v.attributes.name, zerosOf(v.shape.reduce((n, axis) => n * axis, 1)))
        const executable: Executable<keyof typeof programs> = {
          run: (name, inputs) =>
            Effect.sync(() => {
              const program = named.get(name)
              if (program === undefined) return {}
              const { outputs, updates } = evaluate(program, { inputs, variables: Object.fromEntries(state) })
              for (const [variable, value] of Object.entries(updates)) state.set(variable, value)
              return Object.fromEntries(Object.entries(outputs).map(([output, data]) => [output, copy(data)]))
            }),
          read: Effect.sync(() => new Map([...state].map(([name, data]) => [name, copy(data)]))),
          write: (values) =>
            Effect.sync(() => {
              for (const [name, data] of values) state.set(name, Float64Array.from(data))
            })
        }
        return executable
      })
  })
)

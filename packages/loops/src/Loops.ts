/** The engines that run loops in WebAssembly. */
import { Program, Shape } from "@uninet/graph"
import { Check, CompileFailed, type Data, FirstValues, failedRun, Guarded, Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Struct from "effect/Struct"
import type { Given } from "./internal/compile.ts"
import * as Machine from "./internal/machine.ts"
import * as Rounding from "./internal/rounding.ts"
import * as Lower from "./Lower.ts"

const compile =
  (engine: string, target: Given, threads: number) =>
  <Name extends string>(programs: Readonly<Record<Name, Program.Program>>) =>
    Effect.gen(function* () {
      const clash = Check.clash(engine, programs)
      if (clash !== undefined) return yield* clash
      const names = Struct.keys(programs)
      const declared = Check.variablesOf(names.map((name) => programs[name]))
      const lowered = new Map<Name, Lower.Lowered>()
      for (const name of names)
        lowered.set(
          name,
          yield* Effect.try(() => Lower.lower(programs[name])).pipe(
            Effect.flatMap(Effect.fromResult),
            Effect.mapError((cause) => new CompileFailed({ engine, program: name, cause }))
          )
        )
      const machine = yield* Effect.acquireRelease(
        Effect.try({
          try: () => Machine.make(lowered, target, threads),
          catch: (cause) => new CompileFailed({ engine, program: names[0] ?? "", cause })
        }),
        ({ close }) => Effect.sync(close)
      )
      const view = (address: number, size: number, dtype: string): Data =>
        dtype === "int32"
          ? new Int32Array(machine.memory, address, size)
          : new Float32Array(machine.memory, address, size)
      const stored = new Map(
        [...declared].map(([name, variable]) => [
          name,
          view(machine.variables.get(name) ?? 0, Shape.size(variable.shape), variable.dtype)
        ])
      )
      for (const [name, variable] of declared) stored.get(name)?.fill(FirstValues.numberOf(variable))
      const entries = new Map(names.map((name) => [name, { program: programs[name] }] as const))
      return yield* Guarded.make(entries, {
        engine,
        variables: declared,
        run: ({ program }, inputs, name) =>
          Effect.try({
            try: () => {
              const loaded = machine.programs.get(name)
              if (loaded === undefined) return {}
              for (const { attributes, dtype, shape } of program.inputs) {
                const buffer = loaded.lowered.inputs.get(attributes.name)
                if (buffer === undefined) continue
                const data = inputs[attributes.name]
                if (data === undefined) throw new Error(`it was not given its input ${attributes.name}`)
                view(loaded.addressOf(buffer.id), Shape.size(shape), dtype).set(data)
              }
              machine.run(loaded)
              return Object.fromEntries(
                Object.entries(program.outputs).map(([output, tensor]) => {
                  const buffer = loaded.lowered.outputs.get(output)
                  const address = buffer === undefined ? 0 : loaded.addressOf(buffer.id)
                  return [output, view(address, Shape.size(tensor.shape), tensor.dtype).slice()]
                })
              )
            },
            catch: (cause) => failedRun(engine, name, cause)
          }),
        read: Effect.sync(() => new Map([...stored].map(([name, data]): [string, Data] => [name, data.slice()]))),
        write: (values) =>
          Effect.sync(() => {
            for (const [name, data] of values) stored.get(name)?.set(data)
          })
      })
    })

/** Increased whenever loops compute different bits than before. */
const edition = 1

/** What determines the bits of a run: for fused loops, also whether this CPU rounds a product and a sum once. */
const numericsOf = (name: string, fused: boolean): string =>
  `${name}, edition ${edition}${fused ? `, products and sums rounded ${Rounding.isOnce() ? "once" : "twice"}` : ""}`

const layerOf = (name: string, fused: boolean, { threads = 1, wide = true }: Options): Layer.Layer<Runtime> =>
  Layer.succeed(
    Runtime,
    Runtime.of({
      name,
      numerics: Effect.sync(() => numericsOf(name, fused)),
      isPortable: !fused,
      compile: compile(name, { fused, shared: threads > 1, wide }, threads)
    })
  )

/** How kernels are compiled. */
export interface Options {
  /**
   * Whether V8 may join two vectors of four numbers into one AVX2 instruction; true by default. It is an experimental V8 flag that Node sets only while kernels compile. The
   * numbers are the same with and without it, and outside Node nothing is set.
   */
  readonly wide?: boolean
  /** Threads per run; 1 by default. The numbers do not depend on it. In a browser there is one thread. */
  readonly threads?: number
}

/**
 * The engine on loops of plain arithmetic. WebAssembly's specification guarantees the same bits on every CPU and in every browser, except for NaN (which bits a NaN has is not
 * specified).
 *
 * Fails with `CompileFailed` if a program cannot be compiled.
 */
export const portable = (options: Options = {}): Layer.Layer<Runtime> => layerOf("loops portable", false, options)

/** The engine on loops in which a product and a sum are one instruction if the CPU has it (WebAssembly's relaxed multiply-add): faster, but the same bits only on CPUs that have it. */
export const fast = (options: Options = {}): Layer.Layer<Runtime> => layerOf("loops", true, options)

/** Compiled programs on a backend. */
import type * as tf from "@tensorflow/tfjs-core"
import type { Program } from "@uninet/graph"
import {
  Check,
  CompileFailed,
  type Data,
  type Executable,
  failedRun,
  FirstValues,
  Guarded,
  MissingKernel,
  Packing
} from "@uninet/engine"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Struct from "effect/Struct"
import * as Backend from "./backend.ts"
import { lower } from "./lower.ts"

interface Entry {
  readonly program: Program.Program
  readonly loaded: Backend.Loaded
  readonly outputs: ReadonlyArray<string>
  readonly updates: ReadonlyArray<string>
}

/** Kernels compute before they return: this gives timers, signals and other fibers a turn between runs. */
const yieldToOthers = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 0)))

export const compile =
  (backend: Backend.Backend) =>
  <Name extends string>(programs: Readonly<Record<Name, Program.Program>>) =>
    Effect.gen(function* () {
      const { engine } = backend
      const [first = ""] = Struct.keys(programs)
      const clash = Check.clash(engine, programs)
      if (clash !== undefined) return yield* clash
      const packed = yield* Effect.mapError(
        Effect.fromResult(Packing.make(programs)),
        (cause) => new CompileFailed({ engine, program: first, cause })
      )
      const declared = Check.variablesOf(Struct.keys(programs).map((name) => programs[name]))
      const stored = Check.variablesOf(Struct.keys(programs).map((name) => packed.programs[name]))
      const attempt = <A>(program: string, f: () => A) =>
        Effect.try({
          try: () => {
            void Backend.activate(backend)
            return f()
          },
          catch: (cause) => failedRun(engine, program, cause)
        })

      const state = new Map<string, tf.Tensor>()
      yield* Effect.acquireRelease(
        attempt(first, () => {
          for (const [name, variable] of stored)
            state.set(name, Backend.upload(FirstValues.of(variable, declared, packed.places), variable.shape))
        }),
        () => Effect.sync(() => state.forEach((tensor) => tensor.dispose()))
      )
      const entries = new Map<Name, Entry>()
      for (const name of Struct.keys(programs)) {
        const lowered = yield* attempt(name, () => lower(packed.programs[name], backend.traits, Backend.has(backend)))
        if ("kernel" in lowered)
          return yield* new MissingKernel({ engine, program: name, op: lowered.op, kernel: lowered.kernel })
        const { outputs, plan, updates } = lowered
        const loaded = yield* Effect.acquireRelease(
          attempt(name, () => Backend.load(plan)),
          ({ release }) => Effect.sync(release)
        )
        entries.set(name, { program: programs[name], loaded, outputs, updates })
      }

      const replace = (name: string, tensor: tf.Tensor) => {
        state.get(name)?.dispose()
        state.set(name, tensor)
      }
      const run = ({ loaded, outputs: names, updates }: Entry, inputs: Readonly<Record<string, Data>>, name: string) =>
        attempt(name, () => {
          const ends = loaded.run(inputs, state)
          const outputs: Record<string, Data> = {}
          for (const [i, output] of names.entries()) {
            outputs[output] = Backend.download(Arr.getUnsafe(ends, i))
            Arr.getUnsafe(ends, i).dispose()
          }
          for (const [i, variable] of updates.entries()) replace(variable, Arr.getUnsafe(ends, names.length + i))
          return outputs
        })

      /** The elements of the tensors that hold variables, fetched once for all the variables in each. */
      const contents = () => {
        const known = new Map<string, Data>()
        return (stored: string): Data => {
          const seen = known.get(stored)
          if (seen !== undefined) return seen
          const tensor = state.get(stored)
          const data = tensor === undefined ? new Float32Array() : Backend.download(tensor)
          known.set(stored, data)
          return data
        }
      }
      const read = attempt(first, () => {
        const of = contents()
        return new Map(
          [...declared.keys()].map((name): readonly [string, Data] => {
            const place = packed.places.get(name)
            if (place === undefined) return [name, of(name)]
            return [name, of(place.pack).slice(place.offset, place.offset + place.size)]
          })
        )
      })
      const write = (values: ReadonlyMap<string, Data>) =>
        attempt(first, () => {
          const of = contents()
          const touched = new Set<string>()
          for (const [name, data] of values) {
            const { offset, pack } = packed.places.get(name) ?? { offset: 0, pack: name }
            if (!stored.has(pack)) continue
            of(pack).set(data, offset)
            touched.add(pack)
          }
          for (const pack of touched) replace(pack, Backend.upload(of(pack), stored.get(pack)?.shape ?? []))
        })

      const executable = yield* Guarded.make(entries, { engine, variables: declared, run, read, write })
      return {
        ...executable,
        run: (name, inputs) => Effect.tap(executable.run(name, inputs), () => yieldToOthers)
      } satisfies Executable<Name>
    })

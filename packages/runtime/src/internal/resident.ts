/**
 * Programs whose variables live on the device: a run uses them there, and leaves their new values there.
 *
 * The optimiser is part of the program, over joined variables. Reading copies the variables to the host with a separate program, as the binding cannot
 * read a device's buffer itself. Written values go to the device with the next run that uses them.
 */
import { Check, CompileFailed, type Data, failedRun, FirstValues, Guarded, Packing } from "@uninet/engine"
import { Program } from "@uninet/graph"
import { Lowering } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as ort from "onnxruntime-node"
import { create, type Provider, tensor } from "./session.ts"

interface Entry {
  readonly program: Program.Program
  readonly session: ort.InferenceSession
  readonly lowered: Lowering.Lowered
}

const refusal = (engine: string) => (program: string) => (cause: unknown) =>
  new CompileFailed({ engine, program, cause })

export const compile =
  (engine: string, provider: Provider) =>
  <Name extends string>(programs: Readonly<Record<Name, Program.Program>>) =>
    Effect.gen(function* () {
      const names = Struct.keys(programs)
      const [first = ""] = names
      const refused = refusal(engine)
      const clash = Check.clash(engine, programs)
      if (clash !== undefined) return yield* clash
      const packed = yield* Effect.mapError(Effect.fromResult(Packing.make(programs)), refused(first))
      const declared = Check.variablesOf(names.map((name) => programs[name]))
      const stored = Check.variablesOf(names.map((name) => packed.programs[name]))

      const open = (name: string, program: Program.Program, given: Program.Program) =>
        Effect.gen(function* () {
          const lowered = Lowering.lower({ name, exact: true, indices: false })(program)
          const preferredOutputLocation = Object.fromEntries([
            ...lowered.outputs.map((output) => [output.name, "cpu"] as const),
            ...lowered.updates.map((update) => [update.name, "gpu-buffer"] as const)
          ])
          const session = yield* Effect.acquireRelease(
            Effect.tryPromise({
              try: () => create(lowered, 1, provider, { preferredOutputLocation }),
              catch: refused(name)
            }),
            (session) => Effect.promise(() => session.release()).pipe(Effect.ignore)
          )
          return { program: given, session, lowered } satisfies Entry
        })

      const state = new Map<string, ort.Tensor>()
      for (const [name, variable] of stored)
        state.set(name, tensor(FirstValues.of(variable, declared, packed.places), variable.shape))
      const replace = (name: string, value: ort.Tensor) => {
        state.get(name)?.dispose()
        state.set(name, value)
      }

      const entries = new Map<Name, Entry>()
      for (const name of names) entries.set(name, yield* open(name, packed.programs[name], programs[name]))
      const contents = yield* Effect.mapError(
        Effect.fromResult(Program.make({ outputs: Object.fromEntries(stored) })),
        refused("variables")
      )
      const reader = stored.size === 0 ? undefined : yield* open("variables", contents, contents)

      // This runs before the sessions, which own the memory, are released.
      yield* Effect.addFinalizer(() => Effect.sync(() => state.forEach((value) => value.dispose())))

      const start = (name: string, { lowered, session }: Entry, inputs: Readonly<Record<string, Data>>) =>
        Effect.tryPromise({
          try: async () => {
            const feeds: Record<string, ort.Tensor> = {}
            const needed = new Set(session.inputNames)
            for (const { attributes, shape } of lowered.inputs) {
              const value = inputs[attributes.name]
              // Inputs were checked before, so none is missing; a session has no inputs that its program does not use.
              if (value !== undefined && needed.has(attributes.name)) feeds[attributes.name] = tensor(value, shape)
            }
            for (const { attributes } of lowered.variables) {
              const value = state.get(attributes.name)
              if (value !== undefined && needed.has(attributes.name)) feeds[attributes.name] = value
            }
            const results = await session.run(feeds)
            // ONNX Runtime returns every output of a model.
            const found = (name: string) => Option.getOrThrow(Option.fromUndefinedOr(results[name]))
            for (const { name, update } of lowered.updates) replace(update.variable.attributes.name, found(name))
            const outputs: Record<string, Data> = {}
            // Outputs of type float32 or int32 in ONNX Runtime hold their elements in these arrays.
            for (const { name } of lowered.outputs) outputs[name.replace(/^out:/, "")] = found(name).data as Data
            return outputs
          },
          catch: (cause) => failedRun(engine, name, cause)
        })

      const readStored = reader === undefined ? Effect.succeed({}) : start("variables", reader, {})
      const read = Effect.map(
        readStored,
        (all: Readonly<Record<string, Data>>) =>
          new Map(
            [...declared.keys()].map((name): readonly [string, Data] => {
              const place = packed.places.get(name)
              const data = all[place?.pack ?? name] ?? new Float32Array()
              return [name, place === undefined ? data : data.slice(place.offset, place.offset + place.size)]
            })
          )
      )
      const write = (values: ReadonlyMap<string, Data>) =>
        Effect.map(readStored, (all: Readonly<Record<string, Data>>) => {
          const touched = new Set<string>()
          for (const [name, data] of values) {
            const place = packed.places.get(name)
            const holder = place?.pack ?? name
            all[holder]?.set(data, place?.offset ?? 0)
            touched.add(holder)
          }
          for (const holder of touched) {
            const shape = stored.get(holder)?.shape
            const data = all[holder]
            if (shape !== undefined && data !== undefined) replace(holder, tensor(data, shape))
          }
        })

      return yield* Guarded.make(entries, {
        engine,
        variables: declared,
        run: (entry, inputs, name) => start(name, entry, inputs),
        read,
        write
      })
    })

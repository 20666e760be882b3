/** The engine on ONNX Runtime: every program is one static ONNX graph. */
import { Program, Shape, Tensor } from "@uninet/graph"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import * as Struct from "effect/Struct"
import * as ort from "onnxruntime-node"
import { blockSize } from "./internal/block.ts"
import * as Memory from "./internal/memory.ts"
import { create, lower } from "./internal/session.ts"
import { type Data, type Executable, Runtime } from "./Runtime.ts"
import { CompileFailed, failedRun, RunFailed, type RuntimeError, WrongInput, WrongVariables } from "./RuntimeError.ts"

export interface Options {
  /**
   * Threads of one run. Default 1: two workers with one thread each are faster than one with two, and results do not depend on how many
   * cores a machine has.
   */
  readonly threads?: number
  /**
   * `blocked` (the default) uses the processor's blocked convolutions where it has them; `standard` only operators of the ONNX
   * standard, slower and the reference for the other.
   */
  readonly formulation?: "blocked" | "standard"
}

const blockOf = ({ formulation = "blocked" }: Options) =>
  formulation === "blocked"
    ? Effect.tryPromise({
        try: blockSize,
        catch: (cause) => new CompileFailed({ engine, program: "self-check", cause })
      })
    : Effect.succeed(0)

const engine = "onnxruntime cpu"

/** A program as it runs: its session, and what goes in and comes out where. */
interface Entry {
  readonly name: string
  readonly session: ort.InferenceSession
  readonly program: Program.Program
  /** How the session's inputs and outputs are declared. */
  readonly shapes: ReadonlyMap<string, Shape.Shape>
  /** Tensors over the variables' memory. */
  readonly variables: Readonly<Record<string, ort.Tensor>>
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly from: string }>
  /** Results that are written straight into the state's memory. */
  readonly written: Readonly<Record<string, ort.Tensor>>
  /** Results that replace a variable after the run. */
  readonly replaced: ReadonlyArray<{ readonly from: string; readonly variable: Float32Array }>
  readonly optimises: boolean
}

const tensor = (data: Data, shape: Shape.Shape): ort.Tensor =>
  data instanceof Float32Array ? new ort.Tensor("float32", data, shape) : new ort.Tensor("int32", data, shape)

const describe = (data: Data | undefined) =>
  data === undefined ? "nothing" : `${data.length} elements of ${data instanceof Float32Array ? "float32" : "int32"}`

/** The programs' variables, each name once. */
const variablesOf = (programs: ReadonlyArray<Program.Program>): ReadonlyArray<Tensor.Tensor<"variable">> => [
  ...new Map(programs.flatMap((p) => p.variables).map((v) => [v.attributes.name, v] as const)).values()
]

const gradientName = (u: Memory.AdamWUpdate) => `gradient:${u.parameter.attributes.name}`

const open = Effect.fn("OnnxRuntime.open")(function* (
  name: string,
  program: Program.Program,
  memory: Memory.Memory,
  adamw: ReadonlyArray<Memory.AdamWUpdate>,
  rest: ReadonlyArray<Program.Update>,
  options: Options
) {
  // The optimiser runs outside the graph: the graph ends at the gradients.
  const outside = yield* Effect.fromResult(
    Program.make({
      outputs: { ...program.outputs, ...Object.fromEntries(adamw.map((u) => [gradientName(u), u.gradient])) },
      updates: rest
    })
  ).pipe(Effect.mapError((cause) => new CompileFailed({ engine, program: name, cause })))
  const block = yield* blockOf(options)
  const lowered = lower(outside, name, block)
  const session = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => create(lowered.model, options.threads ?? 1),
      catch: (cause) => new CompileFailed({ engine, program: name, cause })
    }),
    (session) => Effect.promise(() => session.release()).pipe(Effect.ignore)
  )
  const stateOf = (variable: string) => memory.variables.get(variable) ?? new Float32Array()
  const declared = (data: Data, name: string) => tensor(data, lowered.shapes.get(name) ?? [data.length])
  const gradients = new Map(adamw.map((u) => [gradientName(u), u.parameter] as const))
  const entry: Entry = {
    name,
    session,
    program,
    shapes: lowered.shapes,
    variables: Object.fromEntries(
      lowered.variables.map(({ attributes: { name } }) => [name, declared(stateOf(name), name)])
    ),
    outputs: lowered.outputs
      .filter(({ name }) => !gradients.has(name))
      .map(({ name: from }) => ({ from, name: from.replace(/^out:/, "") })),
    written: Object.fromEntries(
      [...gradients].map(([output, parameter]) => [
        output,
        declared(memory.gradients.get(parameter.attributes.name) ?? new Float32Array(), output)
      ])
    ),
    replaced: lowered.updates.map(({ name, update }) => ({
      from: name,
      variable: stateOf(update.variable.attributes.name)
    })),
    optimises: adamw.length > 0
  }
  return entry
})

const run = (entry: Entry, memory: Memory.Memory, inputs: Readonly<Record<string, Data>>) =>
  Effect.gen(function* () {
    const feeds: Record<string, ort.Tensor> = { ...entry.variables }
    const needed = new Set(entry.session.inputNames)
    for (const input of entry.program.inputs) {
      const { name } = input.attributes
      const data = inputs[name]
      const size = Shape.size(input.shape)
      const fits =
        data !== undefined && data.length === size && (input.dtype === "int32") === data instanceof Int32Array
      if (!fits)
        return yield* new WrongInput({
          program: entry.name,
          input: name,
          expected: `${size} elements of ${input.dtype} ${Shape.print(input.shape)}`,
          given: describe(data)
        })
      if (needed.has(name)) feeds[name] = tensor(data, entry.shapes.get(name) ?? input.shape)
    }
    const fetches: Record<string, ort.Tensor | null> = { ...entry.written }
    for (const { from } of [...entry.outputs, ...entry.replaced]) fetches[from] = null
    const results = yield* Effect.tryPromise({
      try: () => entry.session.run(feeds, fetches),
      catch: (cause) => failedRun(engine, entry.name, cause)
    })
    // ONNX Runtime's outputs of a float32 or int32 type hold their elements in these arrays.
    const dataOf = (name: string) => results[name].data as Data
    for (const { from, variable } of entry.replaced) variable.set(dataOf(from))
    if (entry.optimises) memory.optimise(inputs)
    return Object.fromEntries(entry.outputs.map(({ name, from }) => [name, dataOf(from)]))
  })

const compile =
  (options: Options) =>
  <Name extends string>(programs: Readonly<Record<Name, Program.Program>>) =>
    Effect.gen(function* () {
      const named = Struct.keys(programs).map((name) => [name, programs[name]] as const)
      const optimisers = new Map(named.map(([name, program]) => [name, Memory.optimiserOf(program)]))
      const variables = variablesOf(named.map(([, program]) => program))
      const owners = new Map<string, Memory.AdamWUpdate>()
      for (const { adamw } of optimisers.values()) for (const u of adamw) owners.set(u.parameter.attributes.name, u)
      const memory = Memory.make(variables, [...owners.values()])
      const entries = new Map<Name, Entry>()
      for (const [name, program] of named) {
        const { adamw, rest } = optimisers.get(name) ?? { adamw: [], rest: program.updates }
        entries.set(name, yield* open(name, program, memory, adamw, rest, options))
      }
      const turn = yield* Semaphore.make(1)
      const executable: Executable<Name> = {
        run: (name, inputs) => {
          const entry = entries.get(name)
          if (entry === undefined)
            return Effect.fail(new RunFailed({ engine, program: name, cause: "it was not compiled" }))
          // ONNX Runtime cannot be interrupted inside a run: its buffers must outlive it.
          return turn.withPermits(1)(Effect.uninterruptible(run(entry, memory, inputs)))
        },
        read: turn.withPermits(1)(
          Effect.sync(
            () =>
              new Map(
                variables.map((v) => [
                  v.attributes.name,
                  memory.variables.get(v.attributes.name)?.slice() ?? new Float32Array()
                ])
              )
          )
        ),
        write: (values) =>
          turn.withPermits(1)(
            Effect.suspend((): Effect.Effect<void, RuntimeError> => {
              const entriesOf = [...values]
              const unknown = entriesOf.filter(([name]) => !memory.variables.has(name)).map(([name]) => name)
              const wrongSize = entriesOf.flatMap(([name, data]) => {
                const expected = memory.variables.get(name)?.length ?? data.length
                return expected === data.length ? [] : [{ name, expected, given: data.length }]
              })
              if (unknown.length + wrongSize.length > 0) return Effect.fail(new WrongVariables({ unknown, wrongSize }))
              for (const [name, data] of entriesOf) memory.variables.get(name)?.set(data)
              return Effect.void
            })
          )
      }
      return executable
    })

/**
 * ONNX Runtime on the CPU.
 *
 * @example
 * program.pipe(Effect.provide(OnnxRuntime.cpu({ threads: 2 })))
 */
export const cpu = (options: Options = {}): Layer.Layer<Runtime> =>
  Layer.succeed(Runtime, Runtime.of({ name: engine, compile: compile(options) }))

/** The engines on ONNX Runtime: every program is a single static ONNX graph. */
import {
  Check,
  CompileFailed,
  type Compiling,
  type Data,
  DeviceUnavailable,
  failedRun,
  FirstValues,
  Guarded,
  Runtime,
  Updates
} from "@uninet/engine"
import { Program, Shape } from "@uninet/graph"
import type { Lowering } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Struct from "effect/Struct"
import * as ort from "onnxruntime-node"
import { blockSize } from "./internal/block.ts"
import * as Lowered from "./internal/lowered.ts"
import * as Memory from "./internal/memory.ts"
import * as Resident from "./internal/resident.ts"
import { create, once, probe, type Provider, tensor } from "./internal/session.ts"

/** The version of ONNX Runtime's package. */
export const version: string = ort.env.versions.node ?? ort.env.versions.common

/** Options for running ONNX Runtime. */
export interface Options {
  /**
   * Threads per run. Default 1: two workers with one thread each are faster than one with two, and results do not depend on how many
   * cores a machine has.
   */
  readonly threads?: number
  /**
   * `blocked` (the default) uses the CPU's blocked convolutions if it has them; `standard` uses only operators of the ONNX
   * standard, which is slower and serves as the reference for the other.
   */
  readonly formulation?: "blocked" | "standard"
}

/** Where sessions with variables on the host run, and for how long. */
interface Target extends Options, Compiling {
  readonly engine: string
  readonly provider: Provider
  readonly lowered: Effect.Success<typeof Lowered.make>
}

// Blocked kernels need two to three times as many operators, each of which costs more to open than it saves in a single run.
const blockOf = ({ engine, formulation = "blocked", once = false }: Pick<Target, "engine" | "formulation" | "once">) =>
  formulation === "blocked" && !once
    ? Effect.tryPromise({
        try: blockSize,
        catch: (cause) => new CompileFailed({ engine, program: "self-check", cause })
      })
    : Effect.succeed(0)

/** The part of a program that is a graph: its session, and its inputs and outputs. */
interface Graph {
  readonly session: ort.InferenceSession
  /** How the session's inputs and outputs are declared. */
  readonly shapes: ReadonlyMap<string, Shape.Shape>
  /** Tensors over the variables' memory. */
  readonly variables: Readonly<Record<string, ort.Tensor>>
  readonly outputs: ReadonlyArray<{ readonly name: string; readonly from: string }>
  /** Results that are written directly into the state's memory. */
  readonly written: Readonly<Record<string, ort.Tensor>>
  /** Results that replace a variable after the run. */
  readonly replaced: ReadonlyArray<{ readonly from: string; readonly variable: Float32Array }>
}

/** A program in runnable form: its graph, if any of it is left, and the work on memory that follows. */
interface Entry {
  readonly name: string
  readonly program: Program.Program
  readonly graph: Graph | undefined
  readonly optimises: boolean
  /** The norm to which gradients are clipped, and the outputs that give their norm before clipping. */
  readonly most: number | undefined
  readonly norms: ReadonlyArray<string>
  readonly averages: ReadonlyArray<Updates.AverageUpdate>
}

/** A pack of a session, and the memory that it reads or writes. */
interface PackOnMemory extends Lowering.Pack {
  readonly data: Float32Array
  /** Whether it can only be written after the run, because the run reads it. */
  readonly replaces: boolean
}

/** Those of the memory's packs that a program reads something from, or all of whose gradients or next values it computes. */
const packsOf = (
  program: Program.Program,
  memory: Memory.Memory,
  steps: ReadonlyArray<Updates.StepUpdate>
): { readonly packedInputs: ReadonlyArray<PackOnMemory>; readonly packedOutputs: ReadonlyArray<PackOnMemory> } => {
  const read = new Set(program.variables.map((v) => v.attributes.name))
  const optimised = new Set(steps.map((u) => u.parameter.attributes.name))
  const replaced = new Set(program.updates.map((u) => u.variable.attributes.name))
  const packedInputs = memory.packs.flatMap(({ members, values }, i) =>
    members.some(({ name }) => read.has(name)) ? [{ name: `pack:${i}`, members, data: values, replaces: false }] : []
  )
  const packedOutputs = memory.packs.flatMap(({ gradients, members, values }, i) => {
    const named = (prefix: string) => members.map(({ name, size }) => ({ name: `${prefix}:${name}`, size }))
    if (gradients !== undefined && members.every(({ name }) => optimised.has(name)))
      return [{ name: `gradients:${i}`, members: named("gradient"), data: gradients, replaces: false }]
    return members.every(({ name }) => replaced.has(name))
      ? [{ name: `next-pack:${i}`, members: named("next"), data: values, replaces: true }]
      : []
  })
  return { packedInputs, packedOutputs }
}

const open = Effect.fn("OnnxRuntime.open")(function* (
  name: string,
  program: Program.Program,
  memory: Memory.Memory,
  outside: Updates.Outside,
  target: Target
) {
  const { engine } = target
  const { averages, norm, steps } = outside
  const inside = yield* Effect.mapError(
    Effect.fromResult(Updates.insideOf(outside)(program)),
    (cause) => new CompileFailed({ engine, program: name, cause })
  )
  const ends = Object.keys(inside.outputs).length + inside.updates.length
  const graph = ends === 0 ? undefined : yield* openGraph(name, inside, memory, steps, target)
  const norms = Updates.normOutputs(outside)(program)
  const entry: Entry = { name, program, graph, optimises: steps.length > 0, most: norm?.most, norms, averages }
  return entry
})

const openGraph = Effect.fnUntraced(function* (
  name: string,
  program: Program.Program,
  memory: Memory.Memory,
  steps: ReadonlyArray<Updates.StepUpdate>,
  target: Target
) {
  const { engine } = target
  const block = yield* blockOf(target)
  const packs = packsOf(program, memory, steps)
  const lowered = yield* target.lowered(program, block, packs)
  const session = yield* Effect.acquireRelease(
    Effect.tryPromise({
      try: () => create(lowered, target.threads ?? 1, target.provider, target.once === true ? once : {}, lowered.bytes),
      catch: (cause) => new CompileFailed({ engine, program: name, cause })
    }),
    (session) => Effect.promise(() => session.release()).pipe(Effect.ignore)
  )
  const stateOf = (variable: string) => memory.variables.get(variable) ?? new Float32Array()
  const declared = (data: Data, name: string) => tensor(data, lowered.shapes.get(name) ?? [data.length])
  const gradients = new Map(steps.map((u) => [Updates.gradientName(u), u.parameter] as const))
  const packed = new Set(packs.packedOutputs.flatMap(({ members }) => members.map((member) => member.name)))
  const graph: Graph = {
    session,
    shapes: lowered.shapes,
    variables: Object.fromEntries([
      ...lowered.variables.map(({ attributes: { name } }) => [name, declared(stateOf(name), name)]),
      ...packs.packedInputs.map(({ data, name }) => [name, declared(data, name)])
    ]),
    outputs: lowered.outputs
      .filter(({ name }) => !gradients.has(name))
      .map(({ name: from }) => ({ from, name: from.replace(/^out:/, "") })),
    written: Object.fromEntries([
      ...[...gradients].flatMap(([output, parameter]) =>
        packed.has(output)
          ? []
          : [[output, declared(memory.gradients.get(parameter.attributes.name) ?? new Float32Array(), output)]]
      ),
      ...packs.packedOutputs.flatMap(({ data, name, replaces }) => (replaces ? [] : [[name, declared(data, name)]]))
    ]),
    replaced: [
      ...lowered.updates.flatMap(({ name, update }) =>
        packed.has(name) ? [] : [{ from: name, variable: stateOf(update.variable.attributes.name) }]
      ),
      ...packs.packedOutputs.flatMap(({ data, name, replaces }) => (replaces ? [{ from: name, variable: data }] : []))
    ]
  }
  return graph
})

/** Frees an array's memory immediately. Nothing else may view it. */
const release = ({ buffer }: Data) => {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

/**
 * glibc returns freed memory to the kernel, and every page for the next step's copies has to be mapped and cleared again: 11,000 pages per step for B0, 5% of its time. Freeing a block
 * just below 32 MB raises glibc's limits, once per process, so that up to twice as much memory is kept. Other allocators ignore it.
 */
const keepFreedMemory = Effect.sync(() => release(new Float32Array(31 * 2 ** 18)))

/** Runs a graph with its updates; gives its outputs by name. */
const runGraph = (
  engine: string,
  name: string,
  program: Program.Program,
  { outputs, replaced, session, shapes, variables, written }: Graph,
  inputs: Readonly<Record<string, Data>>
) =>
  Effect.gen(function* () {
    const feeds: Record<string, ort.Tensor> = { ...variables }
    const needed = new Set(session.inputNames)
    for (const { attributes, shape } of program.inputs) {
      const value = inputs[attributes.name]
      // Inputs were checked before, so none is missing; a session has no inputs that its program does not use.
      if (value !== undefined && needed.has(attributes.name))
        feeds[attributes.name] = tensor(value, shapes.get(attributes.name) ?? shape)
    }
    const fetches: Record<string, ort.Tensor | null> = { ...written }
    for (const { from } of [...outputs, ...replaced]) fetches[from] = null
    const results = yield* Effect.tryPromise({
      try: () => session.run(feeds, fetches),
      catch: (cause) => failedRun(engine, name, cause)
    })
    // ONNX Runtime returns everything that is fetched; outputs of type float32 or int32 hold their elements in these arrays.
    const dataOf = (name: string) => Option.getOrThrow(Option.fromUndefinedOr(results[name])).data as Data
    for (const { from, variable } of replaced) variable.set(dataOf(from))
    // The binding makes another copy of what was written into the state's memory: without this, a step's copies would wait for the garbage collector.
    for (const [name, own] of Object.entries(written))
      // The state's tensors use these arrays too.
      if (dataOf(name).buffer !== (own.data as Data).buffer) release(dataOf(name))
    for (const { from } of replaced) release(dataOf(from))
    return Object.fromEntries(outputs.map(({ name, from }) => [name, dataOf(from)]))
  })

const run = (
  engine: string,
  { averages, graph, most, name, norms, optimises, program }: Entry,
  memory: Memory.Memory,
  inputs: Readonly<Record<string, Data>>
) =>
  Effect.map(graph === undefined ? Effect.succeed({}) : runGraph(engine, name, program, graph, inputs), (outputs) => {
    const norm = optimises ? memory.optimise(inputs, most) : undefined
    memory.average(averages, inputs)
    return norm === undefined
      ? outputs
      : { ...outputs, ...Object.fromEntries(norms.map((name) => [name, Float32Array.of(norm)])) }
  })

const compile =
  (standing: Target) =>
  <Name extends string>(programs: Readonly<Record<Name, Program.Program>>, options: Compiling = {}) =>
    Effect.gen(function* () {
      const target = { ...standing, ...options }
      const { engine } = target
      const named = Struct.keys(programs).map((name) => [name, programs[name]] as const)
      const outside = named.map(([name, program]) => [name, program, Updates.outsideOf(program)] as const)
      const clash = Check.clash(engine, programs)
      if (clash !== undefined) return yield* clash
      const declared = Check.variablesOf(named.map(([, program]) => program))
      const variables = [...declared.values()]
      const owners = new Map<string, Updates.StepUpdate>()
      for (const [, , { steps }] of outside) for (const u of steps) owners.set(u.parameter.attributes.name, u)
      const memory = Memory.make(variables, [...owners.values()])
      for (const [name, variable] of declared) {
        const number = FirstValues.numberOf(variable)
        if (number !== 0) memory.variables.get(name)?.fill(number)
      }
      const entries = new Map<Name, Entry>()
      for (const [name, program, parts] of outside) entries.set(name, yield* open(name, program, memory, parts, target))
      return yield* Guarded.make(entries, {
        engine,
        variables: declared,
        run: (entry, inputs) => run(engine, entry, memory, inputs),
        read: Effect.sync(
          () =>
            new Map(
              variables.map((v) => [
                v.attributes.name,
                memory.variables.get(v.attributes.name)?.slice() ?? new Float32Array()
              ])
            )
        ),
        write: (values) =>
          Effect.sync(() => {
            for (const [name, data] of values) memory.variables.get(name)?.set(data)
          })
      })
    })

const runtimeOf = (target: Omit<Target, "lowered">) =>
  Effect.map(Effect.andThen(keepFreedMemory, Lowered.make), (lowered) =>
    Runtime.of({ name: target.engine, numerics: numericsOf(target), compile: compile({ ...target, lowered }) })
  )

/** Includes the block size, which depends on the CPU's instructions: 16 with AVX-512, 8 with AVX2. */
const numericsOf = (target: Omit<Target, "lowered">) =>
  Effect.map(
    blockOf(target),
    (block) =>
      `${named(target.engine)}${block === 0 ? "" : `, blocks of ${block}`}${(target.threads ?? 1) === 1 ? "" : `, ${target.threads} threads`}`
  )

/** `onnxruntime 1.30.0 cpu` */
const named = (engine: string) => engine.replace(/^onnxruntime /, `onnxruntime ${version} `)

/** ONNX Runtime on the CPU. A program that has been compiled before compiles faster. */
export const cpu = (options: Options = {}): Layer.Layer<Runtime> =>
  Layer.effect(Runtime, runtimeOf({ ...options, engine: "onnxruntime cpu", provider: "cpu" }))

/** Fails unless the provider can run a program here. */
const probed = (engine: string, provider: Provider, remedy: string) =>
  Effect.tryPromise({
    try: () => probe(provider),
    catch: (cause) => new DeviceUnavailable({ device: engine, reason: shortly(cause), remedy })
  })

/** The first sentence of a provider's message, without the position in its source. */
const shortly = (cause: unknown): string => {
  const [line = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)
  return line.replace(/^.*was false\. /, "").replace(/[. ]+$/, "")
}

/**
 * ONNX Runtime on a GPU through WebGPU (Vulkan, Metal or Direct3D 12), which comes with the package. Variables stay on the device between runs, and so
 * does the optimiser: only inputs go to the device and only outputs come back. Programs are lowered without features that WebGPU lacks (indices of a
 * maximum).
 *
 * Fails with `DeviceUnavailable` if no adapter is found.
 */
export const webgpu = (): Layer.Layer<Runtime, DeviceUnavailable> => {
  const engine = "onnxruntime webgpu"
  const remedy =
    process.platform === "linux"
      ? "Install the GPU's Vulkan driver and the loader (Debian: apt-get install libvulkan1 mesa-vulkan-drivers), or use --device cpu."
      : "Install the GPU's driver, or use --device cpu."
  return Layer.effect(
    Runtime,
    Effect.as(
      probed(engine, "webgpu", remedy),
      Runtime.of({
        name: engine,
        numerics: Effect.succeed(named(engine)),
        compile: Resident.compile(engine, "webgpu")
      })
    )
  )
}

/**
 * ONNX Runtime on an NVIDIA GPU through CUDA. At every run, the variables' values go to the device and the gradients of a training step come back, since
 * this binding of ONNX Runtime only keeps WebGPU's buffers: the optimiser runs on the host.
 *
 * Fails with `DeviceUnavailable` if the provider's library, CUDA or the GPU is missing.
 */
export const cuda = (options: Pick<Options, "threads"> = {}): Layer.Layer<Runtime, DeviceUnavailable> => {
  const target = { ...options, engine: "onnxruntime cuda", provider: "cuda", formulation: "standard" } as const
  const remedy =
    "Install an NVIDIA driver, CUDA 12 and cuDNN 9, then the provider's library (Linux on x64): ONNXRUNTIME_NODE_INSTALL=cuda12 node script/install.js in the folder of @uninet/onnxruntime-node-linux-x64 (in a checkout: of onnxruntime-node)."
  return Layer.effect(Runtime, Effect.andThen(probed(target.engine, "cuda", remedy), runtimeOf(target)))
}

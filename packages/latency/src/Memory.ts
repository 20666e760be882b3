/** How much memory a model needs for its results at once, as ONNX Runtime allocates them on the CPU. */
import * as Effect from "effect/Effect"
import { PbfReader } from "pbf"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { ModelNotRun } from "./LatencyError.ts"
import type { Target } from "./Target.ts"
import { open } from "./internal/opened.ts"

/** A node of the model as ONNX Runtime runs it, merged with others where it can be. */
interface Node {
  readonly name: string
  readonly opType: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
}

const readNode = (bytes: Uint8Array): Node =>
  new PbfReader(bytes).readFields<{ name: string; opType: string; inputs: Array<string>; outputs: Array<string> }>(
    (tag, node, pbf) => {
      if (tag === 1) node.inputs.push(pbf.readString())
      else if (tag === 2) node.outputs.push(pbf.readString())
      else if (tag === 3) node.name = pbf.readString()
      else if (tag === 4) node.opType = pbf.readString()
    },
    { name: "", opType: "", inputs: [], outputs: [] }
  )

/** The nodes of a model's graph. */
const nodesOf = (file: Uint8Array): ReadonlyArray<Node> =>
  new PbfReader(file).readFields<Array<Node>>((tag, nodes, pbf) => {
    if (tag !== 7) return
    new PbfReader(pbf.readBytes()).readFields((tag, _, graph) => {
      if (tag === 1) nodes.push(readNode(graph.readBytes()))
    }, null)
  }, [])

/** An event in ONNX Runtime's profile, with shapes by the names of their types. */
interface Event {
  readonly cat: string
  readonly name: string
  readonly args?: { readonly output_type_shape?: ReadonlyArray<Readonly<Record<string, ReadonlyArray<number>>>> }
}

const bytesPer: Readonly<Record<string, number>> = {
  double: 8,
  int64: 8,
  uint64: 8,
  uint8: 1,
  int8: 1,
  bool: 1,
  float16: 2
}

const bytesOf = (output: Readonly<Record<string, ReadonlyArray<number>>>) =>
  Object.entries(output).reduce(
    (sum, [type, shape]) => sum + (bytesPer[type] ?? 4) * shape.reduce((n, m) => n * m, 1),
    0
  )

/** Ops that give elements another shape in the same memory. */
const views: ReadonlyArray<string> = ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"]

/** Ops that may write into the memory of their input, if nothing else still reads it. */
const inPlace: ReadonlyArray<string> = [
  "Add",
  "Clip",
  "Div",
  "Gelu",
  "HardSigmoid",
  "HardSwish",
  "Mul",
  "Relu",
  "Sigmoid",
  "Softmax",
  "Sub",
  "Tanh"
]

/** The most bytes held at once if the nodes run in this order. */
const peakOf = (nodes: ReadonlyArray<Node & { readonly sizes: ReadonlyArray<number> }>): number => {
  const owner = new Map<string, string>()
  const size = new Map<string, number>()
  const last = new Map<string, number>()
  const ownerOf = (name: string) => owner.get(name) ?? name
  const made = new Set(nodes.flatMap(({ outputs }) => outputs))
  const read = new Set(nodes.flatMap(({ inputs }) => inputs))
  // The last reader of everything must be known before anything is allocated.
  for (const { inputs, opType, outputs } of nodes)
    if (views.includes(opType) && outputs[0] !== undefined && made.has(inputs[0] ?? ""))
      owner.set(outputs[0], ownerOf(inputs[0] ?? ""))
  for (const [i, { inputs, outputs }] of nodes.entries()) {
    for (const name of inputs) last.set(ownerOf(name), i)
    for (const name of outputs) last.set(ownerOf(name), read.has(name) ? i : nodes.length)
  }
  let [held, peak] = [0, 0]
  for (const [i, { inputs, opType, outputs, sizes }] of nodes.entries()) {
    for (const [at, name] of outputs.entries()) {
      if (name === "" || ownerOf(name) !== name) continue
      const own = sizes[at] ?? 0
      const from = inPlace.includes(opType)
        ? inputs.map(ownerOf).find((input) => made.has(input) && last.get(input) === i && size.get(input) === own)
        : undefined
      // An overwritten input has been released.
      if (from !== undefined) held -= size.get(from) ?? 0
      if (from !== undefined) size.set(from, 0)
      size.set(name, own)
      held += own
    }
    peak = Math.max(peak, held)
    for (const name of new Set([...inputs, ...outputs].map(ownerOf)))
      if (last.get(name) === i) {
        held -= size.get(name) ?? 0
        size.set(name, 0)
      }
  }
  return peak
}

/**
 * The most bytes of results that a model holds at once, not counting its weights and inputs, based on the nodes that ONNX Runtime turns it into and the order in which it runs them. It requests a
 * little more from the system for them.
 *
 * @example
 * ```ts
 * import { Form, Memory } from "@uninet/latency"
 * import { Op } from "@uninet/graph"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Console, Effect } from "effect"
 *
 * const model = Model.make({
 *   inputs: { image: Model.input([3, 32, 32]) },
 *   forward: (scope, { image }) => {
 *     const features = Nn.gelu(scope)(Nn.convolution(Scope.at("stem")(scope), { out: 16, kernel: 3 })(image))
 *     return { logits: Nn.linear(Scope.at("classifier")(scope), { out: 10 })(Op.globalAveragePool(features)) }
 *   }
 * })
 * const program = Effect.gen(function* () {
 *   const file = yield* Effect.fromResult(Form.of(model))
 *   yield* Console.log(yield* Memory.planned({ threads: 1, batch: 1 })({ name: "mine", file })) // bytes
 * })
 * Effect.runPromise(program)
 * ```
 */
export const planned =
  ({ batch, threads }: Target) =>
  ({ file, name }: { readonly name: string; readonly file: Uint8Array }): Effect.Effect<number, ModelNotRun> => {
    // The plan of the CPU's arena, for GPUs too.
    const onCpu: Target = { batch, threads }
    return Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-memory-"))),
      (folder) =>
        Effect.gen(function* () {
          const optimised = join(folder, "model.onnx")
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { end, run } = yield* open(name, file, onCpu, {
                optimizedModelFilePath: optimised,
                enableProfiling: true,
                profileFilePrefix: join(folder, "profile")
              })
              yield* run(1)
              yield* end
            })
          )
          const profile = readdirSync(folder).find((each) => each.startsWith("profile")) ?? ""
          const events: ReadonlyArray<Event> = JSON.parse(readFileSync(join(folder, profile), "utf8"))
          const byName = Map.groupBy(nodesOf(readFileSync(optimised)), (node) => node.name)
          const order = events.flatMap(({ args, cat, name }) => {
            if (cat !== "Node" || !name.endsWith("_kernel_time")) return []
            const node = byName.get(name.slice(0, -"_kernel_time".length))?.shift()
            return node === undefined ? [] : [{ ...node, sizes: (args?.output_type_shape ?? []).map(bytesOf) }]
          })
          return peakOf(order)
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
  }

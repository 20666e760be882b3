/**
 * Measures how fast operators are on this machine, in one thread, for a cost model.
 *
 * It measures inside a graph, by the difference between chains of two lengths: a session with a single operator would pay for fresh memory and for the call.
 */
import { RunFailed } from "@uninet/engine"
import { CostModel, Model } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import { cpus } from "node:os"
import * as ort from "onnxruntime-node"
import { blockSize } from "./internal/block.ts"
import { version } from "./OnnxRuntime.ts"

const engine = "onnxruntime cpu"

const attempt = <A>(make: () => Promise<A>) =>
  Effect.tryPromise({ try: make, catch: (cause) => new RunFailed({ engine, program: "calibration", cause }) })

/** The kind of CPU in this machine. */
export const processor: Effect.Effect<CostModel.Kind, RunFailed> = Effect.map(attempt(blockSize), (block) => {
  const [{ model } = { model: "" }] = cpus()
  if (block === 16) return /intel/i.test(model) ? "intel-avx512" : "amd-avx512"
  return block === 8 ? "avx2" : "other"
})

interface Chain {
  readonly constants: Readonly<Record<string, ReadonlyArray<number>>>
  readonly input: ReadonlyArray<number>
  /** The operators of link `i`, which reads `from` and gives `to`. */
  readonly link: (from: string, to: string, i: number) => ReadonlyArray<Model.Node>
  readonly output: ReadonlyArray<number>
}

const size = (shape: ReadonlyArray<number>) => shape.reduce((n, m) => n * m, 1)

const modelOf = ({ constants, input, link, output }: Chain, length: number): Model.Model => ({
  name: "chain",
  nodes: Array.from({ length }, (_, i) =>
    link(i === 0 ? "x" : `y${i - 1}`, i === length - 1 ? "y" : `y${i}`, i)
  ).flat(),
  constants: Object.entries(constants).map(([name, shape]) => ({
    name,
    shape,
    // Keeps products of many near one.
    data: new Float32Array(size(shape)).fill(1 / Math.max(1, shape[shape.length - 1] ?? 1))
  })),
  inputs: [{ name: "x", type: "float32", shape: input }],
  outputs: [{ name: "y", type: "float32", shape: output }],
  metadata: {}
})

/** A session for a chain, with a function that measures the CPU time of a run in nanoseconds, averaged over as many runs as take a few milliseconds. */
const opened = Effect.fnUntraced(function* (chain: Chain, length: number) {
  const session = yield* Effect.acquireRelease(
    attempt(() =>
      ort.InferenceSession.create(Model.encode(modelOf(chain, length)), {
        graphOptimizationLevel: "disabled",
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        logSeverityLevel: 3
      })
    ),
    (session) => Effect.ignore(Effect.tryPromise(() => session.release()))
  )
  const x = new ort.Tensor("float32", new Float32Array(size(chain.input)).fill(0.5), chain.input)
  const run = () => session.run({ x })
  // The first runs are slow.
  yield* attempt(run)
  const start = performance.now()
  yield* attempt(run)
  const runs = Math.max(1, Math.ceil(atLeast / Math.max(performance.now() - start, 0.05)))
  return attempt(async () => {
    const before = process.cpuUsage()
    for (let i = 0; i < runs; i++) await run()
    const { system, user } = process.cpuUsage(before)
    return (1000 * (system + user)) / runs
  })
})

/** Minimum duration of a measurement in milliseconds, long compared with the resolution of the clock. */
const atLeast = 5

/** The lengths of the two chains: more links if each takes little time, so that the fixed cost of a run is small in comparison. */
const lengthsOf = ({ input }: Chain) => (size(input) < 2 ** 16 ? ([8, 72] as const) : ([2, 10] as const))

/** Nanoseconds per link: chains of both lengths take turns, and the fastest run of each counts. */
const linkOf = Effect.fnUntraced(function* (chain: Chain) {
  const [short, long] = lengthsOf(chain)
  const [runShort, runLong] = [yield* opened(chain, short), yield* opened(chain, long)]
  let [bestShort, bestLong] = [Infinity, Infinity]
  for (let i = 0; i < 4; i++) {
    bestShort = Math.min(bestShort, yield* runShort)
    bestLong = Math.min(bestLong, yield* runLong)
  }
  return Math.max((bestLong - bestShort) / (long - short), 1)
}, Effect.scoped)

const node = (
  opType: string,
  inputs: ReadonlyArray<string>,
  output: string,
  attributes: Model.Node["attributes"] = {}
): Model.Node => ({ opType, domain: "", inputs, outputs: [output], attributes })

const gemm = (a: string, b: string, to: string, transB: 0 | 1 = 0) => node("Gemm", [a, b], to, { transA: 0, transB })

/** A product there and one back, so that they can form a chain. */
const productChain = (orientation: CostModel.Orientation, out: number, inner: number, many: number): Chain => {
  if (orientation === "columns")
    return {
      constants: { w: [out, inner], v: [inner, out] },
      input: [inner, many],
      output: [inner, many],
      link: (from, to, i) => [gemm("w", from, `h${i}`), gemm("v", `h${i}`, to)]
    }
  if (orientation === "rows")
    return {
      constants: { w: [out, inner], v: [inner, out] },
      input: [many, inner],
      output: [many, inner],
      link: (from, to, i) => [gemm(from, "w", `h${i}`, 1), gemm(`h${i}`, "v", to, 1)]
    }
  // Two gradients, whose small results are added up.
  return {
    constants: { d: [out, many], e: [inner, many] },
    input: [out, inner],
    output: [out, inner],
    link: (from, to, i) => [
      gemm("d", "e", `g${i}`, 1),
      gemm("d", "e", `h${i}`, 1),
      node("Sum", [from, `g${i}`, `h${i}`], to)
    ]
  }
}

const unaryChain = (
  opType: string,
  shape: ReadonlyArray<number>,
  attributes: Model.Node["attributes"] = {}
): Chain => ({
  constants: {},
  input: shape,
  output: shape,
  link: (from, to) => [node(opType, [from], to, attributes)]
})

const binaryChain = (opType: string, shape: ReadonlyArray<number>): Chain => ({
  constants: { c: shape },
  input: shape,
  output: shape,
  link: (from, to) => [node(opType, [from, "c"], to)]
})

/** The shape of a feature map for which ONNX Runtime has its own kernels, and a depthwise kernel. */
const image = [1, 96, 32, 32]
const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }

/** Depthwise convolutions, by plain kernels or, in blocks of channels, by blocked ones. */
const depthwiseChain = (opType: "Conv" | "ConvTranspose", domain = ""): Chain => ({
  constants: { w: [96, 1, 3, 3] },
  input: image,
  output: image,
  link: (from, to, i) => {
    const convolution = (x: string): Model.Node => ({ ...node(opType, [x, "w"], to, { ...window, group: 96 }), domain })
    if (domain === "" || i > 0) return [convolution(from)]
    return [{ ...node("ReorderInput", [from], "blocked"), domain }, convolution("blocked")]
  }
})

const products = [
  [96, 16, 16384],
  [144, 24, 4096],
  [192, 48, 12800],
  [240, 40, 1024],
  [384, 96, 1024]
] as const

/** A tensor of 128 KB, which stays in the cache. */
const cached = [256, 128]

const elements: Readonly<Record<string, Chain>> = {
  Neg: unaryChain("Neg", cached),
  Erf: unaryChain("Erf", cached),
  Exp: unaryChain("Exp", cached),
  Tanh: unaryChain("Tanh", cached),
  Sigmoid: unaryChain("Sigmoid", cached),
  Sqrt: unaryChain("Sqrt", cached),
  Relu: unaryChain("Relu", cached),
  Softmax: unaryChain("Softmax", cached, { axis: -1 }),
  Transpose: unaryChain("Transpose", [181, 181], { perm: [1, 0] }),
  Add: binaryChain("Add", cached),
  Mul: binaryChain("Mul", cached),
  Div: binaryChain("Div", cached),
  MaxPool: unaryChain("MaxPool", image, window),
  Conv: depthwiseChain("Conv"),
  ConvTranspose: depthwiseChain("ConvTranspose")
}

/** The same for kernels that only CPUs with blocks have. */
const blocked: typeof elements = {
  "nchwc Conv": depthwiseChain("Conv", "com.microsoft.nchwc")
}

/** Numbers of elements in the maps that are added to measure the speed of memory. */
const maps = [2 ** 15, 2 ** 19, 2 ** 21]

/** Called when a measurement begins. */
export type Progress = (done: number, of: number) => Effect.Effect<void>

const rounded = (n: number) => Number(n.toPrecision(3))

/** Measures a cost model for one thread of this machine, by CPU time, so that other running programs disturb it little. Takes about ten seconds. */
export const measure = (progress: Progress): Effect.Effect<CostModel.CostModel, RunFailed> =>
  Effect.gen(function* () {
    const kind = yield* processor
    const some = kind === "other" ? elements : { ...elements, ...blocked }
    const total = CostModel.orientations.length * products.length + maps.length + Object.keys(some).length + 1
    let done = 0
    const timed = (chain: Chain) => Effect.andThen(progress(done++, total), linkOf(chain))
    const multiplied: Array<CostModel.CostModel["products"][number]> = []
    for (const orientation of CostModel.orientations)
      for (const [out, inner, many] of products) {
        const ns = yield* timed(productChain(orientation, out, inner, many))
        multiplied.push({ orientation, out, in: inner, many, gflops: rounded((4 * out * inner * many) / ns) })
      }
    const passes: Array<CostModel.CostModel["passes"][number]> = []
    for (const n of maps) {
      const bytes = 12 * n
      passes.push({ bytes, gigabytes: rounded(bytes / (yield* timed(binaryChain("Add", [n])))) })
    }
    const each: Record<string, number> = {}
    for (const [name, chain] of Object.entries(some)) each[name] = rounded((yield* timed(chain)) / size(chain.input))
    const call = rounded(yield* timed(unaryChain("Neg", [1])))
    const [{ model } = { model: "a processor without a name" }] = cpus()
    return {
      format: "uninet cost model",
      version: CostModel.version,
      processor: kind,
      source: `${model}, onnxruntime-node ${version}, Node ${process.version}: slopes between chains of two lengths in one graph, one thread, the processor's clock`,
      products: multiplied,
      passes,
      elements: each,
      call
    }
  })

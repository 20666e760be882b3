/**
 * Where a training step's time goes, op by op, and how far that is from what the machine can do: milliseconds for each kind of op from ONNX
 * Runtime's profiler, next to the multiply-accumulates and the bytes that it reads and writes.
 *
 *   node bench/ops.ts [--network proxy|B0|<architecture.json>] [--batch 64] [--threads 1] [--rounds 3] [--steps 6] [--pytorch]
 *
 * The engine's formulation, the plain one and (with `--pytorch`; `pnpm bench:pytorch` installs it) PyTorch, eager with channels last, take
 * turns; figures are medians over rounds of a step's mean. PyTorch's times come from its own profiler, without the optimiser. Prints
 * Markdown tables.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Costs, Op, Program, type Shape, Tensor } from "@uninet/graph"
import { Profile } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { Initialise, Recipe } from "@uninet/trainer"
import { Architecture, Network } from "@uninet/uninet"
import { Effect, Result, Schema } from "effect"
import { inputsOf, networks, trainingOf } from "./networks.ts"
import { median, open, python, round as ask, stop } from "./workers.ts"

const { values: options } = parseArgs({
  options: {
    network: { type: "string", default: "proxy" },
    batch: { type: "string" },
    threads: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "6" },
    pytorch: { type: "boolean", default: false }
  }
})
const [threads, rounds, steps] = [options.threads, options.rounds, options.steps].map(Number)
const isNamed = (name: string): name is keyof typeof networks => Object.hasOwn(networks, name)
const given = isNamed(options.network)
  ? networks[options.network]
  : {
      architecture: Schema.decodeSync(Schema.fromJsonString(Architecture.Architecture))(
        readFileSync(options.network, "utf8")
      ),
      batch: 64
    }
const { architecture } = given
const batch = options.batch === undefined ? given.batch : Number(options.batch)

/** An op's name in the tables; PyTorch's worker uses the same names. */
const groupOf = (node: Tensor.Tensor | undefined): string => {
  if (node === undefined) return "copies to outputs"
  const convolution = (weight: Shape.Shape, groups: number) => {
    const kind = weight[2] * weight[3] === 1 ? "1×1 convolution" : groups > 1 ? "depthwise convolution" : "convolution"
    return node.kind === "conv2d" ? kind : `${kind}, gradients`
  }
  if (Tensor.is("conv2d")(node) || Tensor.is("conv2dGradInput")(node))
    return convolution(node.inputs[1].shape, node.attributes.groups)
  if (Tensor.is("conv2dGradWeight")(node)) return convolution(node.attributes.weightShape, node.attributes.groups)
  switch (node.kind) {
    case "batchNorm":
    case "batchMoments":
      return "batch norm"
    case "batchNormGradInput":
    case "batchNormGradScale":
      return "batch norm, gradients"
    case "activation":
      return "activation"
    case "activationGrad":
      return "activation, gradients"
    case "maxPool2d":
      return "max pool"
    case "maxPool2dGrad":
      return "max pool, gradients"
    case "matmul":
    case "linear":
    case "linearGradInput":
    case "linearGradWeight":
    case "attention":
    case "attentionGrad":
    case "softmax":
    case "softmaxGrad":
      return "products, attention"
    case "layerNorm":
    case "layerNormGradInput":
    case "layerNormGradScale":
      return "layer norm"
    default:
      return "everything else"
  }
}

const network = Result.getOrThrow(Network.make(architecture))
const training = Result.getOrThrow(trainingOf(network, { ...Recipe.proxy, batch }))
const prng = Prng.fromSeed("bench")
const values = {
  ...Object.fromEntries(Initialise.values(prng)(training.variables)),
  ...inputsOf(architecture, batch, prng)
}

/** What a turn of an engine took: milliseconds per step, by group and in wall time. */
interface Turn {
  readonly groups: ReadonlyMap<string, number>
  readonly wall: number
}

/** Sums by group. */
const grouped = <A>(items: ReadonlyArray<A>, group: (item: A) => string, amount: (item: A) => number) => {
  const sums = new Map<string, number>()
  for (const item of items) sums.set(group(item), (sums.get(group(item)) ?? 0) + amount(item))
  return sums
}

const all = (amounts: ReadonlyMap<string, number>) => [...amounts.values()].reduce((sum, x) => sum + x, 0)

const turnOf = ({ fused, operators, wall }: Profile.Profile): Turn => ({
  groups: new Map([
    ...grouped(
      operators,
      ({ node }) => groupOf(node),
      (o) => o.milliseconds
    ),
    ["fused by ONNX Runtime", fused]
  ]),
  wall
})

/** Bytes read and written per second, in GB, measured by copying this many. */
const copied = (bytes: number) => {
  const [from, to] = [new Uint8Array(bytes).fill(1), new Uint8Array(bytes)]
  const seconds: Array<number> = []
  for (let i = 0; i < 200; i++) {
    const start = performance.now()
    to.set(from)
    seconds.push((performance.now() - start) / 1000)
  }
  return (2 * bytes) / median(seconds) / 1e9
}

/** The maximum that the processor's multipliers, its caches and the memory can do. */
const limits = Effect.gen(function* () {
  const n = 768
  const matrix = new Float32Array(n * n).fill(0.5)
  const y = Op.matmul(Op.input("a", [n, n]), Op.input("b", [n, n]))
  const product = yield* Profile.make(
    Result.getOrThrow(Program.make({ outputs: { y } })),
    { a: matrix, b: matrix },
    {
      threads,
      formulation: "standard"
    }
  )
  const { wall } = yield* product(30)
  return { gflops: (2 * n ** 3) / wall / 1e6, cache: copied(2 ** 19), memory: copied(2 ** 26) }
}).pipe(Effect.scoped)

const shown = (x: number) => (x === 0 ? "–" : x.toFixed(x < 10 ? 2 : 1))
const row = (cells: ReadonlyArray<string>) => console.log(`| ${cells.join(" | ")} |`)
const table = (header: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>) => {
  row(header)
  row(header.map(() => "---"))
  rows.forEach(row)
  console.log()
}

const main = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-ops-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const json = join(folder, "architecture.json")
  writeFileSync(json, JSON.stringify(architecture))
  const ours = yield* Profile.make(training, values, { threads })
  const plain = yield* Profile.make(training, values, { threads, formulation: "standard" })
  const torch = options.pytorch
    ? yield* Effect.acquireRelease(
        Effect.promise(() =>
          open({
            command: python(),
            args: [new URL("pytorch/ops.py", import.meta.url).pathname, json, `${batch}`, `${threads}`, `${steps}`]
          })
        ),
        (worker) => Effect.promise(() => stop(worker))
      )
    : undefined
  const found = new Map<string, Array<Turn>>()
  const keep = (name: string, turn: Turn) => found.set(name, [...(found.get(name) ?? []), turn])
  let work: ReadonlyArray<Profile.Operator> = []
  for (let i = 0; i < rounds; i++) {
    const profile = yield* ours(steps)
    work = profile.operators
    keep("UniNet", turnOf(profile))
    keep("plain operators", turnOf(yield* plain(steps)))
    if (torch === undefined) continue
    const { groups, wall } = yield* Effect.promise(() =>
      ask<{ readonly groups: Record<string, number>; readonly wall: number }>(torch)
    )
    keep("PyTorch", { groups: new Map(Object.entries(groups)), wall })
  }

  const { cache, gflops, memory } = yield* limits
  console.log(
    `${cpus()[0].model}, Node ${process.version}, ${options.network}, batch ${batch}, ${threads} thread${threads === 1 ? "" : "s"}. Limits: matrix products ${gflops.toFixed(0)} GFLOP/s; copying ${cache.toFixed(0)} GB/s within the cache (512 KB), ${memory.toFixed(1)} GB/s in memory (64 MB), read and written bytes both counted.\n`
  )
  const bytes = grouped(
    work,
    ({ node }) => groupOf(node),
    (o) => o.bytes
  )
  const macs = grouped(training.nodes, groupOf, (node) => Costs.ofNode(node).macs)
  const ms = (name: string, group: string) =>
    median((found.get(name) ?? []).map(({ groups }) => groups.get(group) ?? 0))
  const names = [...found.keys()]
  const groups = [...new Set([...found.values()].flatMap((all) => all.flatMap((p) => [...p.groups.keys()])))].toSorted(
    (a, b) => ms("UniNet", b) - ms("UniNet", a)
  )
  table(
    ["op", ...names.map((name) => `${name}, ms`), "M MACs", "MB moved", "GFLOP/s", "GB/s"],
    groups.map((group) => {
      const own = ms("UniNet", group)
      const [moved = 0, products = 0] = [bytes.get(group), macs.get(group)]
      const rate = (amount: number) => (own === 0 ? "–" : shown(amount / own / 1e6))
      return [
        group,
        ...names.map((name) => shown(ms(name, group))),
        shown(products / 1e6),
        shown(moved / 1e6),
        rate(2 * products),
        rate(moved)
      ]
    })
  )
  const total = (name: string) => median((found.get(name) ?? []).map(({ groups }) => all(groups)))
  table(
    ["forward and backward", ...names],
    [
      ["sum of the ops, ms", ...names.map((name) => shown(total(name)))],
      ["by the clock, ms", ...names.map((name) => shown(median((found.get(name) ?? []).map(({ wall }) => wall))))]
    ]
  )
  console.log(
    `Products at the limit would take ${shown((2 * all(macs)) / gflops / 1e6)} ms, moving the bytes through the cache ${shown(all(bytes) / cache / 1e6)} ms.`
  )
}).pipe(Effect.scoped)

await Effect.runPromise(main)

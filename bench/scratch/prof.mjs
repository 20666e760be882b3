import { Program } from "@uninet/graph"
import { Network } from "@uninet/network"
import { Lowering, Model } from "@uninet/onnx"
import { Recipe, TrainingProgram } from "@uninet/trainer"
import { Result } from "effect"
import * as ort from "onnxruntime-node"
import { readFileSync, unlinkSync } from "node:fs"
const stage = (operator, dsm, expansion, channels, repeats, stride) => ({ operator, dsm, expansion, channels, repeats, stride })
export const proxy = {
  image: { channels: 3, height: 32, width: 32 },
  classes: 10,
  stem: { channels: 32, stride: 2 },
  head: { channels: 1280 },
  headDim: 32,
  stages: [
    stage("DWConv", null, 1, 16, 1, 1),
    stage("DWConv", "L", 4, 24, 1, 2),
    stage("DWConv", "L", 6, 40, 2, 2),
    stage("DWConv", "L", 3, 64, 2, 2),
    stage("SA", "LG", 2, 64, 2, 1),
    stage("SA", "LG", 5, 96, 2, 2)
  ]
}
const lanes = Number(process.argv[2] ?? 1),
  block = Number(process.argv[3] ?? 0),
  batch = Number(process.env.B ?? 64)
import { UniNetSpace, Space, Prng } from "@uninet/search-space"
const arch = process.env.SEED ? Space.sample(Prng.fromSeed(process.env.SEED))(Result.getOrThrow(UniNetSpace.small({ image: 28, channels: 1, classes: 10 }))) : proxy
if (process.env.SEED) console.log(arch.stages.map(s=>`${s.operator}/${s.dsm}/e${s.expansion}c${s.channels}x${s.repeats}`).join(" "))
const network = Result.getOrThrow(Network.make(arch))
import { NetworkCosts } from "@uninet/network"
console.log("MACs", NetworkCosts.of(network).macs)
const t0 = performance.now()
const program = Result.getOrThrow(TrainingProgram.make(network, { ...Recipe.proxy, batch }))
const t1 = performance.now()
const { optimiserOf } = await import("../../packages/runtime/src/internal/memory.ts")
const { adamw, rest } = optimiserOf(program)
const outside = Result.getOrThrow(
  Program.make({
    outputs: {
      ...program.outputs,
      ...Object.fromEntries(adamw.map((u) => ["g:" + u.parameter.attributes.name, u.gradient]))
    },
    updates: rest
  })
)
const low = Lowering.lower(outside, { lanes, block })
const bytes = Model.encode(low.model)
const t2 = performance.now(); const cc0 = process.cpuUsage()
const s = await ort.InferenceSession.create(bytes, {
  graphOptimizationLevel: process.env.LVL ?? "all",
  executionMode: "sequential",
  enableMemPattern: false,
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  enableProfiling: process.argv[4] === "p",
  logSeverityLevel: 3,
  extra: { session: { set_denormal_as_zero: process.env.DZ ?? "0" } },
  profileFilePrefix: "/tmp/prof"
})
const t3 = performance.now(); const cc1 = process.cpuUsage(cc0); console.log("session cpu", (cc1.user+cc1.system)/1000)
console.log(
  "nodes",
  program.nodes.length,
  "onnx",
  low.model.nodes.length,
  "build",
  (t1 - t0) | 0,
  "lower",
  (t2 - t1) | 0,
  "session",
  (t3 - t2) | 0
)
const feeds = {}
for (const v of [...low.inputs, ...low.variables]) {
  if (!s.inputNames.includes(v.attributes.name)) continue; const n = low.shapes.get(v.attributes.name).reduce((a, b) => a * b, 1)
  if (!s.inputNames.includes(v.attributes.name)) continue
  feeds[v.attributes.name] =
    v.dtype === "int32"
      ? new ort.Tensor("int32", new Int32Array(n), low.shapes.get(v.attributes.name))
      : new ort.Tensor(
          "float32",
          Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.3) * 0.1 + 0.01),
          low.shapes.get(v.attributes.name)
        )
}
const times = []
for (let i = 0; i < 25; i++) {
  const t = performance.now()
  await s.run(feeds)
  times.push(performance.now() - t)
}
times.sort((a, b) => a - b)
console.log("min", times[0].toFixed(1), "median", times[12].toFixed(1))
if (process.argv[4] === "p") {
  s.endProfiling()
  await s.release()
  const { readdirSync } = await import("node:fs")
  const f = readdirSync("/tmp")
    .filter((f) => f.startsWith("prof_"))
    .map((f) => "/tmp/" + f)
    .sort()
    .at(-1)
  const ev = JSON.parse(readFileSync(f, "utf8"))
  unlinkSync(f)
  const by = new Map()
  for (const e of ev)
    if (e.cat === "Node" && e.name.endsWith("_kernel_time")) {
      const k =
        e.args.op_name +
        (process.argv[5]
          ? " " + JSON.stringify(e.args.input_type_shape?.map((o) => Object.values(o)[0].join("x")))
          : "")
      const x = by.get(k) ?? [0, 0]
      x[0] += e.dur
      x[1]++
      by.set(k, x)
    }
  for (const [k, [d, n]] of [...by].sort((a, b) => b[1][0] - a[1][0]).slice(0, 40))
    console.log(k.padEnd(30), (d / 25000).toFixed(2), "ms", (n / 25).toFixed(0))
}
if (process.env.COUNT) { const c = new Map(); for (const n of low.model.nodes) c.set(n.opType, (c.get(n.opType) ?? 0) + 1); console.log([...c].sort((a, b) => b[1] - a[1]).slice(0, 24).map(([k, v]) => k + ":" + v).join(" ")); const k2 = new Map(); for (const n of program.nodes) k2.set(n.kind, (k2.get(n.kind) ?? 0) + 1); console.log([...k2].sort((a, b) => b[1] - a[1]).map(([k, v]) => k + ":" + v).join(" ")) }

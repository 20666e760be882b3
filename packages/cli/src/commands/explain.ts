/** `uninet explain`: shows what the compilers make of a network's training step, stage by stage, and where its time goes. */
import type { GraphError, Program } from "@uninet/graph"
import { Explain } from "@uninet/loops"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { CostModel } from "@uninet/onnx"
import { Calibrate, Explain as Cpu } from "@uninet/runtime"
import { TrainingProgram } from "@uninet/trainer"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import { at, CliFault, fault, said, usage } from "../internal/CliFault.ts"
import * as cpu from "../internal/explained.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"

const { table, tallied, timed } = cpu

const loopStages = ["rewrites", "layouts", "kernels", "memory"] as const
type LoopStage = (typeof loopStages)[number]
const cpuStages = ["rewrites", "layouts", "nodes", "memory"] as const
type CpuStage = (typeof cpuStages)[number]
const stages = ["rewrites", "layouts", "kernels", "nodes", "memory"] as const
type Stage = (typeof stages)[number]

const ofRewrites = ({ rewrites }: Explain.Explained): string =>
  rewrites
    .map(
      ({ after, before, name, summary, taken }) =>
        `${name}: ${summary}\n  ${before} nodes → ${after}; ${tallied(taken) || "nothing"} replaced`
    )
    .join("\n")

const ofLayouts = ({ choices, conversions, layouts }: Explain.Explained): string => {
  const refused = choices
    .filter(({ inReaders }) => inReaders > 0)
    .toSorted((a, b) => Math.abs(b.inReaders - b.written) - Math.abs(a.inReaders - a.written))
    .slice(0, 12)
  return [
    table(
      ["op", "in lanes", "plain", "in its readers' loops"],
      layouts.map(({ inReaders, kind, lanes, plain }) => [kind, lanes, plain, inReaders])
    ),
    `${format.plural(conversions.count, "move")} into or out of lanes, ${format.count(conversions.bytes)}B`,
    "",
    "Values that several ops read, written once or computed by each reader (predicted nanoseconds per element; the largest differences):",
    table(
      ["op", "path", "readers", "chosen", "written once", "in its readers"],
      refused.map(({ chosen, inReaders, node, uses, written }) => [
        node.kind,
        node.path,
        uses,
        chosen === "written" ? "written once" : "in its readers",
        written.toFixed(2),
        inReaders.toFixed(2)
      ])
    )
  ].join("\n")
}

const sum = (all: ReadonlyArray<Explain.Kernel>, of: (kernel: Explain.Kernel) => number) =>
  all.reduce((total, kernel) => total + of(kernel), 0)

const time = (all: ReadonlyArray<Explain.Kernel>) => sum(all, (k) => k.milliseconds ?? 0)

/** Kernels, summed by the op they compute. */
const byOp = ({ kernels }: Explain.Explained, limits: Explain.Limits | undefined): string => {
  const groups = [...Map.groupBy(kernels, ({ kind }) => kind)].toSorted(
    ([, a], [, b]) => time(b) - time(a) || sum(b, (k) => k.bytes) - sum(a, (k) => k.bytes)
  )
  const row = (name: string, all: ReadonlyArray<Explain.Kernel>) => {
    const [macs, bytes] = [sum(all, (k) => k.macs), sum(all, (k) => k.bytes)]
    return [
      name,
      all.length,
      new Set(all.map(({ kernel }) => kernel)).size,
      format.count(macs),
      `${format.count(bytes)}B`,
      ...(limits === undefined ? [] : timed(time(all), macs, bytes, limits))
    ]
  }
  return table(
    ["op", "pieces", "kernels", "MACs", "bytes", ...(limits === undefined ? [] : ["ms", "limit, ms", "ratio"])],
    [...groups.map(([kind, all]) => row(kind, all)), row("all", kernels)]
  )
}

const ofKernels = ({ kernels }: Explain.Explained, limits: Explain.Limits | undefined): string =>
  table(
    [
      "op",
      "path",
      "phase",
      "tiles",
      "shares",
      "MACs",
      "bytes",
      ...(limits === undefined ? [] : ["ms", "limit, ms", "ratio"]),
      "what"
    ],
    kernels.map(({ bytes, kind, macs, milliseconds = 0, path, phase, shares, text, tiles }) => [
      kind,
      path,
      phase,
      tiles,
      shares,
      format.count(macs),
      `${format.count(bytes)}B`,
      ...(limits === undefined ? [] : timed(milliseconds, macs, bytes, limits)),
      text.length > 90 ? `${text.slice(0, 89)}…` : text
    ])
  )

const ofMemory = ({ memory }: Explain.Explained): string =>
  [
    `variables ${format.count(memory.variables)}B, working memory ${format.count(memory.working)}B and ${format.count(memory.tile)}B for a tile; the peak is ${format.count(memory.peak)}B, in phase ${memory.peakPhase} of ${memory.phases}; ${format.plural(memory.inPlace, "new value")} of variables written over the old ones`,
    table(
      ["buffer", "bytes", "from phase", "to phase"],
      memory.buffers
        .slice(0, 20)
        .map(({ buffer, bytes, from, to }) => [`%${buffer}`, `${format.count(bytes)}B`, from, to])
    )
  ].join("\n")

/** The number of images in a block for which ONNX Runtime's blocked kernels are explained: that of AVX-512. */
const block = 16

/** What `--device loops` makes of a program. */
const ofLoops = Effect.fnUntraced(function* (program: Program.Program, { fused, json, measure, stage }: Asked) {
  const chosen = isLoopStage(stage) ? stage : undefined
  if (stage !== undefined && chosen === undefined) return yield* elsewhere(stage, "loops", loopStages)
  const result: Result.Result<{ readonly explained: Explain.Explained; readonly limits?: Explain.Limits }, GraphError> =
    measure ? Explain.measure({ fused })(program) : Result.map(Explain.explain(program), (explained) => ({ explained }))
  const { explained, limits } = yield* Effect.fromResult(result)
  if (json) {
    const { choices, ...rest } = explained
    const shown = choices.map(({ node, ...choice }) => ({ path: node.path, kind: node.kind, ...choice }))
    const all = { ...rest, choices: shown }
    return JSON.stringify(
      { ...(limits === undefined ? {} : { limits }), ...(chosen === undefined ? all : { [chosen]: all[chosen] }) },
      null,
      2
    )
  }
  const texts: Record<LoopStage, () => string> = {
    rewrites: () => ofRewrites(explained),
    layouts: () => ofLayouts(explained),
    kernels: () => ofKernels(explained, limits),
    memory: () => ofMemory(explained)
  }
  return [
    ...(chosen === undefined
      ? [ofRewrites(explained), byOp(explained, limits), ofMemory(explained).split("\n", 1)[0]]
      : [texts[chosen]()]),
    ...(limits === undefined ? [] : [reached(limits)])
  ].join("\n")
})

const reached = ({ bytes, macs }: Explain.Limits) =>
  `This machine on one thread: products at ${((2 * macs) / 1e6).toFixed(0)} GFLOP/s, reads and writes at ${(bytes / 1e6).toFixed(1)} GB/s; an op's limit is the longer of the two times.`

/** What `--device cpu` makes of a program. */
const ofCpu = Effect.fnUntraced(function* (program: Program.Program, { costs, json, measure, stage }: Asked) {
  const chosen = isCpuStage(stage) ? stage : undefined
  if (stage !== undefined && chosen === undefined) return yield* elsewhere(stage, "cpu", cpuStages)
  const options = { block, costs }
  const measured = measure ? yield* Cpu.measure(options)(program) : undefined
  const explained = measured?.explained ?? (yield* Effect.fromResult(Cpu.explain(options)(program)))
  if (json) {
    const stages = {
      rewrites: () => explained.rewrites,
      layouts: () => ({ forms: explained.forms, refused: explained.refused, conversions: explained.conversions }),
      nodes: () => explained.nodes,
      memory: () => explained.memory
    }
    const shown = (chosen === undefined ? cpuStages : [chosen]).map((one) => [one, stages[one]()] as const)
    const own = measured === undefined ? {} : { limits: measured.limits, measured: measured.kinds }
    const { plain, predicted } = explained
    return JSON.stringify({ predicted, plain, ...own, ...Object.fromEntries(shown) }, null, 2)
  }
  const texts: Record<CpuStage, () => string> = {
    rewrites: () => cpu.ofRewrites(explained),
    layouts: () => cpu.ofForms(explained),
    nodes: () => cpu.ofNodes(explained),
    memory: () => cpu.ofMemory(explained)
  }
  return [
    ...(chosen === undefined
      ? [
          cpu.ofRewrites(explained),
          measured === undefined ? cpu.ofForms(explained) : cpu.ofMeasured(measured),
          cpu.ofMemory(explained).split("\n", 1)[0]
        ]
      : [texts[chosen](), ...(measured === undefined ? [] : [cpu.ofMeasured(measured)])]),
    `Predicted: ${explained.predicted.toFixed(1)} ms, or ${explained.plain.toFixed(1)} ms with every op in its plain form (${costs.source}).`,
    ...(measured === undefined
      ? []
      : [
          `Measured: ${measured.wall.toFixed(1)} ms, or ${measured.wallOfPlain.toFixed(1)} ms with every op in its plain form. ${reached(measured.limits)}`
        ])
  ].join("\n")
})

/** The cost model in a file, or the one that ships for this processor. */
const costsOf = Effect.fnUntraced(function* (file: Option.Option<string>) {
  const processor = yield* Calibrate.processor
  if (Option.isNone(file)) return CostModel.known[processor]
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(fs.readFileString(file.value), at("--cost-model"))
  return yield* Effect.mapError(Effect.fromResult(CostModel.parse(file.value, processor)(text)), (error) =>
    fault(`--cost-model: ${error.message}`)
  )
})

/** What is requested for a device. */
interface Asked {
  readonly costs: CostModel.CostModel
  readonly stage: Stage | undefined
  readonly measure: boolean
  readonly fused: boolean
  readonly json: boolean
}

const isLoopStage = (stage: Stage | undefined): stage is LoopStage => loopStages.some((one) => one === stage)
const isCpuStage = (stage: Stage | undefined): stage is CpuStage => cpuStages.some((one) => one === stage)

const elsewhere = (stage: string, device: string, own: ReadonlyArray<string>) =>
  usage(`--stage: --device ${device} has no stage ${stage}. Give one of ${own.join(", ")}.`)

export const explain = Command.make(
  "explain",
  {
    network: Argument.String("network").pipe(
      Argument.map(networks.named),
      Argument.withDescription(`${networks.family.join(", ")}, a network's JSON file, or a run's folder`)
    ),
    stage: Flag.Literals("stage", stages).pipe(
      Flag.optional,
      Flag.withDescription(
        "One stage in full: rewrites, layouts, memory, and either the loops' kernels or ONNX Runtime's operators, the nodes (default: a summary)"
      )
    ),
    measure: Flag.Boolean("measure").pipe(
      Flag.withDefault(false),
      Flag.withDescription(
        "Run it on made-up numbers on one thread, and show milliseconds next to each op's limit on this machine"
      )
    ),
    device: Flag.Literals("device", ["cpu", "loops", "portable"]).pipe(
      Flag.optional,
      Flag.withDescription("Whose compiler: cpu (ONNX Runtime), loops or portable (default portable)")
    ),
    batch: flags.batch.pipe(
      Flag.withDefault(Recipe.proxy.batch),
      Flag.withDescription("Examples per step (default: the search's)")
    ),
    inference: Flag.Boolean("inference").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Explain the network's evaluation instead of its training step")
    ),
    costs: Flag.Path("cost-model").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription(
        "Cost model that predicts times for --device cpu (default: the one that ships for this processor)"
      )
    ),
    fused: Flag.Boolean("fused").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Measure the device loops instead of portable")
    ),
    config: networks.config,
    json: flags.json
  },
  Effect.fnUntraced(function* ({
    batch,
    config,
    costs,
    device,
    fused,
    inference,
    json,
    measure,
    network: name,
    stage
  }) {
    const { of, point } = yield* networks.read(name, config)
    const program = yield* Effect.gen(function* () {
      const { model, task } = yield* Effect.fromResult(ModelSpace.trainable(point)(of))
      return inference
        ? yield* Effect.fromResult(Model.evaluation({ batch })(model))
        : yield* Effect.fromResult(TrainingProgram.make(model, task, { ...Recipe.proxy, batch }))
    }).pipe(Effect.mapError(at(name)))
    const given = Option.getOrUndefined(device)
    const asked: Asked = {
      costs: yield* costsOf(costs),
      stage: Option.getOrUndefined(stage),
      measure,
      fused: fused || given === "loops",
      json
    }
    // ONNX Runtime's operators belong to the CPU's standard engine.
    const onCpu = given === "cpu" || (given === undefined && asked.stage === "nodes")
    const text = onCpu ? ofCpu(program, asked) : ofLoops(program, asked)
    yield* Console.log(yield* Effect.mapError(text, (error) => (error instanceof CliFault ? error : at(name)(error))))
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Show what an engine's compiler makes of a network's training step, and where its time goes"),
  Command.withExamples([
    { command: "uninet explain B0 --batch 8", description: "Rewrites, work by op and memory" },
    { command: "uninet explain runs/demo --measure", description: "The same with milliseconds and limits" },
    {
      command: "uninet explain B0 --batch 8 --stage layouts",
      description: "How each value is laid out, and what was chosen at what predicted cost"
    },
    {
      command: "uninet explain B0 --batch 8 --device cpu --stage rewrites",
      description: "What the compiler of the device cpu rewrites, and the predicted gain of each rewrite"
    }
  ])
)

/** `uninet explain`: what the compiler of loops makes of a network's training step, stage by stage, and where its time goes. */
import type { GraphError } from "@uninet/graph"
import { Explain } from "@uninet/loops"
import { ModelSpace, Recipe } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { Lowering } from "@uninet/onnx"
import { TrainingProgram } from "@uninet/trainer"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { Argument, Command, Flag } from "effect/cli"
import { at, said } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"

const stages = ["rewrites", "layouts", "kernels", "memory", "nodes"] as const
type Stage = (typeof stages)[number]

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string | number>>): string => {
  const made = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (rows.every((row) => typeof row[i] === "string") && i < 2 ? "left" : "right")),
    style: { head: [], border: [], compact: true }
  })
  for (const row of rows) made.push([...row])
  return format.fitted(made.toString())
}

const tallied = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts)
    .map(([kind, n]) => `${n} ${kind}`)
    .join(", ")

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
    `${format.plural(conversions.count, "move")} into lanes or out of them, ${format.count(conversions.bytes)}B`,
    "",
    "What several ops read, written down once or computed by each of them (predicted nanoseconds of an element; the largest differences):",
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

/** Milliseconds, and how many times the limit they are. */
const timed = (milliseconds: number, macs: number, bytes: number, limits: Explain.Limits | undefined) => {
  const limit = limits === undefined ? 0 : Math.max(macs / limits.macs, bytes / limits.bytes)
  return [milliseconds.toFixed(2), limit.toFixed(2), limit === 0 ? "" : (milliseconds / limit).toFixed(1)]
}

const sum = (all: ReadonlyArray<Explain.Kernel>, of: (kernel: Explain.Kernel) => number) =>
  all.reduce((total, kernel) => total + of(kernel), 0)

const time = (all: ReadonlyArray<Explain.Kernel>) => sum(all, (k) => k.milliseconds ?? 0)

/** Kernels, added up by the op that they are there for. */
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
      "MACs",
      "bytes",
      ...(limits === undefined ? [] : ["ms", "limit, ms", "ratio"]),
      "what"
    ],
    kernels.map(({ bytes, kind, macs, milliseconds = 0, path, phase, text, tiles }) => [
      kind,
      path,
      phase,
      tiles,
      format.count(macs),
      `${format.count(bytes)}B`,
      ...(limits === undefined ? [] : timed(milliseconds, macs, bytes, limits)),
      text.length > 90 ? `${text.slice(0, 89)}…` : text
    ])
  )

const ofMemory = ({ memory }: Explain.Explained): string =>
  [
    `variables ${format.count(memory.variables)}B, working memory ${format.count(memory.working)}B and ${format.count(memory.tile)}B of a tile's own; most is in use in phase ${memory.peakPhase} of ${memory.phases}, ${format.count(memory.peak)}B`,
    table(
      ["buffer", "bytes", "from phase", "to phase"],
      memory.buffers
        .slice(0, 20)
        .map(({ buffer, bytes, from, to }) => [`%${buffer}`, `${format.count(bytes)}B`, from, to])
    )
  ].join("\n")

/** What the engine of `--device cpu` makes of each kind of op: ONNX Runtime's operators. */
const ofNodes = (rows: ReadonlyArray<Lowering.Explanation>): string =>
  table(
    ["op", "formulation", "ops", "operators", "MACs", "bytes", "which"],
    [...Map.groupBy(rows, ({ formulation, kind }) => `${kind} ${formulation}`)].map(([, all]) => {
      const counts: Record<string, number> = {}
      for (const { operators } of all)
        for (const [name, n] of Object.entries(operators)) counts[name] = (counts[name] ?? 0) + n
      const total = (of: "macs" | "bytes") => all.reduce((sum, one) => sum + one[of], 0)
      return [
        all[0].kind,
        all[0].formulation,
        all.length,
        Object.values(counts).reduce((sum, n) => sum + n, 0),
        format.count(total("macs")),
        `${format.count(total("bytes"))}B`,
        tallied(counts)
      ]
    })
  )

/** Images of a block, for which ONNX Runtime's blocked kernels are explained: those of AVX-512. */
const block = 16

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
        "One stage in full: rewrites, layouts, kernels or memory of the loops, or nodes, the operators of ONNX Runtime (default: a summary)"
      )
    ),
    measure: Flag.Boolean("measure").pipe(
      Flag.withDefault(false),
      Flag.withDescription(
        "Run it on made-up numbers, one thread, and put milliseconds beside each op's own limit here"
      )
    ),
    batch: flags.batch.pipe(
      Flag.withDefault(Recipe.proxy.batch),
      Flag.withDescription("Examples of a step (default the search's)")
    ),
    inference: Flag.Boolean("inference").pipe(
      Flag.withDefault(false),
      Flag.withDescription("The network's evaluation in place of its training step")
    ),
    fused: Flag.Boolean("fused").pipe(
      Flag.withDefault(false),
      Flag.withDescription("Measure the device loops in place of portable")
    ),
    config: networks.config,
    json: flags.json
  },
  Effect.fnUntraced(function* ({ batch, config, fused, inference, json, measure, network: name, stage }) {
    const { of, point } = yield* networks.read(name, config)
    const program = yield* Effect.gen(function* () {
      const { model, task } = yield* Effect.fromResult(ModelSpace.trainable(of)(point))
      return inference
        ? yield* Effect.fromResult(Model.evaluation(model, { batch }))
        : yield* Effect.fromResult(TrainingProgram.make(model, task, { ...Recipe.proxy, batch }))
    }).pipe(Effect.mapError(at(name)))
    const chosen: Stage | undefined = Option.getOrUndefined(stage)
    if (chosen === "nodes") {
      const rows = Lowering.explain(program, { block, lanes: batch % block === 0 ? block : 1 })
      return yield* Console.log(json ? JSON.stringify(rows, null, 2) : ofNodes(rows))
    }
    const result: Result.Result<
      { readonly explained: Explain.Explained; readonly limits?: Explain.Limits },
      GraphError
    > = measure
      ? Explain.measure(program, { fused })
      : Result.map(Explain.explain(program), (explained) => ({ explained }))
    const { explained, limits } = yield* Effect.mapError(Effect.fromResult(result), at(name))
    if (json) {
      const { choices, ...rest } = explained
      const shown = choices.map(({ node, ...choice }) => ({ path: node.path, kind: node.kind, ...choice }))
      const all = { ...rest, choices: shown }
      return yield* Console.log(
        JSON.stringify(
          { ...(limits === undefined ? {} : { limits }), ...(chosen === undefined ? all : { [chosen]: all[chosen] }) },
          null,
          2
        )
      )
    }
    const texts: Record<Exclude<Stage, "nodes">, () => string> = {
      rewrites: () => ofRewrites(explained),
      layouts: () => ofLayouts(explained),
      kernels: () => ofKernels(explained, limits),
      memory: () => ofMemory(explained)
    }
    const reached =
      limits === undefined
        ? []
        : [
            `This machine, one thread: products ${((2 * limits.macs) / 1e6).toFixed(0)} GFLOP/s, reading and writing ${(limits.bytes / 1e6).toFixed(1)} GB/s; an op's limit is the longer of the two.`
          ]
    yield* Console.log(
      [
        ...(chosen === undefined
          ? [ofRewrites(explained), byOp(explained, limits), ofMemory(explained).split("\n", 1)[0]]
          : [texts[chosen]()]),
        ...reached
      ].join("\n")
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription(
    "Show what the compiler of loops makes of a network's training step, and where its time goes"
  ),
  Command.withExamples([
    { command: "uninet explain B0 --batch 8", description: "Rewrites, work by op and memory" },
    { command: "uninet explain runs/demo --measure", description: "The same with milliseconds and limits" },
    {
      command: "uninet explain B0 --batch 8 --stage layouts",
      description: "What lies where, and what was chosen at which predicted cost"
    },
    {
      command: "uninet explain B0 --batch 8 --stage nodes",
      description: "The operators of ONNX Runtime that the device cpu runs"
    }
  ])
)

/** `uninet inspect`: shows what a network consists of and what it costs. */
import { Costs, type Program, Shape, Tensor } from "@uninet/graph"
import { ModelSpace, Picture, type Task } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { Argument, Command, Flag } from "effect/cli"
import { at, fault, said } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"
import * as networks from "../internal/networks.ts"
import * as resized from "../internal/resized.ts"
import * as runFolder from "../internal/runFolder.ts"

const share = (part: number, whole: number) => (whole === 0 ? "" : format.percent(part / whole))

/** The elements of running statistics, and the batch counter of each batch norm, which PyTorch's checkpoints include. */
const buffersOf = ({ nodes, variables }: Program.Program): number =>
  nodes.filter(Tensor.is("batchNormInference")).length +
  variables
    .filter(({ attributes }) => attributes.role === "buffer")
    .reduce((sum, { shape }) => sum + Shape.size(shape), 0)

/** The parts as rows, and below them everything that is counted. */
const print = (
  parts: ReadonlyArray<ModelSpace.Part>,
  costs: Readonly<Record<string, number>>,
  byOperator: Readonly<Record<string, number | undefined>>
): string => {
  const columns = [...new Set(parts.flatMap((part) => Object.keys(part.columns)))]
  const total = (key: "parameters" | "macs") => parts.reduce((sum, part) => sum + part[key], 0)
  const [parameters, macs] = [total("parameters"), total("macs")]
  const table = new Table({
    head: ["part", ...columns, "parameters", "share", "MACs", "share"],
    colAligns: [
      "left",
      ...columns.map((column) =>
        parts.some((part) => typeof part.columns[column] === "string") ? ("left" as const) : ("right" as const)
      ),
      "right",
      "right",
      "right",
      "right"
    ],
    style: { head: [], border: [], compact: true }
  })
  for (const part of parts)
    table.push([
      part.name,
      ...columns.map((column) => part.columns[column] ?? ""),
      part.parameters.toLocaleString("en"),
      share(part.parameters, parameters),
      part.macs.toLocaleString("en"),
      share(part.macs, macs)
    ])
  const wide = Math.max(...Object.keys(costs).map((name) => name.length))
  return [
    format.fitted(table.toString()),
    ...Object.entries(costs).map(([name, value]) => {
      const human = name.endsWith("Bytes")
        ? ` (${format.count(value)}B)`
        : name === "parameters"
          ? ` (${format.count(4 * value)}B as float32)`
          : name === "fvcoreCount"
            ? ` (${Object.entries(byOperator)
                .map(([operator, n]) => `${operator} ${(n ?? 0).toLocaleString("en")}`)
                .join(", ")})`
            : ""
      return `${name.padEnd(wide)}  ${value.toLocaleString("en")}${human}`
    }),
    "For one example."
  ].join("\n")
}

const shown = (name: string, shape: ReadonlyArray<unknown>) => `${name} ${shape.join(" × ")}`

/** Inputs and outputs, by name and shape. */
const ends = ({
  inputs,
  outputs
}: {
  readonly inputs: Model.Model["inputs"]
  readonly outputs: Task.Task["outputs"]
}) => {
  return {
    input: Object.entries(inputs)
      .map(([name, { shape }]) => shown(name, shape))
      .join(", "),
    output: Object.entries(outputs)
      .map(([name, shape]) => shown(name, shape))
      .join(", ")
  }
}

export const inspect = Command.make(
  "inspect",
  {
    network: Argument.String("network").pipe(
      Argument.map(networks.named),
      Argument.withDescription(`${networks.family.join(", ")}, a network's JSON file, or a run's folder`)
    ),
    image: flags.image.pipe(
      Flag.optional,
      Flag.withDescription("Height of the images; the width changes in proportion (default: the network's)")
    ),
    config: networks.config,
    svg: Flag.Path("svg").pipe(
      Flag.withMetavar("file"),
      Flag.optional,
      Flag.withDescription("Draw the network into a new SVG file: its parts, shapes, and shares of the MACs")
    ),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ config, image, json, network: name, svg }) {
    const own = yield* networks.read(name, config)
    const found = Option.isSome(image) ? yield* resized.to(own, image.value) : own
    const { of, point } = found
    const counted = Effect.gen(function* () {
      const model = yield* Effect.fromResult(ModelSpace.checked(point)(of))
      const program = yield* Effect.fromResult(Model.evaluation()(model))
      return {
        parts: yield* Effect.fromResult(of.parts(point)),
        shapes: { inputs: model.inputs, outputs: of.task.outputs },
        costs: yield* Effect.fromResult(ModelSpace.costsOf(point)(of)),
        counted: Costs.ofProgram(program),
        buffers: buffersOf(program)
      }
    })
    const { buffers, counted: all, costs: named, parts, shapes } = yield* Effect.mapError(counted, at(name))
    if (Option.isSome(svg)) {
      const file = yield* runFolder.shown(svg.value)
      const fs = yield* FileSystem.FileSystem
      if (yield* Effect.orElseSucceed(fs.exists(svg.value), () => false))
        return yield* fault(`--svg ${file} already exists. Give the name of a new file; nothing was changed.`)
      const picture = Picture.svg({ title: of.line(point), ...ends(shapes) })(parts)
      yield* runFolder.write(svg.value, picture, "Give another file with --svg.")
      if (!json) return yield* Console.log(`${file} has the network's picture`)
    }
    const costs = { ...named, flops: all.flops, fvcoreCount: all.fvcoreCount }
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              space: of.name,
              ...costs,
              parameterBytes: all.parameterBytes,
              buffers,
              fvcoreByOperator: all.fvcoreByOperator,
              parts: parts.map(({ columns, macs, name, parameters }) => ({ name, ...columns, parameters, macs })),
              network: networks.kept(found)
            },
            null,
            2
          )
        : print(parts, costs, all.fvcoreByOperator)
    )
  }, Effect.mapError(said))
).pipe(
  Command.withDescription("Show a network part by part, with parameters, MACs and memory"),
  Command.withExamples([
    { command: "uninet inspect B1", description: "The network that the paper's search found" },
    { command: "uninet inspect B1 --image 384", description: "The same on larger images" },
    { command: "uninet inspect runs/demo --svg network.svg", description: "A picture of what a search found" },
    { command: "uninet inspect runs/demo/best.json --json", description: "What a search found, as JSON" }
  ])
)

/** `uninet inspect`: what a network is made of and what it costs. */
import { Network, NetworkCosts, UniNet } from "@uninet/network"
import Table from "cli-table3"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Argument, Command, Flag } from "effect/cli"
import * as architectures from "../internal/architecture.ts"
import { fault } from "../internal/CliFault.ts"
import * as flags from "../internal/flags.ts"
import * as format from "../internal/format.ts"

const rowOf = ({ flops, fvcoreCount, macs, name, output, parameters, stage }: NetworkCosts.StageCosts) => ({
  name,
  operator: stage?.operator ?? null,
  dsm: stage?.dsm ?? null,
  expansion: stage?.expansion ?? null,
  repeats: stage?.repeats ?? null,
  stride: stage?.stride ?? null,
  channels: output.channels,
  height: output.height,
  width: output.width,
  parameters,
  macs,
  flops,
  fvcoreCount
})

const print = (costs: NetworkCosts.NetworkCosts): string => {
  const table = new Table({
    head: ["part", "module", "operator", "e", "map", "channels", "repeats", "parameters", "share", "MACs", "share"],
    colAligns: ["left", "left", "left", "right", "right", "right", "right", "right", "right", "right", "right"],
    style: { head: [], border: [], compact: true }
  })
  for (const row of costs.stages.map(rowOf))
    table.push([
      row.name,
      row.dsm ?? "",
      row.operator ?? "",
      row.expansion ?? "",
      `${row.height}×${row.width}`,
      row.channels,
      row.repeats ?? "",
      row.parameters.toLocaleString("en"),
      format.percent(row.parameters / costs.parameters),
      row.macs.toLocaleString("en"),
      format.percent(row.macs / costs.macs)
    ])
  const byOperator = Object.entries(costs.fvcoreByOperator).map(([name, n]) => `${name} ${n.toLocaleString("en")}`)
  const { inference, training } = costs.activationBytes
  return [
    table.toString(),
    `parameters    ${costs.parameters.toLocaleString("en")} (${format.count(costs.parameterBytes)}B as float32)`,
    `MACs          ${costs.macs.toLocaleString("en")} for one image`,
    `FLOPs         ${costs.flops.toLocaleString("en")}`,
    `fvcore count  ${costs.fvcoreCount.toLocaleString("en")} (${byOperator.join(", ")})`,
    `activations   ${format.count(inference)}B at the peak of inference, ${format.count(training)}B of training, for one image`
  ].join("\n")
}

export const inspect = Command.make(
  "inspect",
  {
    network: Argument.String("network").pipe(
      Argument.withDescription(
        `${Object.keys(UniNet.family).join(", ")}, an architecture's JSON file, or a run's folder`
      )
    ),
    image: flags
      .whole("image")
      .pipe(Flag.optional, Flag.withDescription("Height and width of the images (default: the architecture's)")),
    json: flags.json
  },
  Effect.fnUntraced(function* ({ image, json, network: name }) {
    const architecture = yield* architectures.read(name)
    const sized = Option.match(image, {
      onNone: () => architecture,
      onSome: (size) => UniNet.withImage(architecture, { height: size, width: size })
    })
    const costs = yield* Effect.mapError(
      Effect.fromResult(Network.make(sized)).pipe(
        Effect.flatMap((network) => Effect.fromResult(NetworkCosts.of(network)))
      ),
      (error) => fault(`${name}: ${error.message}`)
    )
    const { activationBytes, buffers, flops, fvcoreByOperator, fvcoreCount, macs, parameterBytes, parameters } = costs
    yield* Console.log(
      json
        ? JSON.stringify(
            {
              parameters,
              buffers,
              parameterBytes,
              macs,
              flops,
              fvcoreCount,
              fvcoreByOperator,
              activationBytes: activationBytes.inference,
              trainingActivationBytes: activationBytes.training,
              stages: costs.stages.map(rowOf),
              architecture: sized
            },
            null,
            2
          )
        : print(costs)
    )
  })
).pipe(
  Command.withDescription("Show a network stage by stage, with parameters, MACs and memory"),
  Command.withExamples([
    { command: "uninet inspect B1", description: "The network that the paper's search found" },
    { command: "uninet inspect B1 --image 384", description: "The same on larger images" },
    { command: "uninet inspect runs/demo/best.json --json", description: "What a search found, as JSON" }
  ])
)

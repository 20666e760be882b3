/** Laws of UniNet's networks, in addition to those of every model. */
import { Costs, type GraphError, Op, Program } from "@uninet/graph"
import type { Laws } from "@uninet/model-space"
import { Scope } from "@uninet/nn"
import * as Result from "effect/Result"
import type { Architecture, Stage } from "../Architecture.ts"
import type * as Kit from "../Kit.ts"
import * as Network from "../Network.ts"
import * as NetworkCosts from "../NetworkCosts.ts"

const nameOf = (block: Network.Block) => `${block.path} (${block.name})`

/** A block's cost as its author declares it. */
const declared = (block: Network.Block) =>
  block.kind === "dsm"
    ? block.dsm.count?.(block.config, block.input)
    : block.operator.count?.({ ...block.config, stochasticDepth: 0 }, block.input)

const alone = (block: Network.Block): Result.Result<Program.Program, GraphError> => {
  const x = Op.input("x", [1, block.config.inChannels, block.input.height, block.input.width])
  return Program.make({ outputs: { y: Network.block(block, Scope.make("evaluation"))(x) } })
}

/** Every block by itself, on an input of its declared size, gives its declared shape and costs what its author declares. */
const blocks = (kit: Kit.Kit): Laws.Law<Architecture> => ({
  name: "blocks",
  statement: "every block has the output shape, the parameters and the MACs that it declares",
  check: (architecture) => {
    const network = Network.make(architecture, kit)
    if (Result.isFailure(network)) return { at: "network", reason: network.failure.message }
    for (const block of network.success.blocks) {
      const program = alone(block)
      if (Result.isFailure(program)) return { at: nameOf(block), reason: program.failure.message }
      const { macs, parameters } = Costs.ofProgram(program.success)
      const said = declared(block)
      if (said === undefined) continue
      if (said.parameters !== parameters)
        return { at: nameOf(block), reason: `it declares ${said.parameters} parameters but has ${parameters}` }
      if (said.macs !== macs)
        return { at: nameOf(block), reason: `it declares ${said.macs} MACs but its ops have ${macs}` }
    }
    return undefined
  }
})

/** The same architecture with one quantity increased. */
const larger = (architecture: Architecture): ReadonlyArray<readonly [string, Architecture]> => {
  const { headDim, image, stages } = architecture
  const stage = (i: number, change: Partial<Stage>) => ({
    ...architecture,
    stages: stages.map((s, k) => (k === i ? { ...s, ...change } : s))
  })
  return [
    ["a larger image", { ...architecture, image: { ...image, height: 2 * image.height, width: 2 * image.width } }],
    ...stages.flatMap(({ channels, expansion, repeats }, i) => [
      [`a larger expansion in stage ${i}`, stage(i, { expansion: expansion + 1 })] as const,
      [`more channels in stage ${i}`, stage(i, { channels: channels + headDim })] as const,
      [`one more repeat in stage ${i}`, stage(i, { repeats: repeats + 1 })] as const
    ])
  ]
}

const costsOf = (architecture: Architecture, kit: Kit.Kit) =>
  Result.flatMap(
    Network.make(architecture, kit),
    (network): Result.Result<NetworkCosts.NetworkCosts, { readonly message: string }> => NetworkCosts.of(network)
  )

const monotony = (kit: Kit.Kit): Laws.Law<Architecture> => ({
  name: "monotony",
  statement: "a larger image, expansion, channel count or depth never costs fewer parameters or multiply-accumulates",
  check: (architecture) => {
    const costs = costsOf(architecture, kit)
    if (Result.isFailure(costs)) return { at: "network", reason: costs.failure.message }
    for (const [what, other] of larger(architecture)) {
      // A stage without a module may be unable to widen.
      if (Result.isFailure(Network.make(other, kit))) continue
      const more = costsOf(other, kit)
      if (Result.isFailure(more)) return { at: what, reason: more.failure.message }
      for (const quantity of ["parameters", "macs"] as const)
        if (more.success[quantity] < costs.success[quantity])
          return {
            at: "network",
            reason: `with ${what} it has ${more.success[quantity]} ${quantity}, fewer than ${costs.success[quantity]}`
          }
    }
    return undefined
  }
})

export const make = (kit: Kit.Kit): ReadonlyArray<Laws.Law<Architecture>> => [blocks(kit), monotony(kit)]

/** Whether a parameter is one that its operator or module declares to have no effect. */
export const isIdle =
  ({ dsms, operators, stage0 }: Kit.Kit) =>
  (parameter: string): boolean => {
    const rest = /^blocks\.\d+\.(.*)$/.exec(parameter)?.[1]
    const owners = [...Object.values(operators), ...Object.values(dsms), stage0.operator]
    return rest !== undefined && owners.some(({ idle }) => idle?.includes(rest) === true)
  }

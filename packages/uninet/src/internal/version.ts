/** A digest of what a kit's names mean. */
import { Op, Program } from "@uninet/graph"
import { type Layer, Scope } from "@uninet/nn"
import type { Operator } from "@uninet/operators"
import { Choice, Digest, Prng, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import type * as Kit from "../Kit.ts"

/** How many points of an operator's own choices are examined, in addition to their seeds. */
const drawn = 8

const settingsOf = (choices: Operator.Choices = {}): ReadonlyArray<Operator.Settings> => {
  const space = Space.make(Choice.struct(choices))
  // Invalid choices are reported by the space that contains them.
  if (Result.isFailure(space)) return []
  const prng = Prng.fromSeed("version")
  const length = Space.distinct(space.success) === 1n ? 0 : drawn
  return [Space.seedPoint(space.success), ...Array.from({ length }, () => Space.sample(prng)(space.success))]
}

/** The graph of a block on a small map, or what is wrong with it there. */
const graphOf = (channels: number, layer: () => Layer.Layer): string =>
  Result.getOrElse(
    Result.flatMap(
      Result.try({ try: () => layer()(Op.input("x", [2, channels, 8, 8])), catch: String }),
      (y): Result.Result<string, string> =>
        Result.mapError(Result.map(Program.make({ outputs: { y } }), Program.digest), ({ message }) => message)
    ),
    (reason) => reason
  )

/**
 * The graphs in training of all the kit's operators and modules, by name. Kits that differ in any of them differ in this value, whether or not a few sampled networks of a space contain that one.
 */
export const versionOf = ({ dsms, operators, stage0 }: Kit.Kit, headDim: number): string => {
  const [scope, channels] = [Scope.make("training"), 2 * headDim]
  const common = { inChannels: channels, channels, headDim }
  const operatorGraphs = ({ choices, layer }: Operator.Operator) =>
    settingsOf(choices).map((settings) =>
      graphOf(channels, () => layer(scope, { ...common, expansion: 2, stochasticDepth: 0, settings }))
    )
  return Digest.of({
    operators: Object.entries(operators).map(([name, operator]) => [name, operatorGraphs(operator)]),
    dsms: Object.entries(dsms).map(([name, { choices, layer }]) => [
      name,
      settingsOf(choices).map((settings) => graphOf(channels, () => layer(scope, { ...common, stride: 2, settings })))
    ]),
    stage0: [stage0.name, operatorGraphs(stage0.operator)]
  })
}

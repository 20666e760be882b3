/**
 * Two other spaces of UniNet's networks: one whose stage 0 is searched too, and one with a single width for all stages. Their costs are counted on the graph, so
 * feasibility is exact whatever the shape of the space.
 */
import { ModelSpace, Classification } from "@uninet/model-space"
import { Choice, Constrained, Prng, Space } from "@uninet/search-space"
import { Architecture, Network, UniNetSpace } from "@uninet/uninet"
import { Result } from "effect"

const options = { image: 28, channels: 1, classes: 10 }
const seed = Space.seedPoint(Result.getOrThrow(UniNetSpace.make(options)))
const task = Classification.make({ classes: 10 })

/** Stage 0's operator, width and depth beside everything else. */
export const withStage0 = ModelSpace.make({
  name: "uninet with its stage 0",
  task,
  space: Result.getOrThrow(
    Space.make(
      Choice.struct({
        stage0: Choice.struct({
          operator: Choice.categorical(["DWConv", "Conv"]),
          channels: Choice.ordered([8, 16]),
          repeats: Choice.integer({ min: 1, max: 2 })
        }),
        rest: UniNetSpace.choice(options)
      })
    )
  ),
  model: ({ rest, stage0 }) => {
    const [first, ...others] = rest.stages
    return Result.map(Network.make({ ...rest, stages: [{ ...first, ...stage0 }, ...others] }), Network.model)
  }
})

/** One width for all stages, and one operator. */
export const oneWidth = ModelSpace.make({
  name: "uninet of one width",
  task,
  space: Result.getOrThrow(
    Space.make(
      Choice.struct({
        width: Choice.ordered([8, 16, 24, 32]),
        operator: Choice.categorical(["Conv", "DWConv", "SA"])
      }).pipe(
        Choice.map({
          schema: Architecture.Architecture,
          to: ({ operator, width }): Architecture.Architecture => ({
            ...seed,
            stem: { ...seed.stem, channels: width },
            stages: seed.stages.map((stage, i) => ({ ...stage, channels: width, ...(i > 0 ? { operator } : {}) }))
          }),
          from: ({ stages }) => {
            const [, { channels, operator }] = stages
            const width = ([8, 16, 24, 32] as const).find((each) => each === channels)
            const known = (["Conv", "DWConv", "SA"] as const).find((each) => each === operator)
            return width === undefined || known === undefined
              ? Result.fail({ path: ["stages"], value: stages, expected: "one of its widths and operators" })
              : Result.succeed({ width, operator: known })
          }
        })
      )
    )
  ),
  model: (architecture) => Result.map(Network.make(architecture), Network.model)
})

/** A network of at most so many MACs, drawn. Fails with `Infeasible`, which says what the cheapest one has, where there is none. */
export const drawn = <A, C extends string, M extends string>(
  of: ModelSpace.ModelSpace<A, C | "macs", M>,
  most: number
) =>
  Result.flatMap(
    Constrained.make(of.space, ModelSpace.within({ macs: { max: most } })(of)),
    Constrained.sampleWithin(Prng.fromSeed("drawn"))
  )

if (import.meta.main) {
  const lines = [Result.map(drawn(withStage0, 4e6), withStage0.line), Result.map(drawn(oneWidth, 4e6), oneWidth.line)]
  for (const line of lines) console.log(Result.match(line, { onSuccess: (text) => text, onFailure: String }))
}

/** UniNet's cost chain on spaces of its networks that are laid out otherwise. */
import { assert, describe, it } from "@effect/vitest"
import { Choice, Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { cost as uninet } from "./support/costs.ts"

const get = Result.getOrThrow
const made = <A>(choice: Choice.Choice<A>) => get(Space.make(choice))

describe("the chain of UniNet's stages", () => {
  it("is right on spaces that search stage 0, or one width for all stages", () => {
    const space = get(UniNetSpace.small())
    const seed = Space.seedPoint(space)
    const schema = Schema.toType(Space.schema(space))
    const layout = <A>(
      choice: Choice.Choice<A>,
      stages: (a: A) => Partial<Architecture.Stage> | ReadonlyArray<Partial<Architecture.Stage>>
    ) =>
      made(
        choice.pipe(
          Choice.map<A, Architecture.Architecture>({
            schema,
            to: (a) => {
              const changes = stages(a)
              return {
                ...seed,
                stages: seed.stages.map((stage, i) => ({ ...stage, ...("map" in changes ? changes[i] : changes) }))
              }
            },
            from: (a) => Result.fail({ path: [], value: a, expected: "not needed here" })
          })
        )
      )
    const stage = Choice.struct({ channels: Choice.ordered([8, 16, 24]), repeats: Choice.ordered([1, 2]) })
    const layouts: ReadonlyArray<readonly [Space.Space<Architecture.Architecture>, number]> = [
      // the chain knows no sixth part, and its memory takes no stage that is not there
      [layout(Choice.repeat(stage, 6), (stages) => stages), 2e6],
      [
        layout(Choice.tuple([Choice.ordered([8, 16, 24, 32]), Choice.ordered([2, 4, 6])]), ([channels, expansion]) => ({
          channels,
          expansion
        })),
        1.5e6
      ]
    ]
    for (const [space, max] of layouts) {
      const within = get(Constrained.make(space, Constraint.bounds({ macs: { max } })(uninet), { enumerate: 0 }))
      assert.strictEqual(within.mismatches.length, 1)
      const prng = Prng.fromSeed(2)
      for (let i = 0; i < 20; i++) assert.isAtMost(uninet.of(get(Constrained.sampleWithin(prng)(within))).macs, max)
      const none = Constrained.make(space, Constraint.bounds({ macs: { max: 1 } })(uninet), {
        enumerate: 0,
        attempts: 100
      })
      const drawn = Result.flatMap(none, Constrained.sampleWithin(prng))
      assert.isTrue(Result.isFailure(drawn) && drawn.failure._tag === "Infeasible" && !drawn.failure.proven)
    }
  })
})

/** The programs of this folder do what they say, on fewer trials. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Laws, type ModelSpace } from "@uninet/model-space"
import { Prng, Space } from "@uninet/search-space"
import { NasBench201 } from "@uninet/spaces"
import { Effect, Result } from "effect"
import * as Everything from "../everything-of-ones-own.ts"
import * as NasBench from "../nas-bench-201.ts"
import * as Joint from "../network-and-learning-rate.ts"
import * as Shapes from "../other-shapes-of-uninet.ts"
import ownOperator from "../own-operator.config.ts"
import * as Regression from "../regression-of-a-stream.ts"
import * as Segmentation from "../segmentation.ts"
import { rows } from "./support/digits.ts"

const minute = { timeout: 60_000 }

/** Whether every law of the graph holds on a few points; says which does not. */
const broken = <A, C extends string, M extends string>(of: ModelSpace.ModelSpace<A, C, M>, count: number) => {
  const prng = Prng.fromSeed("examples")
  return Array.from({ length: count }, () => Laws.check(Space.sample(prng)(of.space))(of))
    .filter(Result.isFailure)
    .map(({ failure }) => failure.message)
}

describe("NAS-Bench-201's cells", () => {
  it.effect("are searched in a table of their results", () =>
    Effect.gen(function* () {
      const cells = [...(yield* Effect.fromResult(Space.enumerate(NasBench.cifar.space)))]
      assert.lengthOf(cells, 15_625)
      const accuracies = new Map(
        cells.map((cell) => {
          const { ones, threes } = NasBench201.convolutions(cell)
          return [
            NasBench201.print(cell),
            0.1 + 0.1 * threes + 0.05 * ones + (cell["0-3"] === "skip_connect" ? 0.1 : 0)
          ]
        })
      )
      const { best } = yield* NasBench.fromTable(accuracies, 400)
      assert.strictEqual(best.outcome.evaluation.measures.accuracy, accuracies.get(NasBench201.print(best.point)))
      const better = [...accuracies.values()].filter((accuracy) => accuracy > best.outcome.evaluation.measures.accuracy)
      assert.isAtMost(better.length, 15)
    })
  )

  it.effect(
    "are searched by training, and the best is exported",
    () =>
      Effect.gen(function* () {
        const { finished, found, onnx } = yield* NasBench.byTraining({ trials: 2, epochs: 1, data: rows })
        assert.lengthOf(found.records, 2)
        assert.strictEqual(finished.winner.point, found.best.point)
        assert.isAbove(onnx.length, 10_000)
      }).pipe(Effect.provide(NodeServices.layer)),
    minute
  )
})

it.effect(
  "a network and its learning rate are found together, the network by UniNet's own costs",
  () =>
    Effect.gen(function* () {
      const { records } = yield* Joint.program({ trials: 2, data: rows })
      for (const { costs, point } of records) {
        assert.isAtMost(costs.macs, 1.5e6)
        assert.strictEqual(costs.macs, Joint.mine.costs.macs(point))
        assert.isTrue(point.learningRate >= 1e-3 && point.learningRate <= 3e-2)
      }
      assert.notStrictEqual(records[0]?.point.learningRate, records[1]?.point.learningRate)
    }),
  minute
)

it.effect(
  "numbers of a stream are fitted, and the smallest error is the best",
  () =>
    Effect.gen(function* () {
      const { best, records } = yield* Regression.program({ trials: 3, epochs: 10 })
      const worth = records.map(({ outcome }) => (outcome._tag === "Scored" ? outcome.reward : -Infinity))
      assert.strictEqual(best.outcome.reward, Math.max(...worth))
      // Of numbers whose deviation is 0.5.
      assert.isBelow(best.outcome.evaluation.measures.mae, 0.3)
      assert.deepStrictEqual(broken(Regression.mine, 4), [])
    }),
  minute
)

it.effect(
  "squares and discs are told from the ground",
  () =>
    Effect.gen(function* () {
      const { best } = yield* Segmentation.program({ trials: 2, epochs: 3 })
      // The ground alone gives a third of its share.
      assert.isAbove(best.outcome.evaluation.measures.meanIoU, 0.35)
      assert.isAtMost(best.costs.macs, 3e6)
      assert.deepStrictEqual(broken(Segmentation.mine, 4), [])
    }),
  minute
)

describe("other shapes of UniNet's space", () => {
  it("have networks within a bound, and say what the smallest has where there are none", () => {
    for (const drawn of [
      Result.map(Shapes.drawn(Shapes.withStage0, 4e6), Shapes.withStage0.costs.macs),
      Result.map(Shapes.drawn(Shapes.oneWidth, 4e6), Shapes.oneWidth.costs.macs)
    ])
      assert.isAtMost(Result.getOrThrow(drawn), 4e6)
    const none = Shapes.drawn(Shapes.oneWidth, 10)
    assert.isTrue(Result.isFailure(none))
    const least = Math.min(
      ...[...Result.getOrThrow(Space.enumerate(Shapes.oneWidth.space))].map(Shapes.oneWidth.costs.macs)
    )
    if (Result.isFailure(none)) assert.include(none.failure.message, String(least))
  })

  it("obey the laws", () => {
    assert.deepStrictEqual(broken(Shapes.oneWidth, 4), [])
    assert.deepStrictEqual(broken(Shapes.withStage0, 4), [])
  })
})

it.effect(
  "a task, an operator, a cost, an objective and a custom strategy work together",
  () =>
    Effect.gen(function* () {
      const { best, records } = yield* Everything.program({ trials: 2, data: rows })
      assert.lengthOf(records, 2)
      assert.isBelow(best.outcome.evaluation.measures.distance, 9)
      assert.isAbove(best.costs.heads, 0)
      assert.deepStrictEqual(broken(Everything.mine, 2), [])
    }),
  minute
)

it("a custom operator is a config's space", () => {
  assert.strictEqual(typeof ownOperator.space, "function")
})

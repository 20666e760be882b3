/**
 * A custom task, cost, objective, operator (with a choice of its own) and strategy, none of which the packages have: digits are judged by how far off the answer is, networks that mix by pooling are searched
 * alongside attention, and few attention heads are an objective.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Mnist } from "@uninet/data"
import { Op } from "@uninet/graph"
import { ModelSpace, Recipe, Task } from "@uninet/model-space"
import { Loss, Nn, Scope } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { OnnxRuntime } from "@uninet/runtime"
import { Journal, Search, TrainingEvaluator } from "@uninet/search"
import { Choice } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import { type Architecture, Kit, UniNetSpace } from "@uninet/uninet"
import { Console, Effect, Layer, Result } from "effect"
import { flow, pipe } from "effect/Function"
import * as SimulatedAnnealing from "./simulated-annealing.ts"

/** Classes that have an order: how many places the answer is away from the truth. */
export const ordinal = ({ classes }: { readonly classes: number }) =>
  Task.make({
    name: "ordinal",
    outputs: { logits: [classes] },
    targets: { shape: [], dtype: "int32" },
    classes,
    loss: ({ logits }, targets) => Loss.crossEntropy(logits, targets),
    measures: { distance: "lower", near: "higher" },
    decides: "distance",
    shares: ["near"],
    tally: () => {
      let [examples, places, near] = [0, 0, 0]
      return {
        add: ({ outputs, size, targets }) => {
          for (let i = 0; i < size; i++) {
            const row = Array.from({ length: classes }, (_, k) => outputs["logits"]?.[i * classes + k] ?? Number.NaN)
            const off = Math.abs(row.indexOf(Math.max(...row)) - (targets[i] ?? Number.NaN))
            places += off
            near += off <= 1 ? 1 : 0
          }
          examples += size
        },
        measures: () => ({ distance: places / examples, near: near / examples })
      }
    }
  })

/** PoolFormer's token mixer (Yu et al., "MetaFormer Is Actually What You Need for Vision", CVPR 2022), its window searched: an average minus the place itself. */
const Pooling = Operator.make({
  choices: { window: Choice.ordered([3, 5]) },
  layer: (scope, { channels, expansion, settings: { window } }) => {
    const at = (name: string) => Scope.at(name)(scope)
    const mixing = flow(Nn.batchNorm(at("norm1")), (x) =>
      Op.sub(Nn.averagePool2d(at("pool"), { kernel: window, countPadding: false })(x), x)
    )
    const widened = flow(
      Nn.batchNorm(at("norm2")),
      Nn.pointwise(at("in"), { out: channels * expansion }),
      Nn.gelu(scope),
      Nn.pointwise(at("out"), { out: channels })
    )
    return flow(Nn.residual(scope, { branch: mixing }), Nn.residual(scope, { branch: widened }))
  }
})

const { LSA, SA } = OperatorSet.standard
const kit = Kit.make({ operators: { Pooling, SA, LSA } })

/** Attention heads of all blocks. */
const heads = ({ headDim, stages }: Architecture.Architecture) =>
  stages.reduce(
    (sum, { channels, operator, repeats }) =>
      sum + (operator === "SA" || operator === "LSA" ? (repeats * channels) / headDim : 0),
    0
  )

export const mine = pipe(
  Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit })),
  ModelSpace.withTask(ordinal({ classes: 10 })),
  ModelSpace.withCosts({ heads })
)

export const program = ({
  data = Mnist.layer,
  trials
}: {
  readonly trials: number
  readonly data?: typeof Mnist.layer
}) =>
  Search.run(mine, {
    trials,
    seed: "own",
    within: { macs: { max: 1.5e6 }, heads: { max: 12 } },
    objectives: [
      "distance",
      "heads",
      { name: "trouble", direction: "lower", of: ({ distance, heads, near }) => distance + (1 - near) + heads / 100 }
    ],
    onEvent: (event) =>
      event._tag === "Finished"
        ? Console.log(
            `${event.record.outcome.evaluation.measures.distance.toFixed(3)} places off, ${event.record.costs.heads} heads: ${event.record.line}`
          )
        : Effect.void
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        SimulatedAnnealing.layer({ temperature: 0.1 }),
        TrainingEvaluator.layer(mine, { recipe: { ...Recipe.forTask(mine.task)(Recipe.proxy), learningRate: 0.01 } }),
        Journal.memory
      ).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu()]))
    )
  )

if (import.meta.main)
  program({ trials: 6 }).pipe(
    Effect.flatMap(({ best }) => Console.log("best:", best.outcome.evaluation.measures, best.costs)),
    NodeRuntime.runMain()
  )

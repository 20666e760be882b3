/** A search without training: with its own space, data set, evaluator and strategy. */
import { RegularizedEvolution } from "@uninet/controller"
import { Memory } from "@uninet/data"
import { OperatorSet } from "@uninet/operators"
import { defineConfig, Evaluator } from "@uninet/search"
import { Kit, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const images = Uint8Array.from({ length: 80 * 144 }, (_, i) =>
  Math.floor(i / 144) % 2 === 0 ? i % 251 : 255 - (i % 7)
)
const labels = Array.from({ length: 80 }, (_, i) => i % 2)

const space = Result.getOrThrow(
  UniNetSpace.models({
    image: 12,
    channels: 1,
    classes: 2,
    kit: Kit.make({ operators: OperatorSet.only("Conv", "DWConv") })
  })
)

export default defineConfig({
  trials: 5,
  batch: 16,
  finalists: 1,
  finalEpochs: 1,
  workers: 1,
  seed: "own",
  space,
  dataset: Memory.layer({
    name: "stripes",
    classes: ["ramp", "bright"],
    image: { channels: 1, height: 12, width: 12 },
    train: { images, labels },
    validation: { images, labels },
    test: { images, labels }
  }),
  strategy: RegularizedEvolution.layer({ population: 4, sample: 2 }),
  evaluator: Evaluator.fromFunction(space, ({ stages }) => {
    const accuracy = 1 / stages.reduce((sum, { channels }) => sum + channels, 0)
    return Effect.succeed({ accuracy, top5: 1, loss: 1 - accuracy, calibrationError: 0 })
  })
})

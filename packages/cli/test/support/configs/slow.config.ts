/** Trials that take a moment, and report the process they run in: as a file named after its number in the folder `UNINET_TEST_PIDS`. */
import { Memory } from "@uninet/data"
import { defineConfig, Evaluator } from "@uninet/search"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { writeFileSync } from "node:fs"
import { join } from "node:path"

const images = Uint8Array.from({ length: 32 * 144 }, (_, i) =>
  Math.floor(i / 144) % 2 === 0 ? i % 251 : 255 - (i % 7)
)
const labels = Array.from({ length: 32 }, (_, i) => i % 2)
const samples = { images, labels }
const pids = process.env["UNINET_TEST_PIDS"]

const space = Result.getOrThrow(UniNetSpace.models({ image: 12, channels: 1, classes: 2 }))

export default defineConfig({
  space,
  trials: 30,
  batch: 16,
  finalists: 1,
  finalEpochs: 1,
  workers: 2,
  strategy: "evolution",
  dataset: Memory.layer({
    name: "stripes",
    classes: ["ramp", "bright"],
    image: { channels: 1, height: 12, width: 12 },
    train: samples,
    validation: samples,
    test: samples
  }),
  evaluator: Evaluator.fromFunction(space, ({ stages }, { index }) =>
    Effect.gen(function* () {
      if (pids !== undefined) writeFileSync(join(pids, String(process.pid)), "")
      yield* Effect.sleep(60)
      if (index === 3) return yield* Effect.fail(new Error("told to fail"))
      const accuracy = stages.reduce((sum, { channels, expansion }) => sum + channels * expansion, 0) / 1000
      return { accuracy, top5: 1, loss: 1 - accuracy, calibrationError: 0 }
    })
  )
})

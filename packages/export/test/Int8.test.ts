import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Memory } from "@uninet/data"
import { Comparison, Exported, Int8, OnnxModel, Specimens, Trained } from "@uninet/export"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { join } from "node:path"
import { read } from "../../onnx/test/support.ts"
import { everything, trainedOf } from "./support/networks.ts"

const small: typeof everything = {
  ...everything,
  image: { channels: 1, height: 12, width: 12 },
  stages: [
    { operator: "DWConv", dsm: "L", expansion: 2, channels: 64, repeats: 1, stride: 2 },
    { operator: "SA", dsm: "LG", expansion: 2, channels: 64, repeats: 1, stride: 2 }
  ]
}

const services = Layer.mergeAll(OnnxRuntime.cpu(), NodeServices.layer)

describe("an ONNX file in eight bits", () => {
  it.live("is smaller, near the network, and says what it left in floats", () =>
    Effect.gen(function* () {
      const trained = trainedOf(small, Prng.fromSeed("int8"))
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const examples = Specimens.drawn(16)(trained.card.inputs)
      const write = (name: string, more: Partial<Exported.Options>) =>
        Exported.write({ format: "onnx", file: join(folder, name), examples, ...more })(trained)
      const float = yield* write("float.onnx", {})
      const { bytes, check, files, int8 } = yield* write("int8.onnx", { int8: examples })
      assert.isNull(float.int8)
      assert.isBelow(bytes, 0.8 * float.bytes)
      assert.isTrue(check !== undefined && check.worst > 1e-5 && check.worst < 0.2)
      assert.isAbove(int8?.taken["Conv"] ?? 0, 5)
      assert.isAbove(int8?.taken["Gelu"] ?? 0, 2)
      // Attention's norms, and products of two activations.
      assert.containsAllKeys(int8?.left, ["LayerNormalization", "Softmax", "MatMul"])
      // The standard's own operators, and a card like any other.
      const { operators } = read(yield* fs.readFile(files[0] ?? ""))
      assert.deepStrictEqual([...new Set(operators.map(({ domain }) => domain))], [""])
      const { card } = yield* OnnxModel.open(files[0] ?? "")
      assert.strictEqual(card.provenance["precision"], "int8")
      assert.strictEqual(card.line, trained.card.line)
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("the accuracy in eight bits", () => {
  it.live("is that of the calibrated network on the validation split, and a measure beside its task's", () =>
    Effect.gen(function* () {
      const { card, model, weights } = trainedOf(small, Prng.fromSeed("int8"))
      const { task } = Result.getOrThrow(UniNetSpace.models({ image: 12, channels: 1, classes: 7 }))
      const size = 64
      const images = Uint8Array.from({ length: size * 144 }, (_, i) => (i * i * 37) % 251)
      const labelled = (labels: ReadonlyArray<number>) =>
        Memory.make({
          name: "bytes",
          classes: card.classes ?? [],
          image: small.image,
          train: { images, labels },
          validation: { images, labels },
          test: { images, labels }
        })
      const all = Array.from({ length: size }, (_, i) => i)
      const { inputs } = yield* (yield* labelled(all.map(() => 0))).validation.read(all)
      const { logits } = yield* Trained.outputs({ size, inputs })({ model, weights, card })
      // The labels are the network's own predictions, so in floating point it is always right.
      const data = yield* labelled(all.map((i) => Comparison.argMax(logits.subarray(7 * i, 7 * i + 7))))
      const accuracy = (yield* Int8.measured({ model, task, weights }, data)) ?? Number.NaN
      assert.isAbove(accuracy, 0.8)
      assert.isAtMost(accuracy, 1)
      const { also, decides, shares } = Int8.beside(task)
      assert.deepStrictEqual([decides, also], ["accuracy", { int8Accuracy: "higher" }])
      assert.include(shares, "int8Accuracy")
    }).pipe(Effect.provide(services))
  )
})

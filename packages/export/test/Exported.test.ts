import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Comparison, Examples, Exported, Format, OnnxModel, Specimens, Trained } from "@uninet/export"
import { Safetensors } from "@uninet/nn"
import { Model } from "@uninet/onnx"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { join } from "node:path"
import * as ort from "onnxruntime-node"
import { read } from "../../onnx/test/support.ts"
import { cardOf, everything, trainedOf, uninet } from "./support/networks.ts"

const services = Layer.mergeAll(OnnxRuntime.cpu(), NodeServices.layer)
const trained = trainedOf(everything, Prng.fromSeed("exported"))

/** Odd sizes and colour, so that strides, windows and sequences have to pad. */
const spaces = [
  { image: { height: 28, width: 28 }, channels: 1, classes: 10 },
  { image: { height: 33, width: 45 }, channels: 3, classes: 12 }
].map((options) => fromSpace(Result.getOrThrow(UniNetSpace.make(options))))

describe("an ONNX file", () => {
  it.live("gives the source network's logits, whatever the architecture and the batch", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<Effect.Services<ReturnType<typeof check>>>()
      const run = Effect.runPromiseWith(context)
      yield* check(everything)
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(fc.oneof(...spaces), (architecture) => run(check(architecture))),
          { numRuns: 8, seed: 8 }
        )
      )
    }).pipe(Effect.provide(services))
  )

  it.live(
    "has standard operators only, no batch norm where a convolution can take it, and typed ends with a free batch",
    () =>
      Effect.gen(function* () {
        const { content } = Result.getOrThrow(Format.onnx(trained))
        const session = yield* Effect.promise(() => ort.InferenceSession.create(content))
        const { channels, height, width } = everything.image
        assert.deepStrictEqual(
          [...session.inputMetadata, ...session.outputMetadata].map((end) =>
            end.isTensor ? [end.name, end.type, end.shape] : []
          ),
          [
            ["image", "float32", ["batch", channels, height, width]],
            ["logits", "float32", ["batch", everything.classes]]
          ]
        )
        const { operators, opsets, producer } = read(content)
        assert.deepStrictEqual([producer, opsets], ["uninet", 1])
        assert.deepStrictEqual([...new Set(operators.map(({ domain }) => domain))], [""])
        // Those of the three Conv blocks, before their padded convolutions.
        assert.lengthOf(
          operators.filter(({ name }) => name === "BatchNormalization"),
          3
        )
        assert.deepStrictEqual(Result.getOrThrow(Model.metadataOf(content)), {
          network: JSON.stringify(trained.card.network),
          line: trained.card.line,
          inputs: '{"image":{"shape":[3,45,38],"dtype":"float32"}}',
          outputs: '{"logits":{"shape":[7],"dtype":"float32"}}',
          task: "classification",
          classes: JSON.stringify(trained.card.classes),
          picture: "image",
          mean: JSON.stringify(trained.card.picture?.mean),
          deviation: JSON.stringify(trained.card.picture?.deviation),
          cropRatio: "0.875",
          run: "runs/a 'run'",
          seed: "1"
        })
      })
  )
})

const check = Effect.fnUntraced(function* (architecture: Architecture.Architecture) {
  const random = trainedOf(architecture, Prng.fromSeed("weights"))
  const { outputs } = random.card
  const examples = yield* Specimens.digits(5)(random.card)
  const expected = yield* Trained.outputs(examples)(random)
  const { content } = Result.getOrThrow(Format.onnx(random))
  const session = yield* Effect.promise(() => ort.InferenceSession.create(content))
  const { channels, height, width } = architecture.image
  for (const batch of [1, 5]) {
    const image = Examples.rows(random.card.inputs, examples, 0, batch)["image"]
    const given = new ort.Tensor("float32", Float32Array.from(image), [batch, channels, height, width])
    const { logits } = yield* Effect.promise(() => session.run({ image: given }))
    assert.deepStrictEqual(logits.dims, [batch, architecture.classes])
    const found = Comparison.of(
      outputs,
      { logits: Float32Array.from(logits.data as Float32Array) }, // the type that the session declares
      { logits: expected["logits"].subarray(0, batch * architecture.classes) },
      { logits: "logits", size: batch }
    )
    assert.isBelow(found.worst, 1e-5)
    assert.strictEqual(found.sameTop1, batch)
  }
  yield* Effect.promise(() => session.release())
})

describe("an export", () => {
  it.live("appears when its own runtime has given the network's logits, and never over another file", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const examples = yield* Specimens.digits(20)(trained.card)
      const seen: Array<number> = []
      const write = (format: Format.Format, name: string, pythons?: ReadonlyArray<string>) =>
        Exported.write({
          format,
          file: join(folder, name),
          examples,
          ...(pythons === undefined ? {} : { pythons }),
          onExamples: (n) => Effect.sync(() => void seen.push(n))
        })(trained)
      const onnx = yield* write("onnx", "a.onnx")
      assert.deepStrictEqual(onnx.files, [join(folder, "a.onnx")])
      assert.include(onnx.check, { examples: 20, sameTop1: 20, runtime: "ONNX Runtime" })
      assert.deepStrictEqual(seen, [16, 4, 16, 4])
      assert.include((yield* write("safetensors", "a.safetensors")).check, { worst: 0, sameTop1: 20 })
      const pytorch = yield* write("pytorch", "b.py", ["no-such-python"])
      assert.deepStrictEqual(pytorch.files, [join(folder, "b.py"), join(folder, "b.safetensors")])
      assert.isUndefined(pytorch.check)
      assert.include(pytorch.unchecked, "tried no-such-python")
      assert.deepStrictEqual((yield* fs.readDirectory(folder)).sort(), [
        "a.onnx",
        "a.safetensors",
        "b.py",
        "b.safetensors"
      ])

      const again = yield* Effect.flip(write("onnx", "a.onnx"))
      assert.include(again, { _tag: "FileExists", file: join(folder, "a.onnx") })
      const nowhere = yield* Effect.flip(write("onnx", "none/a.onnx"))
      assert.strictEqual(nowhere._tag, "NotWritten")

      const weights = new Map(trained.weights)
      weights.delete("stem.0.weight")
      const incomplete = yield* Effect.flip(
        Exported.write({ format: "onnx", file: join(folder, "c.onnx"), examples })({ ...trained, weights })
      )
      assert.include(incomplete, { _tag: "WeightsMismatch" })
      assert.lengthOf(yield* fs.readDirectory(folder), 4)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("is not kept where it says something else", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      // An engine that is slightly wrong plays the part of an export that is.
      const examples = yield* Specimens.digits(4)(trained.card)
      const wrong = { ...trained, pytorch: uninet.pytorch?.({ ...everything, headDim: 4 }) ?? null }
      const file = join(folder, "a.py")
      const failed = yield* Effect.result(Exported.write({ format: "pytorch", file, examples })(wrong))
      if (Result.isSuccess(failed)) {
        assert.isUndefined(failed.success.check)
        for (const written of failed.success.files) yield* fs.remove(written)
      } else assert.include(failed.failure, { _tag: "ExportDiffers", file })
      assert.deepStrictEqual(yield* fs.readDirectory(folder), [])

      // A Python that prints only zeros.
      const python = join(yield* fs.makeTempDirectoryScoped(), "zeros")
      const bytes = 4 * 4 * everything.classes
      yield* fs.writeFileString(python, `#!/bin/sh\ncat > /dev/null\nhead -c ${bytes} /dev/zero\n`, { mode: 0o755 })
      const zeros = yield* Effect.flip(
        Exported.write({ format: "pytorch", file, examples, pythons: [python] })(trained)
      )
      assert.strictEqual(
        zeros.message,
        `${file} was not kept: in PyTorch (${python}) its outputs differ from the network's by 1.0e+0, and 0.0001 is allowed; export in another format, and report this`
      )
      assert.deepStrictEqual(yield* fs.readDirectory(folder), [])
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("an ONNX model", () => {
  it.live("is opened with its card, and says what is wrong with a file that is none", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const write = (name: string, bytes: Uint8Array) => fs.writeFile(join(folder, name), bytes)
      const { content } = Result.getOrThrow(Format.onnx(trained))
      yield* write("good.onnx", content)
      const model = yield* OnnxModel.open(join(folder, "good.onnx"))
      assert.deepStrictEqual(model.card, cardOf(everything))

      const bare = Model.encode({ name: "bare", nodes: [], constants: [], inputs: [], outputs: [], metadata: {} })
      yield* write("bare.onnx", bare)
      yield* write("text.onnx", new TextEncoder().encode("no model"))
      yield* write("weights.onnx", Result.getOrThrow(Format.safetensors(trained)).content)
      yield* write("cut.onnx", content.subarray(0, content.length - 100))
      for (const [name, says] of [
        ["bare.onnx", "it does not say its network's inputs; give a file that this version's uninet export"],
        ["text.onnx", "it is not an ONNX model"],
        ["weights.onnx", "it is not an ONNX model"],
        ["cut.onnx", "it is not an ONNX model: it is cut short"],
        ["none.onnx", "it cannot be read"]
      ]) {
        const { message } = yield* Effect.flip(OnnxModel.open(join(folder, name)))
        assert.include(message, `${name}: ${says}`)
        assert.notInclude(message, "\n")
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a safetensors file", () => {
  it("has the authors' names and the card", () => {
    const { metadata, tensors } = Result.getOrThrow(
      Safetensors.decode(Result.getOrThrow(Format.safetensors(trained)).content)
    )
    assert.strictEqual(metadata["classes"], JSON.stringify(trained.card.classes))
    for (const name of ["stem.0.weight", "blocks.0.b2.0.weight", "head.1.running_var", "classifier.bias"])
      assert.isTrue(tensors.has(name), name)
  })
})

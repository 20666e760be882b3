import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Mnist } from "@uninet/data"
import { Card, Comparison, Exported, Format, OnnxModel, PyTorch, Specimens, Trained } from "@uninet/export"
import { Op } from "@uninet/graph"
import { Model, Nn, Safetensors, Scope } from "@uninet/nn"
import { Model as OnnxFile } from "@uninet/onnx"
import { OnnxRuntime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { join } from "node:path"
import * as ort from "onnxruntime-node"
import { cardOf, everything, trainedOf, weightsOf } from "./support/networks.ts"

const services = Layer.mergeAll(OnnxRuntime.cpu(), NodeServices.layer)

/** A hand-written network: from measurements and two days of the week to three numbers and the index of the largest. */
const model = Model.make({
  inputs: { x: Model.input([6]), days: Model.input([2], "int32") },
  forward: (scope, { days, x }) => {
    const week = Op.reshape(Op.oneHot(days, 7), [x.shape[0], 14])
    const hidden = Nn.gelu(scope)(Nn.linear(Scope.at("hidden")(scope), { out: 16 })(Op.concat([x, week], 1)))
    const y = Nn.linear(Scope.at("y")(scope), { out: 3 })(hidden)
    return { y, largest: Op.argMax(y) }
  }
})

const card = Result.getOrThrow(
  Card.of(model, { line: "one hidden layer of 16", task: "regression", provenance: { seed: "7" } })
)

const own: Trained.Trained = { model, weights: weightsOf(model, Prng.fromSeed("own")), card, pytorch: null }

const pytorch = Result.succeed({
  definitions: [],
  className: "Own",
  network: `class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 16)
        self.y = nn.Linear(16, 3)

    def forward(self, x, days):
        week = F.one_hot(days.long(), 7).flatten(1).float()
        y = self.y(F.gelu(self.hidden(torch.cat((x, week), 1))))
        return y, y.argmax(1)`
})

const bytes = (values: Float32Array | Int32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

/** The message of a failure. */
const said = (result: Result.Result<unknown, { readonly message: string }>): string =>
  Result.isFailure(result) ? result.failure.message : "accepted"

describe("a hand-written network", () => {
  it("has a card that says what it takes and gives", () => {
    assert.deepStrictEqual(card, {
      network: null,
      line: "one hidden layer of 16",
      inputs: { x: { shape: [6], dtype: "float32" }, days: { shape: [2], dtype: "int32" } },
      outputs: { y: { shape: [3], dtype: "float32" }, largest: { shape: [], dtype: "int32" } },
      task: "regression",
      classes: null,
      picture: null,
      provenance: { seed: "7" }
    })
  })

  it.live("is written as ONNX and safetensors, each held against it", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const examples = Specimens.drawn(20)(card.inputs)
      const seen: Array<number> = []
      const write = (format: Format.Format) =>
        Exported.write({
          format,
          file: join(folder, `a.${format}`),
          examples,
          onExamples: (count) => Effect.sync(() => void seen.push(count))
        })(own)
      const onnx = yield* write("onnx")
      assert.include(onnx.check, { examples: 20, sameTop1: null, runtime: "ONNX Runtime" })
      assert.include((yield* write("safetensors")).check, { examples: 20, sameTop1: null, worst: 0 })
      assert.deepStrictEqual(seen, [16, 4, 16, 4, 16, 4, 16, 4])

      // Any ONNX runtime reads it, and our own wrapper too.
      const session = yield* Effect.promise(() => ort.InferenceSession.create(join(folder, "a.onnx")))
      assert.deepStrictEqual(
        [...session.inputMetadata, ...session.outputMetadata].map((end) =>
          end.isTensor ? [end.name, end.type, end.shape] : []
        ),
        [
          ["x", "float32", ["batch", 6]],
          ["days", "int32", ["batch", 2]],
          ["y", "float32", ["batch", 3]],
          ["largest", "int32", ["batch"]]
        ]
      )
      yield* Effect.promise(() => session.release())
      const opened = yield* OnnxModel.open(join(folder, "a.onnx"))
      assert.deepStrictEqual(opened.card, card)
      const expected = yield* Trained.outputs(examples)(own)
      const found = yield* opened.outputs(examples)
      assert.isBelow(Comparison.of(card.outputs, found, expected, { logits: null, size: 20 }).worst, 1e-5)
      assert.deepStrictEqual([found["y"].length, found["largest"].length], [60, 20])
      const [y, largest] = [Array.from(found["y"]), Array.from(found["largest"])]
      largest.forEach((place, i) => assert.strictEqual(y[3 * i + place], Math.max(...y.slice(3 * i, 3 * i + 3))))
      assert.isAbove(new Set(y).size, 50)

      const kept = yield* fs.readFile(join(folder, "a.safetensors"))
      const { metadata } = Result.getOrThrow(Safetensors.decode(kept))
      assert.deepStrictEqual(Result.getOrThrow(Card.fromMetadata(metadata)), card)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live(
    "is written as the PyTorch module that its author gives, which is given and asked for everything in order",
    () =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const [folder, beside] = [yield* fs.makeTempDirectoryScoped(), yield* fs.makeTempDirectoryScoped()]
        const written = { ...own, pytorch }
        const examples = Specimens.drawn(20)(card.inputs)
        const expected = yield* Trained.outputs(examples)(own)
        // Plays the part of Python: stores its input, and prints the network's output.
        const [python, given, answer] = ["python", "given", "answer"].map((name) => join(beside, name))
        yield* fs.writeFileString(python, `#!/bin/sh\ncat > ${given}\ncat ${answer}\n`, { mode: 0o755 })
        yield* fs.writeFile(answer, Buffer.concat([bytes(expected["y"]), bytes(expected["largest"])]))
        const { check } = yield* Exported.write({
          format: "pytorch",
          file: join(folder, "own.py"),
          examples,
          pythons: [python]
        })(written)
        assert.include(check, { examples: 20, worst: 0, sameTop1: null, runtime: `PyTorch (${python})` })
        assert.deepStrictEqual(
          Buffer.from(yield* fs.readFile(given)),
          Buffer.concat([bytes(examples.inputs["x"]), bytes(examples.inputs["days"])])
        )

        const text = yield* fs.readFileString(join(folder, "own.py"))
        assert.match(text, /^"""regression: one hidden layer of 16$/m)
        assert.match(
          text,
          /^ {4}y, largest = network\(x, days\) +# x: float32 \[batch, 6\], days: int32 \[batch, 2\]$/m
        )
        assert.match(text, /^INPUTS = \{"x": \(\(6,\), "float32"\), "days": \(\(2,\), "int32"\)\}$/m)
        for (const absent of ["MEAN", "IMAGE", "CLASSES", "normalise", "__main__"]) assert.notInclude(text, absent)
      }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("gives in PyTorch what it gives here", (context) =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const examples = Specimens.drawn(20)(card.inputs)
      const file = join(folder, "own.py")
      const { check, unchecked } = yield* Exported.write({ format: "pytorch", file, examples })({ ...own, pytorch })
      if (check === undefined) return context.skip(unchecked)
      assert.include(check, { examples: 20, sameTop1: null })
      assert.isBelow(check.worst, 1e-5)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("refuses examples that it cannot take, by the input's name and both sizes", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const { inputs, size } = Specimens.drawn(3)(card.inputs)
      const write = (given: typeof inputs) =>
        Effect.flip(
          Exported.write({ format: "onnx", file: join(folder, "a.onnx"), examples: { size, inputs: given } })(own)
        )
      const { days, x } = inputs
      assert.strictEqual(
        (yield* write({ x })).message,
        "the network takes 6 int32 numbers ([3×2]) for its input days, but the examples have nothing; give examples in that form"
      )
      assert.match((yield* write({ x, days: Float32Array.from(days) })).message, /have 6 float32 numbers; give/)
      assert.match((yield* write({ days, x: new Float32Array(12) })).message, /takes 18 float32 numbers \(\[3×6\]\)/)
      assert.deepStrictEqual(yield* fs.readDirectory(folder), [])
      yield* fs.writeFile(join(folder, "b.onnx"), Result.getOrThrow(Format.onnx(own)).content)
      const { outputs } = yield* OnnxModel.open(join(folder, "b.onnx"))
      assert.match(
        (yield* Effect.flip(outputs({ size, inputs: { x } }))).message,
        /b\.onnx: the network takes 6 int32 numbers/
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it("is refused with a card of another network", () => {
    const other = { ...card, outputs: { y: { shape: [4], dtype: "float32" as const } } }
    assert.strictEqual(
      said(Format.onnx({ ...own, card: other })),
      "the card says the outputs y [4], but the network has largest [] int32, y [3]; Card.of takes inputs and outputs from the network, and the rest has to fit them"
    )
    const { x } = card.inputs
    assert.match(
      said(Format.safetensors({ ...own, card: { ...card, inputs: { x } } })),
      /^the card says the inputs x \[6\], /
    )
  })

  it("is refused with a card of which no file could be opened again", () => {
    const picture = { input: "photo", mean: [0], deviation: [1], cropRatio: 1 }
    assert.match(said(Format.onnx({ ...own, card: { ...card, picture } })), /^the card says the picture photo, /)
    assert.match(
      said(Format.safetensors({ ...own, card: { ...card, classes: ["only one"] } })),
      /^the card says the classes \["only one"\], but the network has the inputs .* and the outputs .*y \[3\]/
    )
  })

  it.live("may have an input that it does not look at", () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const blind = Model.make({
        inputs: { x: Model.input([6]), unused: Model.input([2]) },
        forward: (scope, { x }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 1 })(x) })
      })
      const told = Result.getOrThrow(Card.of(blind, { line: "a line", task: "regression" }))
      const trained = { model: blind, weights: weightsOf(blind, Prng.fromSeed("blind")), card: told, pytorch: null }
      const examples = Specimens.drawn(3)(told.inputs)
      const { check } = yield* Exported.write({ format: "onnx", file: join(folder, "a.onnx"), examples })(trained)
      assert.include(check, { examples: 3 })
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("a card", () => {
  const whole = cardOf(everything)

  it("comes back from a file's metadata as it was", () => {
    const odd = {
      ...card,
      network: { a: ["'", '"', null, 1.5, { b: "}, {" }] },
      line: "”\n\\",
      classes: ["", "a", "日本"],
      provenance: { "": "empty", run: "a'b", note: "\n" }
    }
    for (const each of [card, whole, odd])
      assert.deepStrictEqual(Result.getOrThrow(Card.fromMetadata(Card.toMetadata(each))), each)
  })

  it("keeps its own entries, whatever its provenance is called", () => {
    const sly = { ...card, provenance: { seed: "7", classes: "none", picture: "x", mean: "0", line: "another" } }
    assert.deepStrictEqual(Result.getOrThrow(Card.fromMetadata(Card.toMetadata(sly))), card)
  })

  it("that is damaged is refused by the entry that is at fault", () => {
    const metadata = Card.toMetadata(whole)
    const damaged: Readonly<Record<string, ReadonlyArray<string | undefined>>> = {
      network: [undefined, "", "{", "undefined"],
      line: [undefined],
      inputs: [
        undefined,
        "",
        "[]",
        "{}",
        '{"image":3}',
        '{"image":{"shape":[3,0,38],"dtype":"float32"}}',
        '{"image":{"shape":[3,1.5,38],"dtype":"float32"}}',
        '{"image":{"shape":[3,45,38],"dtype":"float64"}}'
      ],
      outputs: [undefined, "{}", '{"logits":{"shape":["7"],"dtype":"float32"}}'],
      task: [undefined],
      classes: ["", "7", '["a","b"]', "[1,2,3,4,5,6,7]"],
      picture: ["", "photo", "constructor"],
      mean: [undefined, "0.5", "[0.5]", "[0.5,null,0.5]"],
      deviation: [undefined, "[1,1]", "[1,0,1]", "[1,-1,1]"],
      cropRatio: ["", "0", "-1", "1.1", "NaN", "half"]
    }
    assert.sameMembers(Object.keys(damaged), Object.keys(Card.toMetadata({ ...whole, provenance: {} })))
    for (const [entry, values] of Object.entries(damaged))
      for (const value of values) {
        const { [entry]: _, ...rest } = metadata
        const found = Card.fromMetadata(value === undefined ? rest : { ...rest, [entry]: value })
        assert.strictEqual(
          said(found),
          `it does not say its network's ${entry}; give a file that this version's uninet export, search or train wrote`,
          `${entry}: ${value}`
        )
      }
    // If these entries are missing: no classes, no picture, or pictures resized whole.
    const without = (entry: string) => {
      const { [entry]: _, ...rest } = metadata
      return Result.getOrThrow(Card.fromMetadata(rest))
    }
    assert.isNull(without("classes").classes)
    assert.isNull(without("picture").picture)
    assert.deepStrictEqual({ ...without("cropRatio").picture }, { ...whole.picture, cropRatio: 1 })
  })

  it("of a version before, which knew architectures only, is refused in one sentence", () => {
    const old = { architecture: "{}", classes: '["a"]', mean: "[0]", deviation: "[1]" }
    assert.match(said(Card.fromMetadata(old)), /^it does not say its network's inputs; give a file that this version's/)
  })
})

describe("drawn specimens", () => {
  it("are the same each time, of every input's size and kind", () => {
    const { inputs, size } = Specimens.drawn(200)(card.inputs)
    assert.strictEqual(size, 200)
    assert.deepStrictEqual(Specimens.drawn(200)(card.inputs).inputs, inputs)
    const [x, days] = [Array.from(inputs["x"]), Array.from(inputs["days"])]
    assert.isTrue(inputs["x"] instanceof Float32Array && inputs["days"] instanceof Int32Array)
    assert.deepStrictEqual([x.length, days.length], [1200, 400])
    assert.deepStrictEqual([...new Set(days)].sort(), [0, 1])
    const mean = x.reduce((a, b) => a + b, 0) / x.length
    assert.closeTo(mean, 0, 0.1)
    assert.closeTo(x.reduce((a, b) => a + (b - mean) ** 2, 0) / x.length, 1, 0.15)
  })

  it.effect("stand beside a picture, and in its place where there is none", () =>
    Effect.gen(function* () {
      const beside = { ...card.inputs, ...cardOf(everything).inputs }
      const { inputs, size } = yield* Specimens.digits(3)({ inputs: beside, picture: cardOf(everything).picture })
      assert.deepStrictEqual([size, inputs["image"].length], [3, 3 * 3 * 45 * 38])
      assert.deepStrictEqual(inputs["days"], Specimens.drawn(3)(beside).inputs["days"])
      assert.deepStrictEqual(yield* Specimens.digits(3)(card), Specimens.drawn(3)(card.inputs))
    })
  )
})

describe("specimens of a data set", () => {
  it.effect("are spread over its test split, as it normalises them", () =>
    Effect.gen(function* () {
      const data = yield* Mnist.make()
      const { inputs, size } = yield* Specimens.ofDataset(5)(data)
      assert.deepStrictEqual([size, inputs["image"].length], [5, 5 * 28 * 28])
      const step = data.test.size / 5
      const same = yield* data.test.read([0, 1, 2, 3, 4].map((i) => Math.floor(i * step)))
      assert.deepStrictEqual(inputs, same.inputs)
      assert.strictEqual((yield* Specimens.ofDataset(1e9)(data)).size, data.test.size)
    })
  )
})

describe("a PyTorch module of several inputs", () => {
  it("of which one is a picture normalises that one only, and does not classify files", () => {
    const trained = trainedOf(everything, Prng.fromSeed("several"))
    const inputs = { ...trained.card.inputs, days: card.inputs["days"] }
    const text = Result.getOrThrow(PyTorch.module({ ...trained, card: { ...trained.card, inputs } }))
    assert.match(
      text,
      /^ {4}logits = network\(normalise\(image\), days\) +# image: bytes \[batch, 3, 45, 38\], days: int32 \[batch, 2\]$/m
    )
    assert.include(text, "IMAGE = (3, 45, 38)")
    assert.notInclude(text, "__main__")
  })
})

it("keeps metadata that it does not know as provenance", () => {
  const metadata = Result.getOrThrow(OnnxFile.metadataOf(Result.getOrThrow(Format.onnx(own)).content))
  assert.deepStrictEqual(Card.provenanceOf({ ...metadata, more: "of it" }), { seed: "7", more: "of it" })
})

/** Exported files of what evaluation programs are made of, on ONNX Runtime as anyone would run them. */
import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape, type Tensor } from "@uninet/graph"
import { Export } from "@uninet/onnx"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as ort from "onnxruntime-node"
import { squaredRelu } from "../../graph/test/support/composites.ts"
import { evaluate } from "../../graph/test/support/interpreter.ts"

const variable = (name: string, shape: Shape.Shape, role: Op.Role = "parameter") =>
  Op.variable({ name, role, initialiser: { kind: "constant", value: 0 }, decay: false }, shape)

type Layer = (x: Tensor.Tensor) => Tensor.Tensor

/** Normalised by statistics alone. */
const bare: Layer = (x) => {
  const [mean, variance] = ["mean", "variance"].map((name) => variable(name, [x.shape[1]], "buffer"))
  return Op.batchNormInference(x, undefined, undefined, mean, variance)
}

/** Every token attends to itself and to those before it. */
const causal: Layer = (x) => {
  const [, tokens, channels] = x.shape
  const places = Float32Array.from({ length: tokens }, (_, i) => i)
  const later = Op.greater(Op.constant(places, [1, 1, tokens]), Op.constant(places, [1, tokens, 1]))
  const projected = (name: string) => Op.linear(x, variable(name, [channels, channels]))
  const mask = Op.scale(later, -1e9)
  return Op.attention(projected("q"), projected("k"), projected("v"), { heads: 2, scale: 0.5, mask })
}

const image = [3, 6, 5]
const kernel = (...shape: Shape.Shape) => variable("kernel", shape)

/** A layer by name, on an image or on tokens. */
const layers: ReadonlyArray<readonly [name: string, shape: Shape.Shape, layer: Layer]> = [
  ["average pooling", image, (x) => Op.averagePool2d(x, { kernel: [3, 3], countPadding: false })],
  ["average pooling with a stride", image, (x) => Op.averagePool2d(x, { kernel: [2, 2], stride: [2, 2] })],
  ["max pooling by even windows", image, (x) => Op.maxPool2d(x, { kernel: [2, 2], stride: [2, 2] })],
  ["a dilated convolution", image, (x) => Op.conv2d(x, kernel(4, 3, 3, 3), { dilation: [2, 2], stride: [2, 2] })],
  ["a dilated depthwise convolution", image, (x) => Op.conv2d(x, kernel(3, 1, 3, 3), { dilation: [2, 1], groups: 3 })],
  ["resizing to the nearest", image, (x) => Op.resize(x, [7, 4])],
  ["resizing bilinearly", image, (x) => Op.resize(x, [4, 9], { mode: "bilinear" })],
  ["batch norm without scale and offset", image, bare],
  ["causal attention", [5, 8], causal],
  ["a custom op", image, (x) => squaredRelu([x])]
]

const programOf =
  (layer: Layer, shape: Shape.Shape, dtype: Tensor.DType = "float32") =>
  (batch: number) =>
    Program.make({ outputs: { y: layer(Op.input("x", [batch, ...shape], dtype)) } })

/** A layer's file with made-up weights, and its programs. */
const exported = (...args: Parameters<typeof programOf>) => {
  const program = programOf(...args)
  const weights = weightsOf(Result.getOrThrow(program(1)))
  const file = Result.getOrThrow(Export.toOnnx({ program, weights }))
  const reference = (batch: number, x: ArrayLike<number>) =>
    evaluate(Result.getOrThrow(program(batch)), { inputs: { x }, variables: Object.fromEntries(weights) }).outputs.y
  return { file, reference }
}

const numbers = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + 1.3 * i))

/** Values of a program's variables; variances are positive. */
const weightsOf = ({ variables }: Program.Program) =>
  new Map(
    variables.map(({ attributes: { name, role }, shape }, k) => {
      const data = numbers(Shape.size(shape), k)
      return [name, role === "buffer" ? data.map((v) => 1 + v * v) : data] as const
    })
  )

/** What a file gives. */
const inFile = (file: Uint8Array, x: ort.Tensor) =>
  Effect.promise(async () => {
    const session = await ort.InferenceSession.create(file)
    const { y } = await session.run({ x })
    await session.release()
    // The program's output is float32.
    return y.data as Float32Array
  })

const worst = (found: Float32Array, wanted: Float64Array) =>
  found.length === wanted.length ? Math.max(...wanted.map((v, i) => Math.abs(v - found[i]))) : Infinity

const embedding: Layer = (words) => Op.gather(variable("words", [3, 2]), words)

describe("an exported file of", () => {
  for (const [name, shape, layer] of layers)
    it.effect(`${name} gives what the interpreter gives, at any batch`, () =>
      Effect.gen(function* () {
        const { file, reference } = exported(layer, shape)
        for (const batch of [1, 3]) {
          const x = numbers(batch * Shape.size(shape), 5)
          const y = yield* inFile(file, new ort.Tensor("float32", x, [batch, ...shape]))
          assert.isBelow(worst(y, reference(batch, x)), 1e-5)
        }
      })
    )

  it.effect("an embedding gives rows, and zeros to what is no row's number, at any batch", () =>
    Effect.gen(function* () {
      const { file, reference } = exported(embedding, [4], "int32")
      for (const batch of [1, 3]) {
        const words = Int32Array.from({ length: 4 * batch }, (_, i) => (i % 5) - 1)
        const y = yield* inFile(file, new ort.Tensor("int32", words, [batch, 4]))
        assert.isBelow(worst(y, reference(batch, words)), 1e-6)
      }
    })
  )
})

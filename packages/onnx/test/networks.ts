/** Small random networks with their gradients: images by convolutions, norms, activations and gates, then tokens by linear layers. */
import { gradient, Op, Program, Shape, type Tensor } from "@uninet/graph"
import fc from "fast-check"
import * as Result from "effect/Result"

const imageLayers = ["pointwise", "biased", "depthwise", "full", "norm", "gelu", "gate", "pool"] as const
const tokenLayers = ["linear", "biased", "layerNorm", "gelu", "layerScale"] as const

export interface Network {
  readonly batch: number
  readonly images: ReadonlyArray<{ readonly layer: (typeof imageLayers)[number]; readonly residual: boolean }>
  readonly tokens: ReadonlyArray<{ readonly layer: (typeof tokenLayers)[number]; readonly residual: boolean }>
}

const layers = <L extends string>(names: ReadonlyArray<L>) =>
  fc.array(fc.record({ layer: fc.constantFrom(...names), residual: fc.boolean() }), { minLength: 1, maxLength: 6 })

export const networks: fc.Arbitrary<Network> = fc.record({
  batch: fc.constantFrom(2, 4),
  images: layers(imageLayers),
  tokens: layers(tokenLayers)
})

/** One in which every rewrite has something to do. */
export const rich: Network = {
  batch: 2,
  images: (
    ["full", "norm", "gelu", "depthwise", "norm", "gelu", "gate", "pointwise", "norm", "biased", "norm"] as const
  ).map((layer) => ({ layer, residual: layer === "norm" })),
  tokens: (["layerNorm", "linear", "gelu", "biased", "layerScale"] as const).map((layer) => ({
    layer,
    residual: layer === "layerScale"
  }))
}

const numbers = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed * 7.1 + i * 1.3))

/** With what went in added, where it fits. */
const after = (x: Tensor.Tensor, y: Tensor.Tensor, residual: boolean): Tensor.Tensor =>
  residual && Shape.equals(x.shape, y.shape) ? Op.add(y, x) : y

/** The network's result and the gradients of a weighted sum of it for all that it is made of, with their values. */
export const programOf = ({ batch, images, tokens }: Network) => {
  const inputs: Array<Tensor.Tensor<"input">> = []
  const input = (shape: Shape.Shape) => {
    const made = Op.input(`x${inputs.length}`, shape)
    inputs.push(made)
    return made
  }
  const image = (x: Tensor.Tensor, layer: (typeof imageLayers)[number]): Tensor.Tensor => {
    const [, c] = x.shape
    switch (layer) {
      case "pointwise":
        return Op.conv2d(x, input([c, c, 1, 1]))
      case "biased":
        return Op.conv2d(x, input([c + 1, c, 1, 1]), { bias: input([c + 1]) })
      case "depthwise":
        return Op.conv2d(x, input([c, 1, 3, 3]), { groups: c, bias: input([c]) })
      case "full":
        return Op.conv2d(x, input([c, c, 3, 3]))
      case "norm":
        return Op.batchNorm(x, input([c]), input([c]))
      case "gelu":
        return Op.gelu(x)
      case "gate":
        return Op.mul(x, Op.sigmoid(Op.reshape(Op.globalAveragePool(x), [batch, c, 1, 1])))
      case "pool":
        return Op.maxPool2d(x, { kernel: [3, 3], stride: [1, 1], padding: [1, 1, 1, 1] })
    }
  }
  const token = (x: Tensor.Tensor, layer: (typeof tokenLayers)[number]): Tensor.Tensor => {
    const [, , c] = x.shape
    switch (layer) {
      case "linear":
        return Op.linear(x, input([c, c]))
      case "biased":
        return Op.linear(x, input([c, c]), input([c]))
      case "layerNorm":
        return Op.layerNorm(x, input([c]), input([c]))
      case "gelu":
        return Op.gelu(x)
      case "layerScale":
        return Op.mul(x, input([c]))
    }
  }
  const last = images.reduce<Tensor.Tensor>(
    (x, { layer, residual }) => after(x, image(x, layer), residual),
    input([batch, 2, 2, 4])
  )
  const y = tokens.reduce<Tensor.Tensor>(
    (x, { layer, residual }) => after(x, token(x, layer), residual),
    Op.toTokens(last)
  )
  const slopes = gradient(Op.sum(Op.mul(y, Op.constant(numbers(Shape.size(y.shape), 99), y.shape))), inputs)
  const program = Result.getOrThrow(
    Program.make({
      outputs: { y, ...Object.fromEntries(slopes.flatMap((g, i) => (g === undefined ? [] : [[`d${i}`, g]]))) }
    })
  )
  const values = Object.fromEntries(inputs.map((x, i) => [`x${i}`, numbers(Shape.size(x.shape), i)]))
  return { program, values }
}

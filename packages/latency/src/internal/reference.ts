/** A network that is measured between all others: if its time changes, so has the speed of the machine. */
import { Model } from "@uninet/onnx"

const channels = 32
const side = 24
const depth = 8

const weights = (length: number, scale: number) =>
  // Numbers without a pattern that a CPU could exploit, the same on every machine.
  Float32Array.from({ length }, (_, i) => scale * ((((i * 2654435761) >>> 0) / 2 ** 32) * 2 - 1))

/** Convolutions of both kinds, with matrix products and element-wise ops in between, as real networks have them. Never changes: device files contain its time. */
export const reference: Uint8Array = (() => {
  const constants: Array<Model.Constant> = []
  const nodes: Array<Model.Node> = []
  const constant = (name: string, shape: ReadonlyArray<number>, scale: number) => {
    constants.push({
      name,
      shape,
      data: weights(
        shape.reduce((n, m) => n * m, 1),
        scale
      )
    })
    return name
  }
  const node = (
    opType: string,
    inputs: ReadonlyArray<string>,
    output: string,
    attributes: Model.Node["attributes"] = {}
  ) => {
    nodes.push({ opType, domain: "", inputs, outputs: [output], attributes })
    return output
  }
  const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }
  let x = "x"
  for (let i = 0; i < depth; i++) {
    const wide = node(
      "Conv",
      [x, constant(`w${i}`, [4 * channels, channels, 1, 1], 0.2), constant(`b${i}`, [4 * channels], 0.1)],
      `wide${i}`,
      { kernel_shape: [1, 1] }
    )
    const act = node("Relu", [wide], `act${i}`)
    const deep = node("Conv", [act, constant(`d${i}`, [4 * channels, 1, 3, 3], 0.3)], `deep${i}`, {
      ...window,
      group: 4 * channels
    })
    const gate = node("Sigmoid", [deep], `gate${i}`)
    const back = node("Conv", [gate, constant(`v${i}`, [channels, 4 * channels, 1, 1], 0.1)], `back${i}`, {
      kernel_shape: [1, 1]
    })
    x = node("Add", [x, back], i === depth - 1 ? "y" : `x${i}`)
  }
  return Model.encode({
    name: "reference",
    nodes,
    constants,
    inputs: [{ name: "x", type: "float32", shape: [1, channels, side, side] }],
    outputs: [{ name: "y", type: "float32", shape: [1, channels, side, side] }],
    metadata: {}
  })
})()

/**
 * Quantises a model to 8-bit integers: products and convolutions with constant weights, and the operators between them that move or add their results.
 *
 * It uses the form that runtimes merge (QDQ): every value is quantised and dequantised again, activations as unsigned bytes over the range that was observed for them, weights as signed bytes per
 * output channel, biases in 32 bits. Anything that cannot be quantised stays in floats and is reported.
 */
import * as Arr from "effect/Array"
import type { Constant, Model, Node } from "./Model.ts"

/** The observed range of a value. */
export interface Range {
  /** The smallest number. */
  readonly min: number
  /** The largest number. */
  readonly max: number
}

/** A model in 8-bit integers, and what became of its nodes. */
export interface Quantised {
  readonly model: Model
  /** How many operators are in 8 bits, and how many stayed in floats. */
  readonly taken: Readonly<Record<string, number>>
  readonly left: Readonly<Record<string, number>>
}

/** An operator's weights, and which of their axes is the output's. */
const weightOf = (
  node: Node,
  constants: ReadonlyMap<string, Constant>
): { readonly weight: Constant; readonly axis: number } | undefined => {
  const weight = constants.get(node.inputs[1] ?? "")
  if (weight === undefined || !(weight.data instanceof Float32Array)) return undefined
  if (node.opType === "Conv") return { weight, axis: 0 }
  const rank = weight.shape.length
  if (rank !== 2) return undefined
  if (node.opType === "Gemm") return { weight, axis: node.attributes["transB"] === 1 ? 0 : 1 }
  return node.opType === "MatMul" ? { weight, axis: 1 } : undefined
}

/** Operators that pass on their input in the same bytes. */
const passing: ReadonlyArray<string> = ["MaxPool", "Reshape", "Transpose"]

/** Operators that are computed in bytes too. */
const elementwise: ReadonlyArray<string> = ["Add", "Mul", "GlobalAveragePool", "Sigmoid"]

/** A GELU, identified by its first operator: its input, its output, and its operators. */
interface Gelu {
  readonly input: string
  readonly output: string
  readonly nodes: ReadonlyArray<Node>
}

/** The GELUs of a model, ½ · x · (1 + erf(x / √2)), in their exported form. */
const gelus = ({ nodes }: Model): ReadonlyMap<Node, Gelu> =>
  new Map(
    nodes.flatMap((first, i) => {
      const chain = nodes.slice(i, i + 5)
      const [div, erf, add, mul, half] = chain
      const isGelu =
        chain.map(({ opType }) => opType).join(" ") === "Div Erf Add Mul Mul" &&
        erf?.inputs[0] === div?.outputs[0] &&
        add?.inputs[0] === erf?.outputs[0] &&
        mul?.inputs[0] === div?.inputs[0] &&
        mul?.inputs[1] === add?.outputs[0] &&
        half?.inputs[0] === mul?.outputs[0]
      const [input, output] = [div?.inputs[0], half?.outputs[0]]
      return isGelu && input !== undefined && output !== undefined
        ? [[first, { input, output, nodes: chain }] as const]
        : []
    })
  )

/** The factor on x before the sigmoid that approximates the normal distribution function (D. Hendrycks and K. Gimpel, arXiv 1606.08415): a GELU is then off by at most 0.021. */
const steepness = 1.702

/** The operators from an image's mean to its gate. */
const gating: ReadonlyArray<string> = ["Conv", "Relu", "Sigmoid", "HardSigmoid"]

/**
 * The model with image gates (squeeze and excitation) as products with four axes. In the exported model, image and gate are matrices by channel, which is faster in floats. In bytes,
 * convolutions have channels last, so a matrix by channel would mean transposing the whole image there and back.
 */
const withGatesOfImages = (model: Model): Model => {
  const makers = new Map(model.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const made = (name: string, opType: string) => {
    const node = makers.get(name)
    return node?.opType === opType ? node : undefined
  }
  /** The image from whose mean per channel a value was made, channel by channel. */
  const imageOf = (name: string): string | undefined => {
    const node = makers.get(name)
    if (node?.opType === "GlobalAveragePool") return node.inputs[0]
    return node !== undefined && gating.includes(node.opType) ? imageOf(node.inputs[0] ?? "") : undefined
  }
  const readers = new Map<string, number>()
  for (const name of model.nodes.flatMap(({ inputs }) => inputs)) readers.set(name, (readers.get(name) ?? 0) + 1)
  const shapes = new Map(model.constants.map(({ data, name }) => [name, Array.from(data, Number)]))
  const shapeOf = ({ inputs }: Node) => shapes.get(inputs[1] ?? "") ?? []
  const replaced = new Map<Node, Node | undefined>()
  for (const back of model.nodes) {
    const product = back.opType === "Reshape" ? made(back.inputs[0] ?? "", "Mul") : undefined
    const [image, gate] = (product?.inputs ?? []).map((name) => made(name, "Reshape"))
    const [x, g] = [image?.inputs[0], gate?.inputs[0]]
    if (product === undefined || image === undefined || gate === undefined || x === undefined || g === undefined)
      continue
    const parts = [image, gate, product]
    const isAlone = parts.every(({ outputs }) => readers.get(outputs[0] ?? "") === 1)
    const [, , height = 0, width = 0, ...more] = shapeOf(back)
    const isImage = height * width === shapeOf(image).at(-1) && more.length === 0
    if (imageOf(g) !== x || !isAlone || !isImage) continue
    for (const part of parts) replaced.set(part, undefined)
    replaced.set(back, { opType: "Mul", domain: "", inputs: [x, g], outputs: back.outputs, attributes: {} })
  }
  return { ...model, nodes: model.nodes.flatMap((node) => (replaced.has(node) ? (replaced.get(node) ?? []) : [node])) }
}

/** The values whose range must be known. */
export const observed = (exported: Model): ReadonlyArray<string> => {
  const model = withGatesOfImages(exported)
  const constants = new Map(model.constants.map((constant) => [constant.name, constant]))
  const activations = gelus(model)
  const inside = new Set([...activations.values()].flatMap(({ nodes }) => nodes))
  const names = new Set([...activations.values()].flatMap(({ input, output }) => [input, output]))
  for (const node of model.nodes) {
    if (inside.has(node)) continue
    const isWeighed = weightOf(node, constants) !== undefined
    if (!isWeighed && !elementwise.includes(node.opType)) continue
    for (const name of [...(isWeighed ? node.inputs.slice(0, 1) : node.inputs), ...node.outputs.slice(0, 1)])
      if (!constants.has(name)) names.add(name)
  }
  return [...names]
}

interface Scale {
  readonly scale: number
  readonly zero: number
}

/** 0 gets an exact byte, since padding consists of it. */
const scaleOf = ({ max, min }: Range): Scale => {
  const [low, high] = [Math.min(0, min), Math.max(0, max)]
  const scale = high === low ? 1 : (high - low) / 255
  return { scale, zero: Math.max(0, Math.min(255, Math.round(-low / scale))) }
}

/** Quantises by channels along an axis: the bytes, and the size of one step for each channel. */
const bytesOf = ({ data, shape }: Constant, axis: number) => {
  const channels = shape[axis] ?? 1
  const inner = shape.slice(axis + 1).reduce((n, m) => n * m, 1)
  const channel = (i: number) => Math.floor(i / inner) % channels
  const steps = new Float32Array(channels)
  for (let i = 0; i < data.length; i++) {
    const c = channel(i)
    steps[c] = Math.max(steps[c] ?? 0, Math.abs(Number(data[i])) / 127)
  }
  for (let c = 0; c < channels; c++) if (steps[c] === 0) steps[c] = 1
  return { steps, bytes: Int8Array.from(data as Float32Array, (x, i) => Math.round(x / (steps[channel(i)] ?? 1))) } // checked by `weightOf`
}

/** Counts one more of a name. */
const count = (of: Record<string, number>, name: string) => (of[name] = (of[name] ?? 0) + 1)

/** Quantises everything that can be. A value is quantised if it is in `ranges`; others stay in floats. */
export const quantise =
  (ranges: ReadonlyMap<string, Range>) =>
  (exported: Model): Quantised => {
    const model = withGatesOfImages(exported)
    const constants = new Map(model.constants.map((constant) => [constant.name, constant]))
    const nodes: Array<Node> = []
    const added = new Map<string, Constant>()
    const dequantised = new Map<string, string>()
    const taken: Record<string, number> = {}
    const left: Record<string, number> = {}
    const constant = (name: string, shape: ReadonlyArray<number>, data: Constant["data"]) => {
      added.set(name, { name, shape, data })
      return name
    }
    const node = (
      opType: string,
      inputs: ReadonlyArray<string>,
      output: string,
      attributes: Node["attributes"] = {}
    ) => {
      nodes.push({ opType, domain: "", inputs, outputs: [output], attributes })
      return output
    }
    /** Converts a value to bytes and back, once however many operators read it. */
    const through = (name: string, { scale, zero }: Scale, as: string): string => {
      const known = dequantised.get(as)
      if (known !== undefined) return known
      const [s, z] = [
        constant(`${as}:scale`, [], Float32Array.of(scale)),
        constant(`${as}:zero`, [], Uint8Array.of(zero))
      ]
      const back = node(
        "DequantizeLinear",
        [node("QuantizeLinear", [name, s, z], `${as}:bytes`), s, z],
        `${as}:through`
      )
      dequantised.set(as, back)
      return back
    }
    const scales = new Map([...ranges].map(([name, range]) => [name, scaleOf(range)]))
    // Operators that only pass bytes on have the scale of their input.
    for (const { inputs, opType, outputs } of model.nodes) {
      const from = scales.get(inputs[0] ?? "")
      if (passing.includes(opType) && outputs.length === 1 && from !== undefined)
        scales.set(Arr.getUnsafe(outputs, 0), from)
    }
    const outputs = new Set(model.outputs.map(({ name }) => name))
    /** An operator whose inputs and outputs go through bytes. */
    const emit = (own: Node, inputs: ReadonlyArray<string>) => {
      const output = Arr.getUnsafe(own.outputs, 0)
      const scale = scales.get(output)
      if (scale === undefined || outputs.has(output)) return void nodes.push({ ...own, inputs })
      const float = `${output}:float`
      nodes.push({ ...own, inputs, outputs: [float, ...own.outputs.slice(1)] })
      // Readers that need floats read the value that came back from bytes.
      const back = through(float, scale, output)
      renamed.set(output, back)
    }
    const renamed = new Map<string, string>()
    const read = (name: string) => renamed.get(name) ?? name
    const activation = (name: string): string => {
      if (renamed.has(name)) return read(name)
      const scale = scales.get(name)
      return scale === undefined ? name : through(name, scale, name)
    }
    const activations = gelus(model)
    const done = new Set<Node>()
    for (const own of model.nodes) {
      if (done.has(own)) continue
      const gelu = activations.get(own)
      const scale = scales.get(gelu?.input ?? "")
      if (gelu !== undefined && scale !== undefined && scales.has(gelu.output)) {
        for (const each of gelu.nodes) done.add(each)
        const { input, output } = gelu
        const x = activation(input)
        // The same bytes, read as a multiple of the value.
        const [s, z] = [
          constant(`${output}:steep`, [], Float32Array.of(steepness * scale.scale)),
          constant(`${output}:steep zero`, [], Uint8Array.of(scale.zero))
        ]
        const steep = node("DequantizeLinear", [`${input}:bytes`, s, z], `${output}:steep x`)
        const gate = through(
          node("Sigmoid", [steep], `${output}:sigmoid`),
          { scale: 1 / 255, zero: 0 },
          `${output}:gate`
        )
        emit({ opType: "Mul", domain: "", inputs: [x, gate], outputs: [output], attributes: {} }, [x, gate])
        count(taken, "Gelu")
        continue
      }
      const weighed = weightOf(own, constants)
      const [x = "", w = "", b = ""] = own.inputs
      const known = scales.get(x)
      if (weighed !== undefined && known !== undefined) {
        const { bytes, steps } = bytesOf(weighed.weight, weighed.axis)
        if (!dequantised.has(w)) {
          const [q, s, z] = [
            constant(`${w}:bytes`, weighed.weight.shape, bytes),
            constant(`${w}:scale`, [steps.length], steps),
            constant(`${w}:zero`, [steps.length], new Int8Array(steps.length))
          ]
          dequantised.set(w, node("DequantizeLinear", [q, s, z], `${w}:through`, { axis: weighed.axis }))
        }
        const bias = constants.get(b)
        const inputs = [activation(x), dequantised.get(w) ?? w]
        if (bias !== undefined) {
          const as = `${own.outputs[0]}:bias`
          const by = steps.map((step) => step * known.scale)
          const q = constant(
            `${as}:bytes`,
            [by.length],
            Int32Array.from(by, (step, i) => Math.round(Number(bias.data[bias.data.length === 1 ? 0 : i]) / step))
          )
          inputs.push(node("DequantizeLinear", [q, constant(`${as}:scale`, [by.length], by)], as, { axis: 0 }))
        } else if (b !== "") inputs.push(read(b))
        count(taken, own.opType)
        emit(own, inputs)
        continue
      }
      const isTaken =
        (passing.includes(own.opType) && known !== undefined && renamed.has(x)) ||
        (elementwise.includes(own.opType) &&
          own.inputs.every((name) => scales.has(name)) &&
          scales.has(Arr.getUnsafe(own.outputs, 0)))
      if (isTaken) {
        count(taken, own.opType)
        emit(
          own,
          own.inputs.map((name) => (constants.has(name) ? name : activation(name)))
        )
        continue
      }
      count(left, own.opType)
      nodes.push({ ...own, inputs: own.inputs.map(read) })
    }
    const used = new Set(nodes.flatMap(({ inputs }) => inputs))
    return {
      model: {
        ...model,
        nodes,
        constants: [...model.constants, ...added.values()].filter(({ name }) => used.has(name))
      },
      taken,
      left
    }
  }

/**
 * A model's graph as a PyTorch module, op by op: one line of Python for each op, and every parameter under the model's name. Code written
 * by hand would be shorter; this form exists for every model.
 *
 * The batch size is variable. The graph is made for two batch sizes, and it depends on the batch exactly where the two differ.
 */
import { type Op, type Program, Shape, Tensor } from "@uninet/graph"
import type { PyTorchForm } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"

/** Primes that are unlikely to be any other length in a network. */
const batches = [7919, 7927] as const

/** Why a graph cannot be written in this form. */
export interface NoForm {
  readonly message: string
}

const fail = (message: string): Result.Result<never, NoForm> => Result.fail({ message })

/** A length that may depend on the batch size, as Python. */
const length = (one: number, other: number): string | undefined => {
  if (one === other) return String(one)
  const times = one / batches[0]
  if (!Number.isInteger(times) || times !== other / batches[1]) return undefined
  return times === 1 ? "batch" : `${times} * batch`
}

type Names<Inputs extends ReadonlyArray<Tensor.Tensor>> = { readonly [I in keyof Inputs]: string }

/** A node with its counterpart for the other batch size, and the Python names of its inputs. */
interface Line<K extends Tensor.Primitive> {
  readonly node: Tensor.Tensor<K>
  readonly twin: Tensor.Tensor<K>
  readonly inputs: Names<Tensor.Inputs[K]>
}

type Written = string | undefined

/** An op in Python; `undefined` if it depends on the batch size in a way that cannot be expressed. */
type Writers = { readonly [K in Tensor.Primitive]?: (line: Line<K>) => Written }

const numbers = (values: ReadonlyArray<number>) => `(${values.join(", ")}${values.length === 1 ? "," : ""})`

/** A shape with a variable batch size. */
const shape = (one: Shape.Shape, other: Shape.Shape): Written => {
  if (one.length !== other.length) return undefined
  const lengths = Arr.zipWith(one, other, length)
  return lengths.includes(undefined) ? undefined : `(${lengths.join(", ")}${lengths.length === 1 ? "," : ""})`
}

const number = (value: number): string =>
  Number.isNaN(value) ? 'float("nan")' : Number.isFinite(value) ? String(value) : `float("${value > 0 ? "" : "-"}inf")`

/** Padding with the value, if the two sides of an axis are padded differently; PyTorch's own windows take one number per axis. */
const padded = (x: string, [top, left, bottom, right]: Op.Window["padding"], value: number) =>
  top === bottom && left === right
    ? { x, padding: numbers([top, left]) }
    : { x: `F.pad(${x}, ${numbers([left, right, top, bottom])}, value=${number(value)})`, padding: "0" }

const unary = {
  neg: (x: string) => `-${x}`,
  exp: (x: string) => `${x}.exp()`,
  log: (x: string) => `${x}.log()`,
  sqrt: (x: string) => `${x}.sqrt()`,
  reciprocal: (x: string) => `${x}.reciprocal()`,
  abs: (x: string) => `${x}.abs()`,
  sign: (x: string) => `${x}.sign()`
}

const binary = {
  add: (a: string, b: string) => `${a} + ${b}`,
  sub: (a: string, b: string) => `${a} - ${b}`,
  mul: (a: string, b: string) => `${a} * ${b}`,
  div: (a: string, b: string) => `${a} / ${b}`,
  max: (a: string, b: string) => `torch.maximum(${a}, ${b})`,
  min: (a: string, b: string) => `torch.minimum(${a}, ${b})`
}

const comparisons = { greater: ">", greaterOrEqual: ">=", equal: "==" }

const activations = {
  relu: (x: string) => `F.relu(${x})`,
  gelu: (x: string) => `F.gelu(${x})`,
  sigmoid: (x: string) => `torch.sigmoid(${x})`,
  tanh: (x: string) => `torch.tanh(${x})`,
  hardSigmoid: (x: string) => `F.relu6(${x} + 3) / 6`,
  silu: (x: string) => `F.silu(${x})`
}

const turned = (x: string, isTurned: boolean) => (isTurned ? `${x}.transpose(-1, -2)` : x)

const writers: Writers = {
  variable: ({ node }) => `w[${JSON.stringify(node.attributes.name)}]`,
  fill: ({ node, twin }) => {
    const size = shape(node.shape, twin.shape)
    return size === undefined || !Object.is(node.attributes.value, twin.attributes.value)
      ? undefined
      : node.shape.length === 0
        ? `torch.tensor(${number(node.attributes.value)})`
        : `torch.full(${size}, ${number(node.attributes.value)})`
  },
  constant: ({ node, twin }) => {
    const { data } = node.attributes
    const other = twin.attributes.data
    if (data.length !== other.length || data.some((value, i) => !Object.is(value, other[i]))) return undefined
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")
    return `constant("${bytes}", torch.${node.dtype}, ${numbers(node.shape)})`
  },
  unary: ({ inputs: [x], node }) => unary[node.attributes.fn](x),
  binary: ({ inputs: [a, b], node }) => binary[node.attributes.fn](a, b),
  compare: ({ inputs: [a, b], node }) => `(${a} ${comparisons[node.attributes.fn]} ${b}).float()`,
  broadcastTo: ({ inputs: [x], node, twin }) => {
    const size = shape(node.shape, twin.shape)
    return size && `${x}.expand(${size})`
  },
  activation: ({ inputs: [x], node }) => activations[node.attributes.fn](x),
  reduce: ({ inputs: [x], node }) => {
    const { axes, fn, keepDims } = node.attributes
    return `${x}.${fn === "max" ? "amax" : fn}(${numbers(axes)}, keepdim=${keepDims ? "True" : "False"})`
  },
  softmax: ({ inputs: [x] }) => `${x}.softmax(-1)`,
  logSoftmax: ({ inputs: [x] }) => `${x}.log_softmax(-1)`,
  argMax: ({ inputs: [x] }) => `${x}.argmax(-1).int()`,
  oneHot: ({ inputs: [x], node }) => `(${x}.unsqueeze(-1) == torch.arange(${node.attributes.depth})).float()`,
  reshape: ({ inputs: [x], node, twin }) => {
    const size = shape(node.shape, twin.shape)
    return size && `${x}.reshape(${size})`
  },
  transpose: ({ inputs: [x], node }) => `${x}.permute(${numbers(node.attributes.permutation)})`,
  slice: ({ inputs: [x], node, twin }) => {
    const { axis } = node.attributes
    const [start, end] = (["start", "end"] as const).map((key) => length(node.attributes[key], twin.attributes[key]))
    return start === undefined || end === undefined ? undefined : `${x}.narrow(${axis}, ${start}, ${end} - ${start})`
  },
  pad: ({ inputs: [x], node, twin }) => {
    const { after, before } = node.attributes
    // PyTorch lists the last axis first.
    const sides = Arr.zip(before, after).toReversed().flat()
    if (JSON.stringify(node.attributes) !== JSON.stringify(twin.attributes)) return undefined
    return `F.pad(${x}, ${numbers(sides)})`
  },
  concat: ({ inputs, node }) => `torch.cat((${inputs.join(", ")}), ${node.attributes.axis})`,
  toTokens: ({ inputs: [x] }) => `${x}.flatten(2).transpose(1, 2)`,
  toImage: ({ inputs: [x], node }) =>
    `${x}.transpose(1, 2).unflatten(2, ${numbers([node.attributes.height, node.attributes.width])})`,
  gather: ({ inputs: [table, index] }) => `rows(${table}, ${index})`,
  matmul: ({ inputs: [a, b], node }) => {
    return `${turned(a, node.attributes.transposeA)} @ ${turned(b, node.attributes.transposeB)}`
  },
  linear: ({ inputs: [x, weight, bias] }) => `F.linear(${x}, ${weight}${bias === undefined ? "" : `, ${bias}`})`,
  conv2d: ({ inputs: [x, weight, bias = "None"], node }) => {
    const { dilation, groups, padding, stride } = node.attributes
    const given = padded(x, padding, 0)
    return `F.conv2d(${given.x}, ${weight}, ${bias}, ${numbers(stride)}, ${given.padding}, ${numbers(dilation)}, ${groups})`
  },
  maxPool2d: ({ inputs: [x], node }) => {
    const { kernel, padding, stride } = node.attributes
    // PyTorch pads by at most half a window.
    const [top, left, bottom, right] = padding
    const isWide = 2 * Math.max(top, bottom) > kernel[0] || 2 * Math.max(left, right) > kernel[1]
    const given = isWide
      ? { x: `F.pad(${x}, ${numbers([left, right, top, bottom])}, value=-float("inf"))`, padding: "0" }
      : padded(x, padding, -Infinity)
    return `F.max_pool2d(${given.x}, ${numbers(kernel)}, ${numbers(stride)}, ${given.padding})`
  },
  averagePool2d: ({ inputs: [x], node }) => {
    const { countPadding, kernel, padding, stride } = node.attributes
    const [top, left, bottom, right] = padding
    return `average_pool(${x}, ${numbers(kernel)}, ${numbers(stride)}, ${numbers([left, right, top, bottom])}, ${countPadding ? "True" : "False"})`
  },
  globalAveragePool: ({ inputs: [x] }) => `${x}.mean((2, 3))`,
  resize: ({ inputs: [x], node }) => {
    const { mode, size } = node.attributes
    return `F.interpolate(${x}, size=${numbers(size)}, mode="${mode}"${mode === "bilinear" ? ", align_corners=False" : ""})`
  },
  batchNormInference: ({ inputs, node }) => {
    const [x, ...rest] = inputs
    const [scale, bias, mean, variance] = rest.length === 4 ? rest : ["None", "None", ...rest]
    return `F.batch_norm(${x}, ${mean}, ${variance}, ${scale}, ${bias}, eps=${node.attributes.epsilon})`
  },
  batchNorm: ({ inputs: [x, scale = "None", bias = "None"], node }) =>
    `F.batch_norm(${x}, None, None, ${scale}, ${bias}, training=True, eps=${node.attributes.epsilon})`,
  layerNorm: ({ inputs: [x, scale, bias], node }) =>
    `F.layer_norm(${x}, (${x}.shape[-1],), ${scale}, ${bias}, ${node.attributes.epsilon})`,
  attention: ({ inputs: [query, key, value, mask = "None"], node }) =>
    `attention(${query}, ${key}, ${value}, ${node.attributes.heads}, ${node.attributes.scale}, ${mask})`
}

/** Helper functions, each with the kind of op that needs it. */
const helpers: ReadonlyArray<readonly [Tensor.Primitive, string]> = [
  [
    "constant",
    `def constant(text, dtype, shape):
    """Constants of the network, which are not learned."""
    import base64

    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=dtype).reshape(shape)`
  ],
  [
    "gather",
    `def rows(table, index):
    """Rows of a table by index; zeros where an index is out of range."""
    inside = ((index >= 0) & (index < len(table))).reshape(*index.shape, *[1] * (table.dim() - 1))
    return table[index.clamp(0, len(table) - 1).long()] * inside`
  ],
  [
    "averagePool2d",
    `def average_pool(x, kernel, stride, padding, count_padding):
    """Means over windows; count_padding says whether the zeros around the image count."""
    mean = F.avg_pool2d(F.pad(x, padding), kernel, stride)
    if count_padding:
        return mean
    return mean / F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), padding), kernel, stride)`
  ],
  [
    "attention",
    `def attention(query, key, value, heads, scale, mask):
    """Multi-head attention of tokens [batch, tokens, channels]; a mask of fewer entries than the batch is repeated along it."""
    query, key, value = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (query, key, value))
    scores = query @ key.transpose(2, 3) * scale
    if mask is not None:
        mask = mask if mask.dim() == 3 else mask.unsqueeze(1)
        scores = scores + mask.repeat(len(scores) // len(mask), 1, 1).unsqueeze(1)
    return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)`
  ]
]

const place = `def place(root, name, tensor, trained):
    """Puts a parameter or a buffer where its name says, so that a state dict has it under that name."""
    *path, last = name.split(".")
    for part in path:
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root._modules[part]
    if trained:
        root.register_parameter(last, nn.Parameter(tensor))
    else:
        root.register_buffer(last, tensor)`

/** Python's reserved words, and names that the module itself uses. */
const taken = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield self batch w torch nn F json sys".split(
    " "
  )
)

/** A valid Python identifier. */
const identifier = (name: string): string => {
  const plain = name.replace(/\W/g, "_").replace(/^(?=\d)/, "_")
  return taken.has(plain) || /^t\d+$/.test(plain) ? `${plain}_` : plain
}

/** Ops with lengths in their attributes, or with values that are compared where they are written. */
const withLengths: ReadonlySet<string> = new Set(["reshape", "broadcastTo", "slice", "fill", "constant", "pad"])

const className = "Network"

/** The lines of a program's ops, with a comment where the layer changes. */
const linesOf = (
  one: Program.Program,
  other: Program.Program,
  inputs: ReadonlyMap<string, string>
): Result.Result<
  { readonly lines: ReadonlyArray<string>; readonly names: ReadonlyMap<Tensor.Tensor, string> },
  NoForm
> => {
  const names = new Map<Tensor.Tensor, string>()
  const lines: Array<string> = []
  let layer = ""
  for (const [i, node] of one.nodes.entries()) {
    const twin = other.nodes[i]
    if (twin === undefined || twin.kind !== node.kind) return fail("its graph changes with the batch size")
    if (Tensor.is("input")(node)) {
      const name = inputs.get(node.attributes.name)
      if (name === undefined) return fail(`it has the input ${node.attributes.name}, which its model does not name`)
      names.set(node, name)
      continue
    }
    // Lengths in the attributes may depend on the batch size, which their writers handle; nothing else may differ.
    if (!withLengths.has(node.kind) && JSON.stringify(node.attributes) !== JSON.stringify(twin.attributes))
      return fail(`the op ${node.kind} (at ${node.path}) depends on the batch size`)
    // The node's kind is that of its writer, because both are found by the same key.
    const write = writers[node.kind as Tensor.Primitive] as ((line: Line<Tensor.Primitive>) => Written) | undefined
    if (write === undefined) return fail(`the op ${node.kind} (at ${node.path}) has no PyTorch form`)
    const text = write({
      node: node as Tensor.Tensor<Tensor.Primitive>,
      twin: twin as Tensor.Tensor<Tensor.Primitive>,
      inputs: node.inputs.map((x) => names.get(x) ?? "")
    })
    if (text === undefined) return fail(`the op ${node.kind} (at ${node.path}) depends on the batch size`)
    if (Tensor.is("variable")(node)) {
      names.set(node, text)
      continue
    }
    if (node.path !== layer && node.path !== "") {
      layer = node.path
      lines.push(`# ${layer}`)
    }
    const name = `t${names.size}`
    names.set(node, name)
    lines.push(`${name} = ${text}`)
  }
  return Result.succeed({ lines, names })
}

/**
 * The PyTorch form of a model for evaluation. Fails with the op that has no such form, or that depends on the batch size in other ways than
 * through a length.
 *
 * @example
 * ```ts
 * import { GraphModule } from "@uninet/export"
 * import { Model, Nn, Scope } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const model = Model.make({
 *   inputs: { x: Model.input([4]) },
 *   forward: (scope, { x }) => ({ y: Nn.gelu(scope)(Nn.linear(Scope.at("y")(scope), { out: 1 })(x)) })
 * })
 * console.log(Result.getOrThrow(GraphModule.of(model)).network) // a class of PyTorch, a line for each op
 * ```
 */
export const of = (model: Model.Model): Result.Result<PyTorchForm, NoForm> =>
  Result.gen(function* () {
    const [one, other] = [
      yield* Model.evaluation({ batch: batches[0] })(model),
      yield* Model.evaluation({ batch: batches[1] })(model)
    ]
    if (one.nodes.length !== other.nodes.length) return yield* fail("its graph changes with the batch size")
    const inputs = new Map(Object.keys(model.inputs).map((name) => [name, identifier(name)] as const))
    const { lines, names } = yield* linesOf(one, other, inputs)
    const [first = "batch"] = inputs.values()
    const outputs = Object.values(one.outputs).map((output) => names.get(output) ?? "")
    const kinds = new Set<string>(one.nodes.map(({ kind }) => kind))
    const used = helpers.filter(([kind]) => kinds.has(kind)).map(([, text]) => text)
    const parameters = one.variables.map(
      ({ attributes: { name, role }, shape: size }) =>
        `        place(self, ${JSON.stringify(name)}, torch.zeros(${numbers(size)}), ${role === "parameter" ? "True" : "False"})`
    )
    return {
      definitions: [...used, place],
      className,
      network: `class ${className}(nn.Module):
    """Generated from the network's graph, op by op."""

    def __init__(self):
        super().__init__()
${parameters.join("\n")}

    def forward(self, ${[...inputs.values()].join(", ")}):
        batch = len(${first})
        w = {**dict(self.named_parameters()), **dict(self.named_buffers())}
${lines.map((line) => `        ${line}`).join("\n")}
        return ${outputs.join(", ")}`
    }
  })

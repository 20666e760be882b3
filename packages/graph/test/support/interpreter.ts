/**
 * A reference interpreter: every op computed from its definition with plain loops in float64. Slow, and meant to be read.
 * Engines and gradient rules are held against it, so it shares no formula with them.
 */
import { Op, type Program, Shape, type Tensor } from "@uninet/graph"

/** What a tensor holds, in row-major order. */
export interface Value {
  readonly shape: Shape.Shape
  readonly data: Float64Array
}

/** What a run is given: the values of inputs and variables by name, in row-major order. */
export interface Given {
  readonly inputs?: Readonly<Record<string, ArrayLike<number>>>
  readonly variables?: Readonly<Record<string, ArrayLike<number>>>
}

/** What a run gives: outputs by name, and the next values of updated variables by the variable's name. */
export interface Results {
  readonly outputs: Readonly<Record<string, Float64Array>>
  readonly updates: Readonly<Record<string, Float64Array>>
}

/**
 * Runs a program once. Throws where a value is missing or has the wrong length.
 *
 * @example
 * evaluate(program, { inputs: { x: [1, 2, 3] }, variables: { "head.weight": weight } }).outputs.y
 */
export const evaluate = (program: Program.Program, given: Given = {}): Results => {
  const values = new Map<Tensor.Tensor, Value>()
  const valueOf = (node: Tensor.Tensor): Value => {
    const value = values.get(node)
    if (value === undefined) throw new Error(`${node.kind} is used before it is computed`)
    return value
  }
  for (const node of program.nodes) {
    const data = Op.dispatch(rules, node, node.inputs.map(valueOf), given)
    if (data.length !== Shape.size(node.shape))
      throw new Error(`${node.kind} ${node.path} has ${data.length} values, not ${Shape.print(node.shape)}`)
    values.set(node, { shape: node.shape, data })
  }
  const { outputs, updates } = program
  return {
    outputs: Object.fromEntries(Object.entries(outputs).map(([name, t]) => [name, valueOf(t).data])),
    updates: Object.fromEntries(updates.map(({ variable, value }) => [variable.attributes.name, valueOf(value).data]))
  }
}

/** Every element of a tensor of this shape, computed from its index. */
const build = (shape: Shape.Shape, element: (index: ReadonlyArray<number>) => number): Float64Array => {
  const data = new Float64Array(Shape.size(shape))
  const index = shape.map(() => 0)
  for (let i = 0; i < data.length; i++) {
    data[i] = element(index)
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0
  }
  return data
}

/** Where an element lies. An index of higher rank, or beyond an axis of length 1, is read as NumPy broadcasts. */
const offset = (shape: Shape.Shape, index: ReadonlyArray<number>): number => {
  const lead = index.length - shape.length
  return shape.reduce((at, length, axis) => at * length + (length === 1 ? 0 : index[lead + axis]), 0)
}

const read = ({ shape, data }: Value, index: ReadonlyArray<number>): number => data[offset(shape, index)]

/** Elements under one index of the axes before `axis`. */
const sizeFrom = (shape: Shape.Shape, axis: number): number => Shape.size(shape.slice(axis))

const unary: Record<Op.UnaryFunction, (x: number) => number> = {
  neg: (x) => -x,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  abs: Math.abs,
  sign: Math.sign
}

const binary: Record<Op.BinaryFunction, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min
}

const compare: Record<Op.Comparison, (a: number, b: number) => boolean> = {
  greater: (a, b) => a > b,
  greaterOrEqual: (a, b) => a >= b,
  equal: (a, b) => a === b
}

/** The error function by its series of positive terms, 2/√π · e^(−x²) · Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!. Beyond 6 it is ±1 in float64. */
const erf = (x: number): number => {
  if (Math.abs(x) > 6) return Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** The normal distribution, cumulative and density. */
const Phi = (x: number) => (1 + erf(x / Math.SQRT2)) / 2
const phi = (x: number) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Each activation function and its derivative. */
const activation: Record<
  Op.ActivationFunction,
  { readonly f: (x: number) => number; readonly df: (x: number) => number }
> = {
  relu: { f: (x) => Math.max(x, 0), df: (x) => (x > 0 ? 1 : 0) },
  gelu: { f: (x) => x * Phi(x), df: (x) => Phi(x) + x * phi(x) },
  sigmoid: { f: sigmoid, df: (x) => sigmoid(x) * (1 - sigmoid(x)) },
  tanh: { f: Math.tanh, df: (x) => 1 - Math.tanh(x) ** 2 },
  hardSigmoid: { f: (x) => Math.min(Math.max(x + 3, 0), 6) / 6, df: (x) => (x > -3 && x < 3 ? 1 / 6 : 0) },
  silu: { f: (x) => x * sigmoid(x), df: (x) => sigmoid(x) * (1 + x * (1 - sigmoid(x))) }
}

/** Applies a function to every row of the last axis. */
const byRow = ({ shape, data }: Value, f: (row: Float64Array, i: number) => Float64Array): Float64Array => {
  const features = sizeFrom(shape, shape.length - 1)
  const out = new Float64Array(data.length)
  for (let i = 0; i < data.length; i += features) out.set(f(data.subarray(i, i + features), i), i)
  return out
}

const softmax = (row: Float64Array): Float64Array => {
  const top = Math.max(...row)
  const exps = row.map((x) => Math.exp(x - top))
  const total = sum(exps)
  return exps.map((e) => e / total)
}

const sum = (xs: Float64Array): number => xs.reduce((a, b) => a + b, 0)
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((total, x, i) => total + x * b[i], 0)

/** The part of a matrix product's index that picks one of `t`'s matrices: none where `t` is a single one for all. */
const leading = (index: ReadonlyArray<number>, t: Value) => (t.shape.length === 2 ? [] : index.slice(0, -2))

/** Where the largest element stands, the first one at a tie. */
const argMax = (row: Float64Array): number => row.reduce((best, x, i) => (x > row[best] ? i : best), 0)

/** Calls `visit` with the offsets in x, weight and y of everything that a linear layer multiplies and adds. */
const products = (x: Shape.Shape, outputs: number, visit: (x: number, weight: number, y: number) => void): void => {
  const features = x[x.length - 1]
  const rows = Shape.size(x) / features
  for (let row = 0; row < rows; row++)
    for (let o = 0; o < outputs; o++)
      for (let k = 0; k < features; k++) visit(row * features + k, o * features + k, row * outputs + o)
}

/** Calls `visit` with the offsets in x, weight and y of everything that a convolution multiplies and adds. */
const connections = (
  x: Shape.Shape,
  weight: Shape.Shape,
  y: Shape.Shape,
  { stride, padding, groups, dilation }: Tensor.Attributes["conv2d"],
  visit: (x: number, weight: number, y: number) => void
): void => {
  const [batch, channels, height, width] = x
  const [outputs, perGroup, kernelHeight, kernelWidth] = weight
  const [, , rows, columns] = y
  for (let b = 0; b < batch; b++)
    for (let o = 0; o < outputs; o++)
      for (let i = 0; i < rows; i++)
        for (let j = 0; j < columns; j++)
          for (let c = 0; c < perGroup; c++)
            for (let k = 0; k < kernelHeight; k++)
              for (let l = 0; l < kernelWidth; l++) {
                const channel = Math.floor(o / (outputs / groups)) * perGroup + c
                const row = i * stride[0] - padding[0] + k * dilation[0]
                const column = j * stride[1] - padding[1] + l * dilation[1]
                if (row < 0 || row >= height || column < 0 || column >= width) continue
                visit(
                  ((b * channels + channel) * height + row) * width + column,
                  ((o * perGroup + c) * kernelHeight + k) * kernelWidth + l,
                  ((b * outputs + o) * rows + i) * columns + j
                )
              }
}

/** The offsets of a pooling window's first largest element, for every element of the result in order. */
const winners = (x: Value, y: Shape.Shape, window: Tensor.Attributes["maxPool2d"]): Float64Array => {
  const { kernel, stride, padding } = window
  const [, , height, width] = x.shape
  return build(y, ([b, c, i, j]) => {
    let best = -1
    for (let k = 0; k < kernel[0]; k++)
      for (let l = 0; l < kernel[1]; l++) {
        const row = i * stride[0] - padding[0] + k
        const column = j * stride[1] - padding[1] + l
        if (row < 0 || row >= height || column < 0 || column >= width) continue
        const at = offset(x.shape, [b, c, row, column])
        if (best < 0 || x.data[at] > x.data[best]) best = at
      }
    return best
  })
}

/**
 * Calls `visit` with the offsets in x and y of everything that average pooling adds up, and with what the window's sum is divided by: its area, or the number of
 * its elements that are the image's.
 */
const pooledElements = (
  x: Shape.Shape,
  y: Shape.Shape,
  { countPadding, kernel, padding, stride }: Tensor.Attributes["averagePool2d"],
  visit: (x: number, y: number, count: number) => void
): void => {
  const [, , height, width] = x
  let at = 0
  build(y, ([b, c, i, j]) => {
    const inside: Array<number> = []
    for (let k = 0; k < kernel[0]; k++)
      for (let l = 0; l < kernel[1]; l++) {
        const row = i * stride[0] - padding[0] + k
        const column = j * stride[1] - padding[1] + l
        if (row >= 0 && row < height && column >= 0 && column < width) inside.push(offset(x, [b, c, row, column]))
      }
    for (const from of inside) visit(from, at, countPadding ? kernel[0] * kernel[1] : inside.length)
    return at++
  })
}

/** The weight of element `j` of a row of `from` in element `i` of one of `to`. */
const weightIn = (mode: Op.Interpolation, from: number, to: number, i: number, j: number): number => {
  // Element j covers the results from j · to / from to (j + 1) · to / from.
  if (mode === "nearest") return j * to <= i * from && i * from < (j + 1) * to ? 1 : 0
  const centre = ((2 * i + 1) * from) / (2 * to) - 0.5
  const at = centre < 0 ? 0 : centre > from - 1 ? from - 1 : centre
  return Math.max(0, 1 - Math.abs(at - j))
}

/** Calls `visit` with the offsets in x and y of everything that an image in another size is made of, and its weight. */
const resampled = (
  x: Shape.Shape,
  y: Shape.Shape,
  mode: Op.Interpolation,
  visit: (x: number, y: number, weight: number) => void
): void => {
  let at = 0
  build(y, ([b, c, i, j]) => {
    for (let row = 0; row < x[2]; row++)
      for (let column = 0; column < x[3]; column++) {
        const weight = weightIn(mode, x[2], y[2], i, row) * weightIn(mode, x[3], y[3], j, column)
        if (weight > 0) visit(offset(x, [b, c, row, column]), at, weight)
      }
    return at++
  })
}

/** Mean and biased variance per channel (axis 1), and the channel that an offset belongs to. */
const channelMoments = ({ shape, data }: Value) => {
  const channels = shape[1]
  const inner = sizeFrom(shape, 2)
  const channelOf = (i: number) => Math.floor(i / inner) % channels
  const count = data.length / channels
  const mean = new Float64Array(channels)
  const variance = new Float64Array(channels)
  data.forEach((x, i) => (mean[channelOf(i)] += x / count))
  data.forEach((x, i) => (variance[channelOf(i)] += (x - mean[channelOf(i)]) ** 2 / count))
  return { channels, channelOf, count, mean, variance }
}

/** The elements of a row by its mean and biased standard deviation. */
const normalised = (row: Float64Array, epsilon: number): { readonly xs: Float64Array; readonly deviation: number } => {
  const mean = sum(row) / row.length
  const deviation = Math.sqrt(row.reduce((v, x) => v + (x - mean) ** 2, 0) / row.length + epsilon)
  return { xs: row.map((x) => (x - mean) / deviation), deviation }
}

/**
 * Calls `visit` for every head, batch entry and query with its attention weights over the keys, and with the offsets of that head's part of
 * the query's row and of each key's (and value's) row.
 */
const eachQuery = (
  [query, key, , mask]: ReadonlyArray<Value>,
  { heads, scale }: Tensor.Attributes["attention"],
  visit: (weights: Float64Array, queryAt: number, keyAt: (j: number) => number) => void
): void => {
  const [batch, queries, channels] = query.shape
  const keys = key.shape[1]
  const size = channels / heads
  for (let b = 0; b < batch; b++)
    for (let h = 0; h < heads; h++)
      for (let i = 0; i < queries; i++) {
        const queryAt = (b * queries + i) * channels + h * size
        const keyAt = (j: number) => (b * keys + j) * channels + h * size
        const scores = new Float64Array(keys)
        for (let j = 0; j < keys; j++) {
          for (let c = 0; c < size; c++) scores[j] += query.data[queryAt + c] * key.data[keyAt(j) + c]
          scores[j] *= scale
          if (mask !== undefined) {
            const group = b % mask.shape[0]
            scores[j] += read(mask, mask.shape.length === 2 ? [group, j] : [group, i, j])
          }
        }
        visit(softmax(scores), queryAt, keyAt)
      }
}

const given = (what: string, name: string, values: Given["inputs"]): Float64Array => {
  const value = values?.[name]
  if (value === undefined) throw new Error(`no value was given for the ${what} ${name}`)
  return Float64Array.from(value)
}

const rules: Op.Table<[xs: ReadonlyArray<Value>, given: Given], Float64Array> = {
  input: (y, _, { inputs }) => given("input", y.attributes.name, inputs),
  variable: (y, _, { variables }) => given("variable", y.attributes.name, variables),
  constant: (y) => Float64Array.from(y.attributes.data),
  fill: (y) => new Float64Array(Shape.size(y.shape)).fill(y.attributes.value),

  unary: (y, [x]) => x.data.map(unary[y.attributes.fn]),
  binary: (y, [a, b]) => build(y.shape, (i) => binary[y.attributes.fn](read(a, i), read(b, i))),
  compare: (y, [a, b]) => build(y.shape, (i) => (compare[y.attributes.fn](read(a, i), read(b, i)) ? 1 : 0)),
  broadcastTo: (y, [x]) => build(y.shape, (i) => read(x, i)),

  activation: (y, [x]) => x.data.map(activation[y.attributes.fn].f),
  activationGrad: (y, [x, dy]) => x.data.map((v, i) => activation[y.attributes.fn].df(v) * dy.data[i]),

  reduce: (y, [x]) => {
    const { fn, axes } = y.attributes
    const kept = x.shape.map((n, axis) => (axes.includes(axis) ? 1 : n))
    const out = new Float64Array(Shape.size(kept)).fill(fn === "max" ? -Infinity : 0)
    let i = 0
    build(x.shape, (index) => {
      const [at, value] = [offset(kept, index), x.data[i++]]
      return (out[at] = fn === "max" ? Math.max(out[at], value) : out[at] + value)
    })
    return fn === "mean" ? out.map((total) => total / (x.data.length / out.length)) : out
  },
  softmax: (_, [x]) => byRow(x, softmax),
  // The whole Jacobian: the result's element j moves with the input's element i by yⱼ·([i = j] − yᵢ).
  softmaxGrad: (_, [y, dy]) =>
    byRow(y, (row, at) =>
      row.map((yi, i) => row.reduce((total, yj, j) => total + dy.data[at + j] * yj * ((i === j ? 1 : 0) - yi), 0))
    ),
  logSoftmax: (_, [x]) => byRow(x, (row) => softmax(row).map(Math.log)),
  argMax: (y, [x]) => {
    const features = x.shape[x.shape.length - 1]
    return build(y.shape, () => 0).map((_, i) => argMax(x.data.subarray(i * features, (i + 1) * features)))
  },
  oneHot: (y, [x]) => build(y.shape, (i) => (read(x, i.slice(0, -1)) === i[i.length - 1] ? 1 : 0)),

  reshape: (_, [x]) => x.data.slice(),
  transpose: (y, [x]) =>
    build(y.shape, (i) =>
      read(
        x,
        x.shape.map((_, axis) => i[y.attributes.permutation.indexOf(axis)])
      )
    ),
  slice: (y, [x]) =>
    build(y.shape, (i) =>
      read(
        x,
        i.map((n, axis) => (axis === y.attributes.axis ? n + y.attributes.start : n))
      )
    ),
  pad: (y, [x]) =>
    build(y.shape, (i) => {
      const from = i.map((n, axis) => n - y.attributes.before[axis])
      return from.every((n, axis) => n >= 0 && n < x.shape[axis]) ? read(x, from) : 0
    }),
  concat: (y, xs) => {
    const { axis } = y.attributes
    return build(y.shape, (i) => {
      let n = i[axis]
      let part = 0
      while (n >= xs[part].shape[axis]) n -= xs[part++].shape[axis]
      return read(xs[part], i.with(axis, n))
    })
  },
  toTokens: (y, [x]) => {
    const width = x.shape[3]
    return build(y.shape, ([b, n, c]) => read(x, [b, c, Math.floor(n / width), n % width]))
  },
  toImage: (y, [x]) => build(y.shape, ([b, c, i, j]) => read(x, [b, i * y.attributes.width + j, c])),

  // By the numbers' meaning: row r of the table is there for every index that is r.
  gather: (y, [table, indices]) => {
    const row = sizeFrom(table.shape, 1)
    const out = new Float64Array(Shape.size(y.shape))
    indices.data.forEach((index, i) => {
      for (let r = 0; r < table.shape[0]; r++)
        if (r === index) out.set(table.data.subarray(r * row, (r + 1) * row), i * row)
    })
    return out
  },
  scatterAdd: (y, [values, indices]) => {
    const row = sizeFrom(y.shape, 1)
    return build(y.shape, (at) => {
      const within = offset(y.shape, [0, ...at.slice(1)])
      return indices.data.reduce((sum, index, i) => (index === at[0] ? sum + values.data[i * row + within] : sum), 0)
    })
  },

  matmul: (y, [a, b]) => {
    const { transposeA, transposeB } = y.attributes
    const inner = a.shape[a.shape.length - (transposeA ? 2 : 1)]
    return build(y.shape, (i) => {
      const [row, column] = i.slice(-2)
      let total = 0
      for (let k = 0; k < inner; k++)
        total +=
          read(a, [...leading(i, a), ...(transposeA ? [k, row] : [row, k])]) *
          read(b, [...leading(i, b), ...(transposeB ? [column, k] : [k, column])])
      return total
    })
  },
  linear: (y, [x, weight, bias]) => {
    const out = build(y.shape, (i) => (bias === undefined ? 0 : bias.data[i[i.length - 1]]))
    products(x.shape, weight.shape[0], (ix, iw, iy) => {
      out[iy] += x.data[ix] * weight.data[iw]
    })
    return out
  },
  linearGradInput: (y, [dy, weight]) => {
    const out = new Float64Array(Shape.size(y.shape))
    products(y.shape, weight.shape[0], (ix, iw, iy) => {
      out[ix] += dy.data[iy] * weight.data[iw]
    })
    return out
  },
  linearGradWeight: (y, [dy, x]) => {
    const out = new Float64Array(Shape.size(y.shape))
    products(x.shape, y.shape[0], (ix, iw, iy) => {
      out[iw] += dy.data[iy] * x.data[ix]
    })
    return out
  },

  conv2d: (y, [x, weight, bias]) => {
    const out = build(y.shape, ([, o]) => (bias === undefined ? 0 : bias.data[o]))
    connections(x.shape, weight.shape, y.shape, y.attributes, (ix, iw, iy) => {
      out[iy] += x.data[ix] * weight.data[iw]
    })
    return out
  },
  conv2dGradInput: (y, [dy, weight]) => {
    const out = new Float64Array(Shape.size(y.shape))
    connections(y.attributes.inputShape, weight.shape, dy.shape, y.attributes, (ix, iw, iy) => {
      out[ix] += dy.data[iy] * weight.data[iw]
    })
    return out
  },
  conv2dGradWeight: (y, [dy, x]) => {
    const out = new Float64Array(Shape.size(y.shape))
    connections(x.shape, y.attributes.weightShape, dy.shape, y.attributes, (ix, iw, iy) => {
      out[iw] += dy.data[iy] * x.data[ix]
    })
    return out
  },

  maxPool2d: (y, [x]) => winners(x, y.shape, y.attributes).map((at) => x.data[at]),
  maxPool2dGrad: (y, [x, dy]) => {
    const out = new Float64Array(Shape.size(y.shape))
    winners(x, dy.shape, y.attributes).forEach((at, i) => (out[at] += dy.data[i]))
    return out
  },
  averagePool2d: (y, [x]) => {
    const out = new Float64Array(Shape.size(y.shape))
    pooledElements(x.shape, y.shape, y.attributes, (ix, iy, count) => {
      out[iy] += x.data[ix] / count
    })
    return out
  },
  averagePool2dGrad: (y, [dy]) => {
    const out = new Float64Array(Shape.size(y.shape))
    pooledElements(y.shape, dy.shape, y.attributes, (ix, iy, count) => {
      out[ix] += dy.data[iy] / count
    })
    return out
  },
  globalAveragePool: (_, [x]) => {
    const area = x.shape[2] * x.shape[3]
    return Float64Array.from(
      { length: x.data.length / area },
      (_, i) => sum(x.data.subarray(i * area, (i + 1) * area)) / area
    )
  },

  resize: (y, [x]) => {
    const out = new Float64Array(Shape.size(y.shape))
    resampled(x.shape, y.shape, y.attributes.mode, (ix, iy, weight) => {
      out[iy] += weight * x.data[ix]
    })
    return out
  },
  resizeGrad: (y, [dy]) => {
    const out = new Float64Array(Shape.size(y.shape))
    resampled(y.shape, dy.shape, y.attributes.mode, (ix, iy, weight) => {
      out[ix] += weight * dy.data[iy]
    })
    return out
  },

  batchNorm: (y, [x, scale, bias]) => {
    const { channelOf, mean, variance } = channelMoments(x)
    return x.data.map((v, i) => {
      const c = channelOf(i)
      const normal = (v - mean[c]) / Math.sqrt(variance[c] + y.attributes.epsilon)
      return scale === undefined ? normal : scale.data[c] * normal + bias.data[c]
    })
  },
  batchMoments: (_, [x]) => {
    const { mean, variance } = channelMoments(x)
    return Float64Array.from([...mean, ...variance])
  },
  // From yᵢ = γ·(xᵢ − μ)·s: the paths through xᵢ itself, through μ and through s = (σ² + ε)^−½ are added up one by one.
  batchNormGradInput: (y, [dy, x, scale]) => {
    const { channels, channelOf, count, mean, variance } = channelMoments(x)
    const s = variance.map((v) => (v + y.attributes.epsilon) ** -0.5)
    const gamma = scale === undefined ? variance.map(() => 1) : scale.data
    const dMean = new Float64Array(channels)
    const dS = new Float64Array(channels)
    dy.data.forEach((d, i) => {
      const c = channelOf(i)
      dMean[c] -= d * gamma[c] * s[c]
      dS[c] += d * gamma[c] * (x.data[i] - mean[c])
    })
    const dVariance = dS.map((d, c) => d * -0.5 * s[c] ** 3)
    return dy.data.map((d, i) => {
      const c = channelOf(i)
      return d * gamma[c] * s[c] + dMean[c] / count + (dVariance[c] * 2 * (x.data[i] - mean[c])) / count
    })
  },
  batchNormGradScale: (y, [dy, x]) => {
    const { channels, channelOf, mean, variance } = channelMoments(x)
    const out = new Float64Array(channels)
    dy.data.forEach((d, i) => {
      const c = channelOf(i)
      out[c] += (d * (x.data[i] - mean[c])) / Math.sqrt(variance[c] + y.attributes.epsilon)
    })
    return out
  },
  batchNormInference: (y, inputs) => {
    const [x, scale, bias] = inputs
    const [mean, variance] = inputs.slice(-2)
    const { channelOf } = channelMoments(x)
    return x.data.map((v, i) => {
      const c = channelOf(i)
      const normal = (v - mean.data[c]) / Math.sqrt(variance.data[c] + y.attributes.epsilon)
      return inputs.length === 3 ? normal : scale.data[c] * normal + bias.data[c]
    })
  },
  layerNorm: (y, [x, scale, bias]) =>
    byRow(x, (row) => normalised(row, y.attributes.epsilon).xs.map((v, i) => v * scale.data[i] + bias.data[i])),
  // The whole Jacobian of the normalised row: element j moves with element i by ([i = j] − (1 + x̂ᵢ·x̂ⱼ) / n) / σ.
  layerNormGradInput: (y, [dy, x, scale]) =>
    byRow(x, (row, at) => {
      const { xs, deviation } = normalised(row, y.attributes.epsilon)
      return xs.map((xi, i) =>
        xs.reduce((total, xj, j) => {
          const moves = ((i === j ? 1 : 0) - (1 + xi * xj) / xs.length) / deviation
          return total + dy.data[at + j] * scale.data[j] * moves
        }, 0)
      )
    }),
  layerNormGradScale: (y, [dy, x]) => {
    const out = new Float64Array(Shape.size(y.shape))
    byRow(x, (row, at) => {
      const { xs } = normalised(row, y.attributes.epsilon)
      xs.forEach((v, i) => (out[i] += dy.data[at + i] * v))
      return row
    })
    return out
  },

  attention: (y, xs) => {
    const value = xs[2]
    const out = new Float64Array(Shape.size(y.shape))
    const size = y.shape[2] / y.attributes.heads
    eachQuery(xs, y.attributes, (weights, queryAt, keyAt) =>
      weights.forEach((w, j) => {
        for (let c = 0; c < size; c++) out[queryAt + c] += w * value.data[keyAt(j) + c]
      })
    )
    return out
  },
  attentionGrad: (y, [dy, ...xs]) => {
    const [query, key, value] = xs
    const { heads, scale, of } = y.attributes
    const out = new Float64Array(Shape.size(y.shape))
    const size = query.shape[2] / heads
    eachQuery(xs, y.attributes, (weights, queryAt, keyAt) => {
      const dResult = dy.data.subarray(queryAt, queryAt + size)
      const dWeights = weights.map((_, j) => dot(dResult, value.data.subarray(keyAt(j), keyAt(j) + size)))
      weights.forEach((w, j) => {
        const dScore = w * (dWeights[j] - dot(weights, dWeights))
        for (let c = 0; c < size; c++) {
          if (of === "query") out[queryAt + c] += dScore * scale * key.data[keyAt(j) + c]
          if (of === "key") out[keyAt(j) + c] += dScore * scale * query.data[queryAt + c]
          if (of === "value") out[keyAt(j) + c] += w * dResult[c]
        }
      })
    })
    return out
  },

  adamw: (
    y,
    [
      parameter,
      gradient,
      moment1,
      moment2,
      {
        data: [rate]
      },
      {
        data: [step]
      }
    ]
  ) => {
    const { beta1, beta2, epsilon, weightDecay, of } = y.attributes
    return parameter.data.map((p, i) => {
      const g = gradient.data[i]
      const m = beta1 * moment1.data[i] + (1 - beta1) * g
      const v = beta2 * moment2.data[i] + (1 - beta2) * g * g
      if (of === "moment1") return m
      if (of === "moment2") return v
      const mean = m / (1 - beta1 ** step)
      const deviation = Math.sqrt(v / (1 - beta2 ** step))
      return p - rate * weightDecay * p - (rate * mean) / (deviation + epsilon)
    })
  },

  sgd: (
    y,
    [
      parameter,
      gradient,
      velocity,
      {
        data: [rate]
      }
    ]
  ) => {
    const { momentum, nesterov, of, weightDecay } = y.attributes
    return parameter.data.map((p, i) => {
      const pull = gradient.data[i] + weightDecay * p
      const v = momentum * velocity.data[i] + pull
      if (of === "velocity") return v
      return p - rate * (nesterov ? pull + momentum * v : v)
    })
  },

  movingAverage: (
    _,
    [
      average,
      current,
      {
        data: [decay]
      }
    ]
  ) => average.data.map((a, i) => decay * a + (1 - decay) * current.data[i]),

  globalNorm: (_, tensors) =>
    Float64Array.of(Math.sqrt(tensors.reduce((sum, { data }) => data.reduce((s, x) => s + x * x, sum), 0))),

  clipByNorm: (
    { attributes: { most } },
    [
      gradient,
      {
        data: [norm]
      }
    ]
  ) => gradient.data.map((g) => g * Math.min(1, most / (norm + 1e-6)))
}

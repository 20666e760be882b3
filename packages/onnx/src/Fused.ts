/**
 * Ops that the engine has kernels for but that have no common name. Rewrites substitute them for other ops. Each is defined by its body, which is what the reference
 * interpreter computes.
 *
 * Channels are axis 1 of an image `[batch, channels, height, width]` and the last axis of tokens `[batch, tokens, channels]`. A `path` is that of the layer to which the op belongs, such as `stages.3.blocks.0`.
 */
import { Definition, Op, type Shape, Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"

/** √½ and √2, which scale GELU's argument for the error function. */
const [half, root] = [Math.SQRT1_2, Math.SQRT2]

const channelAxis = (shape: Shape.Shape) => (shape.length === 3 ? 2 : 1)

/** A number per channel, or one for all of them, in a shape that broadcasts against a tensor. */
const perChannel = (v: Tensor.Tensor, like: Tensor.Tensor): Tensor.Tensor =>
  v.shape.length === 0
    ? v
    : Op.reshape(
        v,
        like.shape.map((n, axis) => (axis === channelAxis(like.shape) ? n : 1))
      )

const axesBut = (shape: Shape.Shape, axis: number) => shape.map((_, i) => i).filter((i) => i !== axis)

/** One number for each row or column of matrices. */
const alongAxis = (v: Tensor.Tensor, like: Tensor.Tensor, axis: number): Tensor.Tensor =>
  v.shape.length === 0
    ? v
    : Op.reshape(
        v,
        like.shape.map((n, i) => (i === axis ? n : 1))
      )

const geluGradient = (x: Tensor.Tensor, dy: Tensor.Tensor) =>
  Definition.apply(Op.definitions.activationGrad, { fn: "gelu" }, [x, dy], x.path)

/** Each op's inputs, in order. */
interface Inputs {
  /** After the factor: an offset, a sum, or both, as the parameters say. */
  readonly affine: readonly [x: Tensor.Tensor, factor: Tensor.Tensor, ...rest: ReadonlyArray<Tensor.Tensor>]
  readonly shifted: readonly [x: Tensor.Tensor, offset: Tensor.Tensor]
  readonly line: readonly [x: Tensor.Tensor]
  readonly rowSum: readonly [x: Tensor.Tensor]
  readonly rowDot: readonly [x: Tensor.Tensor, y: Tensor.Tensor]
  readonly imageDot: readonly [x: Tensor.Tensor, y: Tensor.Tensor]
  readonly gate: readonly [image: Tensor.Tensor, gate: Tensor.Tensor, offset: Tensor.Tensor]
  readonly geluOfScaled: readonly [u: Tensor.Tensor]
  readonly geluGradOfScaled: readonly [u: Tensor.Tensor, dy: Tensor.Tensor]
  readonly vectorGelu: readonly [x: Tensor.Tensor]
  readonly scaled: readonly [value: Tensor.Tensor, factor: Tensor.Tensor]
  readonly rowScaled: readonly [w: Tensor.Tensor, v: Tensor.Tensor]
  readonly columnScaled: readonly [w: Tensor.Tensor, v: Tensor.Tensor]
  readonly vectorProduct: readonly [w: Tensor.Tensor, v: Tensor.Tensor, ...plus: ReadonlyArray<Tensor.Tensor>]
  readonly withoutMeans: readonly [x: Tensor.Tensor]
  readonly featureMeans: readonly [x: Tensor.Tensor]
}

interface Affine {
  readonly [key: string]: boolean
  readonly offset: boolean
  readonly sum: boolean
}
interface Line {
  readonly [key: string]: number
  readonly factor: number
  readonly offset: number
}
interface Vector {
  readonly [key: string]: boolean
  readonly transposed: boolean
}
type None = {}

/** The body of every op, by name. */
const builds: { readonly [N in Name]: (inputs: Inputs[N], parameters: ParametersOf<N>) => Tensor.Tensor } = {
  /** `factor · x + offset + sum` per channel. */
  affine: ([x, factor, ...rest], { offset, sum }) => {
    const scaled = Op.mul(x, perChannel(factor, x))
    const moved = offset ? Op.add(scaled, perChannel(Arr.getUnsafe(rest, 0), x)) : scaled
    return sum ? Op.add(moved, Arr.getUnsafe(rest, rest.length - 1)) : moved
  },
  /** `x + offset` per channel. */
  shifted: ([x, offset]) => Op.add(x, perChannel(offset, x)),
  /** `factor · x + offset` with two numbers. */
  line: ([x], { factor, offset }) => Op.add(Op.scale(x, factor), Op.fill(offset)),
  /** Σ x per channel. */
  rowSum: ([x]) => Op.sum(x, axesBut(x.shape, channelAxis(x.shape))),
  /** Σ x·y per channel. */
  rowDot: ([x, y]) => Op.sum(Op.mul(x, y), axesBut(x.shape, channelAxis(x.shape))),
  /** Σ x·y per channel and image. */
  imageDot: ([x, y]) => Op.sum(Op.mul(x, y), [2, 3]),
  /** `image · gate + offset`, gate and offset per channel and image. */
  gate: ([image, gate, offset]) => Op.add(Op.mul(image, gate), offset),
  /** GELU of √2·u. */
  geluOfScaled: ([u]) => Op.gelu(Op.scale(u, root)),
  /** √2 times the gradient of GELU at √2·u. */
  geluGradOfScaled: ([u, dy]) => Op.scale(geluGradient(Op.scale(u, root), dy), root),
  /** GELU of a small tensor, computed by the engine's own operator. */
  vectorGelu: ([x]) => Op.gelu(x),
  /** `value · factor`, with one number or one per channel as the factor: a reader may apply the factor elsewhere. */
  scaled: ([value, factor]) => Op.mul(value, perChannel(factor, value)),
  /** Weights times a number per row (or one for all). */
  rowScaled: ([w, v]) => Op.mul(w, alongAxis(v, w, 0)),
  /** Weights times a number per column. */
  columnScaled: ([w, v]) => Op.mul(w, alongAxis(v, w, 1)),
  /** A matrix, or its transpose, times a vector; plus another vector, if there is one. */
  vectorProduct: ([w, v, plus], { transposed }) => {
    const column = Op.matmul(w, Op.reshape(v, [Arr.getUnsafe(v.shape, 0), 1]), { transposeA: transposed })
    const product = Op.reshape(column, [Arr.getUnsafe(column.shape, 0)])
    return plus === undefined ? product : Op.add(product, plus)
  },
  /** Tokens minus their mean over the features. */
  withoutMeans: ([x]) => Op.sub(x, Op.mean(x, [x.shape.length - 1], true)),
  /** The mean of tokens over their features, which remain as an axis of length 1. */
  featureMeans: ([x]) => Op.mean(x, [x.shape.length - 1], true)
}

/** The name of a fused op. */
export type Name = keyof Inputs

/** The parameters of an op: what it takes besides its inputs. */
type ParametersOf<N extends Name> = N extends "affine"
  ? Affine
  : N extends "line"
    ? Line
    : N extends "vectorProduct"
      ? Vector
      : None

/**
 * The result of a fused op. In the graph it is a composite whose body defines its value; the lowering recognises it by `attributes.name` and uses the engine's kernel instead of the body.
 * `Fused.is("affine")` narrows a tensor to it.
 */
export interface Fused<N extends Name = Name> extends Tensor.Tensor<"composite"> {
  readonly inputs: Inputs[N]
  readonly attributes: Tensor.Attributes["composite"] & {
    readonly name: N
    /** What the op takes besides its inputs, such as whether it adds an offset; empty for most. */
    readonly parameters: ParametersOf<N>
  }
}

/** The shape of every op's result. */
const shapes: { readonly [N in Name]: (inputs: Inputs[N], transposed: boolean) => Shape.Shape } = {
  affine: ([x]) => x.shape,
  shifted: ([x]) => x.shape,
  line: ([x]) => x.shape,
  rowSum: ([x]) => [Arr.getUnsafe(x.shape, channelAxis(x.shape))],
  rowDot: ([x]) => [Arr.getUnsafe(x.shape, channelAxis(x.shape))],
  imageDot: ([x]) => [Arr.getUnsafe(x.shape, 0), Arr.getUnsafe(x.shape, 1)],
  gate: ([image]) => image.shape,
  geluOfScaled: ([u]) => u.shape,
  geluGradOfScaled: ([u]) => u.shape,
  vectorGelu: ([x]) => x.shape,
  scaled: ([value]) => value.shape,
  rowScaled: ([w]) => w.shape,
  columnScaled: ([w]) => w.shape,
  vectorProduct: ([w], transposed) => [Arr.getUnsafe(w.shape, transposed ? 1 : 0)],
  withoutMeans: ([x]) => x.shape,
  featureMeans: ([x]) => [...x.shape.slice(0, -1), 1]
}

/** A node's body, built on demand: compiling does not need it. */
const bodyOf = <N extends Name>(name: N, inputs: Inputs[N], parameters: ParametersOf<N>) => {
  const placeholders = Tensor.each((x): Tensor.Tensor => ({ ...Op.input("", x.shape, x.dtype), path: "" }))(inputs)
  // One for each input, in order: what the row of this name takes.
  return { inputs: placeholders, result: builds[name](placeholders as Inputs[N], parameters) }
}

const apply = <N extends Name>(name: N, inputs: Inputs[N], parameters: ParametersOf<N>, path: string): Fused<N> => {
  let body: Tensor.Attributes["composite"]["body"] | undefined
  return {
    kind: "composite",
    attributes: {
      name,
      parameters,
      get body() {
        return (body ??= bodyOf(name, inputs, parameters))
      },
      gradient: undefined
    },
    inputs,
    shape: shapes[name](
      inputs,
      name === "vectorProduct" && "transposed" in parameters && parameters["transposed"] === true
    ),
    dtype: "float32",
    path,
    fault: inputs.find((x) => x.fault !== undefined)?.fault
  }
}

const isComposite = Tensor.is("composite")

/** Narrows a tensor to a fused op. */
export const is =
  <N extends Name>(name: N) =>
  (x: Tensor.Tensor): x is Fused<N> =>
    isComposite(x) && x.attributes.name === name

/** The name of a fused op; `undefined` for any other tensor. */
export const nameOf = (x: Tensor.Tensor): Name | undefined =>
  isComposite(x) && x.attributes.name in builds ? (x.attributes.name as Name) : undefined

const isAffine = is("affine")
const isScaled = is("scaled")

/** The parts of an affine map, `factor · x + offset + sum`: factor and offset have a number per channel, or one for all, and `sum` has the shape of `x`. */
export interface AffineParts {
  readonly x: Tensor.Tensor
  readonly factor: Tensor.Tensor
  readonly offset: Tensor.Tensor | undefined
  readonly sum: Tensor.Tensor | undefined
}

/** The parts of an affine map, if a tensor is one. */
export const affineOf = (t: Tensor.Tensor): AffineParts | undefined => {
  if (!isAffine(t)) return undefined
  const { offset, sum } = t.attributes.parameters
  const [x, factor, ...rest] = t.inputs
  return { x, factor, offset: offset ? rest[0] : undefined, sum: sum ? rest[rest.length - 1] : undefined }
}

/** A tensor without a factor that may be applied later, and that factor. */
export const scaledOf = (
  t: Tensor.Tensor
): { readonly value: Tensor.Tensor; readonly factor: Tensor.Tensor | undefined } =>
  isScaled(t) ? { value: t.inputs[0], factor: t.inputs[1] } : { value: t, factor: undefined }

/** `factor · x + offset + sum`, with one number per channel as factor and offset; in the shape of `x`. */
export const affine = (
  x: Tensor.Tensor,
  factor: Tensor.Tensor,
  { offset, sum }: { readonly offset?: Tensor.Tensor | undefined; readonly sum?: Tensor.Tensor },
  path: string
) => {
  const rest = [offset, sum].flatMap((t) => (t === undefined ? [] : [t]))
  return apply("affine", [x, factor, ...rest], { offset: offset !== undefined, sum: sum !== undefined }, path)
}
/** `x + offset`, with one number per channel as the offset; in the shape of `x`. */
export const shifted = (x: Tensor.Tensor, offset: Tensor.Tensor, path: string) =>
  apply("shifted", [x, offset], {}, path)
/** `factor · x + offset` with two numbers; in the shape of `x`. */
export const line = (x: Tensor.Tensor, factor: number, offset: number, path: string) =>
  apply("line", [x], { factor, offset }, path)
/** Σ x per channel: `[channels]`. */
export const rowSum = (x: Tensor.Tensor, path: string) => apply("rowSum", [x], {}, path)
/** Σ x·y per channel: `[channels]`. */
export const rowDot = (x: Tensor.Tensor, y: Tensor.Tensor, path: string) => apply("rowDot", [x, y], {}, path)
/** Σ x·y per channel and image: `[batch, channels]`. */
export const imageDot = (x: Tensor.Tensor, y: Tensor.Tensor, path: string) => apply("imageDot", [x, y], {}, path)
/** `image · by + offset`, both per channel and image; in the shape of `image`. */
export const gate = (image: Tensor.Tensor, by: Tensor.Tensor, offset: Tensor.Tensor, path: string) =>
  apply("gate", [image, by, offset], {}, path)
/** GELU of √2·u, where u is given by `line(x, √½, 0)`; in the shape of `u`. */
export const gelu = (u: Tensor.Tensor, path: string) => apply("geluOfScaled", [u], {}, path)
/** The gradient through it, without a factor of √½; in the shape of `dy`. */
export const geluGrad = (u: Tensor.Tensor, dy: Tensor.Tensor, path: string) =>
  apply("geluGradOfScaled", [u, dy], {}, path)
/** GELU of a small tensor, computed by the engine's own operator; in the shape of `x`. */
export const vectorGelu = (x: Tensor.Tensor, path: string) => apply("vectorGelu", [x], {}, path)
/** `value · factor`, with one number or one per channel as the factor: a reader may apply the factor elsewhere. In the shape of `value`. */
export const scaled = (value: Tensor.Tensor, factor: Tensor.Tensor, path: string) =>
  apply("scaled", [value, factor], {}, path)
/** Weights times a number per column; in the shape of `w`. */
export const columnScaled = (w: Tensor.Tensor, v: Tensor.Tensor, path: string): Tensor.Tensor =>
  apply("columnScaled", [w, v], {}, path)
/** Weights times a number per row, or one for all; in the shape of `w`. */
export const rowScaled = (w: Tensor.Tensor, v: Tensor.Tensor, path: string): Tensor.Tensor =>
  apply("rowScaled", [w, v], {}, path)
/** A matrix `w` `[rows, columns]` times a vector `[columns]`, plus a vector `[rows]` if there is one: `[rows]`. If `transposed`, `w` is `[columns, rows]`. */
export const vectorProduct = (
  w: Tensor.Tensor,
  v: Tensor.Tensor,
  { plus, transposed = false }: { readonly plus?: Tensor.Tensor | undefined; readonly transposed?: boolean },
  path: string
) => apply("vectorProduct", plus === undefined ? [w, v] : [w, v, plus], { transposed }, path)
/** Tokens minus their mean over the features; in the shape of `x`. */
export const withoutMeans = (x: Tensor.Tensor, path: string) => apply("withoutMeans", [x], {}, path)
/** The mean of tokens over their features: `[batch, tokens, 1]`. */
export const featureMeans = (x: Tensor.Tensor, path: string) => apply("featureMeans", [x], {}, path)

/** `half · x`, the first step of GELU; in the shape of `x`. */
export const geluStart = (x: Tensor.Tensor, path: string) => line(x, half, 0, path)
/** √½, the factor that turns the result of `geluGrad` into GELU's gradient. One number. */
export const geluFactor: Tensor.Tensor = Op.fill(half)

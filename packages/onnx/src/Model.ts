/** ONNX models as plain data, and their protobuf encoding. Field numbers are those of onnx.proto (IR version 9). */
import { PbfReader, PbfWriter as Pbf } from "pbf"
import * as Arr from "effect/Array"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** The values of ONNX attributes that are used here. */
export type AttributeValue =
  | number
  | string
  | ReadonlyArray<number>
  | { readonly float: number }
  | { readonly floats: ReadonlyArray<number> }

/** A node of an ONNX graph. */
export interface Node {
  readonly opType: string
  /** The operator set; empty for the standard one. */
  readonly domain: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  /** Integers are `int`, arrays `ints`, strings `string`; floats are marked as such. */
  readonly attributes: Readonly<Record<string, AttributeValue>>
}

/** An initialiser of an ONNX graph. */
export interface Constant {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array | Int32Array | BigInt64Array | Uint8Array | Int8Array
}

/** An input or output: its name, type and shape. */
export interface ValueInfo {
  readonly name: string
  readonly type: "float32" | "int32"
  /** A string names an axis of free length; `null` if the shape is not given. */
  readonly shape: ReadonlyArray<number | string> | null
}

/** An ONNX model before encoding. */
export interface Model {
  readonly name: string
  readonly nodes: ReadonlyArray<Node>
  readonly constants: ReadonlyArray<Constant>
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly outputs: ReadonlyArray<ValueInfo>
  /** Key–value pairs stored in the file. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The operator set version that the lowering is written for. */
export const opset = 18
const irVersion = 9

const elementType = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7 }
const attributeType = { float: 1, int: 2, string: 3, floats: 6, ints: 7 }

const typeOf = (data: Constant["data"]): number =>
  data instanceof Float32Array
    ? elementType.float32
    : data instanceof Int32Array
      ? elementType.int32
      : data instanceof BigInt64Array
        ? elementType.int64
        : data instanceof Int8Array
          ? elementType.int8
          : elementType.uint8

const writeAttribute = ([name, value]: readonly [string, AttributeValue], pbf: Pbf) => {
  pbf.writeStringField(1, name)
  if (typeof value === "number") {
    pbf.writeVarintField(3, value)
    pbf.writeVarintField(20, attributeType.int)
  } else if (typeof value === "string") {
    pbf.writeStringField(4, value)
    pbf.writeVarintField(20, attributeType.string)
  } else if ("float" in value) {
    pbf.writeFloatField(2, value.float)
    pbf.writeVarintField(20, attributeType.float)
  } else if ("floats" in value) {
    for (const f of value.floats) pbf.writeFloatField(7, f)
    pbf.writeVarintField(20, attributeType.floats)
  } else {
    for (const i of value) pbf.writeVarintField(8, i)
    pbf.writeVarintField(20, attributeType.ints)
  }
}

const writeNode = (node: Node, pbf: Pbf) => {
  for (const input of node.inputs) pbf.writeStringField(1, input)
  for (const output of node.outputs) pbf.writeStringField(2, output)
  pbf.writeStringField(3, Arr.getUnsafe(node.outputs, 0))
  pbf.writeStringField(4, node.opType)
  for (const attribute of Object.entries(node.attributes)) pbf.writeMessage(5, writeAttribute, attribute)
  if (node.domain !== "") pbf.writeStringField(7, node.domain)
}

const writeConstant = ({ name, shape, data }: Constant, pbf: Pbf) => {
  for (const length of shape) pbf.writeVarintField(1, length)
  pbf.writeVarintField(2, typeOf(data))
  pbf.writeStringField(8, name)
  pbf.writeBytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

const writeDimension = (length: number | string, pbf: Pbf) =>
  typeof length === "number" ? pbf.writeVarintField(1, length) : pbf.writeStringField(2, length)

const writeShape = (shape: NonNullable<ValueInfo["shape"]>, pbf: Pbf) => {
  for (const length of shape) pbf.writeMessage(1, writeDimension, length)
}

const writeTensorType = (value: ValueInfo, pbf: Pbf) => {
  pbf.writeVarintField(1, elementType[value.type])
  if (value.shape !== null) pbf.writeMessage(2, writeShape, value.shape)
}

const writeType = (value: ValueInfo, pbf: Pbf) => pbf.writeMessage(1, writeTensorType, value)

const writeValue = (value: ValueInfo, pbf: Pbf) => {
  pbf.writeStringField(1, value.name)
  pbf.writeMessage(2, writeType, value)
}

const writeGraph = (model: Model, pbf: Pbf) => {
  for (const node of model.nodes) pbf.writeMessage(1, writeNode, node)
  pbf.writeStringField(2, model.name)
  for (const constant of model.constants) pbf.writeMessage(5, writeConstant, constant)
  for (const input of model.inputs) pbf.writeMessage(11, writeValue, input)
  for (const output of model.outputs) pbf.writeMessage(12, writeValue, output)
}

const writeOperatorSet = ([domain, version]: readonly [string, number], pbf: Pbf) => {
  pbf.writeStringField(1, domain)
  pbf.writeVarintField(2, version)
}

const writeMetadata = ([key, value]: readonly [string, string], pbf: Pbf) => {
  pbf.writeStringField(1, key)
  pbf.writeStringField(2, value)
}

/** The bytes of an `.onnx` file. */
export const encode = (model: Model): Uint8Array => {
  const pbf = new Pbf()
  pbf.writeVarintField(1, irVersion)
  pbf.writeStringField(2, "uninet")
  pbf.writeMessage(7, writeGraph, model)
  pbf.writeMessage(8, writeOperatorSet, ["", opset])
  const domains = new Set(model.nodes.map((node) => node.domain).filter((domain) => domain !== ""))
  for (const domain of domains) pbf.writeMessage(8, writeOperatorSet, [domain, 1])
  for (const entry of Object.entries(model.metadata)) pbf.writeMessage(14, writeMetadata, entry)
  return pbf.finish()
}

/** Bytes that are not an ONNX model. */
export class NotOnnx extends Schema.TaggedError<NotOnnx>()("NotOnnx", {
  reason: Schema.String
}) {
  override get message() {
    return `it is not an ONNX model: ${this.reason}; give a file written by uninet export`
  }
}

const readEntry = (bytes: Uint8Array): readonly [string, string] =>
  new PbfReader(bytes).readFields<[string, string]>(
    (tag, entry, pbf) => {
      if (tag === 1) entry[0] = pbf.readString()
      else if (tag === 2) entry[1] = pbf.readString()
    },
    ["", ""]
  )

/**
 * The key–value pairs in an `.onnx` file: ONNX Runtime reads them, but its JavaScript interface does not expose them.
 *
 * Fails with `NotOnnx` if the bytes are not a protobuf message with a graph.
 */
export const metadataOf = (file: Uint8Array): Result.Result<Readonly<Record<string, string>>, NotOnnx> =>
  Result.try({
    try: () => {
      const reader = new PbfReader(file)
      const found = reader.readFields(
        (tag, found, pbf) => {
          if (tag === 7) found.graph = true
          if (tag === 14) found.entries.push(readEntry(pbf.readBytes()))
        },
        { graph: false, entries: [] as Array<readonly [string, string]> }
      )
      return { ...found, whole: reader.pos === file.length }
    },
    catch: (cause) => new NotOnnx({ reason: cause instanceof Error ? cause.message : String(cause) })
  }).pipe(
    Result.flatMap(({ entries, graph, whole }) =>
      graph && whole
        ? Result.succeed(Object.fromEntries(entries))
        : Result.fail(new NotOnnx({ reason: graph ? "it is cut short" : "it contains no graph" }))
    )
  )

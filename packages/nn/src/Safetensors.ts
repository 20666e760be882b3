/**
 * The safetensors format: an 8-byte little-endian header length, a JSON header (`name → dtype, shape, offsets`), then the raw data,
 * little-endian and without gaps.
 *
 * Reading trusts nothing: it never allocates what a header merely claims, and it checks every offset against the actual bytes.
 *
 * @example
 * ```ts
 * import { Safetensors } from "@uninet/nn"
 * import { Result } from "effect"
 *
 * const tensors = new Map([["weight", Safetensors.fromFloat32(Float32Array.of(1, 2), [2])]])
 * const bytes = Safetensors.encode({ tensors, metadata: { made: "by hand" } })
 * for (const [name, entry] of Result.getOrThrow(Safetensors.decode(bytes)).tensors)
 *   console.log(name, Safetensors.float32(entry), Safetensors.int64(entry)) // weight Float32Array(2) [ 1, 2 ] undefined
 * ```
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Bytes per element of the format's types. */
const elementBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8
} as const

/** The element types that files may have here. */
export type DType = keyof typeof elementBytes

/** One tensor of a file: its raw little-endian bytes, a view into the file. */
export interface Entry {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  readonly bytes: Uint8Array
}

/** A file's tensors by name, and its metadata. */
export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Entry>
  readonly metadata: Readonly<Record<string, string>>
}

/** A file is not in the safetensors format. */
export class SafetensorsError extends Schema.TaggedError<SafetensorsError>()("SafetensorsError", {
  /** Where: `header`, `data`, or a tensor's name. */
  at: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `not a valid safetensors file, at ${this.at}: ${this.reason}; export or download it again`
  }
}

/** The longest header that is read, as in the reference implementation. */
const maxHeaderBytes = 100_000_000

const Length = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const HeaderEntry = Schema.Struct({
  dtype: Schema.Literals(Object.keys(elementBytes) as ReadonlyArray<DType>), // the keys are exactly the types
  shape: Schema.Array(Length),
  data_offsets: Schema.Tuple([Length, Length])
})
const decodeEntry = Schema.decodeUnknownResult(HeaderEntry)
const decodeMetadata = Schema.decodeUnknownResult(Schema.Record(Schema.String, Schema.String))

const parseJson = (text: string): Result.Result<unknown, unknown> =>
  Result.try({ try: (): unknown => JSON.parse(text), catch: (cause) => cause })

/** Reads a file's content. The tensors are views of `file`; nothing is copied. */
export const decode = (file: Uint8Array): Result.Result<Safetensors, SafetensorsError> => {
  const fail = (at: string, reason: string) => Result.fail(new SafetensorsError({ at, reason }))
  if (file.length < 8)
    return fail("header", `the file has ${file.length} bytes, fewer than the 8 that hold the header's length`)
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes))
    return fail("header", `a header of ${length} bytes is over the limit of ${maxHeaderBytes}`)
  const dataStart = 8 + Number(length)
  if (dataStart > file.length)
    return fail("header", `the header should have ${length} bytes, but the file ends after ${file.length - 8}`)

  const text = Result.try(() => new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, dataStart)))
  const json = Result.flatMap(text, parseJson)
  if (Result.isFailure(json)) return fail("header", "it is not JSON in UTF-8")
  const header = json.success
  if (typeof header !== "object" || header === null || Array.isArray(header))
    return fail("header", "it is not a JSON object")

  const data = file.subarray(dataStart)
  const tensors = new Map<string, Entry>()
  const spans: Array<readonly [start: number, end: number, name: string]> = []
  let metadata: Readonly<Record<string, string>> = {}
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") {
      const decoded = decodeMetadata(value)
      if (Result.isFailure(decoded)) return fail(name, "metadata must map names to text")
      metadata = decoded.success
      continue
    }
    const decoded = decodeEntry(value)
    if (Result.isFailure(decoded)) return fail(name, decoded.failure.message.replace(/\s+/g, " "))
    const {
      data_offsets: [start, end],
      dtype,
      shape
    } = decoded.success
    const bytes = shape.reduce((n, axis) => n * axis, elementBytes[dtype])
    if (end < start || end > data.length)
      return fail(name, `its offsets ${start} to ${end} are outside the ${data.length} bytes of data`)
    if (bytes !== end - start)
      return fail(name, `${dtype} [${shape.join("×")}] needs ${bytes} bytes, but its offsets span ${end - start}`)
    spans.push([start, end, name])
    tensors.set(name, { dtype, shape, bytes: data.subarray(start, end) })
  }

  let covered = 0
  for (const [start, end, name] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (start !== covered)
      return fail(
        name,
        start < covered ? "its data overlaps another tensor's" : `bytes ${covered} to ${start} belong to no tensor`
      )
    covered = end
  }
  if (covered !== data.length) return fail("data", `${data.length - covered} bytes at the end belong to no tensor`)
  return Result.succeed({ tensors, metadata })
}

/** A copy of the bytes, at the start of their own buffer. (`slice` would not do: that of Node's Buffer copies nothing.) */
const copied = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

/** The numbers of a tensor of 32-bit floats, or `undefined` for another type. */
export const float32 = ({ bytes, dtype }: Entry): Float32Array | undefined =>
  dtype === "F32" ? new Float32Array(copied(bytes)) : undefined

/** The numbers of a tensor of 64-bit integers, or `undefined` for another type. */
export const int64 = ({ bytes, dtype }: Entry): BigInt64Array | undefined =>
  dtype === "I64" ? new BigInt64Array(copied(bytes)) : undefined

/** A tensor of 32-bit floats. */
export const fromFloat32 = (data: Float32Array, shape: ReadonlyArray<number>): Entry => ({
  dtype: "F32",
  shape,
  bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
})

/** Writes a file. The same content gives the same bytes: tensors are written in the order of the map. */
export const encode = ({ metadata, tensors }: Safetensors): Uint8Array => {
  const header: Array<readonly [string, unknown]> =
    Object.keys(metadata).length === 0 ? [] : [["__metadata__", metadata]]
  let offset = 0
  for (const [name, { bytes, dtype, shape }] of tensors)
    header.push([name, { dtype, shape, data_offsets: [offset, (offset += bytes.length)] }])
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  // Spaces up to a multiple of 8, so that readers can memory-map the data.
  const headerBytes = Math.ceil(json.length / 8) * 8
  const file = new Uint8Array(8 + headerBytes + offset)
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true)
  file.fill(0x20, 8, 8 + headerBytes)
  file.set(json, 8)
  let at = 8 + headerBytes
  for (const { bytes } of tensors.values()) {
    file.set(bytes, at)
    at += bytes.length
  }
  return file
}

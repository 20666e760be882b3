import { assert, describe, it } from "@effect/vitest"
import { Safetensors } from "@uninet/nn"
import { Result } from "effect"
import * as fc from "fast-check"

/** A file with this header and so many bytes of data. */
const file = (header: unknown, dataBytes: number): Uint8Array => {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + dataBytes)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const failure = (bytes: Uint8Array): Safetensors.SafetensorsError =>
  Result.match(Safetensors.decode(bytes), {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("it was accepted")
  })

/** Whether bytes are read or refused by a typed error. */
const isHandled = (bytes: Uint8Array) => {
  const result = Safetensors.decode(bytes)
  return Result.isSuccess(result) || result.failure._tag === "SafetensorsError"
}

const tensor = (shape: ReadonlyArray<number>, start: number, end: number, dtype = "F32") => ({
  dtype,
  shape,
  data_offsets: [start, end]
})

describe("safetensors", () => {
  const anyFile = fc.record({
    metadata: fc.dictionary(fc.string(), fc.string()),
    tensors: fc
      .uniqueArray(fc.tuple(fc.string(), fc.array(fc.nat(4), { maxLength: 3 })), { selector: ([name]) => name })
      .map(
        (entries) =>
          new Map(
            entries
              .filter(([name]) => name !== "__metadata__")
              .map(([name, shape]) => {
                const data = Float32Array.from({ length: shape.reduce((n, axis) => n * axis, 1) }, (_, i) => i / 3)
                return [name, Safetensors.fromFloat32(data, shape)]
              })
          )
      )
  })

  it("are read back as they were written", () => {
    fc.assert(
      fc.property(anyFile, ({ metadata, tensors }) => {
        const back = Result.getOrThrow(Safetensors.decode(Safetensors.encode({ metadata, tensors })))
        assert.deepStrictEqual({ ...back.metadata }, { ...metadata })
        assert.deepStrictEqual([...back.tensors.keys()].sort(), [...tensors.keys()].sort())
        for (const [name, entry] of tensors) {
          const found = back.tensors.get(name) ?? assert.fail(`${name} is gone`)
          assert.deepStrictEqual(found.shape, entry.shape)
          assert.deepStrictEqual(Safetensors.float32(found), Safetensors.float32(entry))
        }
      })
    )
  })

  it("are read from Node's buffers, which share memory, at any alignment", () => {
    const tensors = new Map([["w", Safetensors.fromFloat32(Float32Array.of(1, 2, 3), [3])]])
    const encoded = Safetensors.encode({ metadata: {}, tensors })
    const shared = Buffer.concat([Buffer.from("odd"), encoded, Buffer.from("after")]).subarray(3, 3 + encoded.length)
    const { tensors: back } = Result.getOrThrow(Safetensors.decode(shared))
    const entry = back.get("w") ?? assert.fail("w is gone")
    assert.deepStrictEqual(Safetensors.float32(entry), Float32Array.of(1, 2, 3))
  })

  it("start their data at a multiple of 8, so that readers can map them", () => {
    const encoded = Safetensors.encode({ metadata: { a: "b" }, tensors: new Map() })
    assert.strictEqual(Number(new DataView(encoded.buffer).getBigUint64(0, true)) % 8, 0)
  })

  it("never crash the reader, whatever bytes they are made of", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => file(text, 16))
    )
    assert.isUndefined(fc.defaultReportMessage(fc.check(fc.property(bytes, isHandled))))
  })

  it.each<readonly [string, Uint8Array, string, RegExp]>([
    ["a file shorter than its first 8 bytes", Uint8Array.of(1, 2), "header", /has 2 bytes/],
    [
      "a header longer than the file",
      file({}, 0).subarray(0, 9),
      "header",
      /should have 2 bytes, but the file ends after 1/
    ],
    [
      "a gigabyte header",
      (() => {
        const bytes = new Uint8Array(64)
        new DataView(bytes.buffer).setBigUint64(0, 1n << 30n, true)
        return bytes
      })(),
      "header",
      /over the limit/
    ],
    ["a header that is no JSON", file("{", 0), "header", /not JSON/],
    ["a header that is a list", file([], 0), "header", /not a JSON object/],
    ["metadata that are not text", file({ __metadata__: { a: 1 } }, 0), "__metadata__", /must map names to text/],
    ["an unknown type", file({ w: tensor([1], 0, 4, "F128") }, 4), "w", /dtype/],
    ["a negative axis", file({ w: tensor([-1], 0, 4) }, 4), "w", /shape/],
    ["offsets outside the data", file({ w: tensor([2], 0, 8) }, 4), "w", /outside the 4 bytes/],
    ["offsets in the wrong order", file({ w: tensor([1], 4, 0) }, 4), "w", /outside/],
    ["a shape that does not fit its offsets", file({ w: tensor([3], 0, 8) }, 8), "w", /needs 12 bytes/],
    ["a shape beyond all numbers", file({ w: tensor([1e15, 1e15, 1e15], 0, 4) }, 4), "w", /needs/],
    ["tensors that overlap", file({ a: tensor([2], 0, 8), b: tensor([2], 4, 12) }, 12), "b", /overlap/],
    ["a hole in the data", file({ a: tensor([1], 0, 4), b: tensor([1], 8, 12) }, 12), "b", /belong to no tensor/],
    ["data after the last tensor", file({ a: tensor([1], 0, 4) }, 8), "data", /4 bytes at the end/],
    [
      "the same name twice",
      file(`{"a":${JSON.stringify(tensor([1], 0, 4))},"a":${JSON.stringify(tensor([1], 4, 8))}}`, 8),
      "a",
      /belong to no tensor/
    ]
  ])("refuse %s", (_, bytes, at, reason) => {
    const error = failure(bytes)
    assert.strictEqual(error.at, at)
    assert.match(error.reason, reason)
    assert.match(error.message, /^not a valid safetensors file/)
  })
})

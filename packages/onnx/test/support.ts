/** What stands in the bytes of an ONNX file. */
import { PbfReader } from "pbf"

export interface Read {
  readonly producer: string
  readonly opsets: number
  readonly operators: ReadonlyArray<{ readonly name: string; readonly domain: string }>
}

const operator = (bytes: Uint8Array) =>
  new PbfReader(bytes).readFields(
    (tag, found, pbf) => {
      if (tag === 4) found.name = pbf.readString()
      if (tag === 7) found.domain = pbf.readString()
    },
    { name: "", domain: "" }
  )

export const read = (file: Uint8Array): Read =>
  new PbfReader(file).readFields(
    (tag, found, pbf) => {
      if (tag === 2) found.producer = pbf.readString()
      if (tag === 8) found.opsets++
      if (tag === 7)
        new PbfReader(pbf.readBytes()).readFields((field, into, graph) => {
          if (field === 1) into.push(operator(graph.readBytes()))
        }, found.operators)
    },
    { producer: "", opsets: 0, operators: [] as Array<{ name: string; domain: string }> }
  )

/**
 * Converts a table to bytes and back: columns as they are in memory (little-endian), one after the other, with a description in plain JSON.
 * Runs in Node and in a browser page.
 */
import type { Curves, Column, Role, Table } from "./Table.ts"

/** The position of some data: the offset in bytes, and the length. */
export interface Place {
  readonly offset: number
  readonly bytes: number
}

/** A column's description. */
export interface Described {
  readonly name: string
  readonly role: Role
  readonly kind: Column["kind"]
  /** The numbers, the codes, or the offsets of the texts. */
  readonly values: Place
  /** For texts: their UTF-8. */
  readonly text?: Place | undefined
  /** For options: their names. */
  readonly labels?: ReadonlyArray<string> | undefined
}

export interface Description {
  readonly size: number
  readonly columns: ReadonlyArray<Described>
  readonly curves: {
    readonly rows: Place
    readonly epochs: Place
    readonly values: Readonly<Record<string, Place>>
  }
  readonly work: {
    readonly rows: Place
    readonly begun: Place
    readonly seconds: Place
    readonly workers: Place
    readonly names: ReadonlyArray<string>
  }
}

/** Bytes to be written one after the other. */
export interface Body {
  readonly add: (array: ArrayBufferView) => Place
  readonly bytes: () => Uint8Array<ArrayBuffer>
}

/** Every array begins at a multiple of this, so that it can be read in place. */
const alignment = 8

export const body = (): Body => {
  const parts: Array<ArrayBufferView> = []
  let length = 0
  return {
    add: (array) => {
      const place = { offset: length, bytes: array.byteLength }
      parts.push(array)
      length += Math.ceil(array.byteLength / alignment) * alignment
      return place
    },
    bytes: () => {
      const all = new Uint8Array(length)
      let offset = 0
      for (const part of parts) {
        all.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), offset)
        offset += Math.ceil(part.byteLength / alignment) * alignment
      }
      return all
    }
  }
}

/** Appends a table's arrays to a body, and describes them. */
export const describe = ({ columns, curves, size, work }: Table, to: Body): Description => ({
  size,
  columns: columns.map((each): Described => {
    const { kind, name, role } = each
    if (each.kind === "number") return { name, role, kind, values: to.add(each.values) }
    if (each.kind === "category") return { name, role, kind, values: to.add(each.codes), labels: each.labels }
    return { name, role, kind, values: to.add(each.offsets), text: to.add(each.bytes) }
  }),
  curves: {
    rows: to.add(curves.rows),
    epochs: to.add(curves.epochs),
    values: Object.fromEntries(Object.entries(curves.values).map(([name, values]) => [name, to.add(values)]))
  },
  work: {
    rows: to.add(work.rows),
    begun: to.add(work.begun),
    seconds: to.add(work.seconds),
    workers: to.add(work.workers),
    names: work.names
  }
})

/** The table that was described; its arrays are views of `bytes`, which have to begin at a multiple of 8 in their buffer. */
export const read = ({ columns, curves, size, work }: Description, bytes: Uint8Array<ArrayBuffer>): Table => {
  const at = ({ bytes: length, offset }: Place, width: number) =>
    [bytes.buffer, bytes.byteOffset + offset, length / width] as const
  const numbers = (place: Place) => new Float64Array(...at(place, 8))
  return {
    size,
    columns: columns.map(({ kind, labels = [], name, role, text, values }): Column => {
      if (kind === "number") return { kind, name, role, values: numbers(values) }
      if (kind === "category") return { kind, name, role, labels, codes: new Uint16Array(...at(values, 2)) }
      return {
        kind,
        name,
        role,
        offsets: new Uint32Array(...at(values, 4)),
        bytes: text === undefined ? new Uint8Array() : new Uint8Array(...at(text, 1))
      }
    }),
    curves: {
      rows: new Int32Array(...at(curves.rows, 4)),
      epochs: numbers(curves.epochs),
      values: Object.fromEntries(Object.entries(curves.values).map(([name, place]) => [name, numbers(place)]))
    } satisfies Curves,
    work: {
      rows: new Int32Array(...at(work.rows, 4)),
      begun: numbers(work.begun),
      seconds: numbers(work.seconds),
      workers: new Uint16Array(...at(work.workers, 2)),
      names: work.names
    }
  }
}

const magic = 0x31524e55 // "UNR1"
const prefix = 8

/** A header and a body in one: four bytes that identify the format, four for the header's length, the header's JSON, the body. */
export const join = (header: unknown, content: Uint8Array): Uint8Array<ArrayBuffer> => {
  const text = new TextEncoder().encode(JSON.stringify(header))
  const start = Math.ceil((prefix + text.length) / alignment) * alignment
  const all = new Uint8Array(start + content.length)
  const view = new DataView(all.buffer)
  view.setUint32(0, magic, true)
  view.setUint32(4, text.length, true)
  all.set(text, prefix)
  all.set(content, start)
  return all
}

/** Separates the two again; `undefined` if the bytes are something else. Checking the header's content is up to the caller. */
export const part = (
  all: Uint8Array<ArrayBuffer>
): { readonly header: unknown; readonly content: Uint8Array<ArrayBuffer> } | undefined => {
  if (all.length < prefix) return undefined
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength)
  const length = view.getUint32(4, true)
  if (view.getUint32(0, true) !== magic || prefix + length > all.length) return undefined
  const header: unknown = JSON.parse(new TextDecoder().decode(all.subarray(prefix, prefix + length)))
  return { header, content: all.subarray(Math.ceil((prefix + length) / alignment) * alignment) }
}

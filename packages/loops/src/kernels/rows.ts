/** Rows of a table by index: read from it, or added to it. An index out of range gives zeros, or adds nothing. */
import type { Tensor } from "@uninet/graph"
import {
  again,
  block,
  branch,
  type Code,
  f32x4,
  fill,
  get,
  i32,
  loop,
  module,
  moved,
  set,
  tee,
  v128,
  when,
  writer
} from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"
import type { Address, Work } from "../Work.ts"

type Way = "gather" | "scatterAdd"

/** The arguments: addresses of the rows or values, of the indices and of the result, how many indices, elements per row, rows of the table. */
const write = (way: Way, style: Style): Uint8Array => {
  const w = writer()
  const [from, at, to, count, row, rows] = w.several(6, "i32")
  const begin = [from, at, to, count, row, rows].map((local, i) => [get(0), i32.load(4 * i), set(local)])
  const [index, here, there, left] = w.several(4, "i32")
  const bytes: Code = [get(row), i32.const(4), i32.mul]
  // On the table's side the copy uses the row of the index; the other side advances.
  const [table, list] = way === "gather" ? [from, to] : [to, from]
  const element =
    way === "gather"
      ? [get(there), get(here), v128.splat()]
      : [get(here), get(there), v128.splat(), get(here), v128.splat(), f32x4.add]
  const copy: Code = [
    [get(table), get(index), get(row), i32.mul, i32.const(4), i32.mul, i32.add, set(here)],
    [get(list), set(there), get(row), set(left)],
    loop([[element, v128.storeLane(0)], moved(here, i32.const(4)), moved(there, i32.const(4)), again(left)])
  ]
  const body = [
    begin,
    loop([
      block([
        [get(at), i32.load(), tee(index), get(rows), i32.ltUnsigned],
        when([copy, branch(1)]),
        way === "gather" ? [get(list), i32.const(0), bytes, fill] : []
      ]),
      moved(list, bytes),
      moved(at, i32.const(4)),
      again(count)
    ])
  ]
  return module([{ writer: w, body }], style)
}

export const work = (
  node: Tensor.Tensor,
  way: Way,
  from: Address,
  at: Address,
  to: Address,
  { count, row, rows }: { readonly count: number; readonly row: number; readonly rows: number }
): Work => ({
  _tag: "Work",
  node,
  text: `%${to.buffer.id} = ${way} %${from.buffer.id} by %${at.buffer.id}`,
  kernel: (style): Kernel => ({ key: way, bytes: () => write(way, style) }),
  args: [from, at, to, count, row, rows],
  tiles: 1,
  reads: [from.buffer, at.buffer, ...(way === "scatterAdd" ? [to.buffer] : [])],
  writes: [to.buffer],
  macs: 0,
  bytes: 8 * count * row
})

/** Sets groups of eight numbers to one number. */
import { again, get, i32, loop, module, set, v128, writer } from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"

/** The arguments: an address, how many groups of eight, and the number's bits. */
export const argumentsOf = (address: number, elements: number, value: number): ReadonlyArray<number> => [
  address,
  Math.ceil(elements / 8),
  new DataView(Float32Array.of(value).buffer).getInt32(0, true)
]

const write = (style: Style): Uint8Array => {
  const w = writer()
  const [at, count] = [w.local("i32"), w.local("i32")]
  const value = w.local("v128")
  const body = [
    [get(0), i32.load(0), set(at), get(0), i32.load(4), set(count)],
    [get(0), i32.load(8), v128.splatWord, set(value)],
    loop([
      [get(at), get(value), v128.store(0), get(at), get(value), v128.store(16)],
      [get(at), i32.const(32), i32.add, set(at)],
      again(count)
    ])
  ]
  return module([{ writer: w, body }], style)
}

export const kernel = (style: Style): Kernel => ({ key: "clear", bytes: () => write(style) })

/** Moves a group of the batch into lanes, or out of them. */
import * as Arr from "effect/Array"
import { again, get, i32, loop, module, moved, set, v128, writer } from "../internal/wasm.ts"
import type { Kernel, Style } from "../Kernel.ts"
import * as Split from "../Split.ts"

export interface Pack {
  readonly way: "pack" | "unpack"
  /** Images in the group; the lanes of missing ones are zeros. */
  readonly images: number
}

/** The arguments, in order. */
const names = ["plain", "lanes", "elements", "stride"] as const

/** How threads share it: by elements, sixteen of which are a cache line. */
export const splitOf = (elements: number): Split.Split | undefined =>
  Split.best([Split.of(names, { steps: elements, grain: 16, counts: ["elements"], moves: { plain: 4, lanes: 32 } })])

/** The arguments: the plain address of the group's first image, the address in lanes, the elements of an image, and the bytes from one image to the next. */
const write = ({ images, way }: Pack, style: Style): Uint8Array => {
  const w = writer()
  const [plain, lanes, count, stride] = w.several(4, "i32")
  const begin = [plain, lanes, count, stride].map((local, i) => [get(0), i32.load(4 * i), set(local)])
  const addresses = w.several(images, "i32")
  const halves = [w.local("v128"), w.local("v128")]
  const elements =
    way === "pack"
      ? halves.map((half, h) => [
          v128.floats(0),
          set(half),
          addresses.flatMap((at, image) =>
            image >> 2 === h ? [get(at), get(half), v128.loadLane(image & 3), set(half)] : []
          ),
          [get(lanes), get(half), v128.store(16 * h)]
        ])
      : halves.map((half, h) => [
          [get(lanes), v128.load(16 * h), set(half)],
          addresses.flatMap((at, image) => (image >> 2 === h ? [get(at), get(half), v128.storeLane(image & 3)] : []))
        ])
  const body = [
    begin,
    addresses.map((at, image) => [
      image === 0 ? get(plain) : [get(Arr.getUnsafe(addresses, image - 1)), get(stride), i32.add],
      set(at)
    ]),
    loop([elements, addresses.map((at) => moved(at, i32.const(4))), moved(lanes, i32.const(32)), again(count)])
  ]
  return module([{ writer: w, body }], style)
}

export const kernel = (pack: Pack, style: Style): Kernel => ({
  key: `${pack.way} ${pack.images}`,
  bytes: () => write(pack, style)
})

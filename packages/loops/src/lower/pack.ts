/** The work of moving a tensor into or out of lanes. */
import type { Tensor } from "@uninet/graph"
import * as Pack from "../kernels/pack.ts"
import type { View } from "../View.ts"
import type { Work } from "../Work.ts"

/** Both views are in row-major order. Each group of the batch is a tile; the last one may lack images. */
export const work = (
  { batch, groups }: { readonly batch: number; readonly groups: number },
  node: Tensor.Tensor,
  plain: View,
  lanes: View,
  way: Pack.Pack["way"]
): Work => {
  const elements = lanes.buffer.size / 8
  return {
    _tag: "Work",
    node,
    text:
      way === "pack"
        ? `%${lanes.buffer.id} = lanes of %${plain.buffer.id}`
        : `%${plain.buffer.id} = rows of %${lanes.buffer.id}`,
    kernel: (style) => Pack.kernel({ way, images: 8 }, style),
    lastKernel: batch % 8 === 0 ? undefined : (style) => Pack.kernel({ way, images: batch % 8 }, style),
    args: [
      { buffer: plain.buffer, at: 0, tile: 32 * elements },
      { buffer: lanes.buffer, at: 0 },
      elements,
      4 * elements
    ],
    split: Pack.splitOf(elements),
    tiles: groups,
    reads: [(way === "pack" ? plain : lanes).buffer],
    writes: [(way === "pack" ? lanes : plain).buffer],
    macs: 0,
    bytes: 64 * elements * groups
  }
}

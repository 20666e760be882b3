/** Rows of a table by index. An index out of range gives zeros: kernels would reject it or read beyond the table. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import { type Context, plain, type Rules } from "../internal/context.ts"
import * as K from "../internal/kernels.ts"

/** Indices as a vector of row numbers, and for each 1 if it is in range and 0 otherwise, `[indices, 1]`. */
const numbersOf = (ctx: Context, indices: Tensor.Tensor, rows: number) => {
  const { b } = ctx
  const count = Shape.size(indices.shape)
  const vector = K.reshape(b, ctx.plain(indices), [count])
  const whole = (n: number) => b.constant(Int32Array.of(n), [1])
  const clipped = K.within(b, vector, whole(0), whole(rows - 1))
  return { count, numbers: clipped, known: K.reshape(b, K.compare(b, "Equal", vector, clipped), [count, 1]) }
}

export const rules: Pick<Rules, "gather" | "scatterAdd"> = {
  gather: (node, ctx) => {
    const { b } = ctx
    const [table, indices] = node.inputs
    const [rows, row] = [Arr.getUnsafe(table.shape, 0), table.shape.slice(1)]
    const { count, known, numbers } = numbersOf(ctx, indices, rows)
    const operands = [
      ["x", K.reshape(b, ctx.plain(table), [rows, Shape.size(row)])],
      ["indices", numbers]
    ] as const
    const taken = b.call("GatherV2", operands, { axis: 0, batchDims: 0 }, [count, Shape.size(row)])
    return plain(K.reshape(b, K.mul(b, taken, known), node.shape))
  },
  scatterAdd: (node, ctx) => {
    const { b } = ctx
    const [values, indices] = node.inputs
    const [rows, row] = [Arr.getUnsafe(node.shape, 0), node.shape.slice(1)]
    const { count, known, numbers } = numbersOf(ctx, indices, rows)
    const shape = [rows, Shape.size(row)]
    const operands = [
      ["indices", K.reshape(b, numbers, [count, 1])],
      ["updates", K.mul(b, K.reshape(b, ctx.plain(values), [count, Shape.size(row)]), known)]
    ] as const
    return plain(K.reshape(b, b.call("ScatterNd", operands, { shape }, shape), node.shape))
  }
}

/** Rows of a table by index. An index out of range gives zeros: ONNX would count a negative one from the end and reject one beyond it. */
import { Shape, type Tensor } from "@uninet/graph"
import * as Arr from "effect/Array"
import type { Value } from "../internal/builder.ts"
import { type Context, plain, type Rules } from "../internal/context.ts"
import * as E from "../internal/emit.ts"

/** Indices as a vector of row numbers, and for each whether it is in range, `[indices, 1]`. */
const numbersOf = (ctx: Context, indices: Tensor.Tensor, rows: number) => {
  const { b } = ctx
  const count = Shape.size(indices.shape)
  const vector = E.reshape(b, ctx.plain(indices), [count])
  const whole = (n: number) => b.constant(Int32Array.of(n), [1])
  const [zero, end] = [whole(0), whole(rows)]
  const [from, to] = [
    b.node("GreaterOrEqual", [vector, zero], {}, [[count]])[0],
    b.node("Greater", [end, vector], {}, [[count]])[0]
  ]
  const [known] = b.node("And", [from, to], {}, [[count]])
  const [numbers] = b.node("Where", [known, vector, zero], {}, [[count]])
  return { numbers, known: E.column(b, known), count }
}

/** Rows, with zeros for those whose index is out of range. */
const orZeros = ({ b }: Context, known: Value, rows: Value): Value =>
  b.node("Where", [known, rows, b.scalar(0)], {}, [rows.shape])[0]

export const rules: Pick<Rules, "gather" | "scatterAdd"> = {
  gather: (node, ctx) => {
    const [table, indices] = node.inputs
    const [rows, row] = [Arr.getUnsafe(table.shape, 0), table.shape.slice(1)]
    const { count, known, numbers } = numbersOf(ctx, indices, rows)
    const matrix = E.reshape(ctx.b, ctx.plain(table), [rows, Shape.size(row)])
    const [taken] = ctx.b.node("Gather", [matrix, numbers], { axis: 0 }, [[count, Shape.size(row)]])
    return plain(E.reshape(ctx.b, orZeros(ctx, known, taken), node.shape))
  },
  scatterAdd: (node, ctx) => {
    const { b } = ctx
    const [values, indices] = node.inputs
    const [rows, row] = [Arr.getUnsafe(node.shape, 0), node.shape.slice(1)]
    const { count, known, numbers } = numbersOf(ctx, indices, rows)
    const updates = orZeros(ctx, known, E.reshape(b, ctx.plain(values), [count, Shape.size(row)]))
    // Not with `ScatterND`: ONNX Runtime's threads lose additions when several of them add to the same row.
    const places = E.expand(b, E.column(b, numbers), updates.shape)
    const zeros = E.expand(b, b.scalar(0), [rows, Shape.size(row)])
    const attributes = { axis: 0, reduction: "add" }
    const [sums] = b.node("ScatterElements", [zeros, places, updates], attributes, [zeros.shape])
    return plain(E.reshape(b, sums, node.shape))
  }
}

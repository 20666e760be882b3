/** Gathers rows of a table by index, and the reverse: adds rows into a table by index. Each is the other's gradient. */
import * as Arr from "effect/Array"
import { flops, free } from "../Cost.ts"
import { apply, define, type Definitions } from "../Definition.ts"
import * as Shape from "../Shape.ts"
import type { Tensor } from "../Tensor.ts"

export interface Attributes {
  /** Inputs `[table, indices]`: `[rows, ...row]` and int32 of any shape → `[...indices, ...row]`. */
  readonly gather: {}
  /** Inputs `[values, indices]`: `[...indices, ...row]` and int32 → `[rows, ...row]`. */
  readonly scatterAdd: { readonly rows: number }
}

/** Each op's inputs, in order. */
export interface Inputs {
  readonly gather: readonly [table: Tensor, indices: Tensor]
  readonly scatterAdd: readonly [values: Tensor, indices: Tensor]
}

export const definitions: Definitions<Attributes> = {
  gather: define("gather", {
    takes: ["float32", "int32"],
    shape: (_, [table, indices]) =>
      table.shape.length === 0 ? "the table must be [rows×...]" : [...indices.shape, ...table.shape.slice(1)],
    cost: () => free,
    gradient: (y, dy) => {
      const [table, indices] = y.inputs
      return [scatterAdd(dy, indices, Arr.getUnsafe(table.shape, 0), y.path), null]
    }
  }),
  scatterAdd: define("scatterAdd", {
    takes: ["float32", "int32"],
    shape: ({ rows }, [values, indices]) =>
      Shape.equals(values.shape.slice(0, indices.shape.length), indices.shape)
        ? [rows, ...values.shape.slice(indices.shape.length)]
        : `the values must be [${indices.shape.join("×")}×...]`,
    cost: (y) => flops(Shape.size(y.inputs[0].shape)),
    gradient: (y, dy) => [gather(dy, y.inputs[1], y.path), null]
  })
}

/**
 * Rows of a table by index, as in an embedding: `[rows, ...row]` and int32 indices of any shape → `[...indices, ...row]`.
 *
 * An index out of range gives zeros, as in `oneHot`, so −1 can stand for padding. No gradient flows to the indices; the table's is a `scatterAdd`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const table = Op.input("table", [1000, 16])
 * console.log(Op.gather(table, Op.input("tokens", [64, 32], "int32")).shape) // [ 64, 32, 16 ]
 * ```
 */
export const gather = (table: Tensor, indices: Tensor, path = table.path): Tensor<"gather"> =>
  apply(definitions.gather, {}, [table, indices], path)

/**
 * A table of `rows` rows, each the sum of the values with its index: `[...indices, ...row]` and int32 indices → `[rows, ...row]`.
 *
 * Values whose index is out of range are ignored. No gradient flows to the indices; the values' is a `gather`.
 *
 * @example
 * ```ts
 * import { Op } from "@uninet/graph"
 *
 * const labels = Op.input("labels", [64], "int32")
 * console.log(Op.scatterAdd(Op.fill(1, [64]), labels, 10).shape) // [ 10 ]: how often each of ten classes occurs
 * ```
 */
export const scatterAdd = (values: Tensor, indices: Tensor, rows: number, path = values.path): Tensor<"scatterAdd"> =>
  apply(definitions.scatterAdd, { rows }, [values, indices], path)

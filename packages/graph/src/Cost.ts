/**
 * What an op costs to compute. MACs and FLOPs are distinct types: they differ by a factor of about two, and papers mix them up.
 *
 * @example
 * ```ts
 * import { Cost } from "@uninet/graph"
 *
 * // A layer of 64 to 10 features with its softmax, by hand: a multiply-accumulate is two floating-point operations.
 * const linear = Cost.macs(64 * 10, "linear")
 * const softmax = Cost.flops(4 * 10)
 * console.log(linear.macs, linear.flops + softmax.flops) // 640 1320
 *
 * // Macs and Flops are distinct types, so that neither can be taken for the other by mistake.
 * const budget: { macs: Cost.Macs; flops: Cost.Flops } = { macs: Cost.Macs(1000), flops: Cost.Flops(2000) }
 * console.log(linear.macs <= budget.macs) // true
 * ```
 */
import type * as Brand from "effect/Brand"

/** Multiply-accumulate operations. */
export type Macs = Brand.Branded<number, "Macs">

/** Floating-point operations: a multiply-accumulate counts as two, and element-wise work counts too. */
export type Flops = Brand.Branded<number, "Flops">

/** Brands a number as multiply-accumulates. */
export const Macs = (n: number): Macs => n as Macs // branding is what this constructor is for

/** Brands a number as floating-point operations. */
export const Flops = (n: number): Flops => n as Flops // as above

/** The operators that fvcore's FLOP counter charges for, under its own names. */
export type FvcoreOperator =
  | "conv"
  | "linear"
  | "matmul"
  | "batch_norm"
  | "layer_norm"
  | "adaptive_avg_pool2d"
  | "upsample_nearest2d"
  | "upsample_bilinear2d"

/** The cost of one op. */
export interface Cost {
  readonly macs: Macs
  readonly flops: Flops
  /** What fvcore would charge for it; absent for what fvcore does not count (element-wise ops, softmax, pooling over windows, gradients). */
  readonly fvcore?: { readonly operator: FvcoreOperator; readonly count: number }
}

/** An op that moves data without arithmetic. */
export const free: Cost = { macs: Macs(0), flops: Flops(0) }

/** Element-wise work: `n` floating-point operations and, by the field's convention, no multiply-accumulates. */
export const flops = (n: number): Cost => ({ macs: Macs(0), flops: Flops(n) })

/** Work made of multiply-accumulates, two floating-point operations each. */
export const macs = (n: number, operator?: FvcoreOperator): Cost =>
  operator === undefined
    ? { macs: Macs(n), flops: Flops(2 * n) }
    : { macs: Macs(n), flops: Flops(2 * n), fvcore: { operator, count: n } }

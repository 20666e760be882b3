/**
 * What UniNet's networks are made of, as one value: which operators and downsampling modules there are, and the operator of stage 0. Space, networks, costs, laws, scaling and exports read the same
 * one.
 *
 * @example
 * ```ts
 * import { OperatorSet } from "@uninet/operators"
 * import { Kit, UniNetSpace } from "@uninet/uninet"
 *
 * // The ablation of transformers only. Stage 0 stays the convolution that it always is.
 * const transformers = UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit: Kit.make({ operators: OperatorSet.only("SA", "LSA") }) })
 * ```
 *
 * @example
 * ```ts
 * import { Architecture, Kit, UniNet } from "@uninet/uninet"
 *
 * console.log(Object.keys(Kit.standard.operators))
 * console.log(Architecture.line(UniNet.withImage({ channels: 3, height: 192, width: 192 })(UniNet.B0)))
 * ```
 */
import { Dsms, DsmSet } from "@uninet/dsm"
import { type Operator, Operators, OperatorSet } from "@uninet/operators"
import * as Effect from "effect/Effect"

/** The operators and modules that networks are made of. */
export interface Kit {
  readonly operators: OperatorSet.OperatorSet
  readonly dsms: DsmSet.DsmSet
  /** The operator of stage 0, which is not searched: known there by its name whatever `operators` has. */
  readonly stage0: { readonly name: string; readonly operator: Operator.Operator }
}

/** UniNet's own. */
export const standard: Kit = {
  operators: OperatorSet.standard,
  dsms: DsmSet.standard,
  stage0: { name: "DWConv", operator: OperatorSet.standard.DWConv }
}

/** UniNet's own, with other sets or another stage 0. */
export const make = (parts: Partial<Kit> = {}): Kit => ({ ...standard, ...parts })

/** With the operators and modules of the services `Operators` and `Dsms`. */
export const fromServices: Effect.Effect<Kit, never, Operators | Dsms> = Effect.gen(function* () {
  return make({ operators: yield* Operators, dsms: yield* Dsms })
})

/** The operator of a name in a stage, if there is one. */
export const operatorOf =
  (name: string, stage: number) =>
  ({ operators, stage0 }: Kit): Operator.Operator | undefined =>
    OperatorSet.get(name)(operators) ?? (stage === 0 && name === stage0.name ? stage0.operator : undefined)

/** The names that may stand in a stage. */
export const operatorNames =
  (stage: number) =>
  ({ operators, stage0 }: Kit): ReadonlyArray<string> => [
    ...new Set([...Object.keys(operators), ...(stage === 0 ? [stage0.name] : [])])
  ]

/** The names of operators and modules with attention heads, which their channels have to divide into. */
export const multiHead = ({ dsms, operators }: Kit): ReadonlyArray<string> =>
  [...Object.entries(operators), ...Object.entries(dsms)].flatMap(([name, { heads }]) => (heads === true ? [name] : []))

/**
 * What UniNet's networks are made of, as one value: the operators and downsampling modules, and the operator of stage 0. The space, networks, costs, laws, scaling and exports all read
 * this value.
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
  /** The operator of stage 0, which is not searched. Stage 0 knows it by name even if `operators` lacks it. */
  readonly stage0: { readonly name: string; readonly operator: Operator.Operator }
}

/** UniNet's own kit. */
export const standard: Kit = {
  operators: OperatorSet.standard,
  dsms: DsmSet.standard,
  stage0: { name: "DWConv", operator: OperatorSet.standard.DWConv }
}

/** UniNet's own kit, with other sets or another stage 0. */
export const make = (parts: Partial<Kit> = {}): Kit => ({ ...standard, ...parts })

/** A kit with the operators and modules of the services `Operators` and `Dsms`. */
export const fromServices: Effect.Effect<Kit, never, Operators | Dsms> = Effect.gen(function* () {
  return make({ operators: yield* Operators, dsms: yield* Dsms })
})

/** The operator that a name means in a stage, if there is one. */
export const operatorOf =
  (name: string, stage: number) =>
  ({ operators, stage0 }: Kit): Operator.Operator | undefined =>
    OperatorSet.get(name)(operators) ?? (stage === 0 && name === stage0.name ? stage0.operator : undefined)

/** The names that may occur in a stage. */
export const operatorNames =
  (stage: number) =>
  ({ operators, stage0 }: Kit): ReadonlyArray<string> => [
    ...new Set([...Object.keys(operators), ...(stage === 0 ? [stage0.name] : [])])
  ]

/** The names of operators and modules with attention heads, whose size must divide their channels. */
export const multiHead = ({ dsms, operators }: Kit): ReadonlyArray<string> =>
  [...Object.entries(operators), ...Object.entries(dsms)].flatMap(([name, { heads }]) => (heads === true ? [name] : []))

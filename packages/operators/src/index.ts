export type * as Block from "./Block.ts"
export * as Operator from "./Operator.ts"
export { Operators } from "./Operators.ts"
export * as OperatorSet from "./OperatorSet.ts"

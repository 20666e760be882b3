export * as Coefficients from "./Coefficients.ts"
export * as Compound from "./Compound.ts"
export {
  Bound,
  InvalidScale,
  LimitReached,
  NotPublished,
  type ScaleError,
  StepsTooCoarse,
  TargetBelowBaseline,
  UnbalancedCoefficients
} from "./ScaleError.ts"

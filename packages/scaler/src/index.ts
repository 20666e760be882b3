export * as CoefficientSearch from "./CoefficientSearch.ts"
export * as Coefficients from "./Coefficients.ts"
export * as Compound from "./Compound.ts"
export * as Inherit from "./Inherit.ts"
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
export { Scaler } from "./Scaler.ts"

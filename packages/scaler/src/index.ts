export * as CoefficientSearch from "./CoefficientSearch.ts"
export * as Coefficients from "./Coefficients.ts"
export * as Compound from "./Compound.ts"
export * as Inherit from "./Inherit.ts"
export {
  InvalidScale,
  LimitReached,
  NotPublished,
  type ScaleError,
  StepsTooCoarse,
  TargetBelowBaseline,
  Unscalable,
  UnbalancedCoefficients
} from "./ScaleError.ts"
export { Scaler } from "./Scaler.ts"

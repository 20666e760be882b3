/** What can be known of a network before it is trained, and how far it can be trusted. */
export * as Certificate from "./Certificate.ts"
export * as Correlation from "./Correlation.ts"
export * as LogRanks from "./LogRanks.ts"
export * as Matrix from "./Matrix.ts"
export { ConstantScores, NotApplicable, ScoreUndefined, TooFewResults, Unscorable } from "./PredictorError.ts"
export * as Proxies from "./Proxies.ts"
export * as Proxy from "./Proxy.ts"
export * as Subject from "./Subject.ts"

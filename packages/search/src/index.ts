export * as Comparison from "./Comparison.ts"
export * as Contrast from "./Contrast.ts"
export * as Evaluator from "./Evaluator.ts"
export * as Experiment from "./Experiment.ts"
export { defineExperiment } from "./Experiment.ts"
export * as Fidelity from "./Fidelity.ts"
export * as Follow from "./Follow.ts"
export * as Journal from "./Journal.ts"
export * as JournalCopy from "./JournalCopy.ts"
export {
  type JournalError,
  JournalForeign,
  JournalInUse,
  JournalLocked,
  JournalNotWritten,
  JournalUnreadable
} from "./JournalError.ts"
export * as Lock from "./Lock.ts"
export * as Reward from "./Reward.ts"
export * as Trial from "./Trial.ts"
export * as Training from "./Training.ts"
export * as Search from "./Search.ts"
export * as SearchMetrics from "./SearchMetrics.ts"
export { InvalidSearch, NothingFound, NotReproduced, SearchStuck } from "./SearchError.ts"
export * as Telemetry from "./Telemetry.ts"
export * as TrainingEvaluator from "./TrainingEvaluator.ts"
export * as WorkerEvaluator from "./WorkerEvaluator.ts"
export * as Finals from "./Finals.ts"
export * as Config from "./Config.ts"
export { defineConfig, type Input as SearchConfig } from "./Config.ts"
export { ConfigChanged, type ConfigError, ConfigInvalid, ConfigLayerFailed, ConfigUnreadable } from "./ConfigError.ts"
export * as Setup from "./Setup.ts"
export * as SpaceSource from "./SpaceSource.ts"
export * as Units from "./Units.ts"

export { Average, Distillation, Lookahead, Optimiser, Progressive, Recipe, Schedule, Views } from "@uninet/model-space"
export * as Checkpoint from "./Checkpoint.ts"
export * as CheckpointError from "./CheckpointError.ts"
export * as Checkpoints from "./Checkpoints.ts"
export * as Fitting from "./Fitting.ts"
export * as Initialise from "./Initialise.ts"
export * as Selection from "./Selection.ts"
export type { Score } from "./Selection.ts"
export {
  DatasetMismatch,
  Diverged,
  InvalidRecipe,
  NotFinite,
  LossFailed,
  RecipeRefused,
  TooFewExamples,
  type TrainError
} from "./TrainError.ts"
export * as Span from "./Span.ts"
export * as Surroundings from "./Surroundings.ts"
export * as TrainEvent from "./TrainEvent.ts"
export type { Weights } from "./TrainEvent.ts"
export * as TrainLog from "./TrainLog.ts"
export * as TrainMetrics from "./TrainMetrics.ts"
export * as Teacher from "./Teacher.ts"
export { type EvaluateOptions, type Evaluation, type FitOptions, Trainer } from "./Trainer.ts"
export * as TrainingProgram from "./TrainingProgram.ts"
export { version } from "./version.ts"
export * as Whitening from "./Whitening.ts"
export * as WholeFile from "./WholeFile.ts"

/** How a network is trained: data, so that it can be journalled, compared and replayed. */
import * as Schema from "effect/Schema"
import { Schedule } from "./Schedule.ts"

const Rate = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 0.999 }))
const Count = Schema.Int.check(Schema.isGreaterThan(0))

export const Recipe = Schema.Struct({
  /** Passes over the training split. */
  epochs: Count,
  /** Images per step. */
  batch: Count,
  /** The schedule's peak. */
  learningRate: Rate,
  schedule: Schedule,
  /** AdamW's constants. Weight decay leaves out biases, norm parameters and LayerScale. */
  beta1: Share,
  beta2: Share,
  epsilon: Rate,
  weightDecay: Rate,
  /** Share of the target that is spread over all classes. */
  labelSmoothing: Share,
  /** Of the last block; it rises linearly from 0 at the first. */
  stochasticDepth: Share,
  /** Before the classifier. */
  dropout: Share
})
export type Recipe = typeof Recipe.Type

const adamw = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 }

/** The paper's recipe as far as this trainer has its parts [UNINET.md section 7]: 300 epochs of batch 1,024. */
export const paper: Recipe = {
  ...adamw,
  epochs: 300,
  batch: 1024,
  learningRate: 1e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 5, from: 1e-6, to: 1e-5 }),
  labelSmoothing: 0.1,
  stochasticDepth: 0,
  dropout: 0
}

/** For a search's trials [ours]: a few epochs on a small data set, a high rate early, down to nothing at the end. */
export const proxy: Recipe = {
  ...adamw,
  epochs: 1,
  batch: 64,
  learningRate: 3e-3,
  schedule: Schedule.cases.Cosine.make({ warmup: 0.1, from: 1e-4, to: 1e-5 }),
  labelSmoothing: 0.1,
  stochasticDepth: 0,
  dropout: 0
}

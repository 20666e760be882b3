/** Trains rows in a worker process: two epochs on the CPU. */
import { Recipe } from "@uninet/model-space"
import { OnnxRuntime } from "@uninet/runtime"
import { type Evaluator, TrainingEvaluator } from "@uninet/search"
import { Trainer } from "@uninet/trainer"
import * as Layer from "effect/Layer"
import { data, rows } from "./rows.ts"

const training: Layer.Layer<Evaluator.Evaluator> = TrainingEvaluator.layer(rows, {
  recipe: { ...Recipe.proxy, labelSmoothing: 0, batch: 64, epochs: 2 }
}).pipe(Layer.provide(Trainer.layer), Layer.provide([data, OnnxRuntime.cpu({ threads: 1 })]))

export default training

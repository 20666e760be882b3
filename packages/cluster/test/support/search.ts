/** The search: random networks of UniNet's small space. */
import { Random } from "@uninet/controller"
import type { Classification, ModelSpace } from "@uninet/model-space"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"

export const uninet: ModelSpace.ModelSpace<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure> =
  Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

/** The measures of a classifier with this accuracy. */
export const measuresOf = (accuracy: number) => ({ accuracy, top5: 1, loss: 1, calibrationError: 0 })

export const setting = Random.layer()

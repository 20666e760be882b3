/** Architectures of UniNet's spaces, small and large, and the smallest networks there are. */
import type { Classification, ModelSpace } from "@uninet/model-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as fc from "fast-check"

type Models = ModelSpace.ModelSpace<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>

/** UniNet's models. How a network grows is the same whatever space it is of. */
export const uninet: Models = Result.getOrThrow(UniNetSpace.models())

const spaces = [28, 32, 64, 224].map((image) => Result.getOrThrow(UniNetSpace.make({ image, classes: 10 })))

/** Of the spaces for 28, 32, 64 and 224 pixels. */
export const ofSpaces: fc.Arbitrary<Architecture.Architecture> = fc.oneof(...spaces.map(fromSpace))

/** One stage of one block, whose steps are most of its cost. */
export const tiny: Architecture.Architecture = {
  image: { channels: 1, height: 8, width: 8 },
  classes: 2,
  stem: { channels: 8, stride: 1 },
  stages: [{ operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 }],
  head: { channels: 8 },
  headDim: 8
}

/** What is searched: random networks of UniNet's small space. */
import { Random, type SearchStrategy } from "@uninet/controller"
import { Dsms } from "@uninet/dsm"
import { Operators } from "@uninet/operators"
import { type SearchSpace, type SpaceError, UniNetSpace } from "@uninet/search-space"
import * as Layer from "effect/Layer"

export const setting: Layer.Layer<SearchSpace | SearchStrategy | Operators | Dsms, SpaceError.InvalidSpace> =
  Layer.mergeAll(
    Random.layer(),
    UniNetSpace.layer({ image: 28, channels: 1, classes: 10 }),
    Operators.standard,
    Dsms.standard
  )

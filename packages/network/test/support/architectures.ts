/** Random architectures of UniNet's whole space, over images of many sizes and shapes. */
import { type Architecture, UniNetSpace } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Result } from "effect"
import * as fc from "fast-check"

const over = (
  ...images: ReadonlyArray<readonly [height: number, width: number, channels: number, classes: number]>
): fc.Arbitrary<Architecture.Architecture> =>
  fc.oneof(
    ...images.map(([height, width, channels, classes]) =>
      fromSpace(Result.getOrThrow(UniNetSpace.make({ image: { height, width }, channels, classes })))
    )
  )

/** Small images, whose space has narrow networks: cheap enough to run. */
export const small = over([16, 16, 1, 2], [17, 23, 1, 7], [28, 28, 1, 10], [33, 33, 3, 10], [40, 31, 2, 100])

/** The small spaces and the paper's, odd sizes included. */
export const any = fc.oneof(small, over([65, 65, 3, 10], [97, 130, 4, 20], [224, 224, 3, 1000], [255, 193, 1, 5]))

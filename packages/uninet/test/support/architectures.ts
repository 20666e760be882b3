/** Random architectures of UniNet's whole space, over images of many sizes and shapes. */
import { type Architecture, UniNetSpace } from "@uninet/uninet"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { Result } from "effect"
import * as fc from "fast-check"

/** An architecture and the space that it is a point of. */
export interface Point {
  readonly of: UniNetSpace.Models
  readonly architecture: Architecture.Architecture
}

const spaceOf = (height: number, width: number, channels: number, classes: number): UniNetSpace.Models =>
  Result.getOrThrow(UniNetSpace.models({ image: { height, width }, channels, classes }))

const over = (...images: ReadonlyArray<Parameters<typeof spaceOf>>): fc.Arbitrary<Point> =>
  fc.oneof(
    ...images.map((image) => {
      const of = spaceOf(...image)
      return fromSpace(of.space).map((architecture) => ({ of, architecture }))
    })
  )

/** Small images, whose space has narrow networks: cheap enough to run. */
export const smallPoint = over([16, 16, 1, 2], [17, 23, 1, 7], [28, 28, 1, 10], [33, 33, 3, 10], [40, 31, 2, 100])

/** The small spaces and the paper's, odd sizes included. */
export const anyPoint = fc.oneof(
  smallPoint,
  over([65, 65, 3, 10], [97, 130, 4, 20], [224, 224, 3, 1000], [255, 193, 1, 5])
)

/** The architectures alone. */
export const any = anyPoint.map(({ architecture }) => architecture)

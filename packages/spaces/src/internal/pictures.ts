/** The images with classes that a space is made for. */
import type { Facts } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import * as Result from "effect/Result"
import { NotPictures } from "../NotPictures.ts"

export interface Pictures {
  readonly channels: number
  readonly height: number
  readonly width: number
  readonly classes: number
}

/** The images that a data set's facts describe. */
export const of = (space: string, { classes, inputs }: Facts.Facts): Result.Result<Pictures, NotPictures> => {
  const [channels, height, width, ...others] = inputs["image"]?.shape ?? []
  const isPicture = channels !== undefined && height !== undefined && width !== undefined && others.length === 0
  return isPicture && classes !== null
    ? Result.succeed({ channels, height, width, classes })
    : Result.fail(
        new NotPictures({ space, has: `${Model.print(inputs)}${classes === null ? " without classes" : ""}` })
      )
}

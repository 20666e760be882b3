/**
 * npm packages that only some data sets need: a data set and a decoder of dozens of megabytes, which are optional peers and so come only where they are asked for.
 */
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"
import { FileUnavailable } from "../DataError.ts"

const require = createRequire(import.meta.url)

/** Where a file of an optional package is; `install` is what npm is told to install. */
export const resolve = (file: string, install: string): Effect.Effect<string, FileUnavailable> =>
  Effect.try({
    try: () => require.resolve(file),
    catch: () =>
      new FileUnavailable({
        path: file,
        reason: "the npm package is not installed",
        remedy: `Install it with npm install ${install}`
      })
  })

/** Fails where sharp, which decodes images, is not installed. */
export const decoder: Effect.Effect<void, FileUnavailable> = Effect.asVoid(resolve("sharp", "sharp"))

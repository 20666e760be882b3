/**
 * npm packages that only some data sets need: a data set and a decoder of dozens of megabytes. They are optional peer dependencies, so they
 * are only installed where they are wanted.
 */
import * as Effect from "effect/Effect"
import { createRequire } from "node:module"
import { FileUnavailable } from "../DataError.ts"

const require = createRequire(import.meta.url)

/** The path of a file in an optional package; `install` is the argument for npm to install it. */
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

/** Fails if sharp, which decodes images, is not installed. */
export const decoder: Effect.Effect<void, FileUnavailable> = Effect.asVoid(resolve("sharp", "sharp"))

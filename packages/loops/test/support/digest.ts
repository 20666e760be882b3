/** Prints the digest of the training steps on portable loops: for a processor that tests do not run on. */
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import { expected, trained } from "./training.ts"

const { digest } = await Effect.runPromise(trained.pipe(Effect.provide(Loops.portable())))
console.log(
  `${process.arch}: ${digest}, ${digest === expected.digest ? "as recorded" : `recorded was ${expected.digest}`}`
)

/** Prints what training steps and a small search leave behind on portable loops: for a processor that tests do not run on. */
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import * as Small from "./searched.ts"
import { expected, trained } from "./training.ts"

const said = (what: string, digest: string, recorded: string) =>
  console.log(
    `${process.arch}, ${what}: ${digest}, ${digest === recorded ? "as recorded" : `recorded was ${recorded}`}`
  )

said("training", (await Effect.runPromise(trained.pipe(Effect.provide(Loops.portable())))).digest, expected.digest)
said("search", (await Effect.runPromise(Small.searched)).digest, Small.expected.digest)

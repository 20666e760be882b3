/** The training steps in a page: what came of them is its title. */
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import { trained } from "./training.ts"

declare const document: { title: string }

document.title = "running"
document.title = await Effect.runPromise(
  trained.pipe(
    Effect.map(({ digest }) => `digest ${digest}`),
    Effect.provide(Loops.portable()),
    Effect.catch((error) => Effect.succeed(error.message))
  )
)

/** The small search in a page: what came of it is its language. */
import * as Effect from "effect/Effect"
import { searched } from "./searched.ts"

declare const document: { readonly documentElement: { lang: string } }

document.documentElement.lang = await Effect.runPromise(
  searched.pipe(
    Effect.map(({ digest }) => `search ${digest}`),
    Effect.catch((error) => Effect.succeed(error.message))
  )
)

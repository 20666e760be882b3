/** How far the check of an export is: a bar on a terminal, a line elsewhere. Written to standard error. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"

/** Follows so many images; the result hears of every few that are done. */
export const make = (
  images: number,
  what: string
): Effect.Effect<(count: number) => Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    if (!process.stderr.isTTY) {
      yield* Console.error(`${what} …`)
      return () => Effect.void
    }
    const started = performance.now()
    let done = 0
    const left = () =>
      done === 0
        ? "time left unknown"
        : `${format.time(((performance.now() - started) / 1000 / done) * (images - done))} left`
    const bar = yield* Bar.make(`{bar} ${what} | {left}`)
    bar.start(images, 0, { left: left() })
    return (count: number) =>
      Effect.sync(() => {
        done += count
        bar.update(done, { left: left() })
      })
  })

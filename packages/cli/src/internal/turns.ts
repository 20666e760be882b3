/** How a measurement is going: a bar on a terminal, a line now and then elsewhere. Written to standard error, so that results can be piped. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"

/** Between two lines, in milliseconds; what is over before that says nothing. */
const pause = 5000

/** Hears how many of so many are done, in whatever unit; the bar is there as long as the scope. `what`: what is counted; `said`: in its place, as what was last heard. */
export const make = Effect.fnUntraced(function* (
  what: string
): Effect.fn.Return<(done: number, of: number, said?: string) => Effect.Effect<void>, never, Scope.Scope> {
  const start = performance.now()
  const left = (done: number, of: number) =>
    done === 0 ? "time left unknown" : `${format.time(((performance.now() - start) / 1000 / done) * (of - done))} left`
  if (process.stderr.isTTY) {
    const bar = yield* Bar.make("{bar} {said} | {left}")
    bar.start(1, 0, { said: what, left: left(0, 1) })
    return (done, of, said = `${done}/${of} ${what}`) =>
      Effect.sync(() => {
        bar.setTotal(of)
        bar.update(done, { said, left: left(done, of) })
      })
  }
  let last = start
  return (done, of, said = `${done} of ${of} ${what}`) =>
    Effect.sync(() => {
      if (done >= of || performance.now() - last < pause) return
      last = performance.now()
      process.stderr.write(`${said} | ${left(done, of)}\n`)
    })
})

/** How a ranking is going: a bar on a terminal, a line now and then elsewhere. Written to standard error, so that results can be piped. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"

type OnNetwork = (done: number) => Effect.Effect<void>

/** Between two lines, in milliseconds; what is over before that says nothing. */
const pause = 5000

/** The display of so many networks; the bar is there as long as the scope. */
export const make = Effect.fnUntraced(function* (networks: number): Effect.fn.Return<OnNetwork, never, Scope.Scope> {
  const start = performance.now()
  const left = (done: number) => `${format.time(((performance.now() - start) / 1000 / done) * (networks - done))} left`
  if (process.stderr.isTTY) {
    const bar = yield* Bar.make("{bar} {value}/{total} networks | {left}")
    bar.start(networks, 0, { left: "time left unknown" })
    return (done) => Effect.sync(() => bar.update(done, { left: left(done) }))
  }
  let last = start
  return (done) =>
    Effect.sync(() => {
      if (done === networks || performance.now() - last < pause) return
      last = performance.now()
      process.stderr.write(`${done} of ${networks} networks | ${left(done)}\n`)
    })
})

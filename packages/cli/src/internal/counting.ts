/**
 * The progress of something whose parts are counted: a bar on a terminal, otherwise a line now and then. Written to standard error, so that
 * results can be piped.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"
import * as log from "./log.ts"

/** Receives how many of how many are done, in any unit. `said`: text to show instead of these numbers. */
export type Heard = (done: number, of: number, said?: string) => Effect.Effect<void>

/** The time between two lines, in milliseconds; shorter work prints nothing. */
const pause = 5000

/** Follows one piece of work with parts such as "networks"; the bar stays as long as the scope. */
export const make = Effect.fnUntraced(function* (what: string): Effect.fn.Return<Heard, never, Scope.Scope> {
  const start = performance.now()
  const left = (done: number, of: number) => ((performance.now() - start) / 1000 / done) * (of - done)
  const leftIn = (done: number, of: number) =>
    done === 0 ? "time left unknown" : `${format.time(left(done, of))} left`
  if (log.isBar()) {
    const bar = yield* Bar.make("{bar} {said} | {left}")
    bar.start(1, 0, { said: what, left: leftIn(0, 1) })
    return (done, of, said = `${done}/${of} ${what}`) =>
      Effect.sync(() => {
        bar.setTotal(of)
        bar.update(done, { said, left: leftIn(done, of) })
      })
  }
  let last = start
  return (done, of, said = `${done} of ${of} ${what}`) =>
    Effect.suspend(() => {
      if (done >= of || performance.now() - last < pause) return Effect.void
      last = performance.now()
      return log.say(`${said} | ${leftIn(done, of)}`, {
        event: "Progress",
        share: done / of,
        secondsLeft: done === 0 ? null : left(done, of)
      })
    })
})

/** Follows examples that are reported a few at a time; if there is no bar, `doing` is printed at once. */
export const examples = Effect.fnUntraced(function* (doing: string, of: number) {
  if (!log.isBar()) yield* log.say(`${doing} …`, { event: "Began" })
  const heard = yield* make(doing)
  let done = 0
  return (more: number) => Effect.suspend(() => heard((done += more), of, doing))
})

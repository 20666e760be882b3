/** How a benchmark is going: a bar on a terminal, a line now and then elsewhere. Written to standard error, so that results can be piped. */
import type { Benchmark } from "@uninet/controller"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"

type OnSeed = (progress: Benchmark.Progress) => Effect.Effect<void>

/** Every seed plays the same strategies, so the time so far says how long the rest takes. */
const clock = () => {
  const start = performance.now()
  return ({ done, seeds }: Benchmark.Progress) =>
    `${format.time(((performance.now() - start) / 1000 / done) * (seeds - done))} left`
}

/** Between two lines, in milliseconds; what is over before that says nothing. */
const pause = 5000

const lines = (): OnSeed => {
  const left = clock()
  let last = performance.now()
  return (progress) =>
    Effect.sync(() => {
      const { done, seeds } = progress
      if (done === seeds || performance.now() - last < pause) return
      last = performance.now()
      process.stderr.write(`${done} of ${seeds} seeds | ${left(progress)}\n`)
    })
}

const bar = Effect.fnUntraced(function* (seeds: number) {
  const left = clock()
  const drawn = yield* Bar.make("{bar} {value}/{total} seeds | {left}")
  drawn.start(seeds, 0, { left: "time left unknown" })
  const onSeed: OnSeed = (progress) => Effect.sync(() => drawn.update(progress.done, { left: left(progress) }))
  return onSeed
})

/** The display of so many seeds; the bar is there as long as the scope. */
export const make = (seeds: number): Effect.Effect<OnSeed, never, Scope.Scope> =>
  Effect.suspend(() => (process.stderr.isTTY ? bar(seeds) : Effect.succeed(lines())))

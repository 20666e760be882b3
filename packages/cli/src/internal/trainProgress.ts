/** The progress of a training: a bar on a terminal, otherwise one line per epoch. Written to standard error, so that results can be piped. */
import type { Task } from "@uninet/model-space"
import type { TrainEvent } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Bar from "./bar.ts"
import * as format from "./format.ts"
import * as log from "./log.ts"

export interface Display {
  readonly onEvent: (event: TrainEvent.TrainEvent) => Effect.Effect<void>
}

/** The time left, by this process's speed so far. */
const clock = () => {
  let first: { readonly step: number; readonly at: number } | undefined
  return ({ step, steps }: TrainEvent.Step): string => {
    const now = performance.now()
    first ??= { step, at: now }
    const done = step - first.step
    return done < 5 ? "time left unknown" : `${format.time(((now - first.at) / 1000 / done) * (steps - step - 1))} left`
  }
}

/** An epoch on one line. */
const line = (event: TrainEvent.Epoch, task: Task.Task): string => {
  const { averaged, epoch, epochs, isBest, loss, seconds, validation } = event
  const figures = [
    `epoch ${epoch + 1} of ${epochs}: loss ${loss.toFixed(4)}`,
    ...(validation.examples === 0 ? [] : [`validation ${format.measured(validation.measures, task, 2)}`]),
    ...(averaged === null ? [] : [`averaged ${format.measured(averaged.measures, task, 2)}`]),
    format.time(seconds)
  ]
  return `${figures.join(", ")}${isBest ? ", best so far" : ""}`
}

const lines = (task: Task.Task): Display => {
  const left = clock()
  let latest = ""
  return {
    onEvent: (event) =>
      Effect.suspend(() => {
        if (event._tag === "Step") latest = left(event)
        if (event._tag === "Resumed")
          return log.say(`continuing after ${event.step} of ${event.steps} steps`, {
            event: event._tag,
            step: event.step,
            steps: event.steps
          })
        return event._tag === "Epoch"
          ? log.say(`${line(event, task)}${event.epoch + 1 < event.epochs ? ` | ${latest}` : ""}`, {
              event: event._tag,
              epoch: event.epoch + 1,
              epochs: event.epochs,
              loss: event.loss,
              measures: event.validation.examples === 0 ? null : event.validation.measures,
              seconds: event.seconds
            })
          : Effect.void
      })
  }
}

/** A line above the bar. */
const above = (text: string) => process.stderr.write(`\r\u001b[K${text}\n`)

const bar = Effect.fnUntraced(function* (task: Task.Task) {
  const left = clock()
  const drawn = yield* Bar.make("{bar} {step}/{steps} steps | {left} | loss {loss} | {rate} examples/s")
  let started = false
  return {
    onEvent: (event) =>
      Effect.sync(() => {
        if (event._tag === "Step") {
          const payload = {
            step: event.step + 1,
            steps: event.steps,
            loss: event.loss.toFixed(3),
            rate: Math.round(event.examplesPerSecond),
            left: left(event)
          }
          if (!started) drawn.start(event.steps, event.step, payload)
          started = true
          drawn.update(event.step + 1, payload)
        }
        if (event._tag === "Resumed") above(`continuing after ${event.step} of ${event.steps} steps`)
        if (event._tag === "Epoch") above(line(event, task))
      })
  } satisfies Display
})

/** A display for a training of a task. */
export const make = (task: Task.Task): Effect.Effect<Display, never, Scope.Scope> =>
  log.isBar() ? bar(task) : Effect.succeed(lines(task))

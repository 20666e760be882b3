/** Output on standard error: lines for people, or one JSON object per line for log collectors, if the environment asks for it (`UNINET_LOG=json`). */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"

/** An environment variable rather than a flag, because it applies to everything a process prints, including a mistake in its flags. */
export const variable = "UNINET_LOG"

export const isJson = (): boolean => process.env[variable] === "json"

/** Whether progress is shown as a moving bar: on a terminal, unless lines are for programs. */
export const isBar = (): boolean => process.stderr.isTTY && !isJson()

/** What is wrong with the variable, if anything. */
export const problem = (): string | undefined => {
  const given = process.env[variable]
  return given === undefined || ["", "text", "json"].includes(given)
    ? undefined
    : `The environment's ${variable} is "${given}". Give json or text, or leave it out.`
}

/** What programs read from a line: the event, and what is known of it. */
export type Facts = { readonly event: string } & { readonly [name: string]: Schema.Json }

const rendered = (line: string, facts: Facts): string =>
  JSON.stringify({ time: new Date().toISOString(), ...facts, message: line.trim() })

/** The line being printed now, if it is already JSON. */
let ready: string | undefined

/** Prints a line. If lines are JSON its facts are added, whichever console the fiber has, because callbacks of trainings run in other fibers. */
export const say = (line: string, facts: Facts): Effect.Effect<void> =>
  Console.consoleWith((console) =>
    Effect.sync(() => {
      if (!isJson()) return console.error(line)
      ready = rendered(line, facts)
      console.error(ready)
      ready = undefined
    })
  )

/** A console that writes JSON lines to standard error. Output without facts is a note. */
const asJson = (base: Console.Console): Console.Console =>
  Object.assign(Object.create(base), {
    error: (line: unknown) => base.error(line === ready ? line : rendered(String(line), { event: "Note" }))
  })

/** Runs an effect with the output format that the environment asks for. */
export const spoken = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() =>
    isJson() ? Console.consoleWith((base) => Effect.provideService(effect, Console.Console, asJson(base))) : effect
  )

/** What is said on standard error: lines for people, or one JSON object a line for those who collect logs, where the environment asks for it (`UNINET_LOG=json`). */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"

/** A variable and no flag, as it holds for whatever a process says, a mistake in its flags as well. */
export const variable = "UNINET_LOG"

export const isJson = (): boolean => process.env[variable] === "json"

/** Whether progress is a bar that moves: on a terminal, unless lines are for programs. */
export const isBar = (): boolean => process.stderr.isTTY && !isJson()

/** What is wrong with the variable, if anything. */
export const problem = (): string | undefined => {
  const given = process.env[variable]
  return given === undefined || ["", "text", "json"].includes(given)
    ? undefined
    : `The environment's ${variable} is "${given}". Give json or text, or leave it out.`
}

/** What programs read of a line: which event it is, and what is known of it. */
export type Facts = { readonly event: string } & { readonly [name: string]: Schema.Json }

const rendered = (line: string, facts: Facts): string =>
  JSON.stringify({ time: new Date().toISOString(), ...facts, message: line.trim() })

/** What is being said at this moment, if it is JSON already. */
let ready: string | undefined

/** Says a line; its facts stand beside it where lines are JSON, whatever console the fiber has: callbacks of trainings run in others. */
export const say = (line: string, facts: Facts): Effect.Effect<void> =>
  Console.consoleWith((console) =>
    Effect.sync(() => {
      if (!isJson()) return console.error(line)
      ready = rendered(line, facts)
      console.error(ready)
      ready = undefined
    })
  )

/** A console whose standard error is lines of JSON. What comes without facts is a note. */
const asJson = (base: Console.Console): Console.Console =>
  Object.assign(Object.create(base), {
    error: (line: unknown) => base.error(line === ready ? line : rendered(String(line), { event: "Note" }))
  })

/** Runs what speaks in the way that the environment asks for. */
export const spoken = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() =>
    isJson() ? Console.consoleWith((base) => Effect.provideService(effect, Console.Console, asJson(base))) : effect
  )

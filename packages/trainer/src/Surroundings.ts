/**
 * What decides the numbers of a training besides its network, recipe and seed: the data's content, this software, the engine and how it
 * computes, and the kind of machine. Where all of them are equal, a training is the same to the last bit. Where one differs it is another
 * training, which may differ in a last digit or altogether.
 */
import { Content, type DataError, Dataset } from "@uninet/data"
import { Runtime, type RuntimeError } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Schema from "effect/Schema"
import { version } from "./version.ts"

/** The data, the software and the engine with which something was computed. */
export const Surroundings = Schema.Struct({
  /** `Content.of` the data set. */
  data: Schema.String,
  /** `uninet 0.2.0`. */
  software: Schema.String,
  /** `Runtime.numerics`: the engine with its version, device and formulation. */
  engine: Schema.String,
  /** Operating system and architecture; `any machine` if neither the engine's numbers nor the data's depend on them. */
  host: Schema.String
})
export type Surroundings = typeof Surroundings.Type

const said = {
  data: "the data's content",
  software: "the software",
  engine: "the engine",
  host: "the kind of machine"
} as const satisfies Record<keyof Surroundings, string>

/** The first difference between surroundings and all those already known. */
export interface Difference {
  /** In words, such as `the data's content`. */
  readonly what: string
  readonly before: string
  readonly now: string
}

/**
 * The surroundings of this process, for its data set and its engine. On an engine that computes the same bits everywhere
 * (`Runtime.isPortable`), the kind of machine does not matter, except for data that native code decodes.
 *
 * Fails if the data cannot be read or the engine cannot be tried.
 */
export const here: Effect.Effect<Surroundings, DataError.DataError | RuntimeError, Dataset.Dataset | Runtime> =
  Effect.gen(function* () {
    const { isPortable = false, name, numerics = Effect.succeed(name) } = yield* Runtime
    const data = yield* Dataset.Dataset
    return {
      data: yield* Content.of(data),
      software: `uninet ${version}`,
      engine: yield* numerics,
      host: isPortable && data.isNative !== true ? "any machine" : `${process.platform} ${process.arch}`
    }
  })

/**
 * How `now` differs from the last of the earlier ones; `undefined` if it is one of them, or if none are known.
 *
 * @example
 * ```ts
 * import { Surroundings } from "@uninet/trainer"
 *
 * const before = { data: "9f2c", software: "uninet 0.2.0", engine: "loops portable", host: "any machine" }
 * const now = { ...before, engine: "onnxruntime 1.30.0 cpu, blocks of 16" }
 * // A search continued on another engine would give other numbers: it is refused, or marked as a mixture.
 * console.log(Surroundings.difference([before], now)) // { what: 'the engine', before: 'loops portable', now: … }
 * console.log(Surroundings.together([before], now).length, Surroundings.together([before], before).length) // 2 1
 * ```
 */
export const difference = (before: ReadonlyArray<Surroundings>, now: Surroundings): Difference | undefined => {
  const last = before.at(-1)
  if (last === undefined || before.some((each) => Equal.equals(each, now))) return undefined
  const fields = ["data", "software", "engine", "host"] as const
  const field = fields.find((name) => last[name] !== now[name]) ?? "data"
  return { what: said[field], before: last[field], now: now[field] }
}

/** The earlier surroundings and the current ones, each once. */
export const together = (before: ReadonlyArray<Surroundings>, now: Surroundings): ReadonlyArray<Surroundings> =>
  before.some((each) => Equal.equals(each, now)) ? before : [...before, now]

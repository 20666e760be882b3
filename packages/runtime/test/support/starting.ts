/** Laws of how variables start, for every engine: each gives what is wrong, or nothing. */
import { Op, Program, type Shape } from "@uninet/graph"
import { Runtime } from "@uninet/engine"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"

const made = (ends: Parameters<typeof Program.make>[0]) => Result.getOrThrow(Program.make(ends))

const variable = (name: string, initialiser: Op.Initialiser, shape: Shape.Shape = [3]) =>
  Op.variable({ name, role: "parameter", initialiser, decay: false }, shape)
const constant = (value: number): Op.Initialiser => ({ kind: "constant", value })
const drawn: Op.Initialiser = { kind: "truncatedNormal", deviation: 0.02 }

/** What differs from what was expected, as text; numbers to five decimals. */
const unlike = (what: string, found: unknown, expected: unknown) => {
  const [a, b] = [found, expected].map((value) =>
    JSON.stringify(value, (_, v: unknown) =>
      v instanceof Float32Array ? [...v] : typeof v === "number" ? Number(v.toFixed(5)) : v
    )
  )
  return a === b ? undefined : `${what}: ${a}, not ${b}`
}

const half = variable("half", constant(0.5))
const one = variable("one", constant(1), [2])
const weight = variable("weight", drawn)
const sum = made({ outputs: { y: Op.add(half, Op.sum(one)) } })
const reading = made({ outputs: { y: Op.scale(weight, 2) } })

/** A step of AdamW on variables that start at numbers of their own: engines may join them. */
const step = () => {
  const [rate, count] = [Op.input("rate", []), Op.input("count", [])]
  const updates = [half, one].flatMap((parameter) => {
    const [moment1, moment2] = ["m", "v"].map((m) =>
      variable(`${m}/${parameter.attributes.name}`, constant(0), parameter.shape)
    )
    const state = { parameter, gradient: Op.fill(1, parameter.shape), moment1, moment2 }
    const next = Op.adamw({ beta1: 0.5, beta2: 0.5, epsilon: 0, weightDecay: 0 }, state, rate, count)
    return [
      { variable: parameter, value: next.parameter },
      { variable: moment1, value: next.moment1 },
      { variable: moment2, value: next.moment2 }
    ]
  })
  return made({ outputs: {}, updates })
}

type Law = Effect.Effect<string | undefined, unknown, Runtime | Scope.Scope>

export const laws: Readonly<Record<string, Law>> = {
  "start at the numbers that they say": Effect.gen(function* () {
    const { read, run } = yield* (yield* Runtime).compile({ sum })
    const { y } = yield* run("sum", {})
    const values = yield* read
    return (
      unlike("the result", [...y], [2.5, 2.5, 2.5]) ??
      unlike("the values", Object.fromEntries(values), { half: [0.5, 0.5, 0.5], one: [1, 1] })
    )
  }),

  "start at them where an optimiser moves them on together": Effect.gen(function* () {
    const { read, run } = yield* (yield* Runtime).compile({ step: step(), sum })
    const before = yield* run("sum", {})
    yield* run("step", { rate: Float32Array.of(0.25), count: Float32Array.of(1) })
    const after = yield* read
    return (
      unlike("before the step", [...before.y], [2.5, 2.5, 2.5]) ??
      unlike(
        "after it",
        [after.get("half"), after.get("one")],
        [
          [0.25, 0.25, 0.25],
          [0.75, 0.75]
        ]
      )
    )
  }),

  "whose first values are drawn are missed by name, until they are written": Effect.gen(function* () {
    const { run, write } = yield* (yield* Runtime).compile({ reading, sum })
    const error = yield* Effect.flip(run("reading", {}))
    const other = yield* run("sum", {})
    yield* write(new Map([["weight", Float32Array.of(1, 2, 3)]]))
    const { y } = yield* run("reading", {})
    return (
      unlike("the error", error._tag, "UninitialisedVariables") ??
      unlike(
        "the message",
        error.message,
        'the program "reading" reads variables that have no value yet (weight); draw their initial values with their initialisers and write them before running it (Initialise.write of @uninet/trainer does both)'
      ) ??
      unlike("a program that does not read them", [...other.y], [2.5, 2.5, 2.5]) ??
      unlike("the result", [...y], [2, 4, 6])
    )
  }),

  "that a program gives a value without reading one have it from then on": Effect.gen(function* () {
    const giving = made({ outputs: {}, updates: [{ variable: weight, value: Op.scale(half, 4) }] })
    const adding = made({ outputs: {}, updates: [{ variable: weight, value: Op.add(weight, half) }] })
    const { run } = yield* (yield* Runtime).compile({ adding, giving, reading })
    const error = yield* Effect.flip(run("adding", {}))
    yield* run("giving", {})
    yield* run("adding", {})
    const { y } = yield* run("reading", {})
    return unlike("the error", error._tag, "UninitialisedVariables") ?? unlike("the result", [...y], [5, 5, 5])
  }),

  "start at a number where one of the programs that share them says one": Effect.gen(function* () {
    const numbered = made({ outputs: { y: Op.neg(variable("weight", constant(7))) } })
    const { run } = yield* (yield* Runtime).compile({ reading, numbered })
    return unlike("the result", [...(yield* run("reading", {})).y], [14, 14, 14])
  }),

  "of one name and two shapes cannot be shared": Effect.gen(function* () {
    const other = made({ outputs: { y: Op.neg(variable("weight", drawn, [4])) } })
    const error = yield* Effect.flip((yield* Runtime).compile({ reading, other }))
    return (
      unlike("the error", error._tag, "CompileFailed") ??
      (error.message.includes("weight ([3] and [4])") ? undefined : `the message is ${error.message}`)
    )
  })
}

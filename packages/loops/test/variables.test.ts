import { assert, describe, it } from "@effect/vitest"
import { Op, Program, Shape, type Tensor } from "@uninet/graph"
import { Runtime } from "@uninet/engine"
import { Loops } from "@uninet/loops"
import * as Effect from "effect/Effect"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { made, numbers } from "../../runtime-tfjs/test/support/cases.ts"
import { difference } from "../../runtime-tfjs/test/support/compare.ts"

const shape = [5, 5]
const variable = (name: string) =>
  Op.variable({ name, role: "buffer", initialiser: { kind: "constant", value: 0 }, decay: false }, shape)
const [a, b, c] = ["a", "b", "c"].map(variable)
const update = (variable: Tensor.Tensor<"variable">, value: Tensor.Tensor): Program.Update => ({ variable, value })
const turned = Op.transpose(a, [1, 0])
const next = Op.scale(a, 0.5)

const programs = {
  "change places": made({ outputs: {}, updates: [update(a, b), update(b, c), update(c, a)] }),
  "come out as they were": made({ outputs: { before: a, row: Op.reshape(a, [25]) }, updates: [update(a, Op.neg(a))] }),
  "are averages of what changes in the run": made({
    outputs: {},
    updates: [update(a, Op.movingAverage(a, b, Op.fill(0.75))), update(b, Op.tanh(Op.add(b, a))), update(c, b)]
  }),
  "are made of other places of themselves": made({
    outputs: { sum: Op.sum(Op.mul(a, turned)) },
    updates: [update(a, Op.sub(a, turned)), update(b, Op.sub(b, Op.mean(b, [0], true)))]
  }),
  "have one new value, which comes out as well": made({
    outputs: { next },
    updates: [update(a, next), update(b, next)]
  })
}

describe("variables on loops", () => {
  for (const [name, program] of Object.entries(programs))
    it.effect(`that ${name} are what the reference interpreter makes of them, run after run`, () =>
      Effect.gen(function* () {
        const { read, run, write } = yield* (yield* Runtime).compile({ program })
        let variables: Record<string, ArrayLike<number>> = Object.fromEntries(
          program.variables.map((v, i) => [v.attributes.name, numbers(Shape.size(shape), i)])
        )
        yield* write(new Map(Object.entries(variables).map(([name, data]) => [name, Float32Array.from(data)])))
        for (let i = 0; i < 2; i++) {
          const { outputs, updates } = evaluate(program, { variables })
          variables = { ...variables, ...updates }
          const found = { ...(yield* run("program", {})), ...Object.fromEntries(yield* read) }
          for (const [name, expected] of Object.entries({ ...outputs, ...variables }))
            assert.isBelow(difference(found[name], expected), 1e-6, name)
        }
      }).pipe(Effect.scoped, Effect.provide(Loops.portable()))
    )
})

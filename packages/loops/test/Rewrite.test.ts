import { assert, describe, it } from "@effect/vitest"
import { Lower, Rewrite } from "@uninet/loops"
import fc from "fast-check"
import * as Result from "effect/Result"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { families, programOf, valuesOf, withoutGradients } from "../../runtime-tfjs/test/support/cases.ts"
import { difference } from "../../runtime-tfjs/test/support/compare.ts"

const programs = fc.oneof(
  ...Object.values(families).map((cases) => cases.map((one) => ({ one, program: programOf(one) }))),
  withoutGradients.map((one) => ({ one, program: programOf(one, false) }))
)

const chosen = [
  ...Lower.rewrites.map((rewrite) => ({ name: rewrite.name, rewrites: [rewrite] })),
  { name: "all of them, one after the other,", rewrites: Lower.rewrites }
]

describe("on random programs and gradients the interpreter gives the same", () => {
  for (const { name, rewrites } of chosen)
    it(`after the rewrite ${name} as before`, () =>
      fc.assert(
        fc.property(programs, ({ one, program }) => {
          const inputs = valuesOf(one)
          const before = evaluate(program, { inputs }).outputs
          const after = evaluate(Result.getOrThrow(Rewrite.apply(rewrites)(program)), { inputs }).outputs
          for (const [output, expected] of Object.entries(before))
            assert.isBelow(difference(after[output], expected), 1e-6, `${output} of ${one.name}`)
        }),
        { numRuns: 120, seed: 11 }
      ))
})

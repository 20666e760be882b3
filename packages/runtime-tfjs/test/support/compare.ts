/** An engine held against the reference interpreter; what disagrees is made as small as it can be. */
import { Tensor, type Program } from "@uninet/graph"
import { type Data, Runtime, type RuntimeError } from "@uninet/engine"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { evaluate } from "../../../graph/test/support/interpreter.ts"
import { type Case, made, programOf, valuesOf } from "./cases.ts"

/** Largest difference relative to the largest reference value, or to 0.1 where that is smaller: some gradients are zero but for rounding. */
export const difference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let worst = a.length === b.length ? 0 : Infinity
  let largest = 0.1
  for (let i = 0; i < b.length; i++) {
    const d = Math.abs(a[i] - b[i])
    worst = d > worst || Number.isNaN(d) ? d : worst
    largest = Math.max(largest, Math.abs(b[i]))
  }
  return worst / largest
}

export const run = Effect.fnUntraced(function* (program: Program.Program, inputs: Readonly<Record<string, Data>>) {
  const { run } = yield* (yield* Runtime).compile({ program })
  return yield* run("program", inputs)
}, Effect.scoped)

/** What is wrong with a case on the engine, if anything is. */
const wrong = (one: Case, program: Program.Program, tolerance: number) =>
  Effect.map(run(program, valuesOf(one)), (actual) => {
    const expected = evaluate(program, { inputs: valuesOf(one) }).outputs
    return Object.entries(expected).flatMap(([name, reference]) => {
      const d = difference(actual[name], reference)
      return d < tolerance ? [] : [`${name} of ${one.name} is off by ${d}`]
    })[0]
  })

const isComputed = (node: Tensor.Tensor) => !["input", "variable", "constant", "fill"].includes(node.kind)

/**
 * The first op of a program whose result is wrong although those of its operands are right, as a program of its own: the smallest one that disagrees.
 */
const firstWrong = Effect.fnUntraced(function* (one: Case, program: Program.Program, tolerance: number) {
  for (const node of program.nodes.filter(isComputed)) {
    const part = made({ outputs: { [`${node.kind}`]: node } })
    const found = yield* wrong(one, part, tolerance)
    if (found !== undefined) return `${node.kind} ${JSON.stringify(node.attributes).slice(0, 200)}`
  }
  return "no single op"
})

/**
 * Draws cases until one disagrees, and shrinks that to the smallest: a sentence about it, or `undefined`. An error of the engine is a disagreement.
 */
export const disagreement = Effect.fnUntraced(function* (
  cases: fc.Arbitrary<Case>,
  options: { readonly runs: number; readonly tolerance: number; readonly gradients?: boolean }
) {
  const services = yield* Effect.context<Runtime>()
  const { gradients = true, runs, tolerance } = options
  const program = (one: Case) => programOf(one, gradients)
  const check = (one: Case) =>
    wrong(one, program(one), tolerance).pipe(
      Effect.catch((error: RuntimeError) => Effect.succeed(`${one.name}: ${error.message}`)),
      Effect.provideContext(services)
    )
  const details = yield* Effect.promise(() =>
    fc.check(
      fc.asyncProperty(cases, async (one) => (await Effect.runPromise(check(one))) === undefined),
      { numRuns: runs, seed: 20_220_705 }
    )
  )
  const smallest = details.counterexample?.[0]
  if (smallest === undefined) return undefined
  const sentence = yield* check(smallest)
  const at = yield* Effect.orElseSucceed(firstWrong(smallest, program(smallest), tolerance), () => "an op that fails")
  return `${sentence}; first wrong: ${at}`
})

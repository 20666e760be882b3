/** Every operator and downsampling module against PyTorch: outputs and all gradients, in training mode. */
import { gradient, Op, Program, Shape } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { cases, type Case } from "./support/cases.ts"
import { deviation, isZero } from "./support/error.ts"
import { reference } from "./support/reference.ts"

const vectors = reference("operators")

/** The case's module with every gradient of Σ y·dy, and what the reference says of each output. */
const build = (name: string, { layer, rename }: Case) => {
  const x = Op.input("x", vectors.shape(`${name}/x`))
  const y = layer(Scope.make("training"))(x)
  const dy = Op.input("dy", vectors.shape(`${name}/dy`))
  const { variables } = Result.getOrThrow(Program.make({ outputs: { y } }))
  const gradients = gradient(Op.sum(Op.mul(y, dy)), [x, ...variables])
  const outputs = Object.fromEntries(
    [x, ...variables].map((t, i) => [`d ${t.attributes.name}`, gradients[i] ?? Op.fill(NaN)])
  )
  const program = Result.getOrThrow(Program.make({ outputs: { y, ...outputs } }))
  const parameters = vectors.names(`${name}/param/`)
  const expected: Record<string, Float32Array> = {
    y: vectors.numbers(`${name}/y`),
    "d x": vectors.numbers(`${name}/dx`)
  }
  for (const p of parameters) expected[`d ${rename(p)}`] = vectors.numbers(`${name}/grad/${p}`)
  return {
    program,
    variables,
    given: {
      inputs: { x: vectors.numbers(`${name}/x`), dy: vectors.numbers(`${name}/dy`) },
      variables: Object.fromEntries(parameters.map((p) => [rename(p), vectors.numbers(`${name}/param/${p}`)]))
    },
    sizes: Object.fromEntries(parameters.map((p) => [rename(p), Shape.size(vectors.shape(`${name}/param/${p}`))])),
    expected
  }
}

describe("operators and downsampling modules against PyTorch", () => {
  it("has a case for every one of the reference", () => {
    const named = new Set(vectors.names("").map((name) => name.split("/").slice(0, 2).join("/")))
    assert.deepStrictEqual(Object.keys(cases).sort(), [...named].sort())
  })

  for (const [name, of] of Object.entries(cases)) {
    describe(`${name}`, () => {
      const { expected, given, program, sizes, variables } = build(name, of)

      it("holds exactly the reference's parameters", () => {
        assert.deepStrictEqual(
          Object.fromEntries(variables.map((v) => [v.attributes.name, Shape.size(v.shape)])),
          sizes
        )
      })

      it("gives its output and every gradient to float32's precision", () => {
        const { outputs } = evaluate(program, given)
        assert.deepStrictEqual(Object.keys(outputs).sort(), Object.keys(expected).sort())
        for (const [key, want] of Object.entries(expected)) {
          const { absolute, relative } = deviation(outputs[key], want)
          if (isZero(want)) assert.isAtMost(absolute, 1e-5, `${key}, which is zero`)
          else assert.isAtMost(relative, 1e-5, key)
        }
      })
    })
  }
})

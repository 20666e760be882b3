/** Every operator and downsampling module against PyTorch: outputs and all gradients, in training mode. */
import { gradient, Op, Program, Shape } from "@uninet/graph"
import { Scope } from "@uninet/nn"
import { assert, describe, it } from "@effect/vitest"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Effect, Result } from "effect"
import { cases, type Case } from "./support/cases.ts"
import { deviation, isZero } from "./support/error.ts"
import { interpreter } from "./support/interpreter.ts"
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
    held: Object.fromEntries(variables.map((v) => [v.attributes.name, Shape.size(v.shape)])),
    inputs: { x: vectors.numbers(`${name}/x`), dy: vectors.numbers(`${name}/dy`) },
    variables: new Map(parameters.map((p) => [rename(p), vectors.numbers(`${name}/param/${p}`)])),
    sizes: Object.fromEntries(parameters.map((p) => [rename(p), Shape.size(vectors.shape(`${name}/param/${p}`))])),
    expected
  }
}

/** How far the engine at hand is from the reference, relative to each tensor's largest element, or absolutely where that is zero. */
const errors = Effect.fn(function* ({ expected, inputs, program, variables }: ReturnType<typeof build>) {
  const runtime = yield* Runtime
  const executable = yield* runtime.compile({ program })
  yield* executable.write(variables)
  const outputs = yield* executable.run("program", inputs)
  assert.deepStrictEqual(Object.keys(outputs).sort(), Object.keys(expected).sort())
  return Object.entries(expected).map(([key, want]) => {
    const { absolute, relative } = deviation(outputs[key], want)
    const zero = isZero(want)
    return { key, isZero: zero, error: zero ? absolute : relative }
  })
}, Effect.scoped)

describe("operators and downsampling modules against PyTorch", () => {
  it("has a case for every one of the reference", () => {
    const named = new Set(vectors.names("").map((name) => name.split("/").slice(0, 2).join("/")))
    assert.deepStrictEqual(Object.keys(cases).sort(), [...named].sort())
  })

  for (const name of Object.keys(cases)) {
    describe(`${name}`, () => {
      const of = build(name, cases[name])

      it("holds exactly the reference's parameters", () => {
        assert.deepStrictEqual(of.held, of.sizes)
      })

      it.effect("gives its output and every gradient exactly on the float64 interpreter", () =>
        Effect.gen(function* () {
          for (const { error, key } of yield* errors(of)) assert.isAtMost(error, 1e-5, key)
        }).pipe(Effect.provide(interpreter))
      )
    })
  }

  it.effect("ONNX Runtime gives every output and gradient within 1e-3, 95% of them within 1e-4", () =>
    Effect.gen(function* () {
      const all: Array<number> = []
      for (const name of Object.keys(cases))
        for (const { error, isZero, key } of yield* errors(build(name, cases[name]))) {
          assert.isAtMost(error, isZero ? 1e-5 : 1e-3, `${name} ${key}`)
          all.push(error)
        }
      assert.isAbove(all.length, 200)
      assert.isAtLeast(all.filter((error) => error <= 1e-4).length / all.length, 0.95)
    }).pipe(Effect.provide(OnnxRuntime.cpu()))
  )
})

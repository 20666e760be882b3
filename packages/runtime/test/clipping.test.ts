import { assert, describe, it } from "@effect/vitest"
import { Updates } from "@uninet/engine"
import { Op, Program, type Tensor } from "@uninet/graph"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { evaluate } from "../../graph/test/support/interpreter.ts"

/** Lengths that leave gaps between groups, and one that lies alone. */
const lengths = { a: 3, b: 5000, c: 6, d: 1 }
const names = ["a", "b", "c", "d"] as const
type Name = (typeof names)[number]

const variable = (name: string, length: number) =>
  Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value: 0 }, decay: true }, [length])

const numbers = (n: number, seed: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + 1.7 * i))

const rate = Op.input("learningRate", [])

/** SGD of four parameters, two with a weight decay, with gradients that are inputs. */
const training = (
  clip: (gradients: ReadonlyArray<Tensor.Tensor>) => ReadonlyArray<Tensor.Tensor>,
  outputs: (gradients: ReadonlyArray<Tensor.Tensor>) => Readonly<Record<string, Tensor.Tensor>> = () => ({})
) => {
  // More than an input, so that the graph has something to do.
  const gradients = names.map((name) => Op.mul(Op.input(`gradient ${name}`, [lengths[name]]), Op.fill(2)))
  const clipped = clip(gradients)
  const updates = names.flatMap((name, i) => {
    const [parameter, velocity] = [variable(name, lengths[name]), variable(`velocity ${name}`, lengths[name])]
    const attributes = { momentum: 0.5, nesterov: false, weightDecay: i < 2 ? 0 : 0.1 }
    const next = Op.sgd(attributes, { parameter, gradient: clipped[i], velocity }, rate)
    return [
      { variable: parameter, value: next.parameter },
      { variable: velocity, value: next.velocity }
    ]
  })
  return Result.getOrThrow(Program.make({ outputs: outputs(gradients), updates }))
}

/** All by one norm, up to `most`. */
const byNorm = (most: number) => (gradients: ReadonlyArray<Tensor.Tensor>) => {
  const norm = Op.globalNorm(gradients)
  return gradients.map((gradient) => Op.clipByNorm(gradient, norm, most))
}

const clippedWithNorm = (most: number) => {
  let norm: Tensor.Tensor | undefined
  return training(
    (gradients) => {
      const all = Op.globalNorm(gradients)
      norm = all
      return gradients.map((gradient) => Op.clipByNorm(gradient, all, most))
    },
    () => (norm === undefined ? {} : { norm })
  )
}

const values = (of: (name: Name) => number) => ({
  inputs: {
    learningRate: Float32Array.of(0.1),
    ...Object.fromEntries(names.map((name) => [`gradient ${name}`, numbers(lengths[name], of(name))]))
  },
  variables: Object.fromEntries(
    names.flatMap((name) => [
      [name, numbers(lengths[name], 10 + of(name))],
      [`velocity ${name}`, numbers(lengths[name], 20 + of(name))]
    ])
  )
})

describe("clipping", () => {
  it("is left to the memory where all gradients are clipped by the norm of all of them", () => {
    const program = clippedWithNorm(1)
    const outside = Updates.outsideOf(program)
    assert.strictEqual(outside.norm?.most, 1)
    assert.deepStrictEqual(Updates.normOutputs(outside)(program), ["norm"])
    const inside = Result.getOrThrow(Updates.insideOf(outside)(program))
    assert.deepStrictEqual(
      inside.nodes.filter(({ kind }) => kind === "globalNorm" || kind === "clipByNorm"),
      []
    )
  })

  it("stays in the graph where some gradients are not clipped, or by another norm", () => {
    const some = training((gradients) => [...byNorm(1)(gradients).slice(0, 3), gradients[3]])
    const two = training((gradients) => [...byNorm(1)(gradients).slice(0, 2), ...byNorm(2)(gradients).slice(2)])
    const part = training((gradients) => {
      const norm = Op.globalNorm(gradients.slice(1))
      return gradients.map((gradient) => Op.clipByNorm(gradient, norm, 1))
    })
    for (const program of [some, two, part]) {
      const outside = Updates.outsideOf(program)
      assert.isUndefined(outside.norm)
      assert.strictEqual(outside.steps.length, 4)
      assert.include(
        Result.getOrThrow(Updates.insideOf(outside)(program)).nodes.map(({ kind }) => kind),
        "clipByNorm"
      )
    }
  })

  it.effect.each([0.5, 1e4])("to %d gives the parameters, velocities and norm of the reference interpreter", (most) =>
    Effect.gen(function* () {
      const program = clippedWithNorm(most)
      const { inputs, variables } = values((name) => names.indexOf(name))
      const { read, run, write } = yield* (yield* Runtime).compile({ program })
      yield* write(new Map(Object.entries(variables)))
      const outputs = yield* run("program", inputs)
      const expected = evaluate(program, { inputs, variables })
      assert.closeTo(outputs["norm"][0] / expected.outputs["norm"][0], 1, 1e-6)
      const found = yield* read
      for (const [name, data] of Object.entries(expected.updates))
        data.forEach((x, i) => assert.closeTo(found.get(name)?.[i] ?? Number.NaN, x, 1e-5, name))
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it.effect("of a gradient that is not a number gives nothing but such parameters", () =>
    Effect.gen(function* () {
      const { inputs } = values(() => 1)
      const { read, run } = yield* (yield* Runtime).compile({ program: clippedWithNorm(1) })
      const outputs = yield* run("program", { ...inputs, "gradient d": Float32Array.of(Number.NaN) })
      assert.isTrue(Number.isNaN(outputs["norm"][0]))
      for (const name of names) assert.isTrue((yield* read).get(name)?.every(Number.isNaN))
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )
})

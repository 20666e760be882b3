import { assert, describe, it } from "@effect/vitest"
import { NameClash, Op, Program, ShapeError, type Tensor, topological, UpdateClash } from "@uninet/graph"
import * as Result from "effect/Result"
import fc from "fast-check"
import { check, numbers, seed } from "./support/draw.ts"
import { programOf } from "./support/gradients.ts"
import { graph, growAll, type Step } from "./support/graphs.ts"
import { evaluate } from "./support/interpreter.ts"

/** The leaves of a random graph, made anew at every call. */
const leaves = () => [Op.input("a", [2, 3]), Op.input("b", [2, 3]), Op.input("weight", [3, 3])]
const inputs = (seed: number) => ({ a: numbers(seed, 6), b: numbers(seed + 1, 6), weight: numbers(seed + 2, 9) })

const numbered = (tensors: ReadonlyArray<Tensor.Tensor>, prefix = ""): Record<string, Tensor.Tensor> =>
  Object.fromEntries(tensors.map((t, i) => [`${prefix}${i}`, t]))

/** Every tensor of a random graph as an output. */
const outputsOf = (steps: ReadonlyArray<Step>, prefix = ""): Record<string, Tensor.Tensor> =>
  numbered(growAll(steps, leaves()), prefix)

/** A program as it was written: nothing merged, nothing dropped. */
const asWritten = (outputs: Record<string, Tensor.Tensor>): Program.Program => {
  const nodes = topological(Object.values(outputs))
  return { nodes, inputs: [], variables: [], outputs, updates: [] }
}

const failure = (ends: Parameters<typeof Program.make>[0]) => {
  const made = Program.make(ends)
  assert.isTrue(Result.isFailure(made))
  return Result.isFailure(made) ? made.failure : undefined
}

const variable = (name: string, shape: ReadonlyArray<number>, value = 0) =>
  Op.variable({ name, role: "parameter", initialiser: { kind: "constant", value }, decay: false }, shape)

const x = Op.input("x", [2, 3])

/** How many nodes remain of two constants. */
const constants = (a: Float32Array, b: Float32Array) =>
  programOf({ a: Op.constant(a, [a.length]), b: Op.constant(b, [b.length]) }).nodes.length

describe("Program.make", () => {
  it("keeps what every output means", () =>
    check(fc.tuple(graph, seed), ([steps, seed]) => {
      const outputs = outputsOf(steps)
      const given = { inputs: inputs(seed) }
      assert.deepStrictEqual(evaluate(programOf(outputs), given).outputs, evaluate(asWritten(outputs), given).outputs)
    }))

  it("never has more nodes than were written, and making a program of a program changes nothing", () =>
    check(graph, (steps) => {
      const outputs = outputsOf(steps)
      const program = programOf(outputs)
      assert.isAtMost(program.nodes.length, asWritten(outputs).nodes.length)
      assert.deepStrictEqual(programOf(program.outputs).nodes, program.nodes)
    }))

  it("merges equal subexpressions: a graph written twice costs nothing more", () =>
    check(graph, (steps) => {
      const once = programOf(outputsOf(steps))
      const twice = programOf({ ...outputsOf(steps, "first"), ...outputsOf(steps, "second") })
      assert.strictEqual(twice.nodes.length, once.nodes.length)
      assert.isTrue(steps.every((_, i) => twice.outputs[`first${i}`] === twice.outputs[`second${i}`]))
    }))

  it("drops what no output needs", () =>
    check(graph, (steps) => {
      const all = growAll(steps, leaves())
      const kept = all[all.length - 1]
      const program = programOf({ kept })
      const needed = new Set(topological([program.outputs.kept]))
      assert.isTrue(program.nodes.every((node) => needed.has(node)))
      assert.isAtMost(program.nodes.length, programOf(outputsOf(steps)).nodes.length)
    }))

  it("puts every node after its inputs, in the same order whenever it is made", () =>
    check(graph, (steps) => {
      const program = programOf(outputsOf(steps))
      const place = new Map(program.nodes.map((node, i) => [node, i]))
      for (const [i, node] of program.nodes.entries())
        assert.isTrue(node.inputs.every((input) => (place.get(input) ?? Infinity) < i))
      assert.deepStrictEqual(
        programOf(outputsOf(steps)).nodes.map((node) => node.kind),
        program.nodes.map((node) => node.kind)
      )
    }))

  it("lists inputs and variables, and gives updates their variable's next value", () => {
    const count = variable("count", [])
    const value = Op.add(count, Op.sum(x))
    const program = Result.getOrThrow(Program.make({ outputs: { count }, updates: [{ variable: count, value }] }))
    assert.deepStrictEqual(
      program.inputs.map((t) => t.attributes.name),
      ["x"]
    )
    assert.deepStrictEqual(
      program.variables.map((t) => t.attributes.name),
      ["count"]
    )
    const results = evaluate(program, { inputs: { x: [1, 2, 3, 4, 5, 6] }, variables: { count: [100] } })
    assert.deepStrictEqual([...results.outputs.count], [100])
    assert.deepStrictEqual([...results.updates.count], [121])
  })

  it("compares constants by content, and large ones by identity", () => {
    assert.strictEqual(constants(Float32Array.of(1, 2), Float32Array.of(1, 2)), 1)
    assert.strictEqual(constants(Float32Array.of(1, 2), Float32Array.of(1, 3)), 2)
    const large = new Float32Array(5000)
    assert.strictEqual(constants(large, large), 1)
    assert.strictEqual(constants(large, new Float32Array(5000)), 2)
  })

  it("tells apart what JSON does not: infinities, NaN and −0, and the shapes and types of constants", () => {
    const fills = [Infinity, -Infinity, NaN, 0, -0].map((value) => Op.fill(value))
    assert.strictEqual(programOf(numbered(fills)).nodes.length, 5)
    const leaves = [
      Op.constant(Float32Array.of(0, 1), [2]),
      Op.constant(Float32Array.of(-0, 1), [2]),
      Op.constant(Float32Array.of(0, 1), [1, 2]),
      Op.constant(Int32Array.of(0, 0), [2]),
      Op.constant(Float32Array.of(0, 0), [2])
    ]
    assert.strictEqual(programOf(numbered(leaves)).nodes.length, 5)
  })

  it("tells ops of different attributes apart", () => {
    const image = Op.input("image", [1, 4, 5, 5])
    const weight = Op.input("weight", [4, 1, 3, 3])
    const outputs = [
      Op.conv2d(image, weight, { groups: 4 }),
      Op.conv2d(image, weight, { groups: 4, padding: [0, 1, 2, 1] }),
      Op.transpose(image, [0, 1, 3, 2]),
      Op.relu(image),
      Op.gelu(image)
    ]
    assert.strictEqual(programOf(numbered(outputs)).nodes.length, 2 + outputs.length)
  })

  it("does not overflow the stack on a chain of 20,000 ops", () => {
    let y: Tensor.Tensor = x
    for (let i = 0; i < 20_000; i++) y = Op.relu(y)
    assert.strictEqual(programOf({ y }).nodes.length, 20_001)
  })

  it("refuses two different inputs or variables of one name", () => {
    const message = "two different inputs or variables are named x ([2×3] and [4]); give each layer its own path"
    for (const other of [Op.input("x", [4]), variable("x", [4])]) {
      const error = failure({ outputs: { x, other } })
      assert.instanceOf(error, NameClash)
      assert.strictEqual(error?.message, message)
    }
    const twins = [variable("bias", [4], 0), variable("bias", [4], 1)]
    assert.instanceOf(failure({ outputs: numbered(twins) }), NameClash)
    assert.strictEqual(programOf({ a: variable("bias", [4]), b: variable("bias", [4]) }).variables.length, 1)
  })

  it("refuses an update that does not fit its variable, and two updates of one", () => {
    const weight = variable("head.weight", [3])
    const misfit = failure({ outputs: {}, updates: [{ variable: weight, value: x }] })
    assert.instanceOf(misfit, ShapeError)
    assert.include(misfit?.message, "head.weight (update)")
    assert.include(misfit?.message, "[3], [2×3]")
    const update = { variable: weight, value: Op.neg(weight) }
    const twice = failure({ outputs: {}, updates: [update, { ...update, variable: variable("head.weight", [3]) }] })
    assert.instanceOf(twice, UpdateClash)
    assert.include(twice?.message, "head.weight")
  })

  it("fails with the first mistake on the way to an output, and not with one that no output needs", () => {
    const wrong = Op.add(x, Op.input("y", [4]), "stem")
    const later = Op.linear(Op.relu(wrong), Op.input("w", [9, 9]), undefined, "head")
    assert.strictEqual(failure({ outputs: { later } }), wrong.fault)
    assert.isTrue(Result.isSuccess(Program.make({ outputs: { x } })))
  })
})

describe("Program.fingerprint", () => {
  it("is the same for a graph written twice", () =>
    check(graph, (steps) => {
      assert.strictEqual(
        Program.fingerprint(programOf(outputsOf(steps))),
        Program.fingerprint(programOf(outputsOf(steps)))
      )
    }))

  it("is equal exactly where programs are, names of outputs included", () =>
    check(fc.tuple(graph, graph), ([some, others]) => {
      const [a, b] = [some, others].map((steps) => programOf(outputsOf(steps)))
      const same = Program.fingerprint(a) === Program.fingerprint(b)
      if (same) assert.deepStrictEqual(a.nodes, b.nodes)
      assert.notStrictEqual(Program.fingerprint(a), Program.fingerprint(programOf(outputsOf(some, "other"))))
    }))

  it("tells attributes, shapes and updates apart", () => {
    const count = variable("count", [2, 3])
    const programs = [
      programOf({ y: Op.sum(x, [0]) }),
      programOf({ y: Op.sum(x, [1]) }),
      programOf({ y: Op.sum(Op.input("x", [4, 3]), [0]) }),
      programOf({ y: Op.fill(0) }),
      programOf({ y: Op.fill(-0) }),
      ...[x, count].map((value) =>
        Result.getOrThrow(Program.make({ outputs: { y: x }, updates: [{ variable: count, value }] }))
      )
    ]
    assert.strictEqual(new Set(programs.map(Program.fingerprint)).size, programs.length)
  })
})

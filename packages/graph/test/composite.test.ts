import { assert, describe, it } from "@effect/vitest"
import { Costs, gradient, GradientError, Op, Print, Program, ShapeError, type Tensor } from "@uninet/graph"
import * as Result from "effect/Result"
import { binarise, clipped, reversed, sharpened, squaredRelu } from "./support/composites.ts"
import { largestError, programOf } from "./support/gradients.ts"
import { evaluate } from "./support/interpreter.ts"

const x = Op.input("x", [2, 3], "float32")
const data = { x: [-2, -0.5, 0, 0.5, 1, 3] }

const valuesOf = (y: Tensor.Tensor) => [...evaluate(programOf({ y }), { inputs: data }).outputs.y]

/** The gradient of a weighted sum of the result. */
const slopesOf = (y: Tensor.Tensor, weight = 1) => {
  const [dx] = gradient(Op.sum(Op.scale(y, weight)), [x])
  assert.isDefined(dx)
  return valuesOf(dx)
}

const mistake = (y: Tensor.Tensor | undefined) => {
  assert.isDefined(y)
  return Result.getOrThrow(Result.flip(Program.make({ outputs: { y } })))
}

const kinds = (program: Program.Program) => program.nodes.map(({ kind }) => kind)

describe("a custom op", () => {
  it("computes what it is made of, with the gradient of that", () => {
    assert.deepStrictEqual(valuesOf(squaredRelu([x])), [0, 0, 0, 0.25, 1, 9])
    assert.deepStrictEqual(slopesOf(squaredRelu([x])), [0, 0, 0, 1, 2, 6])
    const shapes = [[2, 3]]
    assert.isBelow(largestError({ shapes, apply: ([a]) => sharpened([a], { power: 2 }) }, 3), 1e-7)
  })

  it("has the gradient that it is given, whatever it is made of", () => {
    assert.deepStrictEqual(valuesOf(binarise([x])), [-1, -1, 1, 1, 1, 1])
    assert.deepStrictEqual(slopesOf(binarise([x])), [0, 1, 1, 1, 1, 0])
    assert.deepStrictEqual(valuesOf(reversed([x], { strength: 2 })), data.x)
    assert.deepStrictEqual(slopesOf(reversed([x], { strength: 2 })), [-2, -2, -2, -2, -2, -2])
    assert.deepStrictEqual(slopesOf(clipped([x], { most: 0.5 }), 3), [0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
  })

  it("is expanded in a program, where equal work is done once", () => {
    const program = programOf({ once: squaredRelu([x]), again: squaredRelu([x]), part: Op.relu(x) })
    assert.deepStrictEqual(kinds(program), ["input", "activation", "binary"])
    assert.strictEqual(program.outputs.once, program.outputs.again)
    const positive = Op.relu(x)
    assert.strictEqual(
      Program.fingerprint(programOf({ y: squaredRelu([x]) })),
      Program.fingerprint(programOf({ y: Op.mul(positive, positive) }))
    )
    assert.deepStrictEqual(kinds(programOf({ y: reversed([x], { strength: 1 }) })), ["input"])
  })

  it("is made of others of its sort too, and differentiated through them", () => {
    const twice = Op.composite({ name: "twice", build: ([a]) => squaredRelu([reversed([a], { strength: 1 })]) })
    assert.deepStrictEqual(kinds(programOf({ y: twice([x]) })), ["input", "activation", "binary"])
    assert.deepStrictEqual(slopesOf(twice([x])), [-0, -0, -0, -1, -2, -6])
  })

  it("takes several inputs of any type, and gives a gradient to those that have one", () => {
    const pick = Op.composite({ name: "pick", build: ([table, index]) => Op.gather(Op.exp(table), index) })
    const index = Op.constant(Int32Array.of(1), [1])
    assert.deepStrictEqual(slopesOf(pick([x, index])), [0, 0, 0, ...[0.5, 1, 3].map(Math.exp)])
    const hard = Op.composite({
      name: "hard",
      build: ([a, b]) => Op.mul(Op.sign(a), b),
      gradient: ({ inputs: [a] }, dy) => [null, Op.mul(dy, Op.sign(a))]
    })
    const y = hard([Op.exp(x), x], {}, "block")
    const error = mistake(gradient(Op.sum(y), [x])[0])
    assert.strictEqual(error.message, "block (hard): no gradient is defined with respect to its input 0")
    assert.deepStrictEqual(slopesOf(hard([Op.fill(-1), x])), [-1, -1, -1, -1, -1, -1])
  })

  it("belongs to its layer with all that it is made of, gradients too", () => {
    const y = binarise([squaredRelu([x], {}, "blocks.1.act")], {}, "blocks.1.act")
    const [dx] = gradient(Op.sum(y, undefined, false, "loss"), [x])
    const program = programOf({ y, dx: dx ?? y })
    assert.deepStrictEqual(
      [...new Set(program.nodes.filter(({ kind }) => kind !== "fill").map(({ path }) => path))].sort(),
      ["blocks.1.act", "loss", "x"]
    )
    const squared = squaredRelu([x])
    assert.strictEqual(Costs.ofNode(squared).flops, Costs.ofProgram(programOf({ squared })).flops)
  })

  it("is printed under its name with its parameters", () => {
    const lines = Print.tensor(reversed([Op.exp(x)], { strength: 2 }, "adversary")).split("\n")
    assert.deepStrictEqual(lines, [
      '%0 = input [2×3] {"name":"x"} at x',
      '%1 = unary(%0) [2×3] {"fn":"exp"} at x',
      '%2 = reversed(%1) [2×3] {"strength":2} at adversary'
    ])
    assert.strictEqual(
      Print.program(programOf({ y: squaredRelu([x]) })),
      [
        '%0 = input [2×3] {"name":"x"} at x',
        '%1 = activation(%0) [2×3] {"fn":"relu"} at x',
        '%2 = binary(%1, %1) [2×3] {"fn":"mul"} at x',
        "y = %2"
      ].join("\n")
    )
  })
})

const failing = () => {
  throw new Error("no such mode")
}

const said = (y: Tensor.Tensor | undefined) => {
  const error = mistake(y)
  assert.instanceOf(error, GradientError)
  return error.message
}

const broken = (build: (inputs: ReadonlyArray<Tensor.Tensor>) => Tensor.Tensor) =>
  Op.composite({ name: "mine", build })([x], {}, "head")

describe("a mistake in a custom op", () => {
  it("in its shapes is a ShapeError under its name, and carried on", () => {
    const y = broken(([a]) => Op.add(a, Op.fill(1, [7])))
    const error = mistake(Op.relu(y))
    assert.instanceOf(error, ShapeError)
    assert.strictEqual(
      error.message,
      "head (mine): in its binary, the two shapes cannot be broadcast together; the inputs have shapes [2×3]"
    )
    assert.strictEqual(squaredRelu([y]).fault, error)
    assert.include(Print.tensor(y), `FAULT ${error.message}`)
  })

  it("of what it is made of is named: a variable has to be an input, or no gradient would reach it", () => {
    const weight = Op.variable(
      { name: "w", role: "parameter", initialiser: { kind: "constant", value: 1 }, decay: false },
      [3]
    )
    const error = mistake(broken(([a]) => Op.mul(a, weight)))
    assert.include(error.message, "head (mine): it uses w, which is not one of its inputs: pass it as an input")
    assert.isTrue(Result.isSuccess(Program.make({ outputs: { y: broken(([a]) => Op.mul(a, Op.fill(2))) } })))
  })

  it("that is thrown is a fault like any other", () => {
    assert.include(mistake(broken(failing)).message, "head (mine): no such mode")
    const y = Op.composite({ name: "mine", build: ([a]) => a, gradient: failing })([x], {}, "head")
    const error = mistake(gradient(Op.sum(y), [x])[0])
    assert.instanceOf(error, GradientError)
    assert.strictEqual(error.message, "head (mine): its own gradient is wrong: no such mode")
  })

  it("in its gradient is a GradientError under its name", () => {
    const withGradient = (of: (dy: Tensor.Tensor) => ReadonlyArray<Tensor.Tensor>) =>
      gradient(
        Op.sum(Op.composite({ name: "mine", build: ([a]) => a, gradient: (_, dy) => of(dy) })([x], {}, "head")),
        [x]
      )[0]
    assert.strictEqual(
      said(withGradient((dy) => [Op.sum(dy)])),
      "head (mine): its own gradient is wrong: for input 0 it is float32 [], not float32 [2×3]"
    )
    assert.strictEqual(
      said(withGradient((dy) => [dy, dy])),
      "head (mine): its own gradient is wrong: it has 2 parts, not one for each of 1 inputs"
    )
    assert.strictEqual(
      said(withGradient((dy) => [Op.mul(dy, x)])),
      "head (mine): its own gradient is wrong: it uses x, which is not one of its inputs: pass it as an input"
    )
    assert.strictEqual(
      said(gradient(Op.sum(broken(([a]) => Op.batchMoments(a))), [x])[0]),
      "head (mine): in its batchMoments, no gradient is defined through this op; give mine its own gradient"
    )
  })
})

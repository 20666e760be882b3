import { assert, describe, it } from "@effect/vitest"
import { Op, Program, type Tensor } from "@uninet/graph"
import { Nn, Regularisation, RunningStatistics, Scope } from "@uninet/nn"
import { Result } from "effect"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { distance, numbers, program, run, training } from "./support.ts"

/** Names of the noise that outputs need. */
const names = (outputs: Readonly<Record<string, Tensor.Tensor>>) =>
  program(outputs)
    .inputs.filter(Regularisation.isNoise)
    .map((input) => input.attributes.name)

describe("a layer that is applied twice in one network", () => {
  const shape = [3, 2, 2, 1]
  const shared = Scope.at("shared")(training)

  it("draws other noise each time, under a name of its own from the second time on", () => {
    const drop = Nn.dropout(shared, 0.5)
    const [a, b] = [Op.input("a", shape), Op.input("b", shape)]
    assert.deepStrictEqual(names({ y: drop(a) }), ["noise/shared"])
    assert.deepStrictEqual(names({ y: drop(Op.exp(drop(a))) }), ["noise/shared", "noise/shared#2"])
    assert.deepStrictEqual(names({ a: drop(a), b: drop(b) }), ["noise/shared", "noise/shared#2"])
    const once = drop(a)
    assert.deepStrictEqual(names({ once, twice: Op.exp(once) }), ["noise/shared"])
    // What was made once is made again as it is.
    const built = program({ a: drop(a), b: drop(b) })
    assert.deepStrictEqual(program(built.outputs).nodes, built.nodes)
  })

  it("has one set of parameters and drops by both draws", () => {
    const layer = Nn.residual(shared, { branch: Nn.linear(Scope.at("fc")(shared), { out: 2 }) })
    const drop = Nn.stochasticDepth(shared, 0.5)
    const { built, y } = run((x) => drop(layer(drop(layer(x)))), [2, 2], {
      "noise/shared": [0.9, 0.1],
      "noise/shared#2": [0.9, 0.9]
    })
    assert.deepStrictEqual(
      built.variables.map((v) => v.attributes.name),
      ["shared.fc.weight", "shared.fc.bias"]
    )
    // The second example was dropped the first time: only the bias is left of it.
    const bias = built.variables.map(({ shape }, k) => numbers(shape, k + 2))[1]
    assert.isBelow(
      distance(
        y.slice(2),
        bias.map((v) => 2 * v)
      ),
      1e-12
    )
  })

  it("refuses a name that a draw takes already", () => {
    const drop = Nn.dropout(shared, 0.5)
    const other = Nn.dropout(Scope.make("training", "shared#2"), 0.5)
    const x = Op.input("x", shape)
    const made = Program.make({ outputs: { y: other(drop(drop(x))) } })
    assert.strictEqual(Result.getOrThrow(Result.flip(made))._tag, "NameClash")
  })

  it("moves a batch norm's running statistics on once for each application, in order", () => {
    const norm = Nn.batchNorm(Scope.at("norm")(training))
    const x = Op.input("x", shape)
    const first = norm(x)
    const second = norm(Op.exp(first))
    const built = program({ second }, RunningStatistics.updates([second]))
    const variables = {
      "norm.weight": [1, 2],
      "norm.bias": [0, 0.5],
      "norm.running_mean": [5, -5],
      "norm.running_var": [2, 3]
    }
    const given = { inputs: { x: numbers(shape) }, variables }
    const { updates } = evaluate(built, given)
    // One after the other, as two programs would do it.
    const one = evaluate(program({ first }, RunningStatistics.updates([first])), given)
    const alone = Nn.batchNorm(Scope.at("norm")(training))(Op.input("y", shape))
    const between = evaluate(program({ y: Op.exp(first) }), given).outputs["y"]
    const two = evaluate(program({ alone }, RunningStatistics.updates([alone])), {
      inputs: { y: between },
      variables: { ...variables, ...one.updates }
    })
    for (const name of ["norm.running_mean", "norm.running_var"])
      assert.isBelow(distance(updates[name], two.updates[name]), 1e-12, name)
  })

  it("has its statistics moved where it stands inside a custom op", () => {
    const own = Op.composite({ name: "normed", build: ([x, w, b]) => Op.batchNorm(x, w, b) })
    const norm = Nn.batchNorm(Scope.at("norm")(training))
    const x = Op.input("x", shape)
    const [, weight, bias] = norm(x).inputs
    const outside = RunningStatistics.updates([norm(x)])
    const within = RunningStatistics.updates([own([x, weight, bias], {}, "norm")])
    assert.strictEqual(Program.fingerprint(program({}, within)), Program.fingerprint(program({}, outside)))
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Op, type Tensor } from "@uninet/graph"
import { Laws, ModelSpace, type Task } from "@uninet/model-space"
import { Model, Nn, Parameter, Scope } from "@uninet/nn"
import { Choice, Prng, Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import * as fc from "fast-check"
import { evaluate } from "../../graph/test/support/interpreter.ts"
import { declared, distances, type Middle, network, type Point, rows } from "./support/rows.ts"

const get = Result.getOrThrow
const point: Point = { width: 8, learningRate: 0.01 }

/** The definitions of the ops themselves, as an engine. */
const interpreter: Laws.Engine<never, never> = (program, { inputs, variables }) =>
  Effect.sync(() => evaluate(program, { inputs, variables: Object.fromEntries(variables) }).outputs)

/** All laws, those without an engine first. */
const checkAll = <C extends string, M extends string>(of: ModelSpace.ModelSpace<Point, C, M>) =>
  Effect.andThen(Effect.fromResult(Laws.check(point)(of)), Laws.checkOn(interpreter)(point)(of))

/** The first law that a space's point breaks. */
const broken = <C extends string, M extends string>(of: ModelSpace.ModelSpace<Point, C, M>) =>
  Effect.runSync(Effect.flip(checkAll(of)))

const named = <C extends string, M extends string>(of: ModelSpace.ModelSpace<Point, C, M>) => {
  const { at, law, reason } = broken(of)
  return [law, at, reason]
}

/** The space with another middle layer. */
const withMiddle = (middle: Middle) => ModelSpace.make({ ...declared, model: ({ width }) => network(width, middle) })

/** The network with further outputs. */
const beside = (more: (scope: Scope.Scope, x: Tensor.Tensor) => Model.Tensors) =>
  Model.make({
    inputs: { x: Model.input([4]) },
    forward: (scope, { x }) => ({ ...network(8).forward(scope, { x }), ...more(scope, x) })
  })

/** A network that cannot be built in one of the modes. */
const throwing = (mode: Scope.Mode) =>
  withMiddle((x, scope) => {
    if (scope.mode === mode) throw new Error("no such layer")
    return Op.gelu(x)
  })

/** The space behind a mapping to points: the JSON of their widths, and the way back to the choices. */
const mapped = (
  width: Schema.Codec<number, unknown>,
  from: (point: Point) => { width: 4 | 8; learningRate: 1e-3 | 1e-2 }
) => {
  const made = Choice.struct({ width: Choice.ordered([4, 8]), learningRate: Choice.ordered([1e-3, 1e-2]) }).pipe(
    Choice.map({
      schema: Schema.Struct({ width, learningRate: Schema.Finite }),
      to: (chosen): Point => chosen,
      from: (given) => Result.succeed(from(given))
    })
  )
  return ModelSpace.make({ ...declared, space: get(Space.make(made)) })
}

/** The space with another loss. */
const withLoss = (loss: Task.Task["loss"]) => ModelSpace.make({ ...declared, task: { ...distances, loss } })

describe("a sound space", () => {
  it("keeps the laws that need no engine, at every point", () => {
    const law = fc.property(fromSpace(rows.space), (each) => void get(Laws.check(each)(rows)))
    assert.isFalse(fc.check(law).failed)
  })

  it.effect("keeps those that run its networks", () =>
    Effect.gen(function* () {
      for (const each of Result.getOrThrow(Space.enumerate(rows.space))) yield* Laws.checkOn(interpreter)(each)(rows)
    })
  )

  it.effect("may have norms, dropout and stochastic depth, and inputs of whole numbers", () => {
    const model = Model.make({
      inputs: { x: Model.input([4, 3, 3]), kind: Model.input([], "int32") },
      forward: (scope, { kind, x }) => {
        const map = Nn.batchNorm(Scope.at("norm")(scope))(
          Nn.pointwise(Scope.at("mix")(scope), { out: 6, bias: false })(x)
        )
        const features = Op.globalAveragePool(Nn.gelu(scope)(map), "pool")
        // Dropped whatever the recipe says.
        const dropped = Nn.dropout(Scope.at("drop")(scope), 0.25)(features)
        const told = Nn.linear(Scope.at("told")(scope), { out: 6 })(Op.oneHot(kind, 2, "told"))
        const both = Op.add(Nn.stochasticDepth(Scope.at("branch")(scope), 0.25)(dropped), told)
        return { y: Op.reshape(Nn.linear(Scope.at("y")(scope), { out: 1 })(both), [x.shape[0]]) }
      }
    })
    return checkAll(ModelSpace.make({ ...declared, model: () => model }))
  })

  it.effect("may have networks without parameters", () =>
    checkAll(
      ModelSpace.make({
        ...declared,
        model: () => Model.make({ inputs: { x: Model.input([4]) }, forward: (_, { x }) => ({ y: Op.mean(x, [1]) }) })
      })
    )
  )

  it("has laws with names and statements of their own", () => {
    const laws = [...Laws.pure(rows), ...Laws.onEngine(rows)]
    assert.deepStrictEqual(
      laws.map(({ name }) => name),
      ["json", "shape", "deterministic", "costs", "gradients", "runs", "independence", "agreement", "alive"]
    )
    assert.strictEqual(new Set(laws.map(({ statement }) => statement)).size, laws.length)
  })
})

describe("the laws that need no engine name what breaks them", () => {
  it("builds: a point without a network", () => {
    const failing = ModelSpace.make({ ...declared, model: () => Result.fail({ message: "too wide" }) })
    assert.deepStrictEqual(named(failing), [
      "builds",
      "network",
      "the network width = 8, learningRate = 0.01 of rows cannot be built: too wide"
    ])
  })

  it("builds: a network whose making throws, and shape: one whose training does", () => {
    assert.deepStrictEqual(named(throwing("evaluation")), ["builds", "network", "it throws: no such layer"])
    assert.deepStrictEqual(named(throwing("training")), ["shape", "network", "it throws: no such layer"])
  })

  it("json: a point whose JSON is that of another", () => {
    const forgetful = Schema.Finite.pipe(
      Schema.decodeTo(Schema.Finite, { decode: SchemaGetter.passthrough(), encode: SchemaGetter.transform(() => 4) })
    )
    const of = mapped(forgetful, ({ width }) => ({ width: width === 4 ? 4 : 8, learningRate: 1e-2 }))
    assert.deepStrictEqual(named(of), ["json", "network", "a different point is read back"])
  })

  it("json: a mapping whose way back leads elsewhere", () => {
    const [law, at, reason] = named(mapped(Schema.Finite, () => ({ width: 4, learningRate: 1e-2 })))
    assert.deepStrictEqual([law, at], ["json", "network"])
    assert.include(reason, "Not in this search space: at width, found 8 but expected 4")
  })

  it("shape: outputs that the task does not take, in training only", () => {
    const of = ModelSpace.make({
      ...declared,
      model: () =>
        Model.make({
          inputs: { x: Model.input([4]) },
          forward: (scope, inputs) => {
            const { y } = network(8).forward(scope, inputs)
            return { y: scope.mode === "training" ? Op.reshape(y, [y.shape[0], 1]) : y }
          }
        })
    })
    const [law, at, reason] = named(of)
    assert.deepStrictEqual([law, at], ["shape", "network"])
    assert.include(reason, "the task distances takes the outputs y [], but the model gives y [1]")
  })

  it("shape: an output that has no row for every example", () => {
    const of = ModelSpace.make({ ...declared, model: () => beside((_, x) => ({ total: Op.sum(x, [0]) })) })
    assert.deepStrictEqual(named(of), ["shape", "total", "for a batch of 1 in evaluation its shape is [4]"])
  })

  it("shape: layers that do not fit", () => {
    const [law, at, reason] = named(withMiddle((x) => Op.reshape(x, [3])))
    assert.deepStrictEqual([law, at], ["shape", "network"])
    assert.include(reason, "8 elements cannot take the shape [3]")
  })

  it("deterministic: another network each time", () => {
    const prng = Prng.fromSeed("anything")
    assert.deepStrictEqual(named(withMiddle((x) => Op.scale(Op.gelu(x), prng.nextFloat()))), [
      "deterministic",
      "network",
      "building it again gives a different one"
    ])
  })

  it("costs: a declared cost that the graph does not have", () => {
    const macs = ModelSpace.make({ ...declared, costs: { macs: ({ width }: Point) => 4 * width } })
    assert.deepStrictEqual(named(macs), [
      "costs",
      "network",
      "its space says that it has 32 macs, but its graph has 40"
    ])
    const chained = ModelSpace.make({
      ...declared,
      chain: { costs: ["parameters"], cost: { of: ({ width }: Point) => ({ parameters: 6 * width }) } }
    })
    assert.deepStrictEqual(named(chained), [
      "costs",
      "network",
      "its space says that it has 48 parameters, but its graph has 49"
    ])
  })

  it("costs: one that is no number", () => {
    const [law, , reason] = named(ModelSpace.make({ ...declared, costs: { latency: () => Number.NaN } }))
    assert.strictEqual(law, "costs")
    assert.include(reason, "the cost latency of width = 8, learningRate = 0.01 in rows is NaN")
  })

  it("gradients: a loss of several numbers", () => {
    assert.deepStrictEqual(named(withLoss(({ y }, targets) => Op.sub(y, targets))), [
      "gradients",
      "loss",
      "it is not a scalar, but [2]"
    ])
  })

  it("gradients: a parameter that is in the network and not in the loss", () => {
    const of = ModelSpace.make({
      ...declared,
      model: () => beside((scope, x) => ({ features: Nn.linear(Scope.at("aside")(scope), { out: 2 })(x) }))
    })
    const [law, at, reason] = named(of)
    assert.deepStrictEqual([law, reason], ["gradients", "the loss does not depend on it"])
    assert.match(at ?? "", /^aside\.(weight|bias)$/)
    Effect.runSync(checkAll({ ...of, isIdle: (name) => name.startsWith("aside.") }))
  })

  it("its own: one that its author adds", () => {
    const of = ModelSpace.make({
      ...declared,
      laws: [
        {
          name: "narrow",
          statement: "no layer is wider than 4",
          check: ({ width }) => (width > 4 ? { at: "hidden", reason: `it has ${width}` } : undefined)
        }
      ]
    })
    assert.deepStrictEqual(named(of), ["narrow", "hidden", "it has 8"])
    get(Laws.check({ ...point, width: 4 })(of))
  })

  it("with the point, for people and as JSON", () => {
    const error = broken(withMiddle((x) => Op.reshape(x, [3])))
    assert.deepStrictEqual(error.point, { width: 8, learningRate: 0.01 })
    assert.match(
      error.message,
      /^law "shape" broken at network: .*\n {2}in width = 8, learningRate = 0.01\n {2}of rows; fix what is named/
    )
  })
})

describe("the laws that run a network name what breaks them", () => {
  it("runs: numbers that are not finite", () => {
    assert.deepStrictEqual(named(withMiddle((x) => Op.sqrt(x))), ["runs", "y", "it has a number that is not finite"])
  })

  it("independence: a softmax over the batch", () => {
    const [law, at, reason] = named(withMiddle((x) => Op.transpose(Op.softmax(Op.transpose(x, [1, 0])), [1, 0])))
    assert.deepStrictEqual([law, at], ["independence", "y"])
    assert.match(reason ?? "", /^with other examples in its batch, an example's output differs by \d+(\.\d+)?%$/)
  })

  it("agreement: an evaluation unlike the training", () => {
    const [law, at, reason] = named(withMiddle((x, scope) => Op.scale(Op.gelu(x), scope.mode === "training" ? 1 : 0.9)))
    assert.deepStrictEqual([law, at], ["agreement", "y"])
    assert.match(reason ?? "", /^training differs from evaluation by \d+(\.\d+)?%$/)
  })

  it("agreement: a norm that stands elsewhere in evaluation than in training", () => {
    const crooked = withMiddle((x, scope) => {
      const map = Op.reshape(x, [x.shape[0], 8, 1, 1])
      const normed = Nn.batchNorm(Scope.at("norm")(scope))(scope.mode === "training" ? map : Op.scale(map, 2))
      return Op.gelu(Op.reshape(normed, x.shape))
    })
    assert.deepStrictEqual(named(crooked).slice(0, 2), ["agreement", "y"])
  })

  it("alive: a parameter whose gradient is zero whatever comes in", () => {
    // A softmax takes off again what is added to all of its numbers.
    const shifted = withMiddle((x, scope) => {
      const shift = Parameter.parameter(scope, "shift", [1], { kind: "constant", value: 0 }, false)
      return Op.softmax(Op.add(x, shift))
    })
    assert.deepStrictEqual(named(shifted), [
      "alive",
      "middle.shift",
      "its gradient is zero: nothing that is learned depends on it"
    ])
    Effect.runSync(checkAll({ ...shifted, isIdle: (name) => name === "middle.shift" }))
  })

  it("alive: a gradient that is not finite", () => {
    // The square root of 0 is 0; its slope there is not finite.
    const [law, , reason] = named(withMiddle((x) => Op.add(Op.gelu(x), Op.sqrt(Op.relu(x)))))
    assert.deepStrictEqual([law, reason], ["alive", "its gradient has a number that is not finite"])
  })

  it("builds: a network that cannot be built", () => {
    const failing = ModelSpace.make({ ...declared, model: () => Result.fail({ message: "too wide" }) })
    const error = Effect.runSync(Effect.flip(Laws.checkOn(interpreter)(point)(failing)))
    assert.strictEqual(error._tag === "LawViolation" ? error.law : undefined, "builds")
  })
})

describe("some of the laws", () => {
  it("may be checked alone", () => {
    const of = ModelSpace.make({ ...declared, costs: { macs: () => 1 } })
    const others = Laws.pure<Point>(of).filter(({ name }) => name !== "costs")
    assert.isTrue(Result.isSuccess(Laws.check<Point>(point, others)(of)))
    assert.isTrue(Result.isFailure(Laws.check<Point>(point)(of)))
    Effect.runSync(Laws.checkOn(interpreter)(point, [])(of))
  })
})

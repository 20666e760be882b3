import { assert, describe, it } from "@effect/vitest"
import { Op } from "@uninet/graph"
import { Classification, ModelSpace, type Scaling, type Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { Choice, Constrained, type Cost, Prng, Space } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { inspect } from "node:util"
import { declared, distances, type Middle, network, type Point, rows, space } from "./support/rows.ts"

const get = Result.getOrThrow
const failureOf = <A, E>(result: Result.Result<A, E>): E => get(Result.flip(result))
const point: Point = { width: 8, learningRate: 0.01 }
const line = "width = 8, learningRate = 0.01"

describe("the costs of a hand-written model", () => {
  it("are counted on its graph, for one example", () => {
    // 4 → 8 → 1: products, then products and biases, then the hidden layer before and after its activation, in float32.
    assert.deepStrictEqual(get(ModelSpace.costsOf(point)(rows)), {
      macs: 4 * 8 + 8,
      parameters: 4 * 8 + 8 + 8 + 1,
      activationBytes: 4 * (8 + 8)
    })
    assert.deepStrictEqual(ModelSpace.costNames(rows), ["macs", "parameters", "activationBytes"])
  })

  it("are the author's own by name beside them, or in their place", () => {
    const mine = ModelSpace.make({
      ...declared,
      costs: { width: ({ width }) => width, activationBytes: () => 7 }
    })
    assert.deepStrictEqual(get(ModelSpace.costsOf(point)(mine)), {
      macs: 40,
      parameters: 49,
      activationBytes: 7,
      width: 8
    })
    // The names are known to the type checker.
    assert.strictEqual(get(ModelSpace.costsOf(point)(mine)).width, 8)
    // @ts-expect-error: no one provides it
    void mine.costs.latency
  })

  it("come several at once along a chain", () => {
    const mine = ModelSpace.make({ ...ofPairs, chain: { costs: ["units"], cost: units } })
    assert.strictEqual(get(ModelSpace.costsOf([2, 4])(mine)).units, 6)
    assert.deepStrictEqual(mine.chain?.costs, ["units"])
  })

  it("are infinite where nothing can be built, whether the author says so, a layer does not fit, or something is thrown", () => {
    const infinite = { macs: Infinity, parameters: Infinity, activationBytes: Infinity }
    const thrower = Model.make({
      inputs: { x: Model.input([4]) },
      forward: () => {
        throw new Error("no such layer")
      }
    })
    const misfit = network(8, (x) => Op.reshape(x, [3]))
    for (const model of [() => Result.fail({ message: "too wide" }), () => thrower, () => misfit]) {
      const mine = ModelSpace.make({ ...declared, model })
      assert.deepStrictEqual(get(ModelSpace.costsOf(point)(mine)), infinite)
    }
  })

  it.each([
    ["is NaN, which is not a number", () => Number.NaN],
    [
      "failed: no table for this width",
      (): number => {
        throw new Error("no table for this width")
      }
    ]
  ])("that %s are named", (reason, latency) => {
    const mine = ModelSpace.make({ ...declared, costs: { latency } })
    const error = failureOf(ModelSpace.costsOf(point)(mine))
    assert.strictEqual(error._tag, "CostFailed")
    assert.strictEqual(
      error.message,
      `the cost latency of ${line} in rows ${reason}; make its function return a number for every point`
    )
  })

  it("that a chain does not give are named", () => {
    const chain: { costs: ReadonlyArray<"units" | "joules">; cost: Cost.Cost<Pair, "units" | "joules"> } = {
      costs: ["units", "joules"],
      // A value from JavaScript, where nobody checks.
      cost: { of: (pair: Pair) => units.of(pair) } as Cost.Cost<Pair, "units" | "joules">
    }
    const mine = ModelSpace.make({ ...ofPairs, chain })
    const error = failureOf(ModelSpace.costsOf([2, 4])(mine))
    assert.include(error.message, "the cost joules of [0] = 2, [1] = 4 in rows is NaN, which is not a number")
  })
})

type Pair = readonly [number, number]

const pairs: Space.Space<Pair> = get(Space.make(Choice.tuple([Choice.ordered([2, 3, 4]), Choice.ordered([2, 3, 4])])))

const modelOfPair = ([a, b]: Pair) =>
  network(a, (x, scope) => Nn.gelu(scope)(Nn.linear(Scope.at("second")(scope), { out: b })(x)))

const ofPairs = { name: "rows", space: pairs, task: distances, model: modelOfPair }

const units: Cost.Cost<Pair, "units"> = {
  of: ([a, b]) => ({ units: a + b }),
  chain: {
    start: () => ({ costs: { units: 0 }, exit: 0 }),
    part: (pair, index) => ({ costs: { units: pair[index] ?? 0 }, exit: 0 }),
    end: () => ({ units: 0 })
  }
}

const thrower = () => {
  throw new Error("not\n  today")
}

describe("what an author's function throws, or gives in place of what is asked for", () => {
  it("is said in one line, with whose function it is", () => {
    assert.strictEqual(
      failureOf(ModelSpace.recipeOf(point)(ModelSpace.make({ ...declared, recipe: thrower }))).message,
      `the recipe of ${line} in rows failed: not today; make its function return its changes to the recipe for every point`
    )
    assert.strictEqual(failureOf(ModelSpace.make({ ...declared, model: thrower }).model(point)).reason, "not today")
  })

  it("is no model where Model.make did not make it", () => {
    // From JavaScript.
    const model = (() => undefined) as unknown as typeof declared.model
    assert.strictEqual(
      failureOf(ModelSpace.make({ ...declared, model }).model(point)).reason,
      "its model is undefined, not what Model.make returns"
    )
  })

  it("is made up for by the choices where it is the line of a point", () => {
    assert.strictEqual(ModelSpace.make({ ...declared, line: thrower }).line(point), line)
  })

  it("is refused where a task's tally does not measure what the task names", () => {
    // From JavaScript, too.
    const task = { ...distances, decides: "f9" } as unknown as Task.Task<"distance">
    const error = failureOf(ModelSpace.trainable(point)(ModelSpace.make({ ...declared, task })))
    assert.strictEqual(
      error.message,
      "the tally of the task distances lacks f9: it gives distance; make it return every measure that the task names"
    )
  })
})

const identityWith = (middle?: Middle) =>
  get(ModelSpace.networkDigest(point)(ModelSpace.make({ ...declared, model: ({ width }) => network(width, middle) })))

describe("the identity of a point's network", () => {
  it("is its graph's: another network of the same point has another", () => {
    assert.strictEqual(identityWith(), get(ModelSpace.networkDigest(point)(rows)))
    assert.notStrictEqual(
      identityWith((x) => Op.relu(x)),
      identityWith()
    )
  })
})

describe("a space that is changed", () => {
  it("has further costs, and others of the same names, along the chain too", () => {
    const mine = ModelSpace.withCosts({ units: ([a]: Pair) => a, first: ([a]: Pair) => a * 10 })(
      ModelSpace.make({ ...ofPairs, chain: { costs: ["units"], cost: units } })
    )
    const costs = get(ModelSpace.costsOf([2, 4])(mine))
    assert.deepStrictEqual([costs.units, costs.first], [2, 20])
    assert.isAbove(costs.macs, 0)
    // A bound is on the new one, which the chain knows nothing of.
    const [bound] = ModelSpace.within({ units: { max: 2 } })(mine)
    assert.isUndefined(bound.chain)
    assert.deepStrictEqual([[2, 4] as const, [3, 2] as const].map(bound.of), [2, 3])
  })

  it("is the same networks for another task", () => {
    const mine = ModelSpace.withTask(Classification.make({ classes: 3 }))(rows)
    assert.strictEqual(mine.task.decides, "accuracy")
    assert.deepStrictEqual(get(ModelSpace.costsOf(point)(mine)), get(ModelSpace.costsOf(point)(rows)))
    assert.notStrictEqual(ModelSpace.fingerprint(mine), ModelSpace.fingerprint(rows))
  })
})

describe("bounds on costs by name", () => {
  const mine = ModelSpace.make({
    ...ofPairs,
    costs: { first: ([a]) => a },
    chain: { costs: ["units"], cost: units }
  })

  it("are solved along the chain where the cost has one", () => {
    const [bound] = ModelSpace.within({ units: { max: 5 } })(mine)
    assert.strictEqual(bound.chain?.key, "units")
    const [free] = ModelSpace.within({ first: { max: 2 } })(mine)
    assert.isUndefined(free.chain)
  })

  it("hold together for what is sampled", () => {
    const constraints = ModelSpace.within({ units: { min: 5, max: 6 }, first: { max: 2 }, macs: { max: 30 } })(mine)
    assert.deepStrictEqual(
      constraints.map(({ max, min, name }) => [name, min, max]),
      [
        ["units", 5, 6],
        ["first", -Infinity, 2],
        ["macs", -Infinity, 30]
      ]
    )
    const within = get(Constrained.make(mine.space, constraints))
    const prng = Prng.fromSeed("within")
    const found = new Set(Array.from({ length: 50 }, () => get(Constrained.sampleWithin(prng)(within)).join()))
    // 4 × 2 + 2 b + b products: [2, 3] has 17, [2, 4] 20.
    assert.deepStrictEqual([...found].sort(), ["2,3", "2,4"])
  })

  it("on a cost that nobody gives do not compile", () => {
    // @ts-expect-error: no one provides it
    assert.strictEqual(ModelSpace.within({ latency: { max: 1 } })(mine)[0].of([2, 2]), Infinity)
  })
})

describe("a network that cannot be built", () => {
  const thrower = Model.make({
    inputs: { x: Model.input([4]) },
    forward: () => {
      throw new Error("no such layer")
    }
  })

  it.each<readonly [string, () => Model.Model | Result.Result<Model.Model, { readonly message: string }>, string]>([
    ["by its author's word", () => Result.fail({ message: "too wide" }), "too wide"],
    [
      "because making it throws",
      () => {
        throw new Error("no layer of this name")
      },
      "no layer of this name"
    ],
    ["because building it throws", () => thrower, "no such layer"],
    [
      "because a layer does not fit",
      () => network(8, (x) => Op.reshape(x, [3])),
      "hidden (reshape): 8 elements cannot take the shape [3]; the inputs have shapes [1×8]"
    ]
  ])("%s is named, with its point and the reason", (_, model, reason) => {
    const mine = ModelSpace.make({ ...declared, model })
    for (const error of [failureOf(ModelSpace.checked(point)(mine)), failureOf(ModelSpace.trainable(point)(mine))]) {
      assert.strictEqual(error._tag, "Unbuildable")
      assert.strictEqual(error.message, `the network ${line} of rows cannot be built: ${reason}`)
    }
    assert.strictEqual(failureOf(mine.parts(point)).message, `the network ${line} of rows cannot be built: ${reason}`)
    // Neither does it keep anyone from telling the space from others.
    assert.notStrictEqual(ModelSpace.fingerprint(mine), ModelSpace.fingerprint(rows))
  })
})

describe("outputs that the task does not take", () => {
  it.each<readonly [string, Task.Task, string]>([
    ["of another name", Classification.make({ classes: 1 }), "logits [1]"],
    ["of another length", { ...distances, outputs: { y: [3] } }, "y [3]"],
    ["of another rank", { ...distances, outputs: { y: [null] } }, "y [any]"]
  ])("%s are named with the shapes on both sides", (_, task, takes) => {
    const mine = ModelSpace.make({ ...declared, task })
    const error = failureOf(ModelSpace.trainable(point)(mine))
    assert.strictEqual(error._tag, "OutputsMismatch")
    assert.strictEqual(
      error.message,
      `the task ${task.name} takes the outputs ${takes}, but the model gives y []; give the model these outputs, or change the task`
    )
  })

  it("are passed over where the task takes others besides, of any length where it does not mind", () => {
    const more = Model.make({
      inputs: { x: Model.input([4]) },
      forward: (scope, inputs) => ({ ...network(8).forward(scope, inputs), features: inputs.x })
    })
    const task = { ...distances, outputs: { ...distances.outputs, features: [null] } }
    for (const takes of [task, distances])
      assert.isTrue(
        Result.isSuccess(ModelSpace.checked(point)(ModelSpace.make({ ...declared, task: takes, model: () => more })))
      )
  })
})

describe("the fingerprint of a space", () => {
  const of = ModelSpace.fingerprint

  it("is the same for the same declaration", () => {
    assert.strictEqual(of(ModelSpace.make({ ...declared })), of(rows))
    assert.match(of(rows), /^[0-9a-f]{16}$/)
  })

  /** The same choices, each of them meaning another width. */
  const wider = get(
    Space.make(
      Choice.struct({ width: Choice.ordered([4, 8]), learningRate: Choice.ordered([1e-3, 1e-2]) }).pipe(
        Choice.map({
          schema: Schema.Struct({ width: Schema.Finite, learningRate: Schema.Finite }),
          to: (chosen): Point => ({ ...chosen, width: chosen.width === 4 ? 4 : 16 }),
          from: ({ learningRate, width }) =>
            Result.succeed({ width: width === 4 ? 4 : 8, learningRate: learningRate === 1e-3 ? 1e-3 : 1e-2 })
        })
      )
    )
  )

  it.each<readonly [string, ModelSpace.Some]>([
    ["mapping", ModelSpace.make({ ...declared, space: wider })],
    ["name", ModelSpace.make({ ...declared, name: "columns" })],
    ["version", ModelSpace.make({ ...declared, version: "2" })],
    ["task", ModelSpace.make({ ...declared, task: { ...distances, name: "nearness" } })],
    ["loss", ModelSpace.make({ ...declared, task: { ...distances, loss: ({ y }) => Op.mean(Op.mul(y, y)) } })],
    ["graph", ModelSpace.make({ ...declared, model: ({ width }) => network(width, (x) => Op.relu(x)) })],
    ["recipe", ModelSpace.make({ ...declared, recipe: () => ({}) })]
  ])("is another for another %s", (_, other) => {
    assert.isTrue(ModelSpace.isModelSpace(other))
    if (ModelSpace.isModelSpace(other)) assert.notStrictEqual(of(other), of(rows))
  })

  it("is another for another mapping of the same choices", () => {
    const table = { name: "table", task: distances }
    assert.notStrictEqual(of(ModelSpace.table({ ...table, space: wider })), of(ModelSpace.table({ ...table, space })))
    assert.notStrictEqual(Space.fingerprint(wider), Space.fingerprint(space))
  })
})

describe("a point outside the program", () => {
  it("is JSON that is read back as itself", () => {
    const json = ModelSpace.write(point)(rows)
    assert.deepStrictEqual(json, { width: 8, learningRate: 0.01 })
    assert.deepStrictEqual(ModelSpace.read(JSON.parse(JSON.stringify(json)))(rows), Result.succeed(point))
  })

  it("is refused where the space has no such point", () => {
    const error = failureOf(ModelSpace.read({ width: 5, learningRate: 0.01 })(rows))
    assert.strictEqual(error._tag, "NotInSpace")
    assert.strictEqual(
      error.message,
      "Not in this search space: at width, found 5 but expected 4 | 8. Use the space that the value was made with, or change the value there."
    )
  })

  const grown: Point = { width: 400, learningRate: 0.01 }
  const growing = ModelSpace.make({
    ...declared,
    space: get(
      Space.make(
        Choice.struct({ width: Choice.ordered([4, 8]), learningRate: Choice.ordered([1e-3, 1e-2]) }).pipe(
          Choice.quotient({
            schema: Schema.Struct({ width: Schema.Finite, learningRate: Schema.Finite }),
            to: (chosen): Point => chosen
          })
        )
      )
    ),
    scaling: {
      chain: () => Result.fail({ message: "not here" }),
      inherit: () => Result.succeed({ growth: () => assert.fail("not here"), approximate: [] }),
      published: () => null
    } satisfies Scaling.Scaling<Point>
  })

  it("is read as well where it grew out of the space, if the space says how its points grow", () => {
    const json = ModelSpace.write(grown)(growing)
    assert.deepStrictEqual(ModelSpace.read(json)(growing), Result.succeed(grown))
    assert.strictEqual(growing.line(grown), '{"width":400,"learningRate":0.01}')
    assert.strictEqual(get(ModelSpace.costsOf(grown)(growing)).macs, 5 * 400)
    assert.isTrue(Result.isFailure(ModelSpace.read({ width: "wide" })(growing)))
    assert.isTrue(Result.isFailure(ModelSpace.read(json)(rows)))
  })
})

describe("a point to be trained", () => {
  it("has its model, task, line and JSON", () => {
    const { about, line: told, model, task } = get(ModelSpace.trainable(point)(rows))
    assert.deepStrictEqual([about, told, task], [{ width: 8, learningRate: 0.01 }, line, distances])
    assert.deepStrictEqual(Object.keys(model.inputs), ["x"])
  })

  it("keeps what else is said of it", () => {
    assert.deepStrictEqual(get(ModelSpace.trainable(point, { from: "a run" })(rows)).about, { from: "a run" })
  })
})

describe("a space for people", () => {
  it("is a line where it is logged, also when it was changed", () => {
    const text = `ModelSpace(${rows.name}: ${rows.task.name}, ${String(space)})`
    assert.strictEqual(inspect(rows), text)
    assert.strictEqual(inspect(ModelSpace.withCosts({ wide: ({ width }: Point) => width })(rows)), text)
    assert.strictEqual(String(ModelSpace.withTask(rows.task)(rows)), text)
  })
})

describe("a point for people", () => {
  it("is its choices, in a line and in several", () => {
    assert.strictEqual(rows.line(point), line)
    assert.strictEqual(rows.picture(point), "width = 8\nlearningRate = 0.01")
  })

  it("has the parts that its layers' paths name", () => {
    assert.deepStrictEqual(get(rows.parts(point)), [
      { name: "hidden", columns: { output: "8" }, parameters: 40, macs: 32 },
      { name: "middle", columns: { output: "8" }, parameters: 0, macs: 0 },
      { name: "y", columns: { output: "1" }, parameters: 9, macs: 8 }
    ])
  })
})

describe("a space of which a table is known", () => {
  const table = ModelSpace.table({ name: "table", space, task: distances, costs: { macs: ({ width }) => 5 * width } })

  it("has the costs that are given and no others, and says why nothing of it can be trained", () => {
    assert.deepStrictEqual(get(ModelSpace.costsOf(point)(table)), { macs: 40 })
    assert.isFalse(table.isTrainable)
    assert.strictEqual(
      failureOf(ModelSpace.trainable(point)(table)).message,
      `the network ${line} of table cannot be built: its results come from a table, so it has no networks to build`
    )
    assert.deepStrictEqual(
      ModelSpace.within({ macs: { max: 30 } })(table).map((bound) => bound.of(point) <= bound.max),
      [false]
    )
  })
})

describe("a value from outside the type checker", () => {
  it("is known to be such a space, or not", () => {
    const seen: unknown = rows
    assert.isTrue(ModelSpace.isModelSpace(seen))
    if (ModelSpace.isModelSpace(seen)) assert.isTrue(Result.isSuccess(ModelSpace.trainable(point)(seen)))
    for (const other of [undefined, null, 3, "uninet", space, distances, { ...rows, model: "net" }])
      assert.isFalse(ModelSpace.isModelSpace(other))
  })

  it("keeps its points when its type is forgotten", () => {
    const spaces: ReadonlyArray<ModelSpace.Any> = [ModelSpace.erased(rows)]
    for (const of of spaces) assert.strictEqual(get(of.model(Space.seedPoint(of.space))).inputs["x"].shape[0], 4)
  })
})

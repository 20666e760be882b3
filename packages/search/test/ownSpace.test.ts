import { assert, describe, it } from "@effect/vitest"
import { Grid, Random } from "@uninet/controller"
import { Dataset } from "@uninet/data"
import { ModelSpace, Recipe, type Task } from "@uninet/model-space"
import { Model, Nn, Scope } from "@uninet/nn"
import { OnnxRuntime } from "@uninet/runtime"
import { Evaluator, Finals, Journal, Reward, Search, TrainingEvaluator, WorkerEvaluator } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Trainer } from "@uninet/trainer"
import * as Effect from "effect/Effect"
import { pipe } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { data, errorOf, gapped, measuresOf, type Point, rows } from "./support/rows.ts"
import rowsEvaluator, { kinds } from "./support/rowsEvaluator.ts"

type Cost = ModelSpace.Counted | "width"
type Measure = "mae" | "mse"
type Options = Search.Options<Point, Cost, Measure>

const formula = Evaluator.fromFunction(rows, (point) => Effect.succeed(measuresOf(point)))

const run = (options: Partial<Options> = {}) => Search.run(rows, { trials: 12, seed: "rows", ...options })
const entries = Effect.map(
  Journal.Journal.use((journal) => journal.entries),
  (stored) => stored.map(({ entry }) => entry)
)
const here = Layer.mergeAll(Random.layer(), formula, Journal.memory)

/** Every point, with what a search knows of it. */
const all = Array.from(Result.getOrThrow(Space.enumerate(rows.space)), (point) => ({
  point,
  width: point.width,
  mae: errorOf(point)
}))
const [best] = all.toSorted((a, b) => a.mae - b.mae)

const recipe = { ...Recipe.proxy, labelSmoothing: 0, batch: 16, epochs: 3 }

/** How a journal identifies a space. */
const spaceOf = (of: ModelSpace.Any) => Effect.map(Search.identity(of, { trials: 1, seed: 1 }), ({ space }) => space)

describe("a custom space", () => {
  it.live("is searched by a function of its points, with its own costs and measures by name", () =>
    Effect.gen(function* () {
      const { best, records } = yield* run()
      assert.strictEqual(records.length, 12)
      // Lower is better, and a point has the space's own type.
      const least = Math.min(...records.map(({ point }) => errorOf(point)))
      assert.strictEqual(best.outcome.evaluation.measures.mae, least)
      assert.strictEqual(best.outcome.reward, -least)
      for (const { costs, line, point } of records) {
        assert.strictEqual(costs.width, point.width)
        // Four weights and a bias for each hidden unit, then one weight per unit and a single bias.
        assert.strictEqual(costs.parameters, 6 * point.width + 1)
        assert.strictEqual(costs.macs, 5 * point.width)
        assert.strictEqual(line, `width ${point.width}, rate ${point.learningRate}`)
      }
      const stored = (yield* entries).flatMap((entry) => (entry._tag === "Proposed" ? [entry] : []))
      assert.deepStrictEqual(
        stored.map(({ costs, line, point }) => ({ costs, line, point })),
        records.map(({ costs, line, point }) => ({ costs, line, point: ModelSpace.write(point)(rows) }))
      )
    }).pipe(Effect.provide(here))
  )

  it.live("is searched in a table to its end, of networks or of results alone", () =>
    Effect.gen(function* () {
      const table = new Map(all.map(({ point }) => [Space.hash(point)(rows.space), measuresOf(point)]))
      const results = ModelSpace.table({
        name: "results of rows",
        space: rows.space,
        task: rows.task,
        costs: { width: ({ width }) => width }
      })
      const played = yield* Search.run(results, {
        trials: 100,
        seed: 1,
        reward: ({ mae, width }) => -mae - width
      }).pipe(Effect.provide([Grid.layer(), Evaluator.fromTable(results, table), Journal.memory]))
      assert.strictEqual(played.records.length, all.length)
      assert.isTrue(played.exhausted)
      assert.strictEqual(played.best.point.width, 1)
      const found = yield* run({ trials: 100 }).pipe(
        Effect.provide([Grid.layer(), Evaluator.fromTable(rows, table), Journal.memory])
      )
      assert.deepStrictEqual(found.best.point, best.point)
    })
  )

  it.live(
    "is searched by training, each point by its own recipe, and its winner is trained again and tested once",
    () =>
      Effect.gen(function* () {
        const found = yield* run({ trials: 4 })
        assert.strictEqual(found.records.filter(({ outcome }) => outcome._tag === "Scored").length, 4)
        const { best } = found
        const network = yield* Effect.fromResult(ModelSpace.trainable(best.point)(rows))
        const trainer = yield* Trainer
        const measures = yield* trainer
          .fit(network, {
            recipe: { ...recipe, learningRate: best.point.learningRate },
            seed: `rows/trial/${best.trial}`
          })
          .pipe(
            Stream.runFold(
              (): Readonly<Record<string, number>> => ({}),
              (last, event) => (event._tag === "Finished" ? event.best.validation.measures : last)
            )
          )
        assert.deepStrictEqual({ ...best.outcome.evaluation.measures }, measures)
        const candidates = Search.ranking(rows)(found.records).slice(0, 2)
        assert.strictEqual(candidates[0], best)
        const { test, trainedOn, winner } = yield* Finals.run(rows, { candidates, epochs: 6, seed: "rows" })
        assert.strictEqual(trainedOn, "train+validation")
        assert.strictEqual(test.examples, 64)
        // Better than predicting 0 for every row, and better the longer it is trained.
        const { targets } = yield* Effect.flatMap(Dataset.Dataset, (data) => data.test.all)
        assert.isBelow(
          test.measures["mae"],
          Array.from(targets, (target) => Math.abs(target)).reduce((a, b) => a + b) / 64
        )
        assert.isBelow(winner.evaluation.measures.mae, best.outcome.evaluation.measures.mae)
      }).pipe(
        Effect.provide([
          Random.layer(),
          Journal.memory,
          TrainingEvaluator.layer(rows, { recipe }).pipe(
            Layer.provideMerge(Trainer.layer),
            Layer.provideMerge(Layer.merge(data, OnnxRuntime.cpu()))
          )
        ])
      )
  )

  it.live("is told apart from the same choices with other networks, measures or recipes", () =>
    Effect.gen(function* () {
      const others: ReadonlyArray<ModelSpace.Any> = [
        ModelSpace.erased({ ...rows, task: { ...rows.task, decides: "mse" } }),
        ModelSpace.erased({ ...rows, recipe: () => ({}) }),
        ModelSpace.erased({ ...rows, version: "2" }),
        ModelSpace.erased(gapped)
      ]
      const own = yield* spaceOf(ModelSpace.erased(rows))
      for (const other of others) assert.notStrictEqual(yield* spaceOf(other), own)
    }).pipe(Effect.provide(here))
  )
})

/** The points that no other dominates: none is at least as good in both and better in one. In both, larger is better. */
const undominated = (worth: (found: (typeof all)[number]) => readonly [number, number]) =>
  all
    .filter((one) =>
      all.every((other) => {
        const [a, b, c, d] = [...worth(one), ...worth(other)]
        return !(c >= a && d >= b && (c > a || d > b))
      })
    )
    .map(({ point }) => JSON.stringify(point))
    .toSorted()
const frontOf = (records: Search.Found<Point, Cost, Measure>["records"], objectives: Options["objectives"] = []) =>
  pipe(records, Search.front(rows, objectives))
    .map(({ point: { learningRate, width } }) => JSON.stringify({ width, learningRate }))
    .toSorted()

const widthOf = ({ width }: { readonly width: number }) => width

const identityOf = (direction: Task.Direction, name: string, own = widthOf) =>
  Search.identity(rows, { trials: 1, seed: 1, objectives: ["mae", { name, direction, of: own }] })

/** The trials that failed in a search for low error and an objective that is computed in this way at a width of 8. */
const odd = (of: () => number) =>
  run({
    trials: 20,
    objectives: ["mae", { name: "oddness", direction: "lower", of: (_, { width }) => (width === 8 ? of() : width) }]
  }).pipe(
    Effect.map(({ records }) => records.filter(({ outcome }) => outcome._tag === "Failed")),
    Effect.provide(here, { local: true })
  )

describe("objectives", () => {
  it.live("by name have the direction of their cost or measure", () =>
    Effect.gen(function* () {
      const objectives: Options["objectives"] = ["mae", "width"]
      const { records } = yield* run({ trials: 20, objectives })
      assert.deepStrictEqual(
        frontOf(records, objectives),
        undominated(({ mae, width }) => [-mae, -width])
      )
    }).pipe(Effect.provide(here))
  )

  it.live.each([
    ["higher", 1],
    ["lower", -1]
  ] as const)(
    "that are custom are functions of all costs and measures and of the point, the %s the better",
    ([direction, sign]) =>
      Effect.gen(function* () {
        const objectives: Options["objectives"] = [
          "mae",
          { name: "own", direction, of: ({ mse, width }, { learningRate }) => width * learningRate + mse / 100 }
        ]
        const { records } = yield* run({ trials: 20, objectives })
        assert.deepStrictEqual(
          frontOf(records, objectives),
          undominated(({ mae, point }) => [-mae, sign * (point.width * point.learningRate + mae ** 2 / 100)])
        )
      }).pipe(Effect.provide(here))
  )

  it.live("that are custom are a part of the search's identity, by name, direction and text", () =>
    Effect.gen(function* () {
      const one = yield* identityOf("lower", "a")
      assert.deepStrictEqual(yield* identityOf("lower", "a"), one)
      for (const other of [
        yield* identityOf("higher", "a"),
        yield* identityOf("lower", "b"),
        yield* identityOf("lower", "a", ({ width }) => 2 * width)
      ])
        assert.notDeepEqual(other, one)
    }).pipe(Effect.provide(here))
  )

  it.live("that give no number, or throw, are failed trials", () =>
    Effect.gen(function* () {
      for (const [of, detail] of [
        [() => Number.NaN, "its objective oddness is not a finite number"],
        [
          () => {
            throw new Error("too odd")
          },
          "an objective failed: too odd"
        ]
      ] as const) {
        const failed = yield* odd(of)
        assert.strictEqual(failed.length, 4)
        for (const { outcome, point } of failed) {
          assert.strictEqual(point.width, 8)
          assert.deepStrictEqual(outcome, { _tag: "Failed", reason: "Failed", detail })
        }
      }
    })
  )
})

describe("bounds on costs", () => {
  it.live("that are custom hold for every proposal", () =>
    Effect.gen(function* () {
      const { exhausted, records } = yield* run({ trials: 100, within: { width: { min: 2, max: 4 } } })
      assert.isTrue(exhausted)
      assert.deepStrictEqual(new Set(records.map(({ costs }) => costs.width)), new Set([2, 4]))
      assert.strictEqual(records.length, 8)
      assert.isTrue(records.every(({ outcome }) => outcome._tag === "Scored"))
    }).pipe(Effect.provide(here))
  )

  it.live("that no point meets are said to be, with what the nearest has", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run({ within: { width: { min: 100 } } }))
      assert.strictEqual(error._tag, "Infeasible")
      assert.include(error.message, "width")
    }).pipe(Effect.provide(here))
  )

  it.live("are a part of the search's identity", () =>
    Effect.gen(function* () {
      const { settings } = yield* Search.identity(rows, { trials: 1, seed: 1, within: { width: { max: 4 } } })
      assert.deepStrictEqual(settings.constraints, [{ name: "width", min: null, max: 4 }])
    }).pipe(Effect.provide(here))
  )
})

const reward: Reward.Own<Point, Cost | Measure> = ({ macs, mse, width }, { learningRate }) =>
  -mse - macs / 100 + width * learningRate

describe("a reward", () => {
  it.live("is a function of all costs and measures by name, and of the point", () =>
    Effect.gen(function* () {
      const { best, records } = yield* run({ reward })
      const rewards = records.map(({ outcome, point }) => {
        const expected = -(errorOf(point) ** 2) - (5 * point.width) / 100 + point.width * point.learningRate
        assert.isTrue(outcome._tag === "Scored" && Math.abs(outcome.reward - expected) < 1e-12)
        return expected
      })
      assert.closeTo(best.outcome.reward, Math.max(...rewards), 1e-12)
    }).pipe(Effect.provide(here))
  )

  it("asks for no cost and no measure that nobody gives: that does not compile", () => {
    // @ts-expect-error there is no latency
    assert.isDefined(() => run({ reward: ({ latency }) => latency }))
    // @ts-expect-error there is no accuracy
    assert.isDefined(() => run({ objectives: ["mae", "accuracy"] }))
    // @ts-expect-error there is no latency
    assert.isDefined(() => run({ reward: Reward.mnas({ cost: "latency", target: 1 }) }))
    // @ts-expect-error there is no latency
    assert.isDefined(() => run({ within: { latency: { max: 1 } } }))
    // @ts-expect-error mse is missing
    assert.isDefined(() => Evaluator.fromFunction(rows, () => Effect.succeed({ mae: 1 })))
  })

  it.live("as data penalises by a custom cost; of a measure that is better the lower, too", () =>
    Effect.gen(function* () {
      const { records } = yield* run({ reward: Reward.mnas({ cost: "width", target: 4, exponent: -0.5 }) })
      for (const { outcome, point } of records)
        if (outcome._tag === "Scored")
          assert.closeTo(outcome.reward, -errorOf(point) * Math.sqrt(point.width / 4), 1e-12)
    }).pipe(Effect.provide(here))
  )

  it.live.each([
    ["gives no number", () => Number.NaN, "its reward is NaN"],
    ["is infinite", () => -Infinity, "its reward is -Infinity"],
    [
      "throws",
      () => {
        throw new Error("no idea")
      },
      "its reward failed: no idea"
    ]
  ] as const)("that %s makes a failed trial", ([, of, detail]) =>
    Effect.gen(function* () {
      const { records } = yield* run({ trials: 20, reward: ({ mae, width }) => (width === 8 ? of() : -mae) })
      for (const { outcome, point } of records)
        if (point.width === 8) assert.deepStrictEqual(outcome, { _tag: "Failed", reason: "Failed", detail })
        else assert.strictEqual(outcome._tag, "Scored")
    }).pipe(Effect.provide(here))
  )
})

describe("a name that nobody knows", () => {
  const any = ModelSpace.erased(rows)
  const costs = "macs, parameters, activationBytes, width"
  it.live.each([
    [
      "an objective",
      { objectives: ["mae", "lightness"] },
      `an objective is lightness. Give one of ${costs}, mae, mse.`
    ],
    ["an objective twice", { objectives: ["mae", "mae"] }, "an objective is mae twice. Give every objective once."],
    [
      "the reward's cost",
      { reward: Reward.mnas<string>({ cost: "latency", target: 1 }) },
      `the reward's cost is latency. Give one of ${costs}.`
    ],
    ["a bound's cost", { within: { toString: { max: 1 } } }, `a cost of within is toString. Give one of ${costs}.`],
    ["a measure as a bound", { within: { mae: { max: 1 } } }, `a cost of within is mae. Give one of ${costs}.`]
  ] as const)("as %s is refused with those that are known, before anything is written", ([, options, says]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Search.run(any, { trials: 3, seed: 1, ...options }))
      assert.strictEqual(error._tag, "InvalidSearch")
      assert.strictEqual(error.message, says)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(here))
  )
})

/** What happens to the trials of an evaluator by someone without a type checker. */
const failing: Readonly<Record<(typeof kinds)[number], readonly [reason: string, detail: RegExp]>> = {
  throw: ["Crashed", /^told to throw$/],
  die: ["Crashed", /^told to die$/],
  fail: ["Failed", /^told to fail$/],
  nan: ["Failed", /^its mse is NaN$/],
  few: ["Failed", /^its evaluator returned no mse$/],
  epochs: ["Failed", /^its number of epochs is NaN$/],
  nothing: ["Crashed", /./],
  "no effect": ["Crashed", /^its evaluator returned \{"mae":1\}, not an Effect$/]
}

const search = (seed: string, trials = 3) => Search.run(rows, { trials, seed })

const support = new URL("./support/rowsEvaluator.ts", import.meta.url)

describe.each([
  ["in this process", rowsEvaluator],
  ["in a process of its own", WorkerEvaluator.layer({ module: support, workers: 1 })]
] as const)("an evaluator %s", (_, evaluator) => {
  it.live("that throws, dies, fails, or gives no numbers, too few or nothing makes failed trials", () =>
    Effect.gen(function* () {
      yield* Effect.flip(search("each", kinds.length))
      const found = (yield* entries).flatMap((entry) => (entry._tag === "Failed" ? [entry] : []))
      assert.deepStrictEqual(
        found.map(({ reason, trial }) => [trial, reason]),
        kinds.map((kind, trial) => [trial, failing[kind][0]])
      )
      for (const { detail, trial } of found) assert.match(detail, failing[kinds[trial]][1])
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )

  it.live("that does so now and then makes a search of the others", () =>
    Effect.gen(function* () {
      const { best, records } = yield* search("throw odd", 6)
      assert.deepStrictEqual(
        records.map(({ outcome }) => outcome._tag),
        ["Scored", "Failed", "Scored", "Failed", "Scored", "Failed"]
      )
      assert.strictEqual(best.trial % 2, 0)
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )

  it.live("may say after how many epochs a training stopped early, and more than it was asked for", () =>
    Effect.gen(function* () {
      const { best } = yield* search("early", 1)
      assert.deepStrictEqual<unknown>(best.outcome.evaluation, {
        measures: { ...measuresOf(best.point), more: 1 },
        epochs: 9,
        stoppedAfter: 4
      })
      const [finished] = (yield* entries).flatMap((entry) => (entry._tag === "Finished" ? [entry] : []))
      assert.deepStrictEqual<unknown>(finished?.evaluation, best.outcome.evaluation)
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )
})

describe("a search that finds nothing", () => {
  it.live("says the commonest cause of several, and does not evaluate it all again when it is resumed", () =>
    Effect.gen(function* () {
      const asked: Array<number> = []
      const mostly = Evaluator.fromFunction(rows, (_, { index }) => {
        asked.push(index)
        return Effect.fail(new Error(index === 1 ? "a rare one" : "out of paper"))
      })
      const journal = Layer.succeedContext(yield* Layer.build(Journal.memory))
      const search = Effect.flip(run({ trials: 4 })).pipe(Effect.provide([Random.layer(), mostly, journal]))
      const first = yield* search
      assert.strictEqual(
        first.message,
        "None of 4 trials gave a result; the most common cause: out of paper (3 of 4). Fix what they have in common, then search again."
      )
      assert.deepStrictEqual(yield* search, first)
      assert.strictEqual(asked.length, 4)
    })
  )

  it.live("because it was ended before any trial says that", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run({ until: Effect.succeed(true) }))
      assert.strictEqual(
        error.message,
        "None of 0 trials gave a result; the most common cause: the search was stopped before any trial. Fix what they have in common, then search again."
      )
    }).pipe(Effect.provide(here))
  )
})

describe("a network that cannot be built", () => {
  const evaluator = Evaluator.fromFunction(gapped, (point) => Effect.succeed(measuresOf(point)))

  it.live("is refused before it is evaluated, with the reason", () =>
    Effect.gen(function* () {
      const { records } = yield* Search.run(gapped, { trials: 100, seed: 1 })
      assert.strictEqual(records.length, 20)
      for (const { outcome, point } of records)
        if (point.width === 8) assert.deepStrictEqual(outcome, { _tag: "Refused", why: "eight is too many" })
        else assert.strictEqual(outcome._tag, "Scored")
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )

  it.live("is refused for its shapes, and for what it throws, too", () =>
    Effect.gen(function* () {
      const crooked = ModelSpace.make({
        name: "crooked rows",
        space: rows.space,
        task: rows.task,
        model: ({ width }) =>
          Model.make({
            inputs: { row: Model.input([4]) },
            forward: (scope, { row }) => {
              if (width === 8) throw new Error("eight is too many")
              return { y: Nn.linear(Scope.at("y")(scope), { out: width === 16 ? Number.NaN : 1 })(row) }
            }
          })
      })
      const { records } = yield* Search.run(crooked, { trials: 100, seed: 1 })
      assert.strictEqual(records.length, 20)
      for (const { outcome, point } of records)
        if (point.width < 8) assert.strictEqual(outcome._tag, "Scored")
        else
          assert.match(
            outcome._tag === "Refused" ? outcome.why : outcome._tag,
            point.width === 8 ? /^eight is too many$/ : /^y\.weight .*NaN/
          )
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )

  it.live("is all there is where the seed point's cannot be: said before anything else", () =>
    Effect.gen(function* () {
      const none = { ...rows, model: () => rows.model({ width: 0.5, learningRate: 1 }) }
      const error = yield* Effect.flip(Search.run(none, { trials: 3, seed: 1 }))
      assert.strictEqual(error._tag, "Unbuildable")
      const other = ModelSpace.make({
        name: "two numbers",
        space: rows.space,
        task: rows.task,
        model: () =>
          Model.make({
            inputs: { row: Model.input([4]) },
            forward: (scope, { row }) => ({ y: Nn.linear(Scope.at("y")(scope), { out: 2 })(row) })
          })
      })
      const mismatch = yield* Effect.flip(Search.run(other, { trials: 3, seed: 1 }))
      assert.strictEqual(
        mismatch.message,
        "the task nearness takes the outputs y [1], but the model gives y [2]; give the model these outputs, or change the task"
      )
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(here))
  )

  it.live("leaves nothing where every one within the bounds is", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Search.run(gapped, {
          trials: 3,
          seed: 1,
          constraints: [{ name: "width", min: 8, max: 8, of: ({ width }) => width }]
        })
      )
      assert.strictEqual(
        error.message,
        "None of 4 trials gave a result; the most common cause: refused, eight is too many (4 of 4). Fix what they have in common, then search again."
      )
    }).pipe(Effect.provide([Random.layer(), evaluator, Journal.memory]))
  )
})

describe("a custom cost", () => {
  it.live("that is no number ends the search with its name, the point and the remedy", () =>
    Effect.gen(function* () {
      const odd = { ...rows, costs: { ...rows.costs, width: () => Number.NaN } }
      const error = yield* Effect.flip(Search.run(odd, { trials: 3, seed: 1 }))
      assert.strictEqual(
        error.message,
        "the cost width of width 4, rate 0.001 in rows is NaN, which is not a number; make its function return a number for every point"
      )
    }).pipe(Effect.provide(here))
  )
})

const measuredWidth = (point: Point) => {
  if (point.width === 8) throw new Error("never measured")
  return point.width
}

describe("a cost that its author's function does not give for some points", () => {
  const patchy = { ...rows, costs: { ...rows.costs, width: measuredWidth } }
  const searched = (options: Partial<Options> = {}) =>
    Effect.map(Search.run(patchy, { trials: 100, seed: "patchy", ...options }), ({ records }) => records)

  it.live("leaves these out, with the reason", () =>
    Effect.gen(function* () {
      const records = yield* searched()
      assert.isAbove(records.length, 16)
      for (const { outcome, point } of records)
        if (point.width === 8)
          assert.deepStrictEqual(outcome, { _tag: "Refused", why: "the cost width failed: never measured" })
        else assert.strictEqual(outcome._tag, "Scored")
    }).pipe(Effect.provide(here))
  )

  it.live("is within no bound there", () =>
    Effect.gen(function* () {
      const records = yield* searched({ within: { width: { max: 8 } } })
      assert.isAbove(records.length, 8)
      for (const { point } of records) assert.isBelow(point.width, 8)
    }).pipe(Effect.provide(here))
  )

  it("is a part of what the space is", () => {
    const narrow = { ...rows, costs: { ...rows.costs, width: ({ width }: Point) => -width } }
    assert.notStrictEqual(ModelSpace.fingerprint(narrow), ModelSpace.fingerprint(rows))
  })
})

describe("a trial whose point the space does not have", () => {
  it.live("has failed, by any evaluator", () =>
    Effect.gen(function* () {
      for (const evaluator of [formula, Evaluator.fromTable(rows, new Map())]) {
        const { evaluate } = yield* Effect.provide(Evaluator.Evaluator, evaluator, { local: true })
        const error = yield* Effect.flip(
          evaluate({ index: 3, point: { width: 5, learningRate: 0.01 }, seed: "a" }, () => Effect.void)
        )
        assert.isTrue(error._tag === "TrialFailed" && error.trial === 3 && error.reason === "Failed")
        assert.include(error.message, "width")
      }
    })
  )
})

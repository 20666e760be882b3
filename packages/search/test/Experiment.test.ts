import { assert, describe, it } from "@effect/vitest"
import { Contrast, Experiment } from "@uninet/search"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const base = {
  dataset: "mnist",
  budget: { trials: 4 },
  examples: 64,
  within: { macs: { max: 3e6 } },
  recipe: { batch: 32 },
  retrain: { seeds: 3, epochs: 2, recipe: { preset: "quick" } },
  arms: { joint: {}, small: { within: { macs: { min: 1, max: 1e6 } }, recipe: { learningRate: 0.002 } } }
} satisfies Experiment.Input

const read = (given: unknown) => Experiment.read("parts.json")(given)

const print = (given: unknown) => Effect.map(read(given), Experiment.print)

describe("an experiment", () => {
  it.effect("has every default in its place, and recipes and bounds of each arm", () =>
    Effect.gen(function* () {
      const found = yield* read(base)
      assert.deepStrictEqual([found.space, found.strategy, found.seeds, found.epochs], ["uninet", "ppo", ["0"], 1])
      const recipe = (name: string, phase: "search" | "retrain") =>
        Result.getOrThrow(Experiment.recipeOf(name, phase)(found))
      assert.include(recipe("joint", "search"), { batch: 32, epochs: 1, examples: 64, learningRate: 0.01 })
      assert.include(recipe("small", "search"), { batch: 32, learningRate: 0.002 })
      // The preset replaces what came before it.
      assert.isUndefined(recipe("joint", "retrain").examples)
      assert.include(recipe("joint", "retrain"), { batch: 64, epochs: 2, gradientClip: 5, learningRate: 0.003 })
      assert.deepStrictEqual(Experiment.withinOf("small")(found), { macs: { min: 1, max: 1e6 } })
      assert.deepStrictEqual(Experiment.withinOf("joint")(found), { macs: { max: 3e6 } })
    })
  )

  it.effect.each([
    [{ ...base, arm: {} }, /parts\.json: arm is wrong: there is no such field; the fields are dataset, /],
    [{ ...base, arms: {} }, /arms is wrong: there are none; give at least one/],
    [{ ...base, arms: { "../a": {} } }, /an arm's name must be a valid folder name/],
    [{ ...base, budget: { trials: 4, macs: "2T" } }, /budget is wrong: give one of trials, macs and seconds/],
    [{ ...base, budget: undefined }, /budget/],
    [{ ...base, seeds: ["1", "1"] }, /seeds is wrong: "1" occurs twice/],
    [{ ...base, against: "none" }, /against is wrong: there is no arm none; the arms are joint, small/],
    [{ ...base, arms: { a: {}, b: { dataset: "cifar" } } }, /arms\.b\.dataset is wrong: it is cifar, but all arms/],
    [
      { ...base, arms: { a: { recipe: { epochs: 9 } } } },
      /arms\.a\.recipe\.epochs is wrong: epochs belong to the budget/
    ],
    [
      { ...base, arms: { a: { recipe: { examples: 9 } } } },
      /arms\.a\.recipe\.examples is wrong: examples belong to the budget/
    ],
    [
      { ...base, examples: 31 },
      /arms\.joint is wrong: .*examples is wrong: an epoch of 31 examples is smaller than one batch of 32/
    ],
    [{ ...base, arms: { a: { recipe: { preset: "best" } } } }, /arms\.a is wrong: .*preset/],
    [
      { ...base, retrain: { ...base.retrain, recipe: { progressive: [{ epochs: 3, size: 14 }] } } },
      /arms\.joint is wrong: .*progressive is wrong: its sizes take 3 epochs, but the recipe has only 2/
    ],
    [{ ...base, arms: { a: { network: "b.json", strategy: "gp" } } }, /arms\.a is wrong: it has a network/],
    [
      { ...base, arms: { a: { network: "b.json", reward: { _tag: "Measure" } } } },
      /leave only, reward and strategy out/
    ],
    [{ ...base, reward: { _tag: "Mnas", cost: "macs", target: 0, exponent: -0.07 } }, /reward\.target is wrong/]
  ] as const)("is refused with the field that is wrong: %#", ([given, said]) =>
    Effect.gen(function* () {
      assert.match((yield* Effect.flip(read(given))).message, said)
    })
  )

  it.effect("has a teacher where an arm or what is trained again names one, and learns by it", () =>
    Effect.gen(function* () {
      const { joint } = base.arms
      const retrain = { ...base.retrain, teacher: "large" }
      const found = yield* read({ ...base, retrain, arms: { joint, taught: { teacher: "small" } } })
      const of = (name: string, phase: "search" | "retrain") => [
        Experiment.teacherOf(name, phase)(found),
        Result.getOrThrow(Experiment.recipeOf(name, phase)(found)).distillation
      ]
      const usual = { weight: 0.5, temperature: 4 }
      assert.deepStrictEqual(of("joint", "search"), [undefined, undefined])
      assert.deepStrictEqual(of("joint", "retrain"), ["large", usual])
      assert.deepStrictEqual(of("taught", "search"), ["small", usual])
      assert.deepStrictEqual(of("taught", "retrain"), ["small", usual])
      const alone = yield* Effect.flip(read({ ...base, recipe: { distillation: {} } }))
      assert.match(
        alone.message,
        /arms\.joint is wrong: the recipe of its trials has distillation, but there is no teacher/
      )
    })
  )

  it.effect("has a recipe for trials only where something is searched", () =>
    Effect.gen(function* () {
      const growing = { recipe: { progressive: [{ epochs: 2, size: 14 }] } }
      const searched = yield* Effect.flip(read({ ...base, arms: { growing } }))
      assert.match(searched.message, /its sizes take 2 epochs, but the recipe has only 1/)
      yield* read({ ...base, arms: { growing: { ...growing, network: "net.json" } } })
    })
  )

  it.effect("knows what was changed of it, by the field", () =>
    Effect.gen(function* () {
      const begun = yield* print(base)
      assert.isUndefined(Experiment.difference(begun, yield* print({ ...base, seeds: ["0"] })))
      const changed = yield* print({ ...base, retrain: { ...base.retrain, seeds: 5 } })
      assert.deepStrictEqual(Experiment.difference(begun, changed), { field: "retrain.seeds", was: "3", is: "5" })
      const { joint, small } = base.arms
      const turned = yield* print({ ...base, arms: { small, joint } })
      assert.strictEqual(Experiment.difference(begun, turned)?.field, "the order of its arms")
      assert.deepStrictEqual(Experiment.difference(begun, yield* print({ ...base, arms: { joint } })), {
        field: "arms.small",
        was: JSON.stringify(JSON.parse(begun).arms.small),
        is: "missing"
      })
    })
  )
})

const bySeed = (values: ReadonlyArray<number>) => new Map(values.map((value, seed) => [String(seed), value]))

describe("a contrast", () => {
  it("is the paired t-test's, of the seeds that both have", () => {
    const arms = new Map([
      ["plain", bySeed([5, 4.1, 5.1, 5.6, 5.2, 9])],
      ["mine", bySeed([5.1, 4.9, 6.2, 5.8, 6])]
    ])
    const [found, ...rest] = Contrast.of(arms, "plain", "higher")
    assert.deepStrictEqual(rest, [])
    assert.include(found, { arm: "mine", against: "plain", count: 5, verdict: "better" })
    assert.closeTo(found?.mean ?? 0, 0.6, 1e-12)
    // t = 3.1192514694602; for 4 degrees of freedom, p is 1 - s (1 + c² / 2), and the quantile 2.7764451051978.
    assert.closeTo(found?.p ?? 0, 0.035_552_333_579_7, 1e-9)
    assert.closeTo(found?.low ?? 0, 0.065_940_120_753_7, 1e-6)
    assert.strictEqual(Contrast.of(arms, "plain", "lower")[0]?.verdict, "worse")
  })

  it("has an interval that leaves out 0 where p is below 0.05, of any number of pairs", () => {
    for (let count = 2; count < 12; count++)
      for (const shift of [0.2, 0.8, 2, 9, 40]) {
        const values = Array.from({ length: count }, (_, i) => shift + ((i * 7) % 11) / 5 - 1)
        const arms = new Map([
          ["a", bySeed(values.map(() => 0))],
          ["b", bySeed(values)]
        ])
        const [found] = Contrast.of(arms, "a", "higher")
        const isOut = (found?.low ?? 0) > 0 || (found?.high ?? 0) < 0
        assert.strictEqual((found?.p ?? 1) < 0.05, isOut, `${count} pairs, ${shift}`)
      }
  })

  it("is corrected for their number as Holm does", () => {
    assert.deepStrictEqual(Contrast.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    const arms = new Map([["a", bySeed([1, 2, 3])], ...["b", "c"].map((name) => [name, bySeed([2, 3, 4.1])] as const)])
    const [b, c] = Contrast.of(arms, "a", "higher")
    assert.strictEqual(b?.adjusted, 2 * (b?.p ?? 0))
    assert.strictEqual(c?.adjusted, b?.adjusted)
  })

  it("is open where there is one pair, and where nothing differs", () => {
    const one = Contrast.of(
      new Map([
        ["a", bySeed([1])],
        ["b", bySeed([2])]
      ]),
      "a",
      "higher"
    )
    assert.deepStrictEqual([one[0]?.p, one[0]?.verdict], [null, "open"])
    const same = Contrast.of(
      new Map([
        ["a", bySeed([1, 2])],
        ["b", bySeed([1, 2])]
      ]),
      "a",
      "higher"
    )
    assert.deepStrictEqual([same[0]?.p, same[0]?.verdict], [1, "open"])
    const constant = Contrast.of(
      new Map([
        ["a", bySeed([1, 2])],
        ["b", bySeed([2, 3])]
      ]),
      "a",
      "higher"
    )
    assert.deepStrictEqual([constant[0]?.mean, constant[0]?.p, constant[0]?.verdict], [1, null, "open"])
  })
})

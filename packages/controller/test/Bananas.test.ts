/** A strategy that accounts for noisy results, and the process behind its beliefs. */
import { assert, describe, it } from "@effect/vitest"
import { Bananas, Told } from "@uninet/controller"
import { Choice, Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Surrogate from "../src/internal/surrogate.js"

type Point = ReadonlyArray<number>
const space = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 4 }), 4)))
const sum = (point: Point) => point.reduce((all, digit) => all + digit, 0)

const tokensOf = (count: number) => {
  const prng = Prng.fromSeed("points")
  return Array.from({ length: count }, () => Array.from(Space.sampleTokens(prng)(space)))
}
const rowsOf = (tokens: ReadonlyArray<Point>): ReadonlyArray<Surrogate.Row> =>
  tokens.map((each) => ({ vector: Int32Array.from(each), extra: [] }))

describe("the process", () => {
  it("finds out which choices matter and which do not", () => {
    const tokens = tokensOf(40)
    const targets = tokens.map(([first = 0]) => first - 2)
    const { noise, weights } = Surrogate.fit(space.sites, rowsOf(tokens), targets, Surrogate.begin(space.sites, 0))
    const [first = 0, ...others] = weights
    assert.isAbove(first, 4 * Math.max(...others))
    assert.isBelow(noise, 0.03)
  })

  it("believes results where there is no noise, and is unsure far from them", () => {
    const tokens = tokensOf(30)
    const targets = tokens.map((each) => (sum(each) - 8) / 3)
    const exact = { ...Surrogate.begin(space.sites, 0), noise: 1e-9 }
    const model = Surrogate.make(space.sites, rowsOf(tokens), targets, exact)
    for (const [i, { deviation, mean }] of model.believe(rowsOf(tokens)).entries()) {
      assert.closeTo(mean, targets[i] ?? Number.NaN, 1e-4)
      assert.isBelow(deviation, 1e-3)
    }
    const [far] = model.believe(rowsOf([[4, 0, 4, 0]]))
    assert.isAbove(far?.deviation ?? 0, 0.1)
  })

  it("finds what is worth most without working out every deviation", () => {
    const [known, asked] = [tokensOf(60).slice(0, 20), tokensOf(160)]
    const targets = known.map((each) => (sum(each) - 8) / 3)
    const model = Surrogate.make(space.sites, rowsOf(known), targets, Surrogate.begin(space.sites, 0))
    const beliefs = model.believe(rowsOf(asked))
    for (const share of [-2, -1, 0, 1, 2]) {
      const worth = (mean: number, deviation: number) => mean + share * deviation
      const worths = beliefs.map(({ deviation, mean }) => worth(mean, deviation))
      assert.strictEqual(worths[model.most(rowsOf(asked), worth)], Math.max(...worths))
    }
    assert.strictEqual(
      model.most([], (mean) => mean),
      -1
    )
  })

  it("takes an extra number as a further dimension", () => {
    const tokens = tokensOf(40)
    const rows = rowsOf(tokens).map((row, i) => ({ ...row, extra: [(i % 7) - 3] }))
    const targets = rows.map(({ extra: [x = 0] }) => x / 2)
    const fit = Surrogate.fit(space.sites, rows, targets, Surrogate.begin(space.sites, 1))
    const model = Surrogate.make(space.sites, rows, targets, fit)
    const [low = 0, high = 0] = model.expect([-2, 2].map((x) => ({ vector: Int32Array.of(2, 2, 2, 2), extra: [x] })))
    assert.closeTo(low, -1, 0.3)
    assert.closeTo(high, 1, 0.3)
    // Where nothing was tried, the linear trend continues, with more uncertainty.
    const [near, far] = [3, 9].map((x) => model.believe([{ vector: Int32Array.of(2, 2, 2, 2), extra: [x] }])[0])
    assert.isAbove(far?.mean ?? 0, 3)
    assert.isAbove(far?.deviation ?? 0, near?.deviation ?? 0)
  })
})

const begun = (options: Bananas.Options = {}) => Bananas.make(space, options, Prng.fromSeed("s"))

describe("bananas", () => {
  it.effect("with noisy results, believes best networks that are better than those that measured best", () =>
    Effect.gen(function* () {
      let [believedBest, measuredBest] = [0, 0]
      for (let seed = 0; seed < 6; seed++) {
        const strategy = yield* Bananas.make(space, { initial: 60 }, Prng.fromSeed(seed))
        assert.deepStrictEqual((yield* strategy.believed ?? Effect.void) ?? [], [])
        const noise = Prng.fromSeed(`noise ${seed}`)
        const proposals = yield* strategy.ask(60)
        const rewards = proposals.map(({ value }) => sum(value) + 3 * noise.nextNormal())
        yield* strategy.tell(proposals.map(({ trial }, i) => Told.scored(trial, rewards[i] ?? 0)))
        const believed = (yield* strategy.believed ?? Effect.void) ?? []
        assert.strictEqual(believed.length, 60)
        for (const { high, low, reward } of believed) assert.isTrue(low <= reward && reward <= high)
        const worth = (trial: number) => sum(proposals[trial]?.value ?? [])
        believedBest += worth(believed[0]?.trial ?? -1)
        measuredBest += worth(rewards.indexOf(Math.max(...rewards)))
      }
      assert.isAbove(believedBest, measuredBest + 3)
    })
  )

  it.effect("believes the same after a snapshot, and asking what it believes changes nothing", () =>
    Effect.gen(function* () {
      const [one, asked, restored] = [yield* begun(), yield* begun(), yield* begun()]
      for (const strategy of [one, asked])
        for (let i = 0; i < 6; i++) {
          const proposals = yield* strategy.ask(5)
          yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, sum(value))))
          if (strategy === asked) yield* strategy.believed ?? Effect.void
        }
      yield* restored.restore(yield* one.snapshot)
      assert.deepStrictEqual(yield* restored.believed ?? Effect.void, yield* one.believed ?? Effect.void)
      const next = (yield* one.ask(3)).map(({ hash }) => hash)
      assert.deepStrictEqual(
        (yield* asked.ask(3)).map(({ hash }) => hash),
        next
      )
      assert.deepStrictEqual(
        (yield* restored.ask(3)).map(({ hash }) => hash),
        next
      )
    })
  )

  it.effect("takes costs that the search bounds as extra numbers, and refuses invalid options", () =>
    Effect.gen(function* () {
      const domain = Result.getOrThrow(Constrained.make(space, [Constraint.bound<Point>("sum", sum, { max: 9 })]))
      const strategy = yield* Bananas.make(domain, { initial: 8 }, Prng.fromSeed("s"))
      for (let i = 0; i < 5; i++) {
        const proposals = yield* strategy.ask(6)
        assert.isTrue(proposals.every(({ value }) => sum(value) <= 9))
        yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, sum(value))))
      }
      const error = yield* Effect.flip(begun({ elites: 0 }))
      assert.strictEqual(error._tag === "InvalidOption" ? error.option : "", "elites")
    })
  )
})

/** Strategies on spaces with real numbers, and with integers that have very many values. */
import { assert, describe, it } from "@effect/vitest"
import { Grid, Ppo, Strategies, type Strategy, Told } from "@uninet/controller"
import { Choice, Constrained, Prng, Site, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { narrow, numeric } from "./support/domains.ts"
import { every, provided, seeded } from "./support/strategies.ts"

/** Branin's function, whose minimum is 0.397887. */
const branin = ([x, y]: readonly [number, number]) =>
  (y - (5.1 / (4 * Math.PI ** 2)) * x * x + (5 / Math.PI) * x - 6) ** 2 +
  10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) +
  10

type Training = typeof numeric extends Space.Space<infer A> ? A : never

/** Best at a rate of 0.03, a momentum of 0.8, a width of 1234. */
const reward = ({ depth, momentum, optimiser, rate, width }: Training) =>
  -(Math.log10(rate / 0.03) ** 2) -
  (optimiser === "sgd" ? 2 * ((momentum ?? 0) - 0.8) ** 2 : 0.3) -
  Math.abs(width - 1234) / 1000 +
  0.1 * depth

const rounds = Effect.fnUntraced(function* (strategy: Strategy.Strategy<Training>, count: number, batch = 4) {
  const out: Array<Strategy.Proposal<Training>> = []
  for (let i = 0; i < count; i++) {
    const proposals = yield* strategy.ask(batch)
    out.push(...proposals)
    yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, reward(value))))
  }
  return out
})
const keys = (proposals: ReadonlyArray<Strategy.Proposal<unknown>>) => proposals.map(({ tokens }) => tokens.join())

const able = every.filter(([name]) => name !== "grid")

describe.each(able)("%s", (_, make) => {
  it.effect("proposes different points of the space, canonical, within the constraints", () =>
    Effect.gen(function* () {
      for (const domain of [numeric, narrow]) {
        const proposals = yield* rounds(yield* seeded(make, domain), 20)
        assert.strictEqual(new Set(keys(proposals)).size, 80)
        for (const { hash, tokens, value } of proposals) {
          assert.deepStrictEqual(yield* Effect.fromResult(Space.encode(value)(numeric)), tokens)
          assert.strictEqual(hash, Space.hash(value)(numeric))
          if (domain === narrow) assert.isTrue(Constrained.isFeasible(value)(narrow))
        }
      }
    }).pipe(provided)
  )

  it.effect("proposes the same for one seed, and continues from a snapshot as if nothing had happened", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* seeded(make, numeric, 1), yield* seeded(make, numeric, 1)]
      assert.deepStrictEqual(keys(yield* rounds(one, 9, 3)), keys(yield* rounds(other, 9, 3)))
      yield* one.ask(2)
      const third = yield* seeded(make, numeric, "another seed")
      yield* rounds(third, 2)
      yield* third.restore(JSON.parse(JSON.stringify(yield* one.snapshot)))
      assert.deepStrictEqual(keys(yield* rounds(third, 9, 3)), keys(yield* rounds(one, 9, 3)))
    }).pipe(provided)
  )
})

describe("learning", () => {
  const found = Effect.fnUntraced(function* (make: Strategies.Make, trials: number) {
    let sum = 0
    for (let seed = 0; seed < 5; seed++) {
      const proposals = yield* rounds(yield* seeded(make, numeric, seed), trials / 4, 4)
      sum += Math.max(...proposals.map(({ value }) => reward(value)))
    }
    return sum / 5
  })

  it.effect.each([
    ["evolution", 160],
    ["local-search", 160],
    ["tpe", 80],
    ["gp", 60],
    ["nsga2", 240],
    ["ppo", 160]
  ] as const)("%s finds better numbers in %i trials than random search", ([name, trials]) =>
    Effect.gen(function* () {
      assert.isAbove(yield* found(Strategies.all[name], trials), yield* found(Strategies.all.random, trials))
    }).pipe(provided)
  )

  it.effect.each([
    ["tpe", 80],
    ["gp", 40]
  ] as const)("%s finds more in %i trials of Branin's function than random search in 200", ([name, trials]) =>
    Effect.gen(function* () {
      const plane = Result.getOrThrow(
        Space.make(Choice.tuple([Choice.uniform({ min: -5, max: 10 }), Choice.uniform({ min: 0, max: 15 })]))
      )
      const best = Effect.fnUntraced(function* (make: Strategies.Make, trials: number) {
        let sum = 0
        for (let seed = 0; seed < 5; seed++) {
          const strategy = yield* seeded(make, plane, seed)
          let least = Infinity
          for (let i = 0; i < trials; i++) {
            for (const { trial, value } of yield* strategy.ask(1)) {
              least = Math.min(least, branin(value))
              yield* strategy.tell([Told.scored(trial, -branin(value))])
            }
          }
          sum += least
        }
        return sum / 5
      })
      assert.isBelow(yield* best(Strategies.all[name], trials), yield* best(Strategies.all.random, 200))
    }).pipe(provided)
  )
})

describe("a policy", () => {
  it.effect("gives the probability of every slot of a number, and of every class of an integer with conditions", () =>
    Effect.gen(function* () {
      const space = Result.getOrThrow(
        Space.make(
          Choice.struct({
            n: Choice.integer({ min: 0, max: 9999 }),
            few: Choice.when({ n: [0, 1, 7] }, Choice.categorical(["a", "b"])),
            u: Choice.uniform({ min: 0, max: 1 })
          })
        )
      )
      const strategy = yield* Ppo.make(space, {}, Prng.fromSeed(1))
      for (const json of [
        { n: 7, few: "b", u: 0.3 },
        { n: 5000, u: 0.3 }
      ]) {
        const value = yield* Effect.fromResult(Space.decodeJson(json)(space))
        const tokens = yield* Effect.fromResult(Space.encode(value)(space))
        const steps = yield* strategy.probabilities?.(tokens) ?? Effect.succeed([])
        assert.deepStrictEqual(
          steps.map(({ site, token }) => [site.name, token]),
          "few" in value
            ? [
                ["n", 7],
                ["few", 1],
                ["u", tokens[2]]
              ]
            : [
                ["n", 5000],
                ["u", tokens[1]]
              ]
        )
        for (const { probabilities, site } of steps) {
          assert.strictEqual(probabilities.length, site.slots?.length ?? site.count)
          for (const chance of probabilities) assert.approximately(chance, 1 / probabilities.length, 1e-5)
        }
      }
      // every proposal has the choice that its own number requires
      for (const { value } of yield* strategy.ask(30)) assert.strictEqual("few" in value, [0, 1, 7].includes(value.n))
    }).pipe(provided)
  )

  it.effect("learns where a number should lie", () =>
    Effect.gen(function* () {
      const space = Result.getOrThrow(
        Space.make(Choice.tuple([Choice.uniform({ min: 0, max: 1 }), Choice.ordered([1, 2])]))
      )
      const strategy = yield* Ppo.make(space, {}, Prng.fromSeed(1))
      for (let i = 0; i < 20; i++) {
        const proposals = yield* strategy.ask(10)
        yield* strategy.tell(proposals.map(({ trial, value: [u] }) => Told.scored(trial, u > 0.5 && u < 0.6 ? 1 : 0)))
      }
      const [step] = yield* strategy.probabilities?.([Site.at(space.sites[0]!, 0.55), 0]) ?? Effect.succeed([])
      const slot = Site.slotOf(step!.site.slots!, step!.token)
      assert.isAbove(step!.probabilities[slot]!, 0.3)
    }).pipe(provided)
  )
})

describe("grid search", () => {
  it.effect("refuses a space with real numbers", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Grid.make(numeric, {}, Prng.fromSeed(1)))
      assert.match(error.message, /the space has infinitely many networks/)
    })
  )
})

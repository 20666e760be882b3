import { assert, describe, it } from "@effect/vitest"
import { Ppo, Reinforce, type Strategy, StrategyError, Told } from "@uninet/controller"
import { Choice, Constrained, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { conditional, digits, light } from "./support/domains.ts"
import { provided } from "./support/strategies.ts"

const inspect = <A>(strategy: Strategy.Strategy<A>, tokens: Space.Tokens) => {
  assert.isDefined(strategy.probabilities)
  return strategy.probabilities === undefined ? Effect.succeed([]) : strategy.probabilities(tokens)
}
const close = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) => {
  assert.strictEqual(a.length, b.length)
  for (const [i, x] of a.entries()) assert.approximately(x, b[i]!, 1e-5)
}
const wide = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 4 }), 12)))
const sum = (xs: ReadonlyArray<number>) => xs.reduce((a, b) => a + b, 0)

describe.each(["recurrent", "independent"] as const)("a %s policy", (policy) => {
  it.effect("starts with equal chances at every step that exists", () =>
    Effect.gen(function* () {
      const strategy = yield* Ppo.make(conditional, { policy }, Prng.fromSeed(1))
      const steps = yield* inspect(strategy, [1, 0, 1, 2])
      assert.deepStrictEqual(
        steps.map(({ site, token }) => [site.name, token]),
        [
          ["width", 1],
          ["operator", 0],
          ["kernel", 1],
          ["groups", 2]
        ]
      )
      for (const { probabilities, site } of steps) {
        close(
          probabilities,
          Array.from({ length: site.count }, () => 1 / site.count)
        )
      }
      assert.strictEqual((yield* inspect(strategy, [1, 1])).length, 2)
    }).pipe(provided)
  )

  it.effect("gives no chance to options that lead to no network within the constraints", () =>
    Effect.gen(function* () {
      const strategy = yield* Ppo.make(light, { policy }, Prng.fromSeed(1))
      const tokens = [3, 1, 0, 1, 1, 0]
      for (const [i, { probabilities }] of (yield* inspect(strategy, tokens)).entries()) {
        const step = Option.getOrThrow(Result.getOrThrow(Constrained.next(tokens.slice(0, i))(light)))
        assert.approximately(sum(probabilities), 1, 1e-5)
        for (const [option, allowed] of step.mask.entries()) {
          if (allowed) assert.isAbove(probabilities[option]!, 0.1)
          else assert.strictEqual(probabilities[option], 0)
        }
      }
    }).pipe(provided)
  )

  it.effect("learns which option is worth most", () =>
    Effect.gen(function* () {
      const strategy = yield* Ppo.make(digits, { policy }, Prng.fromSeed(1))
      for (let i = 0; i < 20; i++) {
        const proposals = yield* strategy.ask(10)
        yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, value[0] === 2 ? 1 : 0)))
      }
      const [first] = yield* inspect(strategy, [2, 0, 0, 0, 0, 0])
      assert.isAbove(first!.probabilities[2]!, 0.8)
    }).pipe(provided)
  )

  it.effect("refuses to give probabilities for tokens that are not of the space", () =>
    Effect.gen(function* () {
      const strategy = yield* Ppo.make(digits, { policy }, Prng.fromSeed(1))
      for (const tokens of [[], [0, 0], [9, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]]) {
        assert.instanceOf(yield* Effect.flip(inspect(strategy, tokens)), StrategyError.InvalidOption)
      }
    }).pipe(provided)
  )
})

describe.each(["recurrent", "independent"] as const)("a %s policy after a long search", (policy) => {
  it.effect("still gives every option a chance, and has not lost its numbers", () =>
    Effect.gen(function* () {
      const strategy = yield* Ppo.make(wide, { policy, epochs: 8 }, Prng.fromSeed(1))
      for (let i = 0; i < 200; i++) {
        const proposals = yield* strategy.ask(10)
        yield* strategy.tell(
          proposals.map(({ trial, value }) =>
            Told.scored(
              trial,
              value.reduce((a, b) => a + b, 0)
            )
          )
        )
      }
      const steps = yield* inspect(
        strategy,
        wide.sites.map(() => 4)
      )
      for (const { probabilities } of steps) {
        assert.approximately(sum(probabilities), 1, 1e-5)
        assert.isAbove(Math.min(...probabilities), 1e-12)
      }
    }).pipe(provided)
  )
})

describe("the recurrent policy", () => {
  it.effect("learns what one choice requires of the next, which independent choices cannot", () =>
    Effect.gen(function* () {
      const binary = Result.getOrThrow(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 1 }), 12)))
      const agreement = Effect.fnUntraced(function* (policy: "recurrent" | "independent") {
        // enough entropy that the policy does not have to settle on one of the two ways to agree
        const strategy = yield* Ppo.make(
          binary,
          { policy, entropy: 0.3, entropyEnd: 1, learningRate: 0.05, window: 100, batch: 20, replay: 0 },
          Prng.fromSeed(3)
        )
        for (let i = 0; i < 60; i++) {
          const proposals = yield* strategy.ask(10)
          // half of all networks, whatever each choice is by itself
          yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, value[4] === value[5] ? 1 : 0)))
        }
        const after = Effect.fnUntraced(function* (token: number) {
          const tokens = Array.from({ length: 12 }, (_, i) => (i === 4 ? token : 0))
          return (yield* inspect(strategy, tokens))[5]!.probabilities[token]!
        })
        return Math.min(yield* after(0), yield* after(1))
      })
      assert.isAbove(yield* agreement("recurrent"), 0.8)
      assert.isBelow(yield* agreement("independent"), 0.6)
    }).pipe(provided)
  )
})

describe("REINFORCE", () => {
  it.effect("learns which option is worth most", () =>
    Effect.gen(function* () {
      const strategy = yield* Reinforce.make(digits, {}, Prng.fromSeed(1))
      for (let i = 0; i < 20; i++) {
        const proposals = yield* strategy.ask(10)
        yield* strategy.tell(proposals.map(({ trial, value }) => Told.scored(trial, value[0] === 2 ? 1 : 0)))
      }
      const [first] = yield* inspect(strategy, [2, 0, 0, 0, 0, 0])
      assert.isAbove(first!.probabilities[2]!, 0.8)
    }).pipe(provided)
  )
})

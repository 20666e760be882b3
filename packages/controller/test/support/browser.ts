/** An example of what a page might do: search its own space with evolution and with TPE, and keep the best that each found. */
import { RegularizedEvolution, type Strategy, type StrategyError, Told, Tpe } from "@uninet/controller"
import { Choice, Prng, Space } from "@uninet/search-space"
import { Effect, type Scope } from "effect"

const best = <A>(
  making: Effect.Effect<Strategy.Strategy<A>, StrategyError.StrategyError, Scope.Scope>,
  reward: (value: A) => number
) =>
  Effect.gen(function* () {
    const strategy = yield* making
    let highest = -Infinity
    for (let i = 0; i < 10; i++) {
      const proposals = yield* strategy.ask(10)
      yield* strategy.tell(
        proposals.map(({ trial, value }) => {
          highest = Math.max(highest, reward(value))
          return Told.scored(trial, reward(value))
        })
      )
    }
    return highest
  }).pipe(Effect.scoped)

const sum = (digits: ReadonlyArray<number>) => digits.reduce((a, b) => a + b, 0)

const program = Effect.gen(function* () {
  const space = yield* Effect.fromResult(Space.make(Choice.repeat(Choice.integer({ min: 0, max: 9 }), 6)))
  return {
    evolution: yield* best(RegularizedEvolution.make(space, {}, Prng.fromSeed("page")), sum),
    tpe: yield* best(Tpe.make(space, {}, Prng.fromSeed("page")), sum)
  }
})

export const found = Effect.runSync(program)

Object.assign(globalThis, { found })

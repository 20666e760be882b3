import { assert, describe, it } from "@effect/vitest"
import {
  GaussianProcess,
  Grid,
  LocalSearch,
  Nsga2,
  Ppo,
  Random,
  RegularizedEvolution,
  Reinforce,
  SearchStrategy,
  Strategies,
  type Strategy,
  StrategyError,
  Told,
  Tpe
} from "@uninet/controller"
import { OnnxRuntime } from "@uninet/runtime"
import { Runtime } from "@uninet/engine"
import { Choice, Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { conditional, digits, light, rejecting, repetitive } from "./support/domains.ts"
import { drain, every, provided, seeded } from "./support/strategies.ts"

/** A reward that is defined for any network: how large its tokens are, and how similar adjacent ones are. */
const reward = ({ tokens }: Strategy.Proposal<unknown>) =>
  tokens.reduce((sum, token, i) => sum + token * (1 + (i % 3)) - Math.abs(token - (tokens[i - 1] ?? 0)), 0)

const tellAll = <A>(strategy: Strategy.Strategy<A>, proposals: ReadonlyArray<Strategy.Proposal<A>>) =>
  strategy.tell(proposals.map((proposal) => Told.scored(proposal.trial, reward(proposal))))

const keys = (proposals: ReadonlyArray<Strategy.Proposal<unknown>>) => proposals.map(({ tokens }) => tokens.join())

/** Plays some rounds of ask and tell, and returns the proposals. */
const rounds = Effect.fnUntraced(function* <A>(strategy: Strategy.Strategy<A>, count: number, batch = 4) {
  const out: Array<string> = []
  for (let i = 0; i < count; i++) {
    const proposals = yield* strategy.ask(batch)
    out.push(...keys(proposals))
    yield* tellAll(strategy, proposals)
  }
  return out
})

/** Asks and tells until the space is exhausted, which has to be after `distinct` different networks. */
const exhaust = Effect.fnUntraced(function* <A>(strategy: Strategy.Strategy<A>, distinct: Space.Count) {
  const hashes: Array<string> = []
  let end: StrategyError.StrategyError | undefined
  while (end === undefined) {
    const asked = yield* Effect.result(strategy.ask(4))
    if (asked._tag === "Failure") end = asked.failure
    else {
      hashes.push(...asked.success.map(({ hash }) => hash))
      yield* tellAll(strategy, asked.success)
    }
  }
  assert.isTrue(end instanceof StrategyError.Exhausted && end.proven)
  assert.strictEqual(BigInt(hashes.length), BigInt(distinct))
  assert.strictEqual(new Set(hashes).size, hashes.length)
})

/** For strategies without a policy: every request to this engine fails. */
const noRuntime = Layer.mock(Runtime, { name: "none" })

const named = (name: string) =>
  Strategies.isName(name) ? Effect.succeed(name) : Effect.die(new Error(`${name} is no strategy`))

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flip(effect)

/** Ten numbers, each multiplied by a factor. */
const meaning = (factor: number) =>
  Result.getOrThrow(
    Space.make(
      Choice.integer({ min: 0, max: 9 }).pipe(
        Choice.map({
          schema: Schema.Int,
          to: (n) => factor * n,
          from: (m) => Result.succeed(m / factor)
        })
      )
    )
  )

describe.each(every)("%s", (_, make) => {
  it.effect("proposes every network of a space once, then says that there are no more", () =>
    Effect.gen(function* () {
      yield* exhaust(yield* seeded(make, conditional), Space.distinct(conditional))
      yield* exhaust(yield* seeded(make, repetitive), Space.distinct(repetitive))
    }).pipe(provided)
  )

  it.effect("numbers its proposals from 0 and gives canonical tokens, value and hash of one network", () =>
    Effect.gen(function* () {
      const strategy = yield* seeded(make, repetitive)
      const proposals = [...(yield* strategy.ask(5)), ...(yield* strategy.ask(3))]
      assert.deepStrictEqual(
        proposals.map(({ trial }) => trial),
        [0, 1, 2, 3, 4, 5, 6, 7]
      )
      for (const { hash, tokens, value } of proposals) {
        assert.deepStrictEqual(yield* Effect.fromResult(Space.encode(value)(repetitive)), tokens)
        assert.strictEqual(hash, Space.hash(value)(repetitive))
      }
    }).pipe(provided)
  )

  it.effect("meets the constraints with every proposal", () =>
    Effect.gen(function* () {
      for (const domain of [light, rejecting]) {
        const strategy = yield* seeded(make, domain)
        for (let i = 0; i < 10; i++) {
          const proposals = yield* strategy.ask(6)
          for (const { value } of proposals) assert.isTrue(Constrained.isFeasible(value)(domain))
          yield* tellAll(strategy, proposals)
        }
      }
    }).pipe(provided)
  )

  it.effect("names a cost that is not a number", () =>
    Effect.gen(function* () {
      const domain = yield* Effect.fromResult(
        Constrained.make(
          digits,
          [Constraint.bound("depth", (ds) => (ds[0] === 1 ? Number.NaN : 0), { max: 3 })],
          // without enumeration, costs are not evaluated in advance
          { enumerate: 0 }
        )
      )
      const asking = Effect.gen(function* () {
        const strategy = yield* seeded(make, domain)
        for (;;) yield* tellAll(strategy, yield* strategy.ask(4))
      })
      const error = yield* failure(asking)
      assert.match(error.message, /^The cost depth is not a number for \[1/)
    }).pipe(provided)
  )

  it.effect("finds all networks that meet the constraints and no other", () =>
    Effect.gen(function* () {
      const { end, found } = yield* drain(yield* seeded(make, light), 50)
      const feasible = [...Result.getOrThrow(Space.enumerate(digits))].filter((value) =>
        Constrained.isFeasible(value)(light)
      )
      assert.strictEqual(found.length, feasible.length)
      assert.isTrue(end.proven)
    }).pipe(provided)
  )

  it.effect("proposes the same for one seed and one sequence of calls", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* seeded(make, digits, 1), yield* seeded(make, digits, 1)]
      assert.deepStrictEqual(yield* rounds(one, 12), yield* rounds(other, 12))
    }).pipe(provided)
  )

  it.effect("does not mind the order of the results in one tell", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* seeded(make, digits), yield* seeded(make, digits)]
      for (let i = 0; i < 8; i++) {
        const [a, b] = [yield* one.ask(5), yield* other.ask(5)]
        assert.deepStrictEqual(keys(a), keys(b))
        yield* tellAll(one, a)
        yield* tellAll(other, b.toReversed())
      }
    }).pipe(provided)
  )

  it.effect("continues from a snapshot as if nothing had happened", () =>
    Effect.gen(function* () {
      const one = yield* seeded(make, light)
      yield* rounds(one, 9, 3)
      // some results are still missing, one trial has failed
      const [open] = yield* one.ask(3)
      yield* one.tell([Told.failed(28)])
      const text = JSON.stringify(yield* one.snapshot)
      const other = yield* seeded(make, light, "another seed")
      yield* rounds(other, 2)
      yield* other.restore(JSON.parse(text))
      for (const strategy of [one, other]) yield* strategy.tell([Told.scored(open!.trial, 3)])
      assert.deepStrictEqual(yield* rounds(other, 9, 3), yield* rounds(one, 9, 3))
    }).pipe(provided)
  )

  it.effect("reaches the same state by replaying what was asked and told", () =>
    Effect.gen(function* () {
      const one = yield* seeded(make, conditional)
      const log: Array<{ readonly count: number; readonly told: ReadonlyArray<Told.Told> }> = []
      for (const count of [1, 3, 2, 4]) {
        const told = (yield* one.ask(count)).map((p) => Told.scored(p.trial, reward(p)))
        yield* one.tell(told)
        log.push({ count, told })
      }
      const other = yield* seeded(make, conditional)
      for (const { count, told } of log) {
        yield* other.ask(count)
        yield* other.tell(told)
      }
      const [a, b] = [yield* one.snapshot, yield* other.snapshot]
      assert.deepStrictEqual(b, a)
      assert.deepStrictEqual(keys(yield* other.ask(4)), keys(yield* one.ask(4)))
    }).pipe(provided)
  )

  it.effect("refuses bad results and stays as it was", () =>
    Effect.gen(function* () {
      const [strategy, control] = [yield* seeded(make, digits), yield* seeded(make, digits)]
      for (const s of [strategy, control]) yield* rounds(s, 8, 5)
      const [a, b] = yield* strategy.ask(2)
      yield* control.ask(2)
      const refused = (...results: ReadonlyArray<Told.Told>) =>
        failure(strategy.tell([Told.scored(a!.trial, 1), ...results]))
      assert.instanceOf(yield* refused(Told.scored(b!.trial, NaN)), StrategyError.InvalidReward)
      assert.instanceOf(yield* refused(Told.scored(b!.trial, Infinity)), StrategyError.InvalidReward)
      assert.instanceOf(yield* refused(Told.scored(b!.trial, 1, [NaN])), StrategyError.InvalidReward)
      assert.instanceOf(yield* refused(Told.scored(b!.trial, 1, [1, 2])), StrategyError.InvalidReward)
      assert.instanceOf(yield* refused(Told.scored(b!.trial, 1, [])), StrategyError.InvalidReward)
      assert.instanceOf(yield* refused(Told.scored(42, 1)), StrategyError.UnknownTrial)
      assert.instanceOf(yield* refused(Told.failed(-1)), StrategyError.UnknownTrial)
      assert.instanceOf(yield* refused(Told.scored(0.5, 1)), StrategyError.UnknownTrial)
      assert.instanceOf(yield* refused(Told.scored(0, 1)), StrategyError.AlreadyTold)
      assert.instanceOf(yield* refused(Told.scored(a!.trial, 2)), StrategyError.AlreadyTold)
      assert.deepStrictEqual(yield* strategy.snapshot, yield* control.snapshot)
    }).pipe(provided)
  )

  it.effect("refuses an invalid number of proposals", () =>
    Effect.gen(function* () {
      const strategy = yield* seeded(make, digits)
      for (const count of [0, -1, 1.5, NaN, Infinity]) {
        assert.instanceOf(yield* failure(strategy.ask(count)), StrategyError.InvalidOption)
      }
    }).pipe(provided)
  )

  it.effect("refuses a snapshot of another strategy or space, or a damaged one, and stays as it was", () =>
    Effect.gen(function* () {
      const strategy = yield* seeded(make, digits)
      yield* rounds(strategy, 3)
      const snapshot = yield* strategy.snapshot
      const foreign = yield* (yield* seeded(make, conditional)).snapshot
      const refused = [
        { ...snapshot, strategy: "simulated annealing" },
        foreign,
        { ...snapshot, state: null },
        { ...snapshot, state: { ...Object(snapshot.state), told: [[99, 1, [1]]] } },
        { ...snapshot, state: { ...Object(snapshot.state), asked: [[9, 9, 9, 9, 9, 9]] } }
      ]
      for (const one of refused) assert.instanceOf(yield* failure(strategy.restore(one)), StrategyError.InvalidSnapshot)
      assert.deepStrictEqual(yield* strategy.snapshot, snapshot)
    }).pipe(provided)
  )

  it.effect("refuses a snapshot of a space with the same choices that mean something else", () =>
    Effect.gen(function* () {
      const strategy = yield* seeded(make, meaning(2))
      yield* strategy.restore(yield* (yield* seeded(make, meaning(2))).snapshot)
      const error = yield* failure(strategy.restore(yield* (yield* seeded(make, meaning(3))).snapshot))
      assert.include(error.message, "it comes from another space")
    }).pipe(provided)
  )

  it.effect("continues if every trial fails", () =>
    Effect.gen(function* () {
      const strategy = yield* seeded(make, digits)
      const seen = new Set<string>()
      for (let i = 0; i < 15; i++) {
        const proposals = yield* strategy.ask(4)
        for (const key of keys(proposals)) seen.add(key)
        yield* strategy.tell(proposals.map(({ trial }) => Told.failed(trial)))
      }
      assert.strictEqual(seen.size, 60)
    }).pipe(provided)
  )

  it.effect("can be asked while results are missing, and be told them in any order", () =>
    provided(
      Effect.gen(function* () {
        const strategy = yield* seeded(make, digits)
        const [prng, open] = [Prng.fromSeed("workers"), new Array<Strategy.Proposal<unknown>>()]
        const seen = new Set<string>()
        for (let i = 0; i < 60; i++) {
          const proposals = yield* strategy.ask(1 + prng.nextInt(2))
          for (const key of keys(proposals)) {
            assert.isFalse(seen.has(key))
            seen.add(key)
          }
          open.push(...proposals)
          if (open.length > 5) yield* tellAll(strategy, open.splice(prng.nextInt(3), 1 + prng.nextInt(3)))
        }
      })
    )
  )
})

describe("learning", () => {
  const learners = every.filter(([name]) => name !== "random" && name !== "grid")
  it.effect.each(learners)("%s finds better networks than random search", ([, make]) =>
    Effect.gen(function* () {
      const found = Effect.fnUntraced(function* (make: Strategies.Make) {
        let sum = 0
        for (let seed = 0; seed < 8; seed++) {
          const strategy = yield* seeded(make, digits, seed)
          let best = -Infinity
          for (let i = 0; i < 15; i++) {
            const proposals = yield* strategy.ask(8)
            best = Math.max(best, ...proposals.map(reward))
            yield* tellAll(strategy, proposals)
          }
          sum += best
        }
        return sum / 8
      })
      assert.isAbove(yield* found(make), yield* found(Strategies.all.random))
    }).pipe(provided)
  )
})

describe("any sequence of asking and telling", () => {
  const plain = every.filter(([name]) => !/ppo|reinforce|gp/.test(name))
  it.effect.each(plain)("%s proposes nothing twice and is deterministic", ([, make]) =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ ask: fc.integer({ min: 1, max: 7 }), tell: fc.nat(7), fail: fc.boolean() }), {
            maxLength: 20
          }),
          fc.integer(),
          async (calls, seed) => {
            const play = Effect.gen(function* () {
              const strategy = yield* seeded(make, conditional, seed)
              const open: Array<Strategy.Proposal<unknown>> = []
              const out: Array<string> = []
              for (const { ask, fail, tell } of calls) {
                const asked = yield* Effect.result(strategy.ask(ask))
                if (asked._tag === "Failure") {
                  assert.strictEqual(asked.failure._tag, "Exhausted")
                  assert.strictEqual(out.length, 21)
                } else {
                  out.push(...keys(asked.success))
                  open.push(...asked.success)
                }
                const done = open.splice(0, tell)
                yield* strategy.tell(done.map((p) => (fail ? Told.failed(p.trial) : Told.scored(p.trial, reward(p)))))
              }
              return out
            })
            const [a, b] = [await Effect.runPromise(provided(play)), await Effect.runPromise(provided(play))]
            assert.deepStrictEqual(a, b)
            assert.strictEqual(new Set(a).size, a.length)
          }
        ),
        { numRuns: 40, seed: 5 }
      )
    )
  )
})

describe("options", () => {
  it.effect("with invalid values are refused by name", () =>
    Effect.gen(function* () {
      const error = yield* failure(RegularizedEvolution.make(digits, { sample: 0 }, Prng.fromSeed(1)))
      assert.strictEqual(error.message, "evolution: sample is 0. Use an integer of 1 or more.")
    })
  )
})

describe("SearchStrategy", () => {
  const layers: ReadonlyArray<readonly [string, Layer.Layer<SearchStrategy>]> = [
    ...Strategies.names
      .filter((name) => name !== "ppo" && name !== "reinforce")
      .map((name) => [name, Layer.provide(Strategies.layer(name), noRuntime)] as const),
    ["random", Random.layer()],
    ["grid", Grid.layer()],
    ["evolution", RegularizedEvolution.layer()],
    ["local-search", LocalSearch.layer()],
    ["tpe", Tpe.layer()],
    ["gp", GaussianProcess.layer()],
    ["nsga2", Nsga2.layer()],
    ["ppo", Layer.provide(Ppo.layer(), OnnxRuntime.cpu())],
    ["reinforce", Layer.provide(Reinforce.layer(), OnnxRuntime.cpu())]
  ]

  it.effect.each(layers)(
    "of %s starts the strategy that `make` makes, on a space of any type, with and without constraints",
    ([name, layer]) =>
      Effect.gen(function* () {
        const service = yield* SearchStrategy
        assert.strictEqual(service.name, name)
        const make: Strategies.Make = Strategies.all[yield* named(name)]
        const same = Effect.fnUntraced(function* <A>(domain: Strategy.Domain<A>) {
          const begun = yield* service.start(domain, Prng.fromSeed(1))
          assert.strictEqual(begun.name, name)
          assert.deepStrictEqual(yield* rounds(begun, 4), yield* rounds(yield* make(domain, Prng.fromSeed(1)), 4))
        })
        yield* same(light)
        yield* same(conditional)
      }).pipe(Effect.provide(layer), provided)
  )

  it.effect("gives the points the type of the space that it is started on", () =>
    Effect.gen(function* () {
      const { start } = yield* SearchStrategy
      const [proposal] = yield* (yield* start(digits, Prng.fromSeed(1))).ask(1)
      const value: ReadonlyArray<number> | undefined = proposal?.value
      assert.strictEqual(value?.length, 6)
    }).pipe(Effect.provide(Random.layer()))
  )

  it.effect("reports an invalid option when it is started", () =>
    Effect.gen(function* () {
      const { start } = yield* SearchStrategy
      const error = yield* Effect.flip(start(digits, Prng.fromSeed(1)))
      assert.strictEqual(error.message, "evolution: sample is 0. Use an integer of 1 or more.")
    }).pipe(Effect.provide(RegularizedEvolution.layer({ sample: 0 })))
  )
})

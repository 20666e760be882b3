import { assert, describe, it } from "@effect/vitest"
import { Grid, Random, SearchStrategy, Strategy } from "@uninet/controller"
import { Layer as Layers } from "@uninet/nn"
import { Operator, OperatorSet } from "@uninet/operators"
import { Evaluator, Journal, Reward, Search, Trial } from "@uninet/search"
import { Constrained, Constraint, Prng, Space } from "@uninet/search-space"
import { Architecture, Kit, NetworkCosts, UniNetSpace } from "@uninet/uninet"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { accuracyOf, formula, measuresOf, type Options, setting, uninet } from "./support/search.ts"

const run = (options: Partial<Options> = {}) => Search.run(uninet, { trials: 12, seed: "test", ...options })

/** What a search leaves in the journal, apart from times. */
const journalOf = (concurrency: number, options: Partial<Options> = {}, seed = "test") =>
  run({ seed, ...options }).pipe(
    Effect.andThen(Journal.Journal.use((journal) => journal.entries)),
    Effect.map((stored) => stored.map(({ entry }) => entry)),
    Effect.provide([setting, formula(concurrency), Journal.memory])
  )

/** A strategy that proposes these, one after another. */
const listed = (architectures: ReadonlyArray<Architecture.Architecture>, told: Array<unknown> = []) =>
  Layer.succeed(SearchStrategy, {
    name: "listed",
    start: <A>() =>
      Effect.sync((): Strategy.Strategy<A> => {
        let next = 0
        return {
          name: "listed",
          ask: (count) =>
            Effect.sync(() =>
              architectures.slice(next, (next += count)).map((architecture, i): Strategy.Proposal<A> => {
                const value: unknown = architecture
                // every space here is a space of architectures
                return { trial: next - count + i, value: value as A, tokens: [], hash: Architecture.hash(architecture) }
              })
            ),
          tell: (results) => Effect.sync(() => void told.push(...results)),
          snapshot: Effect.die("not used"),
          restore: () => Effect.void
        }
      })
  })

const sampled = (count: number, space = uninet.space) => {
  const prng = Prng.fromSeed("sampled")
  return Array.from({ length: count }, () => Space.sample(prng)(space))
}

const withListed = (
  architectures: ReadonlyArray<Architecture.Architecture>,
  evaluator: Layer.Layer<Evaluator.Evaluator>,
  told: Array<unknown> = []
) => Layer.mergeAll(listed(architectures, told), evaluator, Journal.memory)

const isShift = ({ stages }: Architecture.Architecture) => stages.some(({ operator }) => operator === "Shift")

describe("a search", () => {
  it.live("evaluates as many networks as it was asked to and finds the best of them", () =>
    Effect.gen(function* () {
      const { best, records } = yield* run()
      assert.strictEqual(records.length, 12)
      const highest = Math.max(...records.map(({ point }) => accuracyOf(point)))
      assert.strictEqual(best.outcome.reward, highest)
      assert.strictEqual(best.line, Architecture.line(best.point))
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("leaves the same journal whatever the number of evaluations at a time", () =>
    Effect.gen(function* () {
      const one = yield* journalOf(1)
      assert.deepStrictEqual(yield* journalOf(2), one)
      assert.deepStrictEqual(yield* journalOf(7), one)
    })
  )

  it.live("leaves another journal with another seed", () =>
    Effect.gen(function* () {
      assert.notDeepEqual(yield* journalOf(2, {}, "other"), yield* journalOf(2))
    })
  )

  it.live("derives a trial's seed from its own and the trial's index alone", () =>
    Effect.gen(function* () {
      const few = yield* journalOf(2, { trials: 3 })
      const many = yield* journalOf(2, { trials: 9 })
      assert.deepStrictEqual(many.slice(0, few.length), few)
    })
  )

  it.live("never has more proposals out than it may look ahead", () =>
    Effect.gen(function* () {
      const out = yield* Ref.make({ now: 0, most: 0 })
      const counting = Evaluator.fromFunction(
        uninet,
        (architecture) =>
          Ref.update(out, ({ most, now }) => ({ now: now + 1, most: Math.max(most, now + 1) })).pipe(
            Effect.andThen(Effect.sleep(1)),
            Effect.andThen(Ref.update(out, ({ most, now }) => ({ now: now - 1, most }))),
            Effect.as(measuresOf(accuracyOf(architecture)))
          ),
        { concurrency: 10 }
      )
      yield* run({ ahead: 3 }).pipe(Effect.provide([setting, counting, Journal.memory]))
      assert.strictEqual((yield* Ref.get(out)).most, 3)
    })
  )

  it.live("tells results in the order of trials", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      yield* run({ trials: 6 }).pipe(Effect.provide(withListed(sampled(6), formula(), told)))
      assert.deepStrictEqual(
        told.map((t) => (typeof t === "object" && t !== null && "trial" in t ? t.trial : t)),
        [0, 1, 2, 3, 4, 5]
      )
    })
  )

  it.live("refuses what cannot be built and what is over the budget before it is evaluated", () =>
    Effect.gen(function* () {
      const Shift = Operator.make({
        layer: (scope) => (x) => Layers.fail(scope, "Shift", x, "there is nowhere to shift to")
      })
      const kit = Kit.make({ operators: OperatorSet.with({ Shift }) })
      const shifting = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
      const found = sampled(200, shifting.space)
      const [invalid] = found.filter(isShift)
      const [good, third, ...others] = found
        .filter((architecture) => !isShift(architecture))
        .toSorted((a, b) => shifting.costs.macs(a) - shifting.costs.macs(b))
      const heavy = others.at(-1) ?? third
      const evaluated: Array<number> = []
      const evaluator = Evaluator.fromFunction(shifting, (_, trial) => {
        evaluated.push(trial.index)
        return Effect.succeed(measuresOf(0.5))
      })
      const within = { macs: { max: shifting.costs.macs(third) } }
      const { records } = yield* Search.run(shifting, { trials: 2, seed: "test", within }).pipe(
        Effect.provide(withListed([good, invalid, heavy, third], evaluator))
      )
      assert.deepStrictEqual(evaluated, [0, 3])
      const [, unknown, over] = records.map(({ outcome }) => (outcome._tag === "Refused" ? outcome.why : ""))
      assert.include(unknown, "Shift")
      assert.match(over, /macs \d+, but the search allows macs at most \d+/)
    })
  )

  it.live("does not evaluate a network twice, and gives the second the first one's outcome", () =>
    Effect.gen(function* () {
      const [a, b] = sampled(2)
      const evaluated: Array<number> = []
      const evaluator = Evaluator.fromFunction(uninet, (architecture, trial) => {
        evaluated.push(trial.index)
        return Effect.succeed(measuresOf(accuracyOf(architecture)))
      })
      const { records } = yield* run({ trials: 2 }).pipe(Effect.provide(withListed([a, a, b], evaluator)))
      assert.deepStrictEqual(evaluated, [0, 2])
      assert.deepStrictEqual(records[1]?.outcome, records[0]?.outcome)
    })
  )

  it.live("records a failed trial with its cause, tells the strategy, and goes on", () =>
    Effect.gen(function* () {
      const told: Array<unknown> = []
      const evaluator = Evaluator.fromFunction(uninet, (architecture, { index }) =>
        index === 1
          ? Effect.fail(new Error("out of paper"))
          : index === 2
            ? Effect.die(new Error("a bug"))
            : index === 3
              ? Effect.succeed(measuresOf(Number.NaN))
              : Effect.succeed(measuresOf(accuracyOf(architecture)))
      )
      const { best, records } = yield* run({ trials: 5 }).pipe(Effect.provide(withListed(sampled(5), evaluator, told)))
      const outcomes = records.map(({ outcome }) => (outcome._tag === "Failed" ? [outcome.reason, outcome.detail] : []))
      assert.deepStrictEqual(outcomes, [
        [],
        ["Failed", "out of paper"],
        ["Crashed", "a bug"],
        ["Failed", "its accuracy is NaN"],
        []
      ])
      assert.deepInclude(told, { _tag: "Failed", trial: 1 })
      assert.include([0, 4], best.trial)
    })
  )

  it.live("ends where the strategy has nothing left", () =>
    Effect.gen(function* () {
      const { exhausted, records } = yield* run({ trials: 9 }).pipe(Effect.provide(withListed(sampled(4), formula())))
      assert.isTrue(exhausted)
      assert.strictEqual(records.length, 4)
    })
  )

  it.live("gives up on a strategy that proposes nothing that may be trained", () =>
    Effect.gen(function* () {
      const [one] = sampled(1)
      const error = yield* Effect.flip(
        run({ trials: 2, ahead: 500 }).pipe(
          Effect.provide(
            withListed(
              Array.from({ length: 11_000 }, () => one),
              formula()
            )
          )
        )
      )
      assert.strictEqual(error._tag, "SearchStuck")
    })
  )

  it.live("rewards accuracy for its MACs where it was asked to", () =>
    Effect.gen(function* () {
      const reward = Reward.mnas({ target: 1e6 })
      const { records } = yield* run({ reward })
      for (const { costs, outcome } of records)
        if (outcome._tag === "Scored")
          assert.closeTo(outcome.reward, outcome.evaluation.measures.accuracy * (costs.macs / 1e6) ** -0.07, 1e-12)
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("says what happens as a stream that ends with what it found", () =>
    Effect.gen(function* () {
      const events = yield* Stream.runCollect(Search.events(uninet, { trials: 5, seed: "test" }))
      const count = (tag: Search.SearchEvent<unknown>["_tag"]) => events.filter((event) => event._tag === tag).length
      assert.strictEqual(count("Started"), 5)
      assert.strictEqual(count("Finished"), 5)
      assert.isAtLeast(count("Best"), 1)
      assert.strictEqual(events.at(-1)?._tag, "Done")
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("stops its evaluations when it is interrupted", () =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const stopped = yield* Ref.make(false)
      const endless = Layer.succeed(Evaluator.Evaluator, {
        concurrency: 1,
        evaluate: () =>
          Deferred.succeed(started, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Ref.set(stopped, true))
          )
      })
      const fiber = yield* Effect.forkChild(run().pipe(Effect.provide([setting, endless, Journal.memory])))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* Ref.get(stopped))
    })
  )

  it.live.each([
    ["trials", { trials: -1 }],
    ["trials", { trials: 1.5 }],
    ["ahead", { ahead: 0 }]
  ] as const)("refuses a %s that is no count", ([option, options]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run(options))
      assert.strictEqual(error._tag, "InvalidSearch")
      assert.include(error.message, option)
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("refuses constraints that no network meets, before anything is evaluated", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run({ within: { macs: { max: 1000 } } }))
      assert.strictEqual(error._tag, "Infeasible")
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("begins the strategy with its own seed and constraints", () =>
    Effect.gen(function* () {
      const constraints = Constraint.bounds({ macs: { max: 1.6e6 } })(NetworkCosts.forSpace())
      const domain = yield* Effect.fromResult(Constrained.make(uninet.space, constraints))
      const alone = yield* Random.make(domain, {}, Prng.fromSeed("test").split("strategy"))
      const proposals = yield* alone.ask(12)
      for (const options of [{ constraints }, { within: { macs: { max: 1.6e6 } } }])
        assert.deepStrictEqual(
          (yield* run(options)).records.map(({ hash }) => hash),
          proposals.map(({ hash }) => hash)
        )
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )

  it.live("fails with the strategy's error where it cannot search the space", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run().pipe(Effect.provide(Grid.layer())))
      assert.strictEqual(error._tag, "NotEnumerable")
    }).pipe(Effect.provide([setting, formula(), Journal.memory]))
  )
})

describe("a search that is resumed", () => {
  /** A journal that outlives the searches on it. */
  const shared = Effect.map(Layer.build(Journal.memory), (context) => Layer.succeedContext(context))

  it.live("does what the uninterrupted one would have done, and evaluates only what it had not", () =>
    Effect.gen(function* () {
      const whole = yield* journalOf(3)
      const journal = yield* shared
      const evaluated: Array<number> = []
      const counting = Evaluator.fromFunction(
        uninet,
        (architecture, trial) =>
          Effect.sleep((trial.index * 7) % 5).pipe(
            Effect.andThen(Effect.sync(() => void evaluated.push(trial.index))),
            Effect.as(measuresOf(accuracyOf(architecture), trial.seed.length))
          ),
        { concurrency: 3 }
      )
      const halfway = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        run({
          onEvent: (event) =>
            event._tag === "Finished" && event.record.trial === 5
              ? Effect.asVoid(Deferred.succeed(halfway, undefined))
              : Effect.void
        }).pipe(Effect.provide([setting, counting, journal]))
      )
      yield* Deferred.await(halfway)
      yield* Fiber.interrupt(first)
      const before = yield* Journal.Journal.use((j) => j.entries).pipe(Effect.provide(journal))
      const finished = before.filter(({ entry }) => entry._tag === "Finished").map(({ entry }) => entry.trial)
      assert.isBelow(finished.length, 12)
      evaluated.length = 0
      const { records } = yield* run().pipe(Effect.provide([setting, counting, journal]))
      assert.strictEqual(records.length, 12)
      assert.deepStrictEqual(
        evaluated.filter((trial) => finished.includes(trial)),
        []
      )
      const after = yield* Journal.Journal.use((j) => j.entries).pipe(Effect.provide(journal))
      assert.deepStrictEqual(
        after.map(({ entry }) => entry),
        whole
      )
    })
  )

  it.live("goes on with more trials", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      yield* run({ trials: 4 }).pipe(Effect.provide([setting, formula(), journal]))
      yield* run({ trials: 12 }).pipe(Effect.provide([setting, formula(), journal]))
      const entries = yield* Journal.Journal.use((j) => j.entries).pipe(Effect.provide(journal))
      assert.deepStrictEqual(
        entries.map(({ entry }) => entry),
        yield* journalOf(2)
      )
    })
  )

  it.live("is refused where the strategy proposes other networks than the journal has", () =>
    Effect.gen(function* () {
      const journal = yield* shared
      yield* run({ trials: 4 }).pipe(Effect.provide([setting, formula(), journal]))
      const { start } = yield* SearchStrategy.pipe(Effect.provide(Random.layer()))
      const other = Layer.succeed(SearchStrategy, {
        name: "random",
        start: (domain, prng) => start(domain, prng.split("another version"))
      })
      const error = yield* Effect.flip(run({ trials: 4 }).pipe(Effect.provide([setting, other, formula(), journal])))
      assert.match(error.message, /trial 0's point/)
    })
  )
})

const light = ({ accuracy }: { readonly accuracy: number }) => accuracy
const heavy = ({ macs }: { readonly macs: number }) => macs

describe("rewards", () => {
  const { task } = uninet
  const worth = (reward: Reward.Reward, accuracy: number, macs: number) =>
    Reward.of(task, { measures: { accuracy }, costs: { macs } })(reward)

  it("penalise twice the target's MACs by 5%", () => {
    const reward = Reward.mnas({ target: 1e6 })
    assert.closeTo(worth(reward, 0.8, 2e6), 0.8 * 0.9526, 1e-4)
    assert.strictEqual(worth(reward, 0.8, 1e6), 0.8)
  })

  it("that are bounded take the accuracy up to the target", () => {
    assert.strictEqual(worth(Reward.bounded({ target: 1e6 }), 0.8, 0.9e6), 0.8)
    assert.closeTo(worth(Reward.bounded({ target: 1e6 }), 0.8, 2e6), 0.4, 1e-12)
  })

  it("are by another cost where they name it, and no number where nobody gives it", () => {
    const found = { measures: { accuracy: 0.8 }, costs: { latency: 40 } }
    assert.closeTo(Reward.of(task, found)(Reward.mnas({ cost: "latency", target: 20 })), 0.8 * 0.9526, 1e-4)
    assert.closeTo(Reward.of(task, found)(Reward.bounded({ cost: "latency", target: 20 })), 0.4, 1e-12)
    assert.isNaN(Reward.of(task, found)(Reward.mnas({ target: 20 })))
    assert.isNaN(Reward.of(task, found)(Reward.bounded({ target: 20 })))
  })

  it("are of another measure where they name it, one that is measured beside the task, too", () => {
    const found = { measures: { accuracy: 0.8, int8Accuracy: 0.7, loss: 2 }, costs: { macs: 2e6 } }
    const also = { ...task, also: { int8Accuracy: "higher" as const } }
    assert.strictEqual(Reward.of(also, found)(Reward.by("int8Accuracy")(Reward.measure)), 0.7)
    assert.closeTo(Reward.of(also, found)(Reward.by("int8Accuracy")(Reward.mnas({ target: 1e6 }))), 0.7 * 0.9526, 1e-4)
    assert.strictEqual(Reward.of(also, found)(Reward.by("loss")(Reward.measure)), -2)
    // In the form that journals have now, and in the earlier one.
    assert.isTrue(Schema.is(Reward.Reward)(Reward.by("loss")(Reward.measure)))
    assert.deepStrictEqual(Reward.identity(Reward.mnas({ target: 1 })), {
      _tag: "Mnas",
      cost: "macs",
      target: 1,
      exponent: -0.07
    })
  })

  it("of a measure that is better the lower are higher the lower it is and the cheaper the network", () => {
    const byLoss = { ...task, decides: "loss" as const }
    const worth = (reward: Reward.Reward, loss: number, macs: number) =>
      Reward.of(byLoss, { measures: { loss }, costs: { macs } })(reward)
    assert.strictEqual(worth(Reward.measure, 0.5, 1), -0.5)
    assert.strictEqual(worth(Reward.mnas({ target: 1e6 }), 0.5, 1e6), -0.5)
    assert.closeTo(worth(Reward.mnas({ target: 1e6 }), 0.5, 2e6), -0.5 * 2 ** 0.07, 1e-12)
    assert.strictEqual(worth(Reward.bounded({ target: 1e6 }), 0.5, 0.9e6), -0.5)
    assert.closeTo(worth(Reward.bounded({ target: 1e6 }), 0.5, 2e6), -1, 1e-12)
  })

  it("are known to a journal by what they are: data as they are, functions by their text", () => {
    assert.deepStrictEqual(Reward.identity(Reward.mnas({ target: 2 })), {
      _tag: "Mnas",
      cost: "macs",
      target: 2,
      exponent: -0.07
    })
    assert.deepStrictEqual(Reward.identity(light), Reward.identity(light))
    assert.notDeepEqual(Reward.identity(light), Reward.identity(heavy))
  })
})

describe("an evaluator that is lost", () => {
  it.live(
    "ends the search with its sentence, and leaves nothing in the journal that would not be evaluated again",
    () =>
      Effect.gen(function* () {
        const lost = Layer.succeed(Evaluator.Evaluator, {
          concurrency: 2,
          evaluate: ({ index }) =>
            index < 3
              ? Effect.succeed({ measures: measuresOf(0.5), epochs: null })
              : Effect.fail(new Evaluator.EvaluatorLost({ problem: "The machines are gone", remedy: "Fetch them" }))
        })
        const journal = Journal.Journal.use(({ entries }) => entries)
        const [error, stored] = yield* Effect.all([Effect.flip(run({ trials: 6 })), journal]).pipe(
          Effect.provide([setting, lost, Journal.memory])
        )
        assert.strictEqual(error.message, "The machines are gone. Fetch them.")
        const outcomes = stored.filter(({ entry }) => entry._tag === "Finished" || entry._tag === "Failed")
        assert.deepStrictEqual(
          outcomes.map(({ entry }) => [entry._tag, entry.trial]),
          [0, 1, 2].map((trial) => ["Finished", trial])
        )
      })
  )
})

describe("a table", () => {
  it.live("gives its rows' results and fails for what it does not have", () =>
    Effect.gen(function* () {
      const [known, unknown] = sampled(2)
      const table = new Map([[Space.hash(known)(uninet.space), measuresOf(0.75)]])
      const { records } = yield* run({ trials: 2 }).pipe(
        Effect.provide(withListed([known, unknown], Evaluator.fromTable(uninet, table)))
      )
      assert.deepStrictEqual(
        records.map(({ outcome }) => (outcome._tag === "Scored" ? outcome.evaluation.measures.accuracy : outcome._tag)),
        [0.75, "Failed"]
      )
    })
  )
})

describe("a failed trial", () => {
  it("names its number and its cause", () => {
    const { message } = new Trial.TrialFailed({ trial: 7, reason: "Diverged", detail: "the loss is NaN" })
    assert.strictEqual(message, "trial 7 diverged: the loss is NaN")
  })

  it.live("is told with its network", () =>
    Effect.gen(function* () {
      const [one, other] = sampled(2)
      const evaluator = Evaluator.fromFunction(uninet, (_, { index }) =>
        index === 0 ? Effect.fail("no luck") : Effect.succeed(measuresOf(0.5))
      )
      const lines: Array<string> = []
      yield* run({
        trials: 2,
        onEvent: (event) => Effect.sync(() => void (event._tag === "Failed" && lines.push(event.candidate.line)))
      }).pipe(Effect.provide(withListed([one, other], evaluator)))
      assert.deepStrictEqual(lines, [Architecture.line(one)])
    })
  )
})

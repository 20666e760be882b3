import { assert, describe, it } from "@effect/vitest"
import type { Classification } from "@uninet/model-space"
import { Coefficients, CoefficientSearch, Compound, Scaler } from "@uninet/scaler"
import { Evaluator, Journal, type Search } from "@uninet/search"
import { Space } from "@uninet/search-space"
import { Architecture, Network, NetworkCosts, UniNet, UniNetSpace } from "@uninet/uninet"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { uninet } from "./support/architectures.ts"

const digits = Result.getOrThrow(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))
const baseline = Space.seedPoint(digits.space)

type Options = CoefficientSearch.Options<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>
type Event = Search.SearchEvent<Architecture.Architecture, UniNetSpace.Costs, Classification.Measure>

/** All measures, of which the accuracy alone says something. */
const measures = (accuracy: number) => ({ accuracy, top5: 1, loss: 1, calibrationError: 0 })

/** An accuracy that likes depth. */
const depth = ({ stages }: Architecture.Architecture) => stages.reduce((sum, { repeats }) => sum + repeats, 0) / 1000

const preferring = Evaluator.fromFunction(digits, (architecture) => Effect.succeed(measures(depth(architecture))), {
  concurrency: 2
})

const search = (options: Partial<Options> = {}) => CoefficientSearch.run(digits, { baseline, seed: "test", ...options })

const said = (what: Effect.Effect<unknown, { readonly message: string }>) =>
  Effect.map(Effect.flip(what), ({ message }) => message)

describe("the published scaler", () => {
  it.effect("gives B0 to B6 to the last parameter", () =>
    Effect.gen(function* () {
      const members = yield* Scaler.use((scaler) => scaler.family(uninet, UniNet.B0, [6, 0, 1, 2, 3, 4, 5]))
      assert.deepStrictEqual(
        members.map(({ point }) => point),
        Object.values(UniNet.family)
      )
      assert.deepStrictEqual(
        members.map(({ costs: { fvcoreCount, parameters }, point }) => {
          const { buffers } = Result.getOrThrow(Result.flatMap(Network.make(point), NetworkCosts.of))
          return [parameters, buffers, fvcoreCount]
        }),
        [
          [11_450_864, 22_673, 555_380_288],
          [11_450_864, 22_673, 1_117_865_024],
          [16_211_472, 32_327, 2_159_099_776],
          [24_020_184, 43_999, 4_258_490_944],
          [43_796_288, 65_155, 9_429_081_216],
          [72_883_072, 78_033, 20_423_294_976],
          [116_687_344, 119_559, 51_035_247_104]
        ]
      )
    }).pipe(Effect.provide(Scaler.published))
  )

  it.effect("keeps other classes, and refuses what is not in its table", () =>
    Effect.gen(function* () {
      const { family, toMacs } = yield* Scaler
      const [b2] = yield* family(uninet, UniNet.withImage({ channels: 1 }, 10)(UniNet.B0), [2])
      assert.deepStrictEqual(b2.point, UniNet.withImage({ channels: 1 }, 10)(UniNet.B2))
      assert.match(
        yield* said(family(uninet, UniNet.B0, [7])),
        /^there is no published member at φ = 7 of a family whose members are at φ = 0 to 6/
      )
      assert.match(yield* said(family(uninet, UniNet.B0, [1.5])), /no published member at φ = 1\.5/)
      assert.match(yield* said(family(uninet, UniNet.B1, [1])), /no published family of DWConv/)
      assert.match(
        yield* said(toMacs(uninet, UniNet.B0, 1e9)),
        /no published network for a given number of MACs; give coefficients/
      )
    }).pipe(Effect.provide(Scaler.published))
  )
})

describe("a scaler of given coefficients", () => {
  it.effect("gives the family that they give", () =>
    Effect.gen(function* () {
      const scaler = yield* Scaler
      const coefficients = Coefficients.efficientNet
      assert.deepStrictEqual(
        yield* scaler.family(digits, baseline, [1, 2]),
        Result.getOrThrow(Compound.family(digits, baseline, [1, 2], { coefficients, fixedImage: true }))
      )
      const { costs } = yield* scaler.toMacs(digits, baseline, 5e6)
      assert.closeTo(costs.macs / 5e6, 1, 0.03)
    }).pipe(Effect.provide(Scaler.given(Coefficients.efficientNet, { fixedImage: true })))
  )

  it.effect("refuses unbalanced ones", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.provide(Scaler, Scaler.given({ depth: 2, width: 2, resolution: 2 })))
      assert.strictEqual(error._tag, "UnbalancedCoefficients")
    })
  )
})

describe("the search for coefficients", () => {
  it.live("finds those whose network the evaluator likes best, among networks of one cost", () =>
    Effect.gen(function* () {
      const { candidates, coefficients, member } = yield* search()
      assert.isAbove(candidates.length, 5)
      const hashes = new Set(candidates.map(({ member: { point } }) => Architecture.hash(point)))
      assert.strictEqual(hashes.size, candidates.length)
      for (const { coefficients, measure, member } of candidates) {
        assert.closeTo(Coefficients.product(coefficients), 2, 0.1)
        assert.closeTo(member.costs.macs / member.target, 1, 0.03)
        assert.strictEqual(measure, depth(member.point))
      }
      assert.strictEqual(depth(member.point), Math.max(...candidates.map(({ measure }) => measure ?? 0)))
      const scaler = yield* Effect.provide(
        Scaler,
        Scaler.searched(digits, { baseline, seed: "test" }).pipe(Layer.provide(Journal.memory))
      )
      assert.deepStrictEqual(scaler.coefficients, coefficients)
    }).pipe(Effect.provide([preferring, Journal.memory]))
  )

  it.live("keeps the image where it is asked to, and stays within a budget", () =>
    Effect.gen(function* () {
      const { candidates } = yield* search({ fixedImage: true })
      for (const { coefficients, member } of candidates) {
        assert.strictEqual(coefficients.resolution, 1)
        assert.deepStrictEqual(member.point.image, baseline.image)
      }
      const tight = yield* Effect.flip(search({ maxMacs: 1000 }).pipe(Effect.provide(Journal.memory, { local: true })))
      assert.match(
        tight.message,
        /^none of \d+ coefficients gives a network at φ = 1 of at most 1,000 MACs \(the fewest/
      )
    }).pipe(Effect.provide([preferring, Journal.memory]))
  )

  it.live("goes on after it was stopped, and trains nothing twice", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "uninet-scaler-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const trained: Array<string> = []
      const counting = Evaluator.fromFunction(digits, (architecture) =>
        Effect.suspend(() => {
          trained.push(Architecture.hash(architecture))
          return Effect.succeed(measures(depth(architecture)))
        })
      )
      const run = (onEvent: (event: Event) => Effect.Effect<void>) =>
        search({ onEvent }).pipe(
          Effect.provide([counting, Journal.sqlite(join(folder, "journal.db"), { existing: "resume" })], {
            local: true
          })
        )
      let finished = 0
      const stopped = yield* Effect.exit(
        run((event) => (event._tag === "Finished" && ++finished === 3 ? Effect.interrupt : Effect.void))
      )
      assert.strictEqual(stopped._tag, "Failure")
      const before = trained.length
      assert.isAtMost(before, 4)
      let resumed = 0
      const found = yield* run((event) =>
        Effect.sync(() => {
          if (event._tag === "Resumed") resumed = event.trials
        })
      )
      assert.strictEqual(resumed, 3)
      assert.strictEqual(trained.length, found.candidates.length)
      assert.strictEqual(new Set(trained).size, trained.length)
      const other = yield* Effect.flip(
        search({ baseline: { ...baseline, head: { channels: 64 } } }).pipe(
          Effect.provide([counting, Journal.sqlite(join(folder, "journal.db"), { existing: "resume" })], {
            local: true
          })
        )
      )
      assert.strictEqual(other._tag, "JournalForeign")
    }).pipe(Effect.scoped)
  )

  it.live("says so where no network could be evaluated", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(search())
      assert.strictEqual(error._tag, "NothingFound")
      assert.match(error.message, /gave a result; the most common cause: no data/)
    }).pipe(Effect.provide([Evaluator.fromFunction(digits, () => Effect.fail(new Error("no data"))), Journal.memory]))
  )
})

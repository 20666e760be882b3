import { assert, describe, it } from "@effect/vitest"
import { Model } from "@uninet/nn"
import { OnnxRuntime, Runtime } from "@uninet/runtime"
import { Prng } from "@uninet/search-space"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { Average, Initialise } from "@uninet/trainer"
import { network } from "./support/tiny.ts"

const { model } = network
const evaluation = Result.getOrThrow(Model.evaluation({ batch: 2 })(model))

describe("the average of weights", () => {
  it.effect("after n steps is dⁿ times the first and (1 − d) dⁿ⁻ᵏ times the k-th", () =>
    Effect.gen(function* () {
      const average = Result.getOrThrow(Average.program(evaluation.variables))
      const { read, run, write } = yield* (yield* Runtime).compile({ average })
      const names = evaluation.variables.map((v) => v.attributes.name)
      const fill = (value: number, of: (name: string) => string) =>
        new Map(
          average.variables
            .filter((v) => names.some((n) => of(n) === v.attributes.name))
            .map((v) => [v.attributes.name, new Float32Array(v.shape.reduce((a, b) => a * b, 1)).fill(value)])
        )
      const [first, ...weights] = [3, 1, -2, 0.5, 4]
      const decay = 0.8
      yield* write(fill(first, Average.nameOf))
      let expected = first
      for (const weight of weights) {
        yield* write(fill(weight, (name) => name))
        yield* run("average", { [Average.decayName]: Float32Array.of(decay) })
        expected = decay * expected + (1 - decay) * weight
      }
      const closed =
        decay ** 4 * first + weights.reduce((sum, weight, k) => sum + (1 - decay) * decay ** (3 - k) * weight, 0)
      assert.closeTo(expected, closed, 1e-12)
      const values = yield* read
      for (const name of names) {
        for (const x of values.get(Average.nameOf(name)) ?? [Number.NaN]) assert.closeTo(x, closed, 1e-5)
        for (const x of values.get(name) ?? [Number.NaN]) assert.strictEqual(x, 4)
      }
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it.effect("evaluates as a network with those weights does", () =>
    Effect.gen(function* () {
      const averaged = Result.getOrThrow(Average.evaluation({ batch: 2 })(model))
      const { run, write } = yield* (yield* Runtime).compile({ evaluation, averaged })
      const prng = Prng.fromSeed("average")
      const weights = Initialise.values(prng)(evaluation.variables)
      for (const data of weights.values()) for (let i = 0; i < data.length; i++) data[i] += 0.1 * prng.nextFloat()
      yield* write(new Map([...weights].map(([name, data]) => [Average.nameOf(name), data])))
      const image = Float32Array.from({ length: 2 * 64 }, () => prng.nextNormal())
      yield* write(Initialise.values(prng.split("others"))(evaluation.variables))
      const { logits: other } = yield* run("evaluation", { image })
      const { logits } = yield* run("averaged", { image })
      assert.notDeepEqual([...logits], [...other])
      yield* write(weights)
      assert.deepStrictEqual([...logits], [...(yield* run("evaluation", { image })).logits])
    }).pipe(Effect.scoped, Effect.provide(OnnxRuntime.cpu()))
  )

  it("forgets the first weights sooner while it is warming up, and never decays faster than asked", () => {
    const average = Average.Average.make({ decay: 0.99 })
    assert.closeTo(Average.decayAt(1)(average), 2 / 11, 1e-12)
    assert.closeTo(Average.decayAt(100)(average), 101 / 110, 1e-12)
    assert.strictEqual(Average.decayAt(5000)(average), 0.99)
    assert.strictEqual(Average.decayAt(1)({ decay: 0.99, warmup: false }), 0.99)
  })
})

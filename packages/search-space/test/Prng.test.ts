import { assert, describe, it } from "@effect/vitest"
import { Prng } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { filled } from "./support/filled.ts"
import { chiSquared, limit } from "./support/statistics.ts"

const draw = <A>(n: number, next: () => A): Array<A> => Array.from({ length: n }, next)

/** The error message of `fromState`. */
const error = (state: unknown) => {
  const made = Prng.fromState(state)
  return Result.isFailure(made) ? made.failure.message : "made"
}

describe("Prng", () => {
  it("is xoshiro128**: gives the reference implementation's numbers from its state", () => {
    const prng = Result.getOrThrow(
      Prng.fromState({ algorithm: "xoshiro128**", key: "", words: [1, 2, 3, 4], spare: null })
    )
    assert.deepStrictEqual(
      draw(10, prng.nextUint32),
      [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804]
    )
  })

  it("gives these numbers for these seeds, on every machine and in every version", () => {
    const prng = Prng.fromSeed("demo")
    assert.deepStrictEqual(draw(3, prng.nextUint32), [3352598872, 2211274557, 1094808105])
    assert.deepStrictEqual(draw(3, prng.nextFloat), [0.010261066618723391, 0.8867425388174482, 0.9377280247074995])
    assert.deepStrictEqual(draw(3, prng.nextNormal), [0.269198114119716, -0.3577428183863423, 1.2600067991670403])
    assert.deepStrictEqual(
      draw(6, () => prng.nextInt(10)),
      [6, 0, 8, 8, 1, 2]
    )
  })

  it("takes a number and its text for one seed, and different seeds for different generators", () => {
    assert.deepStrictEqual(draw(4, Prng.fromSeed(7).nextUint32), draw(4, Prng.fromSeed("7").nextUint32))
    const firsts = new Set(draw(2000, Prng.fromSeed("x").nextUint32).map((_, seed) => Prng.fromSeed(seed).nextUint32()))
    assert.isAtLeast(firsts.size, 1999)
  })

  it("draws every integer below n with equal chances, for n that do not divide 2³² too", () => {
    for (const n of [2, 3, 10, 1000]) {
      const prng = Prng.fromSeed(`below ${n}`)
      const counts = filled(n, 0)
      for (let i = 0; i < 100 * n; i++) counts[prng.nextInt(n)]!++
      assert.isBelow(chiSquared(counts, 100), limit(n - 1))
    }
  })

  it("is without the bias of a remainder: thirds of three quarters of 2³² are as likely", () => {
    const prng = Prng.fromSeed("bias")
    const counts = [0, 0, 0]
    for (let i = 0; i < 3000; i++) counts[Math.floor(prng.nextInt(3 * 2 ** 30) / 2 ** 30)]!++
    assert.isBelow(chiSquared(counts, 1000), limit(2))
  })

  it("keeps large integers and bigints in range, and reaches their upper half", () => {
    const prng = Prng.fromSeed("large")
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 130n }), fc.maxSafeInteger(), (big, n) => {
        const b = prng.nextBigInt(big)
        const i = prng.nextInt(Math.abs(n) + 1 > Number.MAX_SAFE_INTEGER ? 5 : Math.abs(n) + 1)
        return b >= 0n && b < big && i >= 0 && i <= Math.abs(n)
      })
    )
    const upper = draw(200, () => prng.nextBigInt(2n ** 100n + 1n)).filter((b) => b > 2n ** 99n).length
    assert.isTrue(upper > 60 && upper < 140)
  })

  it("refuses a range that has no integers", () => {
    for (const n of [0, -1, 1.5, Number.NaN, 2 ** 53]) assert.throws(() => Prng.fromSeed(0).nextInt(n), RangeError)
  })

  it("gives normal numbers: mean 0, deviation 1, and the right share in every tenth", () => {
    const prng = Prng.fromSeed("normal")
    const xs = draw(20_000, prng.nextNormal)
    const mean = xs.reduce((a, b) => a + b, 0) / xs.length
    assert.isBelow(Math.abs(mean), 0.03)
    assert.isBelow(Math.abs(xs.reduce((a, b) => a + (b - mean) ** 2, 0) / xs.length - 1), 0.05)
    // the deciles of the normal distribution
    const deciles = [
      -1.2815515655, -0.8416212336, -0.5244005127, -0.2533471031, 0, 0.2533471031, 0.5244005127, 0.8416212336,
      1.2815515655
    ]
    const counts = filled(10, 0)
    for (const x of xs) counts[deciles.filter((d) => x > d).length]!++
    assert.isBelow(chiSquared(counts, 2000), limit(9))
  })

  it("splits by key alone: whatever was drawn before, and without drawing", () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(20), (key, drawn) => {
        const [a, b] = [Prng.fromSeed("s"), Prng.fromSeed("s")]
        draw(drawn, a.nextUint32)
        assert.deepStrictEqual(draw(3, a.split(key).nextUint32), draw(3, b.split(key).nextUint32))
        const before = b.state
        b.split(key).nextUint32()
        assert.deepStrictEqual(b.state, before)
      })
    )
    const root = Prng.fromSeed("s")
    assert.notStrictEqual(root.split("a").nextUint32(), root.split("b").nextUint32())
    assert.notStrictEqual(root.split("a").split("b").nextUint32(), root.split("ab").nextUint32())
    assert.notStrictEqual(root.split("").nextUint32(), Prng.fromSeed("s").nextUint32())
  })

  it("goes on from a state that went through JSON, with the second normal of a pair and the same splits", () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(3), (words, normals) => {
        const prng = Prng.fromSeed("resume").split("x")
        draw(words, prng.nextUint32)
        draw(normals, prng.nextNormal)
        const back = Result.getOrThrow(Prng.fromState(JSON.parse(JSON.stringify(prng.state))))
        assert.deepStrictEqual(draw(4, back.nextNormal), draw(4, prng.nextNormal))
        assert.deepStrictEqual(back.split("y").nextUint32(), prng.split("y").nextUint32())
      })
    )
  })

  it("says what is wrong with a state that is none", () => {
    const state = Prng.fromSeed(1).state
    assert.include(error({ ...state, words: [0, 0, 0, 0] }), "its words are all zero")
    assert.include(error({ ...state, words: [1, 2, 3] }), "words")
    assert.include(error({ ...state, algorithm: "mt19937" }), "algorithm")
  })

  it("permutes: every number once, every order equally likely", () => {
    const prng = Prng.fromSeed("order")
    const counts = new Map<string, number>()
    for (let i = 0; i < 2400; i++) {
      const order = prng.permutation(4).join("")
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    assert.strictEqual(counts.size, 24)
    assert.isBelow(chiSquared([...counts.values()], 100), limit(23))
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Mix, type Dataset } from "@uninet/data"
import { Prng } from "@uninet/search-space"
import fc from "fast-check"

const image = { channels: 2, height: 6, width: 5 }
const volume = 60
const classes = 4

/** Image i holds 100·i + the value's position, so that every value shows where it comes from. */
const batchOf = (size: number): Dataset.ImageBatch => ({
  index: 0,
  size,
  inputs: {
    image: Float32Array.from({ length: size * volume }, (_, i) => 100 * Math.floor(i / volume) + (i % volume))
  },
  targets: Int32Array.from({ length: size }, (_, i) => i % classes),
  indexes: Uint32Array.from({ length: size }, (_, i) => i)
})

const mix = (seed: number, options: Partial<Mix.Options>, size = 6) =>
  Mix.apply(Prng.fromSeed(seed), { ...Mix.none, ...options }, image, classes)(batchOf(size))

const row = (label: number) => [0, 1, 2, 3].map((c) => Math.fround(c === label ? 0.925 : 0.025))

const extent = (places: ReadonlyArray<number>) =>
  places.length === 0 ? 0 : Math.max(...places) - Math.min(...places) + 1

describe("Mix", () => {
  it("smooths labels: 1 − s + s / classes on the label, s / classes elsewhere", () => {
    const { inputs, lambda, targets } = mix(0, { labelSmoothing: 0.1 }, 2)
    assert.deepStrictEqual(
      Array.from(targets, (value) => Number(value.toFixed(6))),
      [...row(0), ...row(1)].map((value) => Number(value.toFixed(6)))
    )
    assert.deepStrictEqual(inputs, batchOf(2).inputs)
    assert.strictEqual(lambda, 1)
  })

  it("mixup is λ·x + (1 − λ)·(the batch reversed), images and targets", () =>
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 7 }), (seed, size) => {
        const { inputs, lambda, targets } = mix(seed, { mixup: 0.8 }, size)
        const batch = batchOf(size)
        for (let i = 0; i < size; i++) {
          const partner = size - 1 - i
          for (let k = 0; k < volume; k++) {
            const expected =
              lambda * batch.inputs.image[i * volume + k]! + (1 - lambda) * batch.inputs.image[partner * volume + k]!
            assert.closeTo(inputs.image[i * volume + k]!, expected, 1e-3)
          }
          for (let c = 0; c < classes; c++) {
            const expected =
              lambda * Number(batch.targets[i] === c) + (1 - lambda) * Number(batch.targets[partner] === c)
            assert.closeTo(targets[i * classes + c]!, expected, 1e-6)
          }
        }
      })
    ))

  it("cutmix pastes one rectangle of the reversed batch, and λ is the area left", () =>
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { inputs, lambda, targets } = mix(seed, { cutmix: 1 })
        const batch = batchOf(6)
        const pasted = Array.from({ length: 30 }, (_, place) => place).filter((place) => inputs.image[place] !== place)
        assert.closeTo(lambda, 1 - pasted.length / 30, 1e-12)
        const rows = pasted.map((place) => Math.floor(place / 5))
        const columns = pasted.map((place) => place % 5)
        assert.strictEqual(extent(rows) * extent(columns), pasted.length)
        const cut = new Set(pasted)
        for (let i = 0; i < 6; i++) {
          for (let k = 0; k < volume; k++) {
            const source = cut.has(k % 30) ? 5 - i : i
            assert.strictEqual(inputs.image[i * volume + k], batch.inputs.image[source * volume + k])
          }
        }
        assert.closeTo(targets[0]!, lambda, 1e-6)
        assert.closeTo(targets[1]!, 1 - lambda, 1e-6)
      })
    ))

  it("one draw mixes inputs and masks alike, and asks the generator for what apply asks", () =>
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const options = { ...Mix.none, mixup: 0.8, cutmix: 1 }
        const [here, there] = [Prng.fromSeed(seed), Prng.fromSeed(seed)]
        const drawn = Mix.draw(here, options, image)
        const batch = batchOf(4)
        const whole = Mix.apply(there, options, image, classes)(batch)
        assert.strictEqual(drawn.lambda, whole.lambda)
        assert.deepStrictEqual(here.state, there.state)
        if (drawn._tag !== "Cutmix") return
        const masks = Int32Array.from({ length: 4 * 30 }, (_, i) => i)
        const pasted = Mix.paste(drawn.rectangle, { ...image, channels: 1 }, 4)(masks)
        assert.instanceOf(pasted, Int32Array)
        for (const [i, value] of pasted.entries()) {
          const [row, column] = [Math.floor((i % 30) / 5), i % 5]
          const { bottom, left, right, top } = drawn.rectangle
          const inside = row >= top && row < bottom && column >= left && column < right
          assert.strictEqual(value, inside ? (3 - Math.floor(i / 30)) * 30 + (i % 30) : i)
        }
      }),
      { seed: 5 }
    ))

  it("targets are distributions whatever the options", () =>
    fc.assert(
      fc.property(
        fc.integer(),
        fc.record({
          mixup: fc.double({ min: 0, max: 2, noNaN: true }),
          cutmix: fc.double({ min: 0, max: 2, noNaN: true }),
          probability: fc.double({ min: 0, max: 1, noNaN: true }),
          switchProbability: fc.double({ min: 0, max: 1, noNaN: true }),
          labelSmoothing: fc.double({ min: 0, max: 1, noNaN: true })
        }),
        (seed, options) => {
          const { lambda, targets } = mix(seed, options)
          assert.isTrue(lambda >= 0 && lambda <= 1)
          for (let i = 0; i < 6; i++) {
            const row = Array.from(targets.subarray(i * classes, (i + 1) * classes))
            assert.closeTo(
              row.reduce((a, b) => a + b, 0),
              1,
              1e-5
            )
            assert.isTrue(row.every((value) => value >= 0))
          }
        }
      )
    ))

  it("mixes with its probability, and cuts with the switch's", () => {
    const draws = Array.from({ length: 2000 }, (_, seed) =>
      mix(seed, { mixup: 0.8, cutmix: 1, probability: 0.6, switchProbability: 0.25 }, 2)
    )
    const original = batchOf(2).inputs.image
    const blended = draws.filter(({ inputs }) => inputs.image[0] !== 0 && inputs.image[0] !== 100)
    const changed = draws.filter(({ inputs }) => inputs.image.some((value, i) => value !== original[i]))
    // Blends 0.6 · 0.75; some cuts contain no pixel, so slightly fewer than 0.6 change.
    assert.closeTo(blended.length / 2000, 0.45, 0.04)
    assert.closeTo(changed.length / 2000, 0.58, 0.05)
  })

  it("draws λ from Beta(α, α): mean 1/2, variance 1 / (4 (2α + 1))", () => {
    for (const alpha of [0.2, 0.8, 1, 4]) {
      const prng = Prng.fromSeed(alpha)
      const draws = Array.from({ length: 20000 }, () => Mix.beta(prng, alpha))
      const mean = draws.reduce((a, b) => a + b, 0) / draws.length
      const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / draws.length
      assert.closeTo(mean, 0.5, 0.015)
      assert.closeTo(variance, 1 / (4 * (2 * alpha + 1)), 0.006)
    }
  })

  it("leaves the batch it is given as it is, and repeats itself with an equal generator", () => {
    const batch = batchOf(6)
    const once = Mix.apply(Prng.fromSeed("x"), Mix.paper, image, classes)(batch)
    const twice = Mix.apply(Prng.fromSeed("x"), Mix.paper, image, classes)(batch)
    assert.deepStrictEqual(once, twice)
    assert.deepStrictEqual(batch, batchOf(6))
  })
})

import { assert, describe, it } from "@effect/vitest"
import { DsmSet } from "@uninet/dsm"
import { Network, NetworkCosts, UniNet } from "@uninet/network"
import { OperatorSet } from "@uninet/operators"
import { Coefficients, Compound, LimitReached, StepsTooCoarse, TargetBelowBaseline } from "@uninet/scaler"
import { Architecture, UniNetSpace } from "@uninet/search-space"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { ofSpaces, tiny } from "./support/architectures.ts"

const phis = [1, 2, 3]

const options = fc.record({
  coefficients: fc.constantFrom(Coefficients.efficientNet, ...Coefficients.grid()),
  fixedImage: fc.boolean()
})

/** Every property is checked on the families of some architectures by some coefficients. */
const forFamilies = (
  check: (
    members: ReadonlyArray<Compound.Member>,
    baseline: Architecture.Architecture,
    options: Compound.Options
  ) => void
) => {
  const usable = fc
    .tuple(ofSpaces, options)
    .filter(([, { coefficients, fixedImage }]) => !fixedImage || coefficients.depth * coefficients.width > 1)
  fc.assert(
    fc.property(usable, ([baseline, given]) => {
      const family = Compound.family(baseline, phis, given)
      if (Result.isSuccess(family)) return check(family.success, baseline, given)
      // By depth alone, networks that are mostly modules do not get there.
      const error = family.failure
      if (!(error instanceof LimitReached)) return assert.fail(error.message)
      assert.isBelow(error.reached, error.target)
      assert.deepStrictEqual([error.bound, given.coefficients.width], ["repeats", 1])
    }),
    { numRuns: 12 }
  )
}

const sizesOf = ({ head, image, stages, stem }: Architecture.Architecture): ReadonlyArray<number> => [
  image.height,
  image.width,
  stem.channels,
  head.channels,
  ...stages.flatMap(({ channels, repeats }) => [channels, repeats])
]

const macsOf = (architecture: Architecture.Architecture): number =>
  Result.getOrThrow(Result.flatMap(Network.make(architecture), NetworkCosts.of)).macs

const attends = ({ dsm, operator }: Architecture.Stage): boolean =>
  OperatorSet.get(OperatorSet.standard, operator)?.heads === true ||
  (dsm !== null && DsmSet.get(DsmSet.standard, dsm)?.heads === true)

/** What scaling leaves alone. */
const rest = (a: Architecture.Architecture) => ({
  ...a,
  image: a.image.channels,
  stem: a.stem.stride,
  head: null,
  stages: a.stages.map((stage) => ({ ...stage, channels: 0, repeats: 0 }))
})

/** What is said of scaling B0 so. */
const said = (phi: number, more: Partial<Compound.Options> = {}) => {
  const result = Compound.member(UniNet.B0, phi, { coefficients: Coefficients.efficientNet, ...more })
  return Result.isFailure(result) ? result.failure.message : "accepted"
}

describe("a family", () => {
  it("has 2^φ times the baseline's multiply-accumulates within 3%", () =>
    forFamilies((members, baseline) => {
      const own = macsOf(baseline)
      for (const { architecture, costs, phi } of members) {
        assert.strictEqual(costs.macs, macsOf(architecture))
        assert.isAtMost(Math.abs(costs.macs / (own * 2 ** phi) - 1), 0.03, Architecture.line(architecture))
      }
    }))

  it("only grows: costs, parameters and every size", () =>
    forFamilies((members, baseline, given) => {
      const all = [...Result.getOrThrow(Compound.family(baseline, [0], given)), ...members]
      for (let i = 1; i < all.length; i++) {
        const [smaller, larger] = [all[i - 1], all[i]]
        assert.isAbove(larger.costs.macs, smaller.costs.macs)
        assert.isAtLeast(larger.costs.parameters, smaller.costs.parameters)
        const sizes = sizesOf(smaller.architecture)
        sizesOf(larger.architecture).forEach((size, k) => assert.isAtLeast(size, sizes[k]))
      }
    }))

  it("keeps to its divisors", () =>
    forFamilies((members, baseline, { fixedImage }) => {
      const { divisor } = UniNetSpace.defaultsFor(baseline.image)
      const stride = baseline.stages.reduce((product, stage) => product * stage.stride, baseline.stem.stride)
      for (const { architecture } of members) {
        for (const stage of architecture.stages)
          assert.strictEqual(stage.channels % (attends(stage) ? architecture.headDim : divisor), 0)
        assert.strictEqual(architecture.head.channels % divisor, 0)
        const { height } = architecture.image
        assert.isTrue(height === baseline.image.height || (fixedImage !== true && height % stride === 0))
      }
    }))

  it("keeps what is not scaled", () =>
    forFamilies((members, baseline) => {
      for (const { architecture } of members) assert.deepStrictEqual(rest(architecture), rest(baseline))
    }))

  it("has the same member at φ, whoever is beside it", () =>
    forFamilies((members, baseline, given) => {
      for (const { architecture, phi } of members)
        assert.deepStrictEqual(Result.getOrThrow(Compound.member(baseline, phi, given)).architecture, architecture)
    }))

  it("of EfficientNet's coefficients from B0 grows as they say", () => {
    const members = Result.getOrThrow(
      Compound.family(UniNet.B0, [0, 3, 6], { coefficients: Coefficients.efficientNet })
    )
    assert.deepStrictEqual(members[0].architecture, UniNet.B0)
    for (const { effective, factors } of members) {
      assert.closeTo(factors.depth / 1.2 ** (effective ?? 0), 1, 0.1)
      assert.closeTo(factors.width / 1.1 ** (effective ?? 0), 1, 0.1)
      assert.closeTo(factors.resolution / 1.15 ** (effective ?? 0), 1, 0.1)
    }
  })

  it("keeps oblong images oblong", () => {
    const baseline = { ...UniNet.B0, image: { channels: 3, height: 96, width: 192 } }
    const { architecture } = Result.getOrThrow(
      Compound.member(baseline, 2, { coefficients: Coefficients.efficientNet })
    )
    assert.isAbove(architecture.image.height, 96)
    assert.closeTo(architecture.image.width / architecture.image.height, 2, 0.2)
    assert.strictEqual(architecture.image.width % 32, 0)
  })

  it("keeps stages without a module as wide, or of another width, as what comes in", () => {
    const baseline = Result.getOrThrow(UniNetSpace.small())
    fc.assert(
      fc.property(fc.constantFrom(16, 24), (width) => {
        const [first, ...rest] = UniNetSpace.seedPoint(baseline).stages
        const odd = { ...UniNetSpace.seedPoint(baseline), stages: [{ ...first, channels: width }, ...rest] }
        for (const { architecture } of Result.getOrThrow(
          Compound.family(odd, phis, { coefficients: { depth: 1, width: 1.414, resolution: 1 } })
        ))
          assert.notStrictEqual(architecture.stem.channels, architecture.stages[0].channels)
      })
    )
  })
})

describe("a target", () => {
  const given = { coefficients: Coefficients.efficientNet }

  it("of any size above the baseline is met within 3%", () => {
    const baseline = UniNetSpace.seedPoint(Result.getOrThrow(UniNetSpace.small()))
    fc.assert(
      fc.property(fc.double({ min: 1, max: 30, noNaN: true }), (times) => {
        const macs = macsOf(baseline) * times
        assert.isAtMost(Math.abs(Result.getOrThrow(Compound.toMacs(baseline, macs, given)).costs.macs / macs - 1), 0.03)
      }),
      { numRuns: 12 }
    )
  })

  it("below the baseline is refused with both numbers", () => {
    const refused = Compound.toMacs(UniNet.B0, 5e8, given)
    assert.isTrue(Result.isFailure(refused) && refused.failure instanceof TargetBelowBaseline)
    assert.match(
      Result.isFailure(refused) ? refused.failure.message : "",
      /500,000,000 MACs is below the baseline's 543,530,688/
    )
  })

  it("beyond a limit is refused by the name of what reaches it, truly", () => {
    const limits = fc.record({
      image: fc.constantFrom(192, 256, 1024),
      channels: fc.constantFrom(1400, 2000, 8192),
      repeats: fc.constantFrom(10, 14, 256)
    })
    fc.assert(
      fc.property(limits, fc.constantFrom(3, 8, 40), (limits, phi) => {
        const result = Compound.member(UniNet.B0, phi, { ...given, limits })
        if (Result.isSuccess(result)) {
          const [height, , ...sizes] = sizesOf(result.success.architecture)
          assert.isAtMost(height, limits.image)
          assert.isAtMost(Math.max(...sizes), limits.channels)
          return
        }
        const error = result.failure
        if (!(error instanceof LimitReached)) return assert.fail(error.message)
        assert.strictEqual(error.limit, limits[error.bound])
        assert.isBelow(error.reached, error.target)
        // Whatever was reached is beaten once that limit is gone.
        const more = Compound.member(UniNet.B0, error.phi, {
          ...given,
          limits: { ...limits, [error.bound]: 10 * error.limit }
        })
        if (Result.isSuccess(more)) assert.isAbove(more.success.costs.macs, error.reached)
        else if (more.failure instanceof LimitReached) assert.isAtLeast(more.failure.reached, error.reached)
      }),
      { numRuns: 20 }
    )
  })

  it("between two steps of a tiny network is refused with the nearest one, which no step brings nearer", () => {
    const refused = [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2].flatMap((times) => {
      const macs = times * macsOf(tiny)
      const result = Compound.toMacs(tiny, macs, { ...given, tolerance: 0.002 })
      return Result.isFailure(result) ? [{ macs, error: result.failure }] : []
    })
    assert.isAbove(refused.length, 2)
    for (const { error, macs } of refused) {
      if (!(error instanceof StepsTooCoarse)) return assert.fail(error.message)
      const { nearest } = error
      const width = nearest.stem.channels
      const [stage] = nearest.stages
      const wider = (by: number) => ({
        ...nearest,
        stem: { channels: width + by, stride: 1 },
        stages: [{ ...stage, channels: width + by }]
      })
      const neighbours = [
        ...[-1, 1].map((by) => ({
          ...nearest,
          image: { channels: 1, height: nearest.image.height + by, width: nearest.image.width + by }
        })),
        ...[-8, 8].map(wider),
        ...[-8, 8].map((by) => ({ ...nearest, head: { channels: nearest.head.channels + by } })),
        ...[-1, 1].map((by) => ({ ...nearest, stages: [{ ...stage, repeats: stage.repeats + by }] }))
      ].filter((a) => sizesOf(a).every((size, i) => size >= sizesOf(tiny)[i]))
      const off = (a: Architecture.Architecture) => Math.abs(macsOf(a) / macs - 1)
      for (const other of neighbours) assert.isAtLeast(off(other), off(nearest))
      assert.isAbove(off(nearest), 0.002)
      assert.isAbove(error.share, 0.002)
    }
  })

  it("of settings that make no sense is refused by the setting's name", () => {
    assert.match(said(-1), /^φ is -1; give a number of 0 or more/)
    assert.match(said(Number.NaN), /^φ is NaN/)
    assert.match(said(1, { tolerance: 0 }), /^tolerance is 0/)
    assert.match(said(1, { divisor: 0.5 }), /^divisor is 0.5/)
    assert.match(said(1, { limits: { image: 0 } }), /^image is 0/)
    assert.match(
      said(1, { coefficients: { depth: 1, width: 1, resolution: 1.4 }, fixedImage: true }),
      /^depth and width/
    )
  })
})

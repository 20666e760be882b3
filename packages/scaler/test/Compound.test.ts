import { assert, describe, it } from "@effect/vitest"
import { DsmSet } from "@uninet/dsm"
import { ModelSpace } from "@uninet/model-space"
import { OperatorSet } from "@uninet/operators"
import {
  Coefficients,
  Compound,
  LimitReached,
  type ScaleError,
  StepsTooCoarse,
  TargetBelowBaseline
} from "@uninet/scaler"
import { Prng, Space } from "@uninet/search-space"
import { Architecture, Network, NetworkCosts, UniNet, UniNetSpace } from "@uninet/uninet"
import * as Result from "effect/Result"
import * as fc from "fast-check"
import { ofSpaces, tiny, uninet } from "./support/architectures.ts"

const phis = [1, 2, 3]

const options = fc.record({
  coefficients: fc.constantFrom(Coefficients.efficientNet, ...Coefficients.grid()),
  fixedImage: fc.boolean()
})

/** Where a target is not met, the error says truly what stopped it. */
const boundHolds = (error: ScaleError, baseline: Architecture.Architecture, given: Compound.Options) => {
  const { coefficients, fixedImage } = given
  if (error instanceof LimitReached) {
    // By depth alone, networks that are mostly modules do not get there.
    assert.isBelow(error.reached, error.target)
    return assert.deepStrictEqual([error.dimension, coefficients.width], ["depth", 1])
  }
  if (!(error instanceof StepsTooCoarse)) return assert.fail(error.message)
  const off = (a: Architecture.Architecture) => Math.abs(macsOf(a) / error.target - 1)
  const nearest = Result.getOrThrow(ModelSpace.read(error.nearest)(uninet))
  assert.isAbove(off(nearest), error.tolerance)
  assert.isAbove(error.share, error.tolerance)
  const before = Math.ceil(error.phi) - 1
  const least = Result.match(Compound.member(uninet, baseline, Math.max(0, before), given), {
    onSuccess: ({ point }) => point,
    onFailure: () => baseline
  })
  for (const other of neighbours(nearest, baseline, least))
    if (fixedImage !== true || other.image.height === baseline.image.height) assert.isAtLeast(off(other), off(nearest))
}

/** Every property is checked on the families of some architectures by some coefficients. */
const forFamilies = (
  check: (
    members: ReadonlyArray<Compound.Member<Architecture.Architecture, UniNetSpace.Costs>>,
    baseline: Architecture.Architecture,
    options: Compound.Options
  ) => void
) => {
  const usable = fc
    .tuple(ofSpaces, options)
    .filter(([, { coefficients, fixedImage }]) => !fixedImage || coefficients.depth * coefficients.width > 1)
  fc.assert(
    fc.property(usable, ([baseline, given]) => {
      const family = Compound.family(uninet, baseline, phis, given)
      if (Result.isSuccess(family)) check(family.success, baseline, given)
      else boundHolds(family.failure, baseline, given)
    }),
    { numRuns: 8 }
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
  OperatorSet.get(operator)(OperatorSet.standard)?.heads === true ||
  (dsm !== null && DsmSet.get(dsm)(DsmSet.standard)?.heads === true)

/** All architectures one step away that are not smaller than the least. */
const neighbours = (
  a: Architecture.Architecture,
  baseline: Architecture.Architecture,
  least: Architecture.Architecture
): ReadonlyArray<Architecture.Architecture> => {
  const { divisor } = UniNetSpace.defaultsFor(baseline.image)
  const stride = baseline.stages.reduce((product, stage) => product * stage.stride, baseline.stem.stride)
  const tied = baseline.stem.channels === baseline.stages[0].channels
  const moved = (index: number, change: Partial<Architecture.Stage>): Architecture.Architecture => ({
    ...a,
    stages: a.stages.map((stage, i) => (i === index ? { ...stage, ...change } : stage))
  })
  return [-1, 1]
    .flatMap((by): ReadonlyArray<Architecture.Architecture> => {
      const wider = { channels: a.stem.channels + by * divisor }
      const { height } = a.image
      const edge = by > 0 ? (Math.floor(height / stride) + 1) * stride : (Math.ceil(height / stride) - 1) * stride
      return [
        { ...a, image: { ...a.image, height: edge, width: edge } },
        { ...(tied ? moved(0, wider) : a), stem: { ...a.stem, ...wider } },
        { ...a, head: { channels: a.head.channels + by * divisor } },
        ...a.stages.flatMap((stage, i) => [
          moved(i, { repeats: stage.repeats + by }),
          ...(tied && i === 0
            ? []
            : [moved(i, { channels: stage.channels + by * (attends(stage) ? a.headDim : divisor) })])
        ])
      ]
    })
    .filter((other) => sizesOf(other).every((size, i) => size >= sizesOf(least)[i]))
    .filter((other) => (other.stem.channels === other.stages[0].channels) === tied)
}

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
  const result = Compound.member(uninet, UniNet.B0, phi, { coefficients: Coefficients.efficientNet, ...more })
  return Result.isFailure(result) ? result.failure.message : "accepted"
}

describe("a family", () => {
  it("of any of twelve architectures by EfficientNet's coefficients is whole", () => {
    for (const image of [28, 32, 64, 224]) {
      const space = Result.getOrThrow(UniNetSpace.make({ image, classes: 10 }))
      const prng = Prng.fromSeed("whole")
      for (let i = 0; i < 3; i++) {
        const baseline = Space.sample(prng)(space)
        const members = Result.getOrThrow(
          Compound.family(uninet, baseline, phis, { coefficients: Coefficients.efficientNet, fixedImage: i === 2 })
        )
        for (const { costs, phi } of members)
          assert.isAtMost(Math.abs(costs.macs / (macsOf(baseline) * 2 ** phi) - 1), 0.03)
      }
    }
  })

  it("has 2^φ times the baseline's multiply-accumulates within 3%", () =>
    forFamilies((members, baseline) => {
      const own = macsOf(baseline)
      for (const { costs, macs, phi, point } of members) {
        assert.deepStrictEqual([costs.macs, macs], [macsOf(point), macsOf(point)])
        assert.isAtMost(Math.abs(macs / (own * 2 ** phi) - 1), 0.03, Architecture.line(point))
      }
    }))

  it("only grows: costs, parameters and every size", () =>
    forFamilies((members, baseline, given) => {
      const all = [...Result.getOrThrow(Compound.family(uninet, baseline, [0], given)), ...members]
      for (let i = 1; i < all.length; i++) {
        const [smaller, larger] = [all[i - 1], all[i]]
        assert.isAbove(larger.costs.macs, smaller.costs.macs)
        assert.isAtLeast(larger.costs.parameters, smaller.costs.parameters)
        const sizes = sizesOf(smaller.point)
        sizesOf(larger.point).forEach((size, k) => assert.isAtLeast(size, sizes[k]))
      }
    }))

  it("keeps to its divisors", () =>
    forFamilies((members, baseline, { fixedImage }) => {
      const { divisor } = UniNetSpace.defaultsFor(baseline.image)
      const stride = baseline.stages.reduce((product, stage) => product * stage.stride, baseline.stem.stride)
      for (const { point } of members) {
        for (const stage of point.stages)
          assert.strictEqual(stage.channels % (attends(stage) ? point.headDim : divisor), 0)
        assert.strictEqual(point.head.channels % divisor, 0)
        const { height } = point.image
        assert.isTrue(height === baseline.image.height || (fixedImage !== true && height % stride === 0))
      }
    }))

  it("keeps what is not scaled", () =>
    forFamilies((members, baseline) => {
      for (const { point } of members) assert.deepStrictEqual(rest(point), rest(baseline))
    }))

  it("has the same member at φ, whoever is beside it", () =>
    forFamilies((members, baseline, given) => {
      for (const { phi, point } of members)
        assert.deepStrictEqual(Result.getOrThrow(Compound.member(uninet, baseline, phi, given)).point, point)
    }))

  it("of EfficientNet's coefficients from B0 grows as they say", () => {
    const members = Result.getOrThrow(
      Compound.family(uninet, UniNet.B0, [0, 3, 6], { coefficients: Coefficients.efficientNet })
    )
    assert.deepStrictEqual(members[0].point, UniNet.B0)
    for (const { effective, factors } of members) {
      assert.closeTo(factors.depth / 1.2 ** (effective ?? 0), 1, 0.1)
      assert.closeTo(factors.width / 1.1 ** (effective ?? 0), 1, 0.1)
      assert.closeTo(factors.resolution / 1.15 ** (effective ?? 0), 1, 0.1)
    }
  })

  it("keeps oblong images oblong", () => {
    const baseline = { ...UniNet.B0, image: { channels: 3, height: 96, width: 192 } }
    const { point } = Result.getOrThrow(
      Compound.member(uninet, baseline, 2, { coefficients: Coefficients.efficientNet })
    )
    assert.isAbove(point.image.height, 96)
    assert.closeTo(point.image.width / point.image.height, 2, 0.2)
    assert.strictEqual(point.image.width % 32, 0)
  })

  it("keeps stages without a module as wide, or of another width, as what comes in", () => {
    const baseline = Result.getOrThrow(UniNetSpace.small())
    fc.assert(
      fc.property(fc.constantFrom(16, 24), (width) => {
        const [first, ...rest] = Space.seedPoint(baseline).stages
        const odd = { ...Space.seedPoint(baseline), stages: [{ ...first, channels: width }, ...rest] }
        for (const { point } of Result.getOrThrow(
          Compound.family(uninet, odd, phis, { coefficients: { depth: 1, width: 1.414, resolution: 1 } })
        ))
          assert.notStrictEqual(point.stem.channels, point.stages[0].channels)
      })
    )
  })
})

describe("a target", () => {
  const given = { coefficients: Coefficients.efficientNet }

  it("of any size above the baseline is met within 3%", () => {
    const baseline = Space.seedPoint(Result.getOrThrow(UniNetSpace.small()))
    fc.assert(
      fc.property(fc.double({ min: 1, max: 30, noNaN: true }), (times) => {
        const macs = macsOf(baseline) * times
        assert.isAtMost(
          Math.abs(Result.getOrThrow(Compound.toMacs(uninet, baseline, macs, given)).costs.macs / macs - 1),
          0.03
        )
      }),
      { numRuns: 8 }
    )
  })

  it("below the baseline is refused with both numbers", () => {
    const refused = Compound.toMacs(uninet, UniNet.B0, 5e8, given)
    assert.isTrue(Result.isFailure(refused) && refused.failure instanceof TargetBelowBaseline)
    assert.match(
      Result.isFailure(refused) ? refused.failure.message : "",
      /500,000,000 MACs is below the baseline's 543,530,688/
    )
  })

  it("beyond a limit is refused by the name of what reaches it, truly", () => {
    const limits = fc.record({
      resolution: fc.constantFrom(192, 256, 1024),
      width: fc.constantFrom(1400, 2000, 8192),
      depth: fc.constantFrom(10, 14, 256)
    })
    fc.assert(
      fc.property(limits, fc.constantFrom(3, 8, 40), (limits, phi) => {
        const result = Compound.member(uninet, UniNet.B0, phi, { ...given, limits })
        if (Result.isSuccess(result)) {
          const [height, , ...sizes] = sizesOf(result.success.point)
          assert.isAtMost(height, limits.resolution)
          assert.isAtMost(Math.max(...sizes), limits.width)
          return
        }
        const error = result.failure
        if (!(error instanceof LimitReached)) return assert.fail(error.message)
        assert.strictEqual(error.limit, limits[error.dimension])
        assert.isBelow(error.reached, error.target)
        // Whatever was reached is beaten once that limit is gone.
        const more = Compound.member(uninet, UniNet.B0, error.phi, {
          ...given,
          limits: { ...limits, [error.dimension]: 10 * error.limit }
        })
        if (Result.isSuccess(more)) assert.isAbove(more.success.costs.macs, error.reached)
        else if (more.failure instanceof LimitReached) assert.isAtLeast(more.failure.reached, error.reached)
      }),
      { numRuns: 20 }
    )
  })

  it("between two steps of a tiny network is refused with the nearest one, which no step brings nearer", () => {
    const refused = [1, 1.2, 1.4, 1.6, 1.8, 2, 2.2].flatMap((times) => {
      const target = macsOf(tiny) * 2 ** Math.log2(times)
      const result = Compound.toMacs(uninet, tiny, target, { ...given, tolerance: 0.002 })
      return Result.isFailure(result) ? [{ target, error: result.failure }] : []
    })
    assert.isAbove(refused.length, 2)
    for (const { error, target } of refused) {
      assert.isTrue(error instanceof StepsTooCoarse && error.target === target)
      boundHolds(error, tiny, given)
    }
  })

  it("of settings that make no sense is refused by the setting's name", () => {
    assert.match(said(-1), /^φ is -1; give a number of 0 or more/)
    assert.match(said(Number.NaN), /^φ is NaN/)
    assert.match(said(1, { tolerance: 0 }), /^tolerance is 0/)
    assert.match(said(1, { divisor: 0.5 }), /^divisor is 0.5/)
    assert.match(said(1, { limits: { resolution: 0 } }), /^limits\.resolution is 0/)
    assert.match(
      said(1, { coefficients: { depth: 1, width: 1, resolution: 1.4 }, fixedImage: true }),
      /^each of depth and width \(the image is fixed\) is 1/
    )
  })
})

/** UniNet's space with its networks, as everything that searches, trains and scales sees it. */
import { assert, describe, it } from "@effect/vitest"
import { Dsms, DsmSet } from "@uninet/dsm"
import { type Facts, ModelSpace } from "@uninet/model-space"
import { Model } from "@uninet/nn"
import { type Operator, Operators, OperatorSet } from "@uninet/operators"
import { Choice, Constrained, Prng, Space } from "@uninet/search-space"
import { fromSpace } from "@uninet/search-space/arbitrary"
import { type Architecture, Kit, Network, NetworkCosts, UniNet, UniNetSpace } from "@uninet/uninet"
import { Effect, Layer, Result } from "effect"
import * as fc from "fast-check"

const get = Result.getOrThrow

const digits = get(UniNetSpace.models({ image: 28, channels: 1, classes: 10 }))

const message = (options: UniNetSpace.Options) =>
  Result.match(UniNetSpace.models(options), { onFailure: ({ message }) => message, onSuccess: () => "made" })

describe("UniNet's model space", () => {
  it("is UniNet's space, for classification of its images", () => {
    const space = get(UniNetSpace.make({ image: 28, channels: 1, classes: 10 }))
    assert.strictEqual(Space.fingerprint(digits.space), Space.fingerprint(space))
    assert.strictEqual(digits.name, "uninet")
    assert.deepStrictEqual(
      [digits.task.name, digits.task.classes, digits.task.decides],
      ["classification", 10, "accuracy"]
    )
    const seed = Space.seedPoint(space)
    assert.strictEqual(digits.line(seed), UniNetSpaceLine(seed))
    const model = get(ModelSpace.checked(seed)(digits))
    assert.strictEqual(Model.print(model.inputs), "image [1×28×28]")
  })

  it("has by name the costs of its networks", () => {
    fc.assert(
      fc.property(fromSpace(digits.space), (architecture) => {
        const { activationBytes, flops, fvcoreCount, macs, parameters } = get(
          Result.flatMap(Network.make(architecture), NetworkCosts.of)
        )
        assert.deepStrictEqual(get(ModelSpace.costsOf(architecture)(digits)), {
          macs,
          parameters,
          activationBytes: activationBytes.inference,
          flops,
          fvcoreCount,
          trainingActivationBytes: activationBytes.training
        })
      })
    )
  })

  it("bounds what adds up along its stages by its chain, and the peaks of memory by themselves", () => {
    const window = { macs: { min: 2e6, max: 2.05e6 }, activationBytes: { max: 200_000 } }
    const constraints = ModelSpace.within(window)(digits)
    assert.deepStrictEqual(
      constraints.map(({ chain, name }) => [name, chain !== undefined]),
      [
        ["macs", true],
        ["activationBytes", false]
      ]
    )
    const found = get(
      Result.flatMap(Constrained.make(digits.space, constraints), Constrained.sampleWithin(Prng.fromSeed("window")))
    )
    const costs = get(ModelSpace.costsOf(found)(digits))
    assert.isTrue(costs.macs >= 2e6 && costs.macs <= 2.05e6 && costs.activationBytes <= 200_000)
  })

  it("shows a network as a table of stem, stages and head", () => {
    const released = get(UniNetSpace.models({ image: 224, stage0Channels: 24 }))
    const parts = get(released.parts(UniNet.B1))
    assert.deepStrictEqual(
      parts.map(({ name }) => name),
      ["stem", "stage 0", "stage 1", "stage 2", "stage 3", "stage 4", "stage 5", "head"]
    )
    assert.deepStrictEqual(parts[5]?.columns, {
      dsm: "LG",
      operator: "SA",
      expansion: 2,
      repeats: 4,
      stride: 1,
      channels: 128,
      height: 14,
      width: 14
    })
    const sum = (of: "macs" | "parameters") => parts.reduce((total, part) => total + part[of], 0)
    assert.strictEqual(sum("parameters"), 11_450_864)
    assert.strictEqual(sum("macs"), released.costs.macs(UniNet.B1))
  })

  it("reads its points from JSON, and networks that were scaled up from one", () => {
    const released = get(UniNetSpace.models({ image: 160, stage0Channels: 24 }))
    for (const member of [UniNet.B0, UniNet.B6]) {
      const json: unknown = JSON.parse(JSON.stringify(ModelSpace.write(member)(released)))
      assert.deepStrictEqual(ModelSpace.read(json)(released), Result.succeed(member))
    }
    assert.isTrue(Result.isFailure(Space.decodeJson(UniNet.B6)(released.space)))
    assert.isTrue(Result.isFailure(ModelSpace.read({ ...UniNet.B6, classes: "many" })(released)))
  })
})

const UniNetSpaceLine = (architecture: Architecture.Architecture) =>
  architecture.stages
    .map(({ channels, dsm, expansion, operator, repeats, stride }) =>
      [dsm, operator, `e${expansion}`, `${channels}×${repeats}`, stride === 1 ? null : `/${stride}`]
        .filter((word) => word !== null)
        .join(" ")
    )
    .join(" | ")

const fingerprintOf = (kit: Kit.Kit) =>
  ModelSpace.fingerprint(get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit })))

describe("the kit of a model space", () => {
  it("decides the candidates: transformers alone can be searched, behind the convolution of stage 0", () => {
    const kit = Kit.make({ operators: OperatorSet.only("SA", "LSA") })
    const transformers = get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
    // two operators instead of five
    assert.strictEqual(Space.size(transformers.space), 750n ** 5n)
    const light = get(Constrained.make(transformers.space, ModelSpace.within({ macs: { max: 3e6 } })(transformers)))
    const prng = Prng.fromSeed("transformers")
    for (let i = 0; i < 20; i++) {
      const found = get(Constrained.sampleWithin(prng)(light))
      const [stage0, ...searched] = found.stages
      assert.strictEqual(stage0?.operator, "DWConv")
      assert.isTrue(searched.every(({ operator }) => operator === "SA" || operator === "LSA"))
      assert.isTrue(Result.isSuccess(ModelSpace.checked(found)(transformers)))
      assert.isAtMost(transformers.costs.macs(found), 3e6)
    }
  })

  it("may have another stage 0", () => {
    const kit = Kit.make({ stage0: { name: "Stem", operator: OperatorSet.standard.Conv } })
    const other = get(UniNetSpace.models({ image: 28, channels: 1, classes: 10, kit }))
    const seed = Space.seedPoint(other.space)
    assert.strictEqual(seed.stages[0]?.operator, "Stem")
    assert.notStrictEqual(other.costs.parameters(seed), digits.costs.parameters(Space.seedPoint(digits.space)))
    // it is known there only
    const elsewhere = { ...seed, stages: seed.stages.map((s) => ({ ...s, operator: "Stem" })) }
    assert.match(
      Result.match(other.model(elsewhere), { onFailure: ({ message }) => message, onSuccess: () => "built" }),
      /stage 1: there is no operator "Stem"; use one of Conv, DWConv, SA, LSA, MLP, or add it/
    )
  })

  it("says whose channels heads divide: no network with a custom attention operator has another width", () => {
    const Own: Operator.Operator = { ...OperatorSet.standard.SA }
    const kit = Kit.make({ operators: { DWConv: OperatorSet.standard.DWConv, Own }, dsms: DsmSet.only("L") })
    const own = get(UniNetSpace.models({ image: 96, classes: 10, kit }))
    fc.assert(
      fc.property(fromSpace(own.space), (architecture) => {
        assert.isTrue(Result.isSuccess(Network.make(architecture, kit)))
        for (const { channels, operator } of architecture.stages)
          assert.isTrue(operator !== "Own" || channels % architecture.headDim === 0, `${operator} of ${channels}`)
      }),
      { numRuns: 300 }
    )
    // without knowing of its heads some would
    const blind = get(UniNetSpace.make({ image: 96, classes: 10, operators: ["DWConv", "Own"], dsms: ["L"] }))
    const prng = Prng.fromSeed("blind")
    const failures = Array.from({ length: 200 }, () => Network.make(Space.sample(prng)(blind), kit)).filter(
      Result.isFailure
    )
    assert.isAbove(failures.length, 0)
    assert.isTrue(failures.every(({ failure }) => failure._tag === "HeadMismatch"))
  })

  it("is part of what the space is: another operator of the same name gives another fingerprint", () => {
    assert.strictEqual(fingerprintOf(Kit.standard), fingerprintOf(Kit.make()))
    const renamed = Kit.make({ operators: { ...OperatorSet.standard, DWConv: OperatorSet.standard.Conv } })
    assert.notStrictEqual(fingerprintOf(Kit.standard), fingerprintOf(renamed))
    // whichever it is, and whether or not a few networks of the space have it
    const standard = ModelSpace.fingerprint(get(UniNetSpace.models()))
    for (const name of ["Conv", "DWConv", "SA", "LSA", "MLP"] as const) {
      const operators = { ...OperatorSet.standard, [name]: { widens: true, layer: OperatorSet.standard.MLP.layer } }
      const changed = ModelSpace.fingerprint(get(UniNetSpace.models({ kit: Kit.make({ operators }) })))
      const same = name === "MLP"
      assert.strictEqual(changed === standard, same, name)
    }
  })

  it.effect("comes from the services as well", () =>
    Effect.gen(function* () {
      const made = yield* UniNetSpace.fromServices({ image: 28, channels: 1, classes: 10 }).pipe(
        Effect.provide(Layer.merge(Operators.only("Conv", "DWConv"), Dsms.only("L")))
      )
      assert.strictEqual(Space.size(made.space), 250n ** 5n)
    })
  )

  it("is asked for every candidate that is named", () => {
    assert.strictEqual(
      message({ image: 28, operators: ["SA", "Fourier"] }),
      'Invalid search space: operators: the kit has no "Fourier". Use one of Conv, DWConv, SA, LSA, MLP, or add it to the kit'
    )
    assert.include(
      message({ image: 28, dsms: ["LG"], kit: Kit.make({ dsms: DsmSet.only("L") }) }),
      'dsms: the kit has no "LG". Use one of L, or add it to the kit'
    )
  })
})

describe("settings with which no network could be built are refused at once", () => {
  it("an image too small for the strides", () => {
    assert.match(
      message({ image: { height: 40, width: 1 } }),
      /^Invalid search space: seed: its network cannot be built: stage 1: a 40×1 map is too small for a stride of 2/
    )
  })
  it("a stage 0 whose operator can neither keep nor change the stem's channels", () => {
    assert.match(
      message({ image: 224, stage0Operator: "SA" }),
      /stage 0: SA cannot change 32 channels to 16; give the stage a downsampling module, or 32 channels/
    )
    assert.match(message({ image: 224, stage0Operator: "MLP", stage0Channels: 32 }), /^made$/)
    assert.match(message({ image: 224, stage0Operator: "Fourier" }), /stage 0: there is no operator "Fourier"/)
  })
  it("choices of its own in stage 0's operator that are none", () => {
    const Odd: Operator.Operator = { ...OperatorSet.standard.Conv, choices: { kernel: Choice.ordered<number>([]) } }
    assert.match(
      message({ image: 28, kit: Kit.make({ stage0: { name: "Odd", operator: Odd } }) }),
      /kernel: the choice has no options/
    )
  })
})

const facts = (change: Partial<Facts.Facts>): Facts.Facts => ({
  inputs: { image: { shape: [3, 32, 48], dtype: "float32" } },
  targets: { shape: [], dtype: "int32" },
  classes: 7,
  ...change
})

const said = (change: Partial<Facts.Facts>) =>
  Result.match(UniNetSpace.forData()(facts(change)), {
    onFailure: ({ _tag, message }) => [_tag, message],
    onSuccess: () => "made"
  })

describe("the space for a data set", () => {
  it("takes its pictures and classes", () => {
    const of = get(UniNetSpace.forData()(facts({})))
    const { classes, image, stem } = Space.seedPoint(of.space)
    assert.deepStrictEqual([image, classes], [{ channels: 3, height: 32, width: 48 }, 7])
    // the defaults are those of small images
    assert.deepStrictEqual(stem, { channels: 8, stride: 1 })
    assert.strictEqual(of.task.classes, 7)
  })

  it("takes what it is told before what the data has", () => {
    const kit = Kit.make({ operators: OperatorSet.only("Conv") })
    const of = get(UniNetSpace.forData({ image: 16, kit })(facts({})))
    assert.deepStrictEqual(Space.seedPoint(of.space).image, { channels: 3, height: 16, width: 16 })
    assert.strictEqual(Space.size(of.space), 375n ** 5n)
  })

  it("refuses what is no picture with a class, saying what it is", () => {
    assert.deepStrictEqual(said({ inputs: { row: { shape: [4], dtype: "float32" } } }), [
      "NotPictures",
      "UniNet's networks classify images [channels×height×width] from an input named image, but the examples have row [4]; give a data set of images with classes, or another space"
    ])
    const without = said({ classes: null })
    assert.include(without[1], "the examples have image [3×32×48] without classes")
    assert.include(
      said({ inputs: { image: { shape: [32, 32], dtype: "float32" } } })[1],
      "the examples have image [32×32];"
    )
  })
})

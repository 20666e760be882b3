import { assert, describe, it } from "@effect/vitest"
import { Dsms, DsmSet } from "@uninet/dsm"
import { Op, Program, Shape } from "@uninet/graph"
import { Model, Scope } from "@uninet/nn"
import { Operators, OperatorSet } from "@uninet/operators"
import { Space } from "@uninet/search-space"
import {
  type Architecture,
  type ArchitectureError,
  Kit,
  Network,
  NetworkCosts,
  UniNet,
  UniNetSpace
} from "@uninet/uninet"
import { Effect, Layer, Result } from "effect"
import { reference } from "./support/reference.ts"

const network = (architecture: Architecture.Architecture) => Result.getOrThrow(Network.make(architecture))
const costs = (architecture: Architecture.Architecture) => Result.getOrThrow(NetworkCosts.of(network(architecture)))

describe("the UniNet family", () => {
  const table: ReadonlyArray<readonly [UniNet.Name, number, number, number]> = [
    ["B0", 11_450_864, 22_673, 555_380_288],
    ["B1", 11_450_864, 22_673, 1_117_865_024],
    ["B2", 16_211_472, 32_327, 2_159_099_776],
    ["B3", 24_020_184, 43_999, 4_258_490_944],
    ["B4", 43_796_288, 65_155, 9_429_081_216],
    ["B5", 72_883_072, 78_033, 20_423_294_976],
    ["B6", 116_687_344, 119_559, 51_035_247_104]
  ]
  it.each(table)(
    "%s has the authors' parameters, buffers and fvcore count",
    (name, parameters, buffers, fvcoreCount) => {
      const found = costs(UniNet.family[name])
      assert.deepStrictEqual(
        { parameters: found.parameters, buffers: found.buffers, fvcoreCount: found.fvcoreCount },
        { parameters, buffers, fvcoreCount }
      )
    }
  )

  it("B1 has the authors' count of every operator", () => {
    assert.deepStrictEqual(costs(UniNet.B1).fvcoreByOperator, {
      conv: 541_323_456,
      linear: 489_392_128,
      matmul: 63_924_224,
      batch_norm: 17_304_448,
      adaptive_avg_pool2d: 3_474_688,
      layer_norm: 2_446_080
    })
  })

  it("the released UniNet is a point of the search space", () => {
    const space = Result.getOrThrow(UniNetSpace.make({ image: 224, stage0Channels: 24 }))
    const tokens = Result.getOrThrow(Space.encode(UniNet.B1)(space))
    assert.deepStrictEqual(Result.getOrThrow(Space.decode(tokens)(space)), UniNet.B1)
  })
})

describe("a network's parameters", () => {
  it("have the authors' names and shapes", () => {
    const { names, shape } = reference("network")
    const architecture: Architecture.Architecture = {
      image: { channels: 3, height: 32, width: 32 },
      classes: 10,
      stem: { channels: 8, stride: 2 },
      stages: [
        { operator: "DWConv", dsm: null, expansion: 1, channels: 8, repeats: 1, stride: 1 },
        { operator: "DWConv", dsm: "L", expansion: 4, channels: 16, repeats: 1, stride: 2 },
        { operator: "DWConv", dsm: "L", expansion: 3, channels: 16, repeats: 2, stride: 2 },
        { operator: "DWConv", dsm: "L", expansion: 2, channels: 24, repeats: 1, stride: 2 },
        { operator: "SA", dsm: "LG", expansion: 2, channels: 32, repeats: 1, stride: 1 },
        { operator: "SA", dsm: "LG", expansion: 3, channels: 32, repeats: 2, stride: 2 }
      ],
      head: { channels: 64 },
      headDim: 16
    }
    const { variables } = Result.getOrThrow(Network.evaluation()(network(architecture)))
    const found = Object.fromEntries(variables.map((v) => [v.attributes.name, Shape.print(v.shape)]))
    const expected = names("weights/").map((name) => [name, Shape.print(shape(`weights/${name}`))] as const)
    assert.deepStrictEqual(found, Object.fromEntries(expected))
  })

  it("decay only where they are weights of linear layers and convolutions", () => {
    const { variables } = Result.getOrThrow(Network.evaluation()(network(UniNet.B0)))
    for (const { attributes, shape } of variables)
      assert.strictEqual(attributes.decay, attributes.role === "parameter" && shape.length > 1, attributes.name)
  })
})

describe("a network in training", () => {
  const image = Op.input("image", [2, 3, 64, 64])
  const small = network(UniNet.withImage({ height: 64, width: 64 })(UniNet.B0))
  const inputs = (rates: Partial<Scope.Rates>) => {
    const logits = Network.forward(small, Scope.make("training", "", rates))(image)
    return Result.getOrThrow(Program.make({ outputs: { logits } })).inputs.map((input) => input.attributes.name)
  }

  it("needs no noise where nothing is random", () => {
    assert.deepStrictEqual(inputs({}), ["image"])
  })

  it("needs noise for every residual branch but the first block's, and for dropout", () => {
    const names = inputs({ stochasticDepth: 0.1, dropout: 0.2 })
    // Ten convolutional blocks after the first with one branch each, twelve transformer blocks with two.
    const branches = UniNet.B0.stages.reduce((n, s) => n + s.repeats * (s.operator === "SA" ? 2 : 1), 0) - 1
    assert.strictEqual(names.length, 1 + branches + 1)
    assert.notInclude(names, "noise/blocks.0")
    assert.include(names, "noise/blocks.2")
    assert.include(names, "noise/classifier")
  })

  it("drops no branch in evaluation", () => {
    const { inputs } = Result.getOrThrow(Network.evaluation()(small))
    assert.deepStrictEqual(
      inputs.map((input) => input.attributes.name),
      ["image"]
    )
  })
})

const broken = (change: Partial<Architecture.Architecture>): ArchitectureError =>
  Result.match(Network.make({ ...UniNet.B0, ...change }), {
    onFailure: (error) => error,
    onSuccess: () => assert.fail("it was accepted")
  })
const stage = (i: number, change: Partial<Architecture.Stage>) => ({
  stages: UniNet.B0.stages.map((s, k) => (k === i ? { ...s, ...change } : s))
})

describe("what an architecture can have wrong is said before anything is built", () => {
  it("an unknown operator", () => {
    const error = broken(stage(2, { operator: "toString" }))
    assert.strictEqual(error._tag, "UnknownOperator")
    assert.match(error.message, /^stage 2: there is no operator "toString"; use one of Conv, DWConv, SA, LSA, MLP/)
  })
  it("an unknown downsampling module", () => {
    const error = broken(stage(3, { dsm: "XL" }))
    assert.strictEqual(error._tag, "UnknownDsm")
    assert.match(error.message, /^stage 3: there is no downsampling module "XL"/)
  })
  it("channels that do not divide into heads, next to an operator or a module", () => {
    assert.match(
      broken(stage(5, { channels: 250 })).message,
      /^stage 5: LG cannot divide 250 channels into heads of 32/
    )
    const error = broken(stage(2, { channels: 80, operator: "LSA" }))
    assert.strictEqual(error._tag, "HeadMismatch")
    assert.match(error.message, /^stage 2: LSA cannot divide 80 channels into heads of 32/)
  })
  it("channels that an operator cannot change", () => {
    const error = broken(stage(0, { operator: "MLP" }))
    assert.strictEqual(error._tag, "FixedChannels")
    assert.match(error.message, /^stage 0: MLP cannot change 32 channels to 24/)
  })
  it("a stride that nothing does", () => {
    assert.strictEqual(broken(stage(1, { dsm: null, channels: 24 }))._tag, "StrideWithoutDsm")
  })
  it.each([-1, 0, 1.5, Number.NaN])("%d classes, or channels", (value) => {
    const error = broken({ classes: value })
    assert.strictEqual(error._tag, "ImpossibleSize")
    assert.strictEqual(error.message, `classes is ${value}; give a whole number of 1 or more`)
    assert.match(broken(stage(2, { channels: value })).message, /^stages\[2\]\.channels is /)
  })
  it("an image too small for the strides", () => {
    const error = broken({ image: { channels: 3, height: 160, width: 16 } })
    assert.strictEqual(error._tag, "ImageTooSmall")
    assert.match(error.message, /^stage 5: a 10×1 map is too small for a stride of 2/)
  })
})

describe("a kit", () => {
  const convolutional = Kit.make({ operators: OperatorSet.only("Conv"), dsms: DsmSet.only("L") })
  const [stage0] = UniNet.B0.stages
  const second: Architecture.Stage = { ...stage0, operator: "Conv", dsm: "L", stride: 2 }

  it("says which operators and modules an architecture may name, and what stage 0 is called", () => {
    const made = Network.make({ ...UniNet.B0, stages: [stage0, second] }, convolutional)
    assert.deepStrictEqual(
      Result.map(made, ({ blocks }) => blocks.map(({ name }) => name)),
      Result.succeed(["DWConv", "L", "Conv"])
    )
    const message = (stage: Partial<Architecture.Stage>) =>
      Result.match(Network.make({ ...UniNet.B0, stages: [stage0, { ...second, ...stage }] }, convolutional), {
        onFailure: ({ message }) => message,
        onSuccess: () => "made"
      })
    assert.match(message({ operator: "DWConv" }), /^stage 1: there is no operator "DWConv"; use one of Conv, or add it/)
    assert.match(message({ dsm: "LG" }), /^stage 1: there is no downsampling module "LG"; use one of L, or add it/)
  })

  it.effect("is made from the services as well", () =>
    Effect.gen(function* () {
      const services = Layer.merge(Operators.only("Conv"), Dsms.only("L"))
      assert.deepStrictEqual(yield* Kit.fromServices.pipe(Effect.provide(services)), convolutional)
      const standard = Layer.merge(Operators.standard, Dsms.standard)
      assert.deepStrictEqual(yield* Kit.fromServices.pipe(Effect.provide(standard)), Kit.standard)
    })
  )

  it("knows whose channels heads have to divide", () => {
    assert.deepStrictEqual(Kit.multiHead(Kit.standard), ["SA", "LSA", "LG", "G"])
    const Own = { ...OperatorSet.standard.SA }
    assert.deepStrictEqual(Kit.multiHead(Kit.make({ operators: { Own } })), ["Own", "LG", "G"])
  })
})

describe("a network's model", () => {
  const small = network(UniNet.withImage({ channels: 1, height: 33, width: 47 }, 7)(UniNet.B0))

  it("takes images and gives logits, by name", () => {
    const model = Network.model(small)
    assert.strictEqual(Model.print(model.inputs), "image [1×33×47]")
    assert.strictEqual(Model.print(Result.getOrThrow(Model.outputs(model))), "logits [7]")
  })

  it("evaluates as the network does, with running statistics and nothing left to chance", () => {
    const logits = Network.forward(small, Scope.make("evaluation"))(Op.input("image", [3, 1, 33, 47]))
    const program = Result.getOrThrow(Program.make({ outputs: { logits } }))
    for (const made of [Model.evaluation({ batch: 3 })(Network.model(small)), Network.evaluation({ batch: 3 })(small)])
      assert.strictEqual(Program.fingerprint(Result.getOrThrow(made)), Program.fingerprint(program))
  })
})
